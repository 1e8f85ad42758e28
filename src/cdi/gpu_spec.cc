// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cdi/gpu_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace aliquot::cdi {
namespace {

constexpr const char* kControlNodes[] = {"/dev/nvidia-modeset", "/dev/nvidia-uvm",
                                         "/dev/nvidia-uvm-tools", "/dev/nvidiactl"};
// NVIDIA's base images have this directory in LD_LIBRARY_PATH.
constexpr char kImageLibraryDirectory[] = "/usr/local/nvidia/lib64";

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }
std::string DirName(const std::string& path) { return path.substr(0, path.rfind('/')); }

// "libcuda.so.1": what programs are linked against, not the "libcuda.so" of compilers.
bool IsSoname(const std::string& name) {
  const std::size_t dot = name.find(".so.");
  return dot != std::string::npos && dot + 4 < name.size();
}

void AddMount(const std::string& host_path, const std::string& container_path,
              const std::vector<std::string>& options, ContainerEdits& edits) {
  const bool taken = std::any_of(edits.mounts.begin(), edits.mounts.end(), [&](const Mount& mount) {
    return mount.container_path == container_path;
  });
  if (!taken) edits.mounts.push_back({host_path, container_path, options});
}

// Links that programs need and that may not exist beside the library, because ldconfig has not run
// in a driver container or the distribution leaves them to a development package.
std::vector<LibraryLink> LinksOf(const Library& library, const std::string& version) {
  std::vector<LibraryLink> links = library.links;
  const std::string name = BaseName(library.path);
  const auto add = [&](const std::string& link, const std::string& text) {
    const std::string path = DirName(library.path) + "/" + link;
    const bool known = std::any_of(links.begin(), links.end(),
                                   [&](const LibraryLink& other) { return other.path == path; });
    if (!known) links.push_back({path, text});
  };
  if (name == "libcuda.so." + version) {
    add("libcuda.so.1", name);
    add("libcuda.so", "libcuda.so.1");
  } else if (name == "libnvidia-ml.so." + version) {
    add("libnvidia-ml.so.1", name);
  } else if (name == "libnvidia-opticalflow.so." + version) {
    add("libnvidia-opticalflow.so.1", name);
    add("libnvidia-opticalflow.so", "libnvidia-opticalflow.so.1");
  } else if (name == "libGLX_nvidia.so." + version) {
    add("libGLX_indirect.so.0", name);
  }
  std::sort(links.begin(), links.end(),
            [](const LibraryLink& a, const LibraryLink& b) { return a.path < b.path; });
  return links;
}

void AddLibraries(const SpecInput& input, ContainerEdits& edits) {
  const std::vector<std::string> options = FileMountOptions();
  const bool make_links = input.hooks.Available("create-symlinks");
  const bool make_cache = input.hooks.Available("update-ldcache");
  std::vector<std::string> link_args;
  std::set<std::string> directories;
  for (const Library& library : input.files.libraries) {
    const std::string host_path = input.roots.DriverOnHost(library.path);
    AddMount(host_path, library.path, options, edits);
    directories.insert(DirName(library.path));
    for (const LibraryLink& link : LinksOf(library, input.files.version)) {
      if (make_links) {
        link_args.push_back("--link");
        link_args.push_back(link.text + "::" + link.path);
      } else {
        AddMount(host_path, link.path, options, edits);
      }
      // Without a loader cache, an image of another distribution family does not search our
      // directory; NVIDIA's images search this one.
      if (!make_cache && IsSoname(BaseName(link.path))) {
        AddMount(host_path, fmt::format("{}/{}", kImageLibraryDirectory, BaseName(link.path)),
                 options, edits);
      }
    }
  }
  if (!link_args.empty()) input.hooks.Add("create-symlinks", link_args, edits);
  input.hooks.Add("enable-cuda-compat", {"--host-driver-version=" + input.files.version}, edits);
  std::vector<std::string> folders;
  for (const std::string& directory : directories) {
    folders.push_back("--folder");
    folders.push_back(directory);
  }
  input.hooks.Add("update-ldcache", folders, edits);
}

ContainerEdits CommonEdits(const SpecInput& input) {
  ContainerEdits edits;
  // Keeps NVIDIA's runtime, if it is the node's default one, from adding every GPU by itself.
  edits.env.push_back("NVIDIA_VISIBLE_DEVICES=void");
  if (!input.with_files) return edits;
  if (!input.files.cuda_directories.empty()) {
    edits.env.push_back("NVIDIA_CTK_LIBCUDA_DIR=" + Join(input.files.cuda_directories, ":"));
  }
  for (const char* node : kControlNodes) {
    if (input.host.Has(node)) AddNode(node, input.host, input.roots, input.options, edits);
  }
  AddLibraries(input, edits);
  for (const auto* files : {&input.files.binaries, &input.files.firmware}) {
    for (const DriverFile& file : *files) {
      AddMount(input.roots.DriverOnHost(file.target), file.path, FileMountOptions(), edits);
    }
  }
  for (const DriverFile& socket : input.files.sockets) {
    AddMount(input.roots.DriverOnHost(socket.target), socket.path, SocketMountOptions(), edits);
  }
  input.hooks.Add("disable-device-node-modification", {}, edits);
  input.hooks.Add("update-application-profile", {}, edits);
  return edits;
}

