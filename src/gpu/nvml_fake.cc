// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/nvml_fake.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <type_traits>

namespace aliquot::gpu {
namespace {

using abi::Return;

abi::GpuInstanceProfileInfo Profile(unsigned id, unsigned slices, unsigned count, unsigned sms,
                                    std::uint64_t mib) {
  abi::GpuInstanceProfileInfo info{};
  info.id = id;
  info.slices = slices;
  info.instances = count;
  info.multiprocessors = sms;
  info.copy_engines = slices;
  info.memory_mib = mib;
  return info;
}

// Of the A100 40GB, by NVML index.
const std::map<unsigned, abi::GpuInstanceProfileInfo>& A100Profiles() {
  static const std::map<unsigned, abi::GpuInstanceProfileInfo> kProfiles = {
      {0x0, Profile(19, 1, 7, 14, 4864)}, {0x1, Profile(14, 2, 3, 28, 9856)},
      {0x2, Profile(9, 3, 2, 42, 19968)}, {0x3, Profile(5, 4, 1, 56, 19968)},
      {0x4, Profile(0, 7, 1, 98, 40192)}, {0x7, Profile(20, 1, 1, 14, 4864)},
      {0x9, Profile(15, 1, 4, 14, 9856)},
  };
  return kProfiles;
}

Return Copy(const std::string& text, char* buffer, unsigned size) {
  if (size <= text.size()) return Return::kInsufficientSize;
  std::memcpy(buffer, text.c_str(), text.size() + 1);
  return Return::kSuccess;
}

void FillPci(const std::string& bus_id, abi::PciInfo* pci) {
  *pci = {};
  std::snprintf(pci->bus_id, sizeof pci->bus_id, "%s", bus_id.c_str());
  pci->pci_device_id = 0x20B010DE;
  pci->pci_subsystem_id = 0x134F10DE;
}

}  // namespace

void FakeNvml::AddGpus(unsigned count) {
  std::lock_guard lock(mutex_);
  for (unsigned i = 0; i < count; ++i) {
    const auto index = static_cast<unsigned>(gpus_.size());
    Gpu gpu;
    gpu.uuid = fmt::format("GPU-{}", index);
    gpu.bus_id = fmt::format("00000000:{:02X}:00.0", 0x10 + index);
    gpu.minor = index;
    gpus_.push_back(std::move(gpu));
  }
}

void FakeNvml::SetDriver(Return result) {
  std::lock_guard lock(mutex_);
  driver_ = result;
}

void FakeNvml::Fail(const std::string& symbol, Return result, unsigned gpu) {
  std::lock_guard lock(mutex_);
  faults_[{symbol, gpu}] = result;
}

void FakeNvml::ClearFaults() {
  std::lock_guard lock(mutex_);
  faults_.clear();
  lost_.clear();
}

void FakeNvml::LoseGpu(unsigned gpu) {
  std::lock_guard lock(mutex_);
  lost_.push_back(gpu);
}

void FakeNvml::Hang(const std::string& symbol) {
  std::lock_guard lock(mutex_);
  hanging_ = symbol;
}

void FakeNvml::Release() {
  std::lock_guard lock(mutex_);
  hanging_.clear();
  wake_.notify_all();
}

void FakeNvml::PostEvent(unsigned gpu, std::uint64_t type, std::uint64_t data, unsigned gi,
                         unsigned ci) {
  std::lock_guard lock(mutex_);
  events_.push_back({HandleOf(gpu, -1), type, data, gi, ci});
  wake_.notify_all();
}

void FakeNvml::RemoveSymbol(const std::string& symbol) {
  std::lock_guard lock(mutex_);
  removed_.push_back(symbol);
}

std::string FakeNvml::Blocked() const {
  std::lock_guard lock(mutex_);
  return blocked_;
}

int FakeNvml::Calls(const std::string& symbol) const {
  std::lock_guard lock(mutex_);
  const auto found = calls_.find(symbol);
  return found == calls_.end() ? 0 : found->second;
}

int FakeNvml::Calls() const {
  std::lock_guard lock(mutex_);
  int sum = 0;
  for (const auto& [symbol, calls] : calls_) sum += calls;
  return sum;
}

int FakeNvml::open_sessions() const {
  std::lock_guard lock(mutex_);
  return sessions_;
}

// A handle carries the session's generation, so that stale ones are refused.
abi::Device FakeNvml::HandleOf(unsigned gpu, int mig) const {
  return {
      reinterpret_cast<void*>(generation_ << 32 | (gpu + 1) << 8 | static_cast<unsigned>(mig + 1))};
}

std::optional<FakeNvml::Target> FakeNvml::Find(abi::Device device) const {
  const auto bits = reinterpret_cast<std::uintptr_t>(device.handle);
  const auto gpu = static_cast<unsigned>(bits >> 8 & 0xFF) - 1;
  const int mig = static_cast<int>(bits & 0xFF) - 1;
  if (bits >> 32 != generation_ || gpu >= gpus_.size()) return std::nullopt;
  if (mig >= static_cast<int>(gpus_[gpu].migs.size())) return std::nullopt;
  return Target{gpu, mig};
}

std::string FakeNvml::UuidOf(const Target& target) const {
  const Gpu& gpu = gpus_[target.gpu];
  if (target.mig < 0) return gpu.uuid;
  const Mig& mig = gpu.migs[static_cast<std::size_t>(target.mig)];
  return fmt::format("MIG-{}-{}-{}", target.gpu, mig.gi, mig.ci);
}

const std::map<unsigned, abi::GpuInstanceProfileInfo>& FakeNvml::ProfilesOf(const Gpu& gpu) const {
  return gpu.profiles.empty() ? A100Profiles() : gpu.profiles;
}

void FakeNvml::FillSystem(NvmlApi& api) {
  api.init = [this] {
    ++sessions_;
    ++generation_;
    return Return::kSuccess;
  };
  api.shutdown = [this] {
    if (sessions_ == 0) return Return::kUninitialized;
    --sessions_;
    return Return::kSuccess;
  };
  api.error_string = [](Return) { return "fake"; };
  api.system_driver_version = [](char* b, unsigned n) { return Copy("580.159.04", b, n); };
  api.system_nvml_version = [](char* b, unsigned n) { return Copy("13.580.159.04", b, n); };
  api.system_cuda_version = [](int* version) {
    *version = 13000;
    return Return::kSuccess;
  };
  api.device_count = [this](unsigned* count) {
    *count = static_cast<unsigned>(gpus_.size());
    return Return::kSuccess;
  };
  api.device_by_index = [this](unsigned index, abi::Device* device) {
    if (index >= gpus_.size()) return Return::kInvalidArgument;
    *device = HandleOf(index, -1);
    return Return::kSuccess;
  };
  api.device_by_uuid = [this](const char* uuid, abi::Device* device) {
    for (unsigned i = 0; i < gpus_.size(); ++i) {
      if (gpus_[i].uuid != uuid) continue;
      *device = HandleOf(i, -1);
      return Return::kSuccess;
    }
    return Return::kNotFound;
  };
}

void FakeNvml::FillDevice(NvmlApi& api) {
  const auto gpu_of = [this](abi::Device d) -> Gpu& { return gpus_[Find(d)->gpu]; };
  api.device_uuid = [this](abi::Device d, char* b, unsigned n) {
    return Copy(UuidOf(*Find(d)), b, n);
  };
  api.device_name = [=](abi::Device d, char* b, unsigned n) { return Copy(gpu_of(d).name, b, n); };
  api.device_minor = [=](abi::Device d, unsigned* minor) {
    *minor = gpu_of(d).minor;
    return Return::kSuccess;
  };
  api.device_pci_info = [=](abi::Device d, abi::PciInfo* pci) {
    FillPci(gpu_of(d).bus_id, pci);
    return Return::kSuccess;
  };
  const auto memory_of = [this](abi::Device d) {
    const Target target = *Find(d);
    const Gpu& gpu = gpus_[target.gpu];
    if (target.mig < 0) return gpu.memory_total;
    const Mig& mig = gpu.migs[static_cast<std::size_t>(target.mig)];
    return ProfilesOf(gpu).at(mig.profile_index).memory_mib << 20;
  };
  api.device_memory = [=](abi::Device d, abi::Memory* memory) {
    *memory = {memory_of(d), memory_of(d), 0};
    return Return::kSuccess;
  };
  api.device_memory_v2 = [=](abi::Device d, abi::MemoryV2* memory) {
    if (memory->version != 0x2000028) return Return::kFunctionNotFound;
    const bool whole = memory_of(d) == gpu_of(d).memory_total;
    *memory = {memory->version, memory_of(d), whole ? gpu_of(d).memory_reserved : 0, 0, 0};
    return Return::kSuccess;
  };
  api.device_compute_capability = [=](abi::Device d, int* major, int* minor) {
    *major = gpu_of(d).compute_major;
    *minor = gpu_of(d).compute_minor;
    return Return::kSuccess;
  };
  api.device_cores = [=](abi::Device d, unsigned* cores) {
    *cores = gpu_of(d).cores;
    return Return::kSuccess;
  };
  api.device_field_values = [=](abi::Device d, int count, abi::FieldValue* values) {
    for (int i = 0; i < count; ++i) {
      const bool known = values[i].field_id == 230 && gpu_of(d).recovery_action.has_value();
      values[i].status = known ? Return::kSuccess : Return::kNotSupported;
      if (known) values[i].value.as_u32 = *gpu_of(d).recovery_action;
    }
    return Return::kSuccess;
  };
  api.device_fabric_info_v = [=](abi::Device d, abi::FabricInfoV2* info) {
    if (!gpu_of(d).fabric) return Return::kNotSupported;
    *info = *gpu_of(d).fabric;
    return Return::kSuccess;
  };
}

void FakeNvml::FillMig(NvmlApi& api) {
  const auto gpu_of = [this](abi::Device d) -> Gpu& { return gpus_[Find(d)->gpu]; };
  const auto mig_of = [this](abi::Device d) -> const Mig* {
    const Target target = *Find(d);
    return target.mig < 0 ? nullptr : &gpus_[target.gpu].migs[static_cast<unsigned>(target.mig)];
  };
  api.device_mig_mode = [=](abi::Device d, unsigned* current, unsigned* pending) {
    if (!gpu_of(d).mig_capable) return Return::kNotSupported;
    *current = *pending = gpu_of(d).mig_enabled ? 1 : 0;
    return Return::kSuccess;
  };
  api.device_max_mig_devices = [=](abi::Device d, unsigned* count) {
    *count = gpu_of(d).mig_enabled ? 7 : 0;
    return Return::kSuccess;
  };
  api.device_mig_by_index = [this](abi::Device d, unsigned index, abi::Device* mig) {
    const Target target = *Find(d);
    if (index >= gpus_[target.gpu].migs.size()) return Return::kNotFound;
    *mig = HandleOf(target.gpu, static_cast<int>(index));
    return Return::kSuccess;
  };
  api.device_gpu_instance_id = [=](abi::Device d, unsigned* id) {
    if (mig_of(d) == nullptr) return Return::kInvalidArgument;
    *id = mig_of(d)->gi;
    return Return::kSuccess;
  };
  api.device_compute_instance_id = [=](abi::Device d, unsigned* id) {
    if (mig_of(d) == nullptr) return Return::kInvalidArgument;
    *id = mig_of(d)->ci;
    return Return::kSuccess;
  };
  api.device_attributes = [=, this](abi::Device d, abi::DeviceAttributes* out) {
    const Mig* mig = mig_of(d);
    if (mig == nullptr) return Return::kNotSupported;
    const abi::GpuInstanceProfileInfo& p = ProfilesOf(gpu_of(d)).at(mig->profile_index);
    *out = {mig->multiprocessors != 0 ? mig->multiprocessors : p.multiprocessors,
            p.copy_engines,
            p.decoders,
            p.encoders,
            p.jpegs,
            p.ofas,
            p.slices,
            mig->compute_slices != 0 ? mig->compute_slices : p.slices,
            p.memory_mib};
    return Return::kSuccess;
  };
  // A GPU instance's handle is its GPU's with the instance id in the low byte.
  api.device_gpu_instance_by_id = [this](abi::Device d, unsigned id, abi::GpuInstance* gi) {
    const Target target = *Find(d);
    const auto& migs = gpus_[target.gpu].migs;
    if (std::none_of(migs.begin(), migs.end(), [&](const Mig& m) { return m.gi == id; })) {
      return Return::kNotFound;
    }
    gi->handle = HandleOf(target.gpu, static_cast<int>(id)).handle;
    return Return::kSuccess;
  };
  api.gpu_instance_info = [this](abi::GpuInstance gi, abi::GpuInstanceInfo* info) {
    const auto bits = reinterpret_cast<std::uintptr_t>(gi.handle);
    const Gpu& gpu = gpus_[(bits >> 8 & 0xFF) - 1];
    const auto id = static_cast<unsigned>(bits & 0xFF) - 1;
    const auto mig =
        std::find_if(gpu.migs.begin(), gpu.migs.end(), [&](const Mig& m) { return m.gi == id; });
    *info = {{}, id, ProfilesOf(gpu).at(mig->profile_index).id, {id % 7, 1}};
    return Return::kSuccess;
  };
  api.device_gpu_instance_profile = [=, this](abi::Device d, unsigned index,
                                              abi::GpuInstanceProfileInfo* info) {
    const auto& profiles = ProfilesOf(gpu_of(d));
    const auto found = profiles.find(index);
    if (!gpu_of(d).mig_capable || found == profiles.end()) return Return::kNotSupported;
    *info = found->second;
    return Return::kSuccess;
  };
}

void FakeNvml::FillLinks(NvmlApi& api) {
  api.device_common_ancestor = [this](abi::Device a, abi::Device b, abi::TopologyLevel* level) {
    // Neighbours share a switch.
    const bool near = Find(a)->gpu / 2 == Find(b)->gpu / 2;
    *level = near ? abi::TopologyLevel::kSingle : abi::TopologyLevel::kSystem;
    return Return::kSuccess;
  };
  api.device_nvlink_state = [this](abi::Device d, unsigned link, int* active) {
    const Gpu& gpu = gpus_[Find(d)->gpu];
    if (gpu.links.empty()) return Return::kNotSupported;
    *active = link < gpu.links.size() ? 1 : 0;
    return Return::kSuccess;
  };
  api.device_nvlink_remote_pci = [this](abi::Device d, unsigned link, abi::PciInfo* pci) {
    FillPci(gpus_[Find(d)->gpu].links.at(link), pci);
    return Return::kSuccess;
  };
}

void FakeNvml::FillProcesses(NvmlApi& api) {
  api.device_compute_processes = [this](abi::Device d, unsigned* count, abi::ProcessInfo* infos) {
    const std::vector<abi::ProcessInfo>& all = gpus_[Find(d)->gpu].processes;
    const unsigned room = std::exchange(*count, static_cast<unsigned>(all.size()));
    if (room < all.size()) return Return::kInsufficientSize;
    std::copy(all.begin(), all.end(), infos);
    return Return::kSuccess;
  };
  api.device_process_utilization = [this](abi::Device d, abi::ProcessUtilization* samples,
                                          unsigned* count, unsigned long long since) {
    std::vector<abi::ProcessUtilization> all = gpus_[Find(d)->gpu].utilization;
    std::erase_if(all, [&](const abi::ProcessUtilization& one) { return one.time_us <= since; });
    const unsigned room = std::exchange(*count, static_cast<unsigned>(all.size()));
    if (all.empty()) return Return::kNotFound;
    if (room < all.size()) return Return::kInsufficientSize;
    std::copy(all.begin(), all.end(), samples);
    return Return::kSuccess;
  };
}

Return FakeNvml::WaitEvent(abi::EventData* data, unsigned timeout_ms) {
  std::unique_lock lock(mutex_);
  if (events_.empty() && clock_ != nullptr) {
    clock_->Advance(std::chrono::milliseconds(timeout_ms));
  } else if (events_.empty()) {
    wake_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] { return !events_.empty(); });
  }
  if (events_.empty()) return Return::kTimeout;
  *data = events_.front();
  events_.pop_front();
  const bool wanted =
      std::find(registered_.begin(), registered_.end(), data->device) != registered_.end();
  return wanted || !Find(data->device) ? Return::kSuccess : Return::kTimeout;
}

