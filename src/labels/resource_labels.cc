// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "labels/resource_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "labels/text.h"
#include "share/names.h"

namespace aliquot::labels {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

// A device described by labels: a GPU, or a MIG device of it.
struct Device {
  const gpu::Gpu* gpu = nullptr;
  const gpu::MigDevice* mig = nullptr;
  const std::string& uuid() const { return mig != nullptr ? mig->uuid : gpu->uuid; }
};

// How the plan offers devices, by UUID.
struct Offer {
  unsigned replicas = 0;  // 0: not offered
  bool renamed = false;
};
using Offers = std::map<std::string, Offer>;

Offers OffersOf(const share::Plan& plan) {
  Offers offers;
  for (const share::PlannedResource& resource : plan.resources) {
    for (const share::PlannedDevice& device : resource.devices) {
      offers[device.device_uuid] = {device.replicas, device.renamed};
    }
  }
  return offers;
}

// The devices of the GPU model that most of them have; ties: that of the lowest GPU index.
std::vector<Device> OfMainModel(const std::vector<Device>& devices) {
  struct Model {
    std::size_t devices = 0;
    unsigned lowest_index = 0;
  };
  std::map<std::string, Model> models;
  for (const Device& device : devices) {
    Model& model = models[device.gpu->name];
    if (model.devices == 0) model.lowest_index = device.gpu->index;
    model.lowest_index = std::min(model.lowest_index, device.gpu->index);
    ++model.devices;
  }
  const auto main =
      std::max_element(models.begin(), models.end(), [](const auto& a, const auto& b) {
        return a.second.devices != b.second.devices ? a.second.devices < b.second.devices
                                                    : a.second.lowest_index > b.second.lowest_index;
      });
  std::vector<Device> chosen;
  for (const Device& device : devices) {
    if (device.gpu->name == main->first) chosen.push_back(device);
  }
  std::sort(chosen.begin(), chosen.end(), [](const Device& a, const Device& b) {
    return std::make_tuple(a.gpu->index, a.mig != nullptr ? a.mig->index : 0) <
           std::make_tuple(b.gpu->index, b.mig != nullptr ? b.mig->index : 0);
  });
  return chosen;
}

std::string_view StrategyName(config::SharingStrategy strategy) {
  switch (strategy) {
    case config::SharingStrategy::kTimeSlicing:
      return "time-slicing";
    case config::SharingStrategy::kMps:
      return "mps";
    case config::SharingStrategy::kNone:
      break;
  }
  return "none";
}

class Writer {
 public:
  Writer(const config::Config& config, const share::Plan& plan, Labels& labels)
      : strategy_(config.sharing.strategy), offers_(OffersOf(plan)), labels_(labels) {}

  bool Offered(const std::string& uuid) const { return offers_.contains(uuid); }

  // product, count, replicas, sharing-strategy and memory of `devices`, which are alike and at
  // least one.
  void AddCommon(const std::string& prefix, const std::vector<Device>& devices) {
    const Device& first = devices.front();
    unsigned replicas = 0;
    bool shares_own_name = false;
    for (const Device& device : devices) {
      // A GPU with MIG on is never a usable whole GPU, whatever the plan offers it as.
      if (device.mig == nullptr && device.gpu->mig_enabled) continue;
      const auto offer = offers_.find(device.uuid());
      if (offer == offers_.end()) continue;
      replicas = std::max(replicas, offer->second.replicas);
      if (offer->second.replicas > 1 && !offer->second.renamed) shares_own_name = true;
    }
    std::string suffix;
    if (first.mig != nullptr) {
      std::string profile = first.mig->profile;
      std::replace(profile.begin(), profile.end(), '+', '.');
      suffix = "-MIG-" + profile;
    }
    if (shares_own_name) suffix += "-SHARED";
    Put(prefix, "product", ProductValue(first.gpu->name, suffix));
    Put(prefix, "count", fmt::to_string(devices.size()));
    Put(prefix, "replicas", fmt::to_string(replicas));
    Put(prefix, "sharing-strategy",
        std::string(StrategyName(replicas > 1 ? strategy_ : config::SharingStrategy::kNone)));
    const std::uint64_t memory_mib =
        (first.mig != nullptr ? first.mig->memory_total_bytes : first.gpu->memory_total_bytes) /
        kMiB;
    if (memory_mib != 0) Put(prefix, "memory", fmt::to_string(memory_mib));
  }