void AddDrmNodes(const gpu::Gpu& gpu, const SpecInput& input, ContainerEdits& edits) {
  std::set<std::string> names;
  for (const std::string& path : gpu.drm_paths) {
    if (!input.host.Has(path)) continue;
    AddNode(path, input.host, input.roots, input.options, edits);
    names.insert(BaseName(path));
  }
  std::vector<std::string> args;
  for (const auto& [path, text] : input.host.links) {
    if (!names.contains(BaseName(text))) continue;
    args.push_back("--link");
    args.push_back(text + "::" + path);
  }
  if (!args.empty()) input.hooks.Add("create-symlinks", args, edits);
}

// Adds a device that needs every node of `nodes`; a warning instead if the host lacks one.
void AddDevice(const std::string& name, const gpu::Gpu& gpu, const std::vector<std::string>& nodes,
               bool with_drm, const SpecInput& input, BuiltSpec& out) {
  Device device{name, {}};
  if (input.inventory.simulated()) {
    device.edits.env.push_back("ALIQUOT_SIMULATED_NODE=" + input.inventory.simulated_node);
  }
  if (!input.with_files) {
    out.spec.devices.push_back(std::move(device));
    return;
  }
  for (const std::string& node : nodes) {
    if (node.empty() || !input.host.Has(node)) {
      out.warnings.push_back(fmt::format(
          "device {} of GPU {} left out of the CDI spec: {} is not a character device below \"{}\"",
          name, gpu.index, node.empty() ? "its MIG capability file" : node,
          input.roots.dev.empty() ? "/" : input.roots.dev));
      return;
    }
    AddNode(node, input.host, input.roots, input.options, device.edits);
  }
  if (with_drm) AddDrmNodes(gpu, input, device.edits);
  out.spec.devices.push_back(std::move(device));
}

}  // namespace

std::string GpuDeviceName(const gpu::Gpu& gpu, config::DeviceIdStrategy strategy) {
  return strategy == config::DeviceIdStrategy::kIndex ? fmt::to_string(gpu.index) : gpu.uuid;
}

std::string MigDeviceName(const gpu::Gpu& gpu, const gpu::MigDevice& mig,
                          config::DeviceIdStrategy strategy) {
  if (strategy != config::DeviceIdStrategy::kIndex) return mig.uuid;
  return fmt::format("{}:{}", gpu.index, mig.index);
}

std::vector<std::string> FileMountOptions() {
  return {"ro", "nosuid", "nodev", "rbind", "rprivate"};
}

std::vector<std::string> SocketMountOptions() {
  return {"nosuid", "nodev", "rbind", "rprivate", "noexec"};
}

void AddNode(const std::string& path, const HostDevices& host, const Roots& roots,
             const Options& options, ContainerEdits& edits) {
  const std::string host_path = roots.DevOnHost(path, host);
  edits.device_nodes.push_back({path, host_path == path ? "" : host_path, "rw"});
  const auto node = host.nodes.find(path);
  if (node == host.nodes.end() || options.Has(kNoAdditionalGids)) return;
  constexpr unsigned kOthersReadWrite = 0006;
  constexpr unsigned kGroupReadWrite = 0060;
  const bool group_only = (node->second.mode & kOthersReadWrite) != kOthersReadWrite &&
                          (node->second.mode & kGroupReadWrite) == kGroupReadWrite;
  if (group_only && node->second.gid != 0) edits.additional_gids.insert(node->second.gid);
}

BuiltSpec BuildGpuSpec(const SpecInput& input) {
  BuiltSpec out;
  out.spec.device_class = kClassGpu;
  const config::DeviceIdStrategy strategy = input.config.flags.device_id_strategy;
  for (const gpu::Gpu& gpu : input.inventory.gpus) {
    if (!gpu.mig_enabled) {
      AddDevice(GpuDeviceName(gpu, strategy), gpu, {gpu.device_path}, true, input, out);
      continue;
    }
    for (const gpu::MigDevice& mig : gpu.mig_devices) {
      const bool graphics = mig.profile.find("gfx") != std::string::npos;
      AddDevice(MigDeviceName(gpu, mig, strategy), gpu,
                {gpu.device_path, mig.gi_cap_path, mig.ci_cap_path}, graphics, input, out);
    }
  }
  if (!out.spec.devices.empty()) out.spec.common = CommonEdits(input);
  return out;
}

}  // namespace aliquot::cdi