void FakeNvml::FillEvents(NvmlApi& api) {
  api.event_set_create = [this](abi::EventSet* set) {
    set->handle = this;
    return Return::kSuccess;
  };
  api.event_set_free = [this](abi::EventSet) {
    registered_.clear();
    return Return::kSuccess;
  };
  api.device_supported_events = [this](abi::Device d, std::uint64_t* types) {
    *types = gpus_[Find(d)->gpu].supported_events;
    return Return::kSuccess;
  };
  api.device_register_events = [this](abi::Device d, std::uint64_t types, abi::EventSet) {
    if ((types & ~gpus_[Find(d)->gpu].supported_events) != 0) return Return::kNotSupported;
    registered_.push_back(d);
    return Return::kSuccess;
  };
}

// Which GPU a call is about: its first device argument, or the index it asks for.
template <typename... Args>
std::optional<unsigned> FakeNvml::SubjectOf(const std::string& symbol, const Args&... args) {
  std::optional<unsigned> gpu;
  [[maybe_unused]] const auto look = [&](const auto& arg) {
    using Arg = std::decay_t<decltype(arg)>;
    if (gpu) return;
    if constexpr (std::is_same_v<Arg, abi::Device>) {
      const auto target = Find(arg);
      gpu = target ? target->gpu : kAnyGpu;
    } else if constexpr (std::is_same_v<Arg, unsigned>) {
      if (symbol == "nvmlDeviceGetHandleByIndex_v2") gpu = arg;
    }
  };
  (look(args), ...);
  return gpu;
}