  void AddArchitecture(const gpu::Gpu& gpu) {
    if (gpu.compute_major == 0) return;
    const std::string prefix(share::kGpuResource);
    Put(prefix, "family", std::string(FamilyOf(gpu.compute_major, gpu.compute_minor)));
    Put(prefix, "compute.major", fmt::to_string(gpu.compute_major));
    Put(prefix, "compute.minor", fmt::to_string(gpu.compute_minor));
  }

  void AddSlice(const std::string& prefix, const gpu::MigDevice& mig) {
    const std::pair<const char*, unsigned> attributes[] = {
        {"multiprocessors", mig.multiprocessors},
        {"slices.gi", mig.gi_slices},
        {"slices.ci", mig.ci_slices},
        {"engines.copy", mig.engines.copy},
        {"engines.decoder", mig.engines.decoder},
        {"engines.encoder", mig.engines.encoder},
        {"engines.jpeg", mig.engines.jpeg},
        {"engines.ofa", mig.engines.ofa},
    };
    for (const auto& [name, value] : attributes) Put(prefix, name, fmt::to_string(value));
  }

  void AddInvalid(const gpu::Gpu& gpu) {
    const std::string prefix(share::kGpuResource);
    Put(prefix, "product", ProductValue(gpu.name, "-MIG-INVALID"));
    Put(prefix, "count", "0");
    Put(prefix, "replicas", "0");
    Put(prefix, "memory", "0");
    Put(prefix, "sharing-strategy", "");
  }

 private:
  void Put(const std::string& prefix, const std::string& name, std::string value) {
    labels_[prefix + "." + name] = std::move(value);
  }

  config::SharingStrategy strategy_;
  Offers offers_;
  Labels& labels_;
};

void AddGpuLabels(const std::vector<Device>& gpus, Writer& writer) {
  const std::vector<Device> main = OfMainModel(gpus);
  writer.AddCommon(std::string(share::kGpuResource), main);
  writer.AddArchitecture(*main.front().gpu);
}

// `single`, on a node with MIG on somewhere.
void AddSingleLabels(const std::vector<Device>& gpus, const std::vector<Device>& slices,
                     Writer& writer) {
  std::vector<Device> whole;  // offered ones
  for (const Device& device : gpus) {
    if (!device.gpu->mig_enabled && writer.Offered(device.uuid())) whole.push_back(device);
  }
  const bool one_profile = std::all_of(slices.begin(), slices.end(), [&](const Device& slice) {
    return slice.mig->profile == slices.front().mig->profile;
  });
  const std::string prefix(share::kGpuResource);
  if (!slices.empty() && whole.empty() && one_profile) {
    const std::vector<Device> main = OfMainModel(slices);
    writer.AddCommon(prefix, main);
    writer.AddSlice(prefix, *main.front().mig);
    writer.AddArchitecture(*main.front().gpu);
  } else if (slices.empty() && !whole.empty()) {
    AddGpuLabels(whole, writer);
  } else {
    const gpu::Gpu& main = *OfMainModel(gpus).front().gpu;
    writer.AddInvalid(main);
    writer.AddArchitecture(main);
  }
}

void AddMixedLabels(const std::vector<Device>& slices, Writer& writer) {
  std::map<std::string, std::vector<Device>> by_resource;
  for (const Device& slice : slices) {
    by_resource[share::MigResourceName(slice.mig->profile)].push_back(slice);
  }
  for (const auto& [prefix, devices] : by_resource) {
    const std::vector<Device> main = OfMainModel(devices);
    writer.AddCommon(prefix, main);
    writer.AddSlice(prefix, *main.front().mig);
  }
}

}  // namespace

void AddResourceLabels(const gpu::Inventory& inventory, const config::Config& config,
                       const share::Plan& plan, Labels& labels) {
  Writer writer(config, plan, labels);
  std::vector<Device> gpus;
  std::vector<Device> slices;  // offered ones
  bool mig_enabled = false;
  for (const gpu::Gpu& gpu : inventory.gpus) {
    gpus.push_back({&gpu, nullptr});
    mig_enabled = mig_enabled || gpu.mig_enabled;
    for (const gpu::MigDevice& mig : gpu.mig_devices) {
      if (writer.Offered(mig.uuid)) slices.push_back({&gpu, &mig});
    }
  }
  if (config.flags.mig_strategy == config::MigStrategy::kSingle && mig_enabled) {
    AddSingleLabels(gpus, slices, writer);
    return;
  }
  AddGpuLabels(gpus, writer);
  if (config.flags.mig_strategy == config::MigStrategy::kMixed) AddMixedLabels(slices, writer);
}

}  // namespace aliquot::labels
