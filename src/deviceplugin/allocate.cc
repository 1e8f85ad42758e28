// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "deviceplugin/allocate.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <cctype>
#include <set>

#include "base/text.h"
#include "cdi/extra_specs.h"

namespace aliquot::deviceplugin {
namespace {

using config::DeviceListStrategy;

// Where NVIDIA's container runtime looks for devices listed as mounts.
constexpr char kMountRoot[] = "/var/run/nvidia-container-devices";
// The order is the reference plugin's.
constexpr const char* kControlNodes[] = {"/dev/nvidiactl", "/dev/nvidia-uvm",
                                         "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"};

// The devices behind the ids, each once.
Result<std::vector<const share::PlannedDevice*>> FindDevices(const AllocateInput& input) {
  std::vector<const share::PlannedDevice*> devices;
  std::set<std::string_view> seen;
  for (const std::string& id : input.ids) {
    const auto found =
        std::find_if(input.resource.devices.begin(), input.resource.devices.end(),
                     [&](const share::PlannedDevice& device) { return device.id == id; });
    if (found == input.resource.devices.end()) {
      return Error{Code::kNotFound, fmt::format("unknown device: {}", id)};
    }
    if (seen.insert(found->device_uuid).second) devices.push_back(&*found);
  }
  return devices;
}

bool Uses(const AllocateInput& input, DeviceListStrategy strategy) {
  const auto& all = input.config.flags.device_list_strategies;
  return std::find(all.begin(), all.end(), strategy) != all.end();
}

std::string NameOf(const share::PlannedDevice& device, const config::Flags& flags) {
  const bool by_index = flags.device_id_strategy == config::DeviceIdStrategy::kIndex;
  return by_index ? device.index : device.device_uuid;
}

// The configured IMEX channels that are there. A simulated node has none.
Result<std::vector<int>> ImexChannels(const AllocateInput& input) {
  std::vector<int> channels;
  if (input.inventory.simulated()) return channels;
  for (const int channel : input.config.imex.channel_ids) {
    const std::string path = cdi::ImexChannelPath(channel);
    if (input.host.Has(path)) {
      channels.push_back(channel);
    } else if (input.config.imex.required) {
      return Error{Code::kFailedPrecondition,
                   fmt::format("IMEX channel {} is required (imex.required) but {} is not a "
                               "character device on this node",
                               channel, path)};
    }
  }
  return channels;
}

void AddEnvironment(const std::vector<std::string>& names, const std::vector<int>& channels,
                    rpc::ContainerAllocation& out) {
  out.envs["NVIDIA_VISIBLE_DEVICES"] = Join(names, ",");
  if (!channels.empty())
    out.envs["NVIDIA_IMEX_CHANNELS"] = fmt::to_string(fmt::join(channels, ","));
}

void AddVolumeMounts(const std::vector<std::string>& names, const std::vector<int>& channels,
                     rpc::ContainerAllocation& out) {
  out.envs["NVIDIA_VISIBLE_DEVICES"] = kMountRoot;
  const auto add = [&](const std::string& path) {
    out.mounts.push_back({fmt::format("{}/{}", kMountRoot, path), "/dev/null", false});
  };
  for (const std::string& name : names) add(name);
  for (const int channel : channels) add(fmt::format("imex/{}", channel));
}

// The device files of one planned device, by the inventory. Empty if it is gone from there.
std::vector<std::string> NodesOf(const share::PlannedDevice& device,
                                 const gpu::Inventory& inventory) {
  for (const gpu::Gpu& gpu : inventory.gpus) {
    if (gpu.uuid != device.gpu_uuid) continue;
    if (!device.mig_uuid) return {gpu.device_path};
    for (const gpu::MigDevice& mig : gpu.mig_devices) {
      if (mig.uuid == *device.mig_uuid) return {gpu.device_path, mig.gi_cap_path, mig.ci_cap_path};
    }
  }
  return {};
}

void AddDeviceNodes(const AllocateInput& input,
                    const std::vector<const share::PlannedDevice*>& devices,
                    const std::vector<int>& channels, rpc::ContainerAllocation& out) {
  // A simulated GPU has no device files; those of real GPUs on the same host are not its own.
  if (input.inventory.simulated()) return;
  std::set<std::string> seen;
  const auto add = [&](const std::string& path) {
    if (path.empty() || !seen.insert(path).second) return;
    out.devices.push_back({path, input.roots.DevOnHost(path, input.host), "rw"});
  };
  for (const char* path : kControlNodes) {
    if (input.host.Has(path)) add(path);
  }
  for (const share::PlannedDevice* device : devices) {
    for (const std::string& path : NodesOf(*device, input.inventory)) add(path);
  }
  for (const int channel : channels) add(cdi::ImexChannelPath(channel));
}

bool IsPublished(const AllocateInput& input, std::string_view device_class,
                 const std::string& name) {
  const auto found = input.cdi_devices.find(device_class);
  return found != input.cdi_devices.end() && found->second.contains(name);
}

Result<std::vector<std::string>> CdiNames(const AllocateInput& input,
                                          const std::vector<std::string>& names,
                                          const std::vector<int>& channels) {
  std::vector<std::string> qualified;
  const auto add = [&](std::string_view device_class, const std::string& name) {
    if (!IsPublished(input, device_class, name)) return false;
    qualified.push_back(cdi::QualifiedName(device_class, name));
    return true;
  };
  for (const std::string& name : names) {
    if (add(cdi::kClassGpu, name)) continue;
    return Error{Code::kFailedPrecondition,
                 fmt::format("device {} is in no CDI spec of this node ({}); the agent's log and "
                             "/statusz say why",
                             name, cdi::FileName(cdi::kClassGpu))};
  }
  for (const int channel : channels) add(cdi::kClassImexChannel, fmt::to_string(channel));
  const config::Flags& flags = input.config.flags;
  if (flags.gdrcopy_enabled) add(cdi::kClassGdrcopy, "all");
  if (flags.gds_enabled) add(cdi::kClassGds, "all");
  if (flags.mofed_enabled) add(cdi::kClassMofed, "all");
  return qualified;
}

Status AddCdi(const AllocateInput& input, const std::vector<std::string>& names,
              const std::vector<int>& channels, rpc::ContainerAllocation& out) {
  Result<std::vector<std::string>> qualified = CdiNames(input, names, channels);
  if (!qualified.ok()) return qualified.error();
  if (qualified->empty()) return {};
  if (Uses(input, DeviceListStrategy::kCdiAnnotations)) {
    const Result<std::string> key =
        CdiAnnotationKey(input.config.flags.cdi_annotation_prefix, input.resource.name, input.ids);
    if (!key.ok()) return key.error();
    out.annotations[*key] = Join(*qualified, ",");
  }
  if (Uses(input, DeviceListStrategy::kCdiCri)) out.cdi_devices = *std::move(qualified);
  return {};
}

bool IsAlphanumeric(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// A Kubernetes qualified name: an optional DNS subdomain and a slash, then at most 63 characters.
Status CheckAnnotationKey(std::string_view key, const std::string& prefix) {
  const std::size_t slash = key.rfind('/');
  const std::string_view domain = slash == std::string_view::npos ? "" : key.substr(0, slash);
  const std::string_view name = slash == std::string_view::npos ? key : key.substr(slash + 1);
  const auto is_name = [](char c) { return IsAlphanumeric(c) || c == '-' || c == '_' || c == '.'; };
  const auto is_domain = [](char c) {
    return (IsAlphanumeric(c) && !std::isupper(static_cast<unsigned char>(c))) || c == '-' ||
           c == '.';
  };
  const bool good =
      name.size() <= 63 && IsAlphanumeric(name.front()) &&
      std::all_of(name.begin(), name.end(), is_name) && domain.size() <= 253 && slash != 0 &&
      std::all_of(domain.begin(), domain.end(), is_domain) &&
      (domain.empty() || (IsAlphanumeric(domain.front()) && IsAlphanumeric(domain.back())));
  if (good) return {};
  return Error{Code::kInvalidArgument,
               fmt::format("cdiAnnotationPrefix \"{}\" cannot begin an annotation key: expected a "
                           "lower-case DNS name and \"/\", such as \"cdi.k8s.io/\"",
                           prefix)};
}

}  // namespace

Result<std::string> CdiAnnotationKey(const std::string& prefix, const std::string& resource,
                                     std::vector<std::string> ids) {
  std::sort(ids.begin(), ids.end());
  const boost::uuids::name_generator_sha1 generate(boost::uuids::ns::url());
  const std::string name = fmt::format("{}={}", resource, fmt::join(ids, ","));
  std::string key =
      fmt::format("{}nvidia-device-plugin_{}", prefix, boost::uuids::to_string(generate(name)));
  if (Status status = CheckAnnotationKey(key, prefix); !status.ok()) return status.error();
  return key;
}

Result<rpc::ContainerAllocation> Allocate(const AllocateInput& input) {
  const Result<std::vector<const share::PlannedDevice*>> devices = FindDevices(input);
  if (!devices.ok()) return devices.error();
  const Result<std::vector<int>> channels = ImexChannels(input);
  if (!channels.ok()) return channels.error();
  const config::Flags& flags = input.config.flags;
  std::vector<std::string> names;
  for (const share::PlannedDevice* device : *devices) names.push_back(NameOf(*device, flags));

  rpc::ContainerAllocation out;
  const bool environment = Uses(input, DeviceListStrategy::kEnvVar);
  const bool volume_mounts = Uses(input, DeviceListStrategy::kVolumeMounts);
  const bool cdi =
      Uses(input, DeviceListStrategy::kCdiAnnotations) || Uses(input, DeviceListStrategy::kCdiCri);
  if (environment) AddEnvironment(names, *channels, out);
  // After the environment: with both, the marker of the mounts takes the place of the list.
  if (volume_mounts) AddVolumeMounts(names, *channels, out);
  if (flags.pass_device_specs && (environment || volume_mounts)) {
    AddDeviceNodes(input, *devices, *channels, out);
  }
  if (cdi) {
    if (Status status = AddCdi(input, names, *channels, out); !status.ok()) return status.error();
  }
  if (flags.gdrcopy_enabled) out.envs["NVIDIA_GDRCOPY"] = "enabled";
  if (flags.gds_enabled) out.envs["NVIDIA_GDS"] = "enabled";
  if (flags.mofed_enabled) out.envs["NVIDIA_MOFED"] = "enabled";
  return out;
}

}  // namespace aliquot::deviceplugin