Return FakeNvml::Enter(const std::string& symbol, std::optional<unsigned> gpu) {
  ++calls_[symbol];
  if (driver_ != Return::kSuccess && symbol != "nvmlShutdown") return driver_;
  if (sessions_ == 0 && symbol != "nvmlInit_v2") return Return::kUninitialized;
  if (const auto any = faults_.find({symbol, kAnyGpu}); any != faults_.end()) return any->second;
  if (!gpu) return Return::kSuccess;
  if (*gpu == kAnyGpu) return Return::kInvalidArgument;  // a stale handle
  if (const auto own = faults_.find({symbol, *gpu}); own != faults_.end()) return own->second;
  const bool lost = std::find(lost_.begin(), lost_.end(), *gpu) != lost_.end();
  const bool handle = symbol == "nvmlDeviceGetHandleByIndex_v2";
  return lost && !handle ? Return::kGpuIsLost : Return::kSuccess;
}

void FakeNvml::AddFaults(NvmlApi& api) {
  VisitNvml(api, [this]<typename R, typename... Args>(const char* symbol,
                                                      std::function<R(Args...)>& member, bool) {
    if (std::find(removed_.begin(), removed_.end(), symbol) != removed_.end()) member = nullptr;
    if constexpr (std::is_same_v<R, Return>) {
      if (!member) return;
      member = [this, token = in_use_, name = std::string(symbol),
                inner = std::move(member)](Args... args) {
        std::unique_lock lock(mutex_);
        if (hanging_ == name) blocked_ = name;
        wake_.wait(lock, [&] { return hanging_ != name; });
        if (blocked_ == name) blocked_.clear();
        const Return fault = Enter(name, SubjectOf(name, args...));
        return fault != Return::kSuccess ? fault : inner(args...);
      };
    }
  });
}

NvmlApi FakeNvml::Api() {
  NvmlApi api;
  FillSystem(api);
  FillDevice(api);
  FillMig(api);
  FillLinks(api);
  FillProcesses(api);
  FillEvents(api);
  std::lock_guard lock(mutex_);
  AddFaults(api);
  // Waits without the lock that AddFaults would hold.
  api.event_set_wait = [this](abi::EventSet, abi::EventData* data, unsigned timeout_ms) {
    {
      std::lock_guard inner(mutex_);
      const Return fault = Enter("nvmlEventSetWait_v2", std::nullopt);
      if (fault != Return::kSuccess) return fault;
    }
    return WaitEvent(data, timeout_ms);
  };
  return api;
}

}  // namespace aliquot::gpu
