// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "sim/cuda/node.h"
#include "sim/model/uuid.h"
#include "sim/state/machine.h"
#include "sim/state/mig.h"

namespace aliquot::sim::cuda {
namespace {

std::optional<std::string> Variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

// A positive decimal number with up to six digits after the point, in millionths.
std::optional<std::uint64_t> ParseMillionths(std::string_view text) {
  const std::size_t point = text.find('.');
  const std::optional<unsigned long long> whole = ParseUnsigned(text.substr(0, point));
  std::uint64_t part = 0;
  if (point != std::string_view::npos) {
    std::string digits(text.substr(point + 1));
    if (digits.empty() || digits.size() > 6) return std::nullopt;
    digits.resize(6, '0');
    const std::optional<unsigned long long> parsed = ParseUnsigned(digits);
    if (!parsed) return std::nullopt;
    part = *parsed;
  }
  if (!whole || *whole > 1'000'000) return std::nullopt;
  const std::uint64_t millionths = *whole * 1'000'000 + part;
  if (millionths == 0) return std::nullopt;
  return millionths;
}

DeviceInfo WholeGpu(const GpuSpec& gpu, unsigned index) {
  return {&gpu,           {index, kNobody, kNobody}, gpu.uuid,
          gpu.uuid_bytes, gpu.product->name,         gpu.product->multiprocessors};
}

DeviceInfo MigDevice(const GpuSpec& gpu, unsigned index, const GpuState& state, MigDeviceId id) {
  const GpuInstanceState& gi = state.instances[id.gi];
  DeviceInfo device{&gpu, {index, id.gi, id.ci}, MigUuid(gpu, id.gi, id.ci), {}, "", 0};
  device.uuid = ParseUuid(std::string_view(device.uuid_text).substr(4)).value_or(Uuid{});
  device.name = gpu.product->name + " MIG";
  if (const MigProfile* profile = gpu.product->ProfileByIndex(gi.profile_index)) {
    for (const ComputeProfile& compute : ComputeProfiles(*gpu.product, *profile)) {
      if (compute.index != gi.compute[id.ci].profile_index) continue;
      device.name += " " + compute.name;
      device.multiprocessors = compute.multiprocessors;
    }
  }
  return device;
}

// Whether `text` names the device, as an index, a UUID, or the unique beginning of one. Replica
// ids of Aliquot's device plugin ("<uuid>::<n>") name their device.
bool Names(std::string_view text, const DeviceInfo& device, std::optional<unsigned> index) {
  text = text.substr(0, text.find("::"));
  if (const auto number = ParseUnsigned(text)) return index && *number == *index;
  const std::string& uuid = device.uuid_text;
  return text.size() > 4 && uuid.starts_with(text);
}

// Whether the container has the device nodes of the device.
bool HasNodes(const std::string& dev, const DeviceInfo& device) {
  const auto has = [&](const std::string& name) {
    return ::access((dev + name).c_str(), F_OK) == 0;
  };
  const unsigned minor = device.gpu->minor;
  if (!has("/nvidia" + std::to_string(minor))) return false;
  const auto [gpu, gi, ci] = device.engine;
  const auto has_cap = [&](unsigned cap) {
    return has("/nvidia-caps/nvidia-cap" + std::to_string(cap));
  };
  return gi == kNobody || (has_cap(GpuInstanceCapMinor(minor, gi)) &&
                           has_cap(ComputeInstanceCapMinor(minor, gi, ci)));
}

}  // namespace

Result<Environment> Environment::Read() {
  Environment environment;
  environment.node = Variable("ALIQUOT_SIM_NODE").value_or("");
  environment.state_directory = Variable("ALIQUOT_SIM_STATE").value_or("");
  environment.cuda_visible = Variable("CUDA_VISIBLE_DEVICES");
  environment.nvidia_visible = Variable("NVIDIA_VISIBLE_DEVICES");
  if (const auto scale = Variable("ALIQUOT_SIM_TIME_SCALE"); scale && !scale->empty()) {
    const auto ppm = ParseMillionths(*scale);
    if (!ppm) {
      return Error{Code::kInvalidArgument, "ALIQUOT_SIM_TIME_SCALE \"" + *scale +
                                               "\" is not a number between 0.000001 and 1000000"};
    }
    environment.time_scale_ppm = *ppm;
  }
  if (const auto time = Variable("ALIQUOT_SIM_KERNEL_TIME_US"); time && !time->empty()) {
    const auto micros = ParseUnsigned(*time);
    if (!micros || *micros > 3'600'000'000) {
      return Error{Code::kInvalidArgument, "ALIQUOT_SIM_KERNEL_TIME_US \"" + *time +
                                               "\" is not a whole number of microseconds"};
    }
    environment.kernel_time = static_cast<DeviceTime>(*micros) * 1'000;
  }
  return environment;
}

void Node::ChooseDevices(const Environment& environment) {
  std::vector<DeviceInfo> gpus;
  std::vector<DeviceInfo> migs;
  state_->Read([&](const NodeState& state) {
    for (unsigned index = 0; index < spec_.gpus.size(); ++index) {
      const GpuSpec& gpu = spec_.gpus[index];
      if (state.gpus[index].lost != 0 || state.driver_loaded == 0) continue;
      if (state.gpus[index].mig_current == 0) {
        gpus.push_back(WholeGpu(gpu, index));
        continue;
      }
      for (const MigDeviceId id : MigDevices(state.gpus[index])) {
        migs.push_back(MigDevice(gpu, index, state.gpus[index], id));
      }
    }
  });
  // What the container runtime would leave out of the container.
  if (const auto& filter = environment.nvidia_visible; filter && *filter != "all") {
    const std::vector<std::string> names = Split(*filter, ',');
    const auto hidden = [&](const DeviceInfo& device) {
      // Of CDI specs, which give device nodes instead.
      if (*filter == "void") return !HasNodes(environment.dev, device);
      return std::none_of(names.begin(), names.end(), [&](const std::string& name) {
        return Names(name, device, device.engine.gpu);
      });
    };
    std::erase_if(gpus, hidden);
    std::erase_if(migs, hidden);
  }
  if (!environment.cuda_visible) {
    // A process gets one MIG device, and only if there is no whole GPU.
    devices_ = gpus;
    if (devices_.empty() && !migs.empty()) devices_.push_back(migs.front());
    return;
  }
  // The list ends at the first entry that names nothing; a MIG device excludes everything else.
  for (const std::string& entry : Split(*environment.cuda_visible, ',')) {
    const std::string_view name = Trim(entry);
    const DeviceInfo* found = nullptr;
    for (unsigned index = 0; index < gpus.size() && found == nullptr; ++index) {
      if (Names(name, gpus[index], index)) found = &gpus[index];
    }
    for (const DeviceInfo& mig : migs) {
      if (found == nullptr && Names(name, mig, std::nullopt)) found = &mig;
    }
    if (found == nullptr) return;
    const auto same = [&](const DeviceInfo& d) { return d.uuid_text == found->uuid_text; };
    if (std::any_of(devices_.begin(), devices_.end(), same)) {
      devices_.clear();  // a device named twice is an error: none is visible
      return;
    }
    if (found->engine.gi != kNobody) {
      devices_ = {*found};
      return;
    }
    devices_.push_back(*found);
  }
}

}  // namespace aliquot::sim::cuda
