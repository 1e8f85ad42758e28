// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/executor_fake.h"
#include "base/file.h"
#include "base/log.h"
#include "gpu/driver_source.h"
#include "mig/nvml_driver.h"
#include "sim/control/control.h"

namespace aliquot::mig {

// What to do to one process's calls of NVML.
struct CallFaults {
  static constexpr unsigned kNever = std::numeric_limits<unsigned>::max();

  // Whether a call changes something.
  static bool Changes(std::string_view symbol) {
    return symbol.find("Create") != symbol.npos || symbol.find("Destroy") != symbol.npos ||
           symbol == "nvmlDeviceSetMigMode";
  }

  unsigned fail_at = kNever;        // of all calls, from 0
  unsigned die_at_change = kNever;  // of those that change something
  bool die_after = false;           // else before the change is made
  gpu::abi::Return code = gpu::abi::Return::kUnknown;

  unsigned calls = 0;
  unsigned changes = 0;
  std::set<std::string> symbols;  // that were called
};

// `api` with `faults`, which must outlive it. Opening and closing sessions works always.
inline gpu::NvmlApi WithFaults(gpu::NvmlApi api, CallFaults& faults) {
  gpu::VisitNvml(api, [&faults]<typename R, typename... Args>(
                          std::string_view symbol, std::function<R(Args...)>& member, bool) {
    if constexpr (std::is_same_v<R, gpu::abi::Return>) {
      if (!member || symbol == "nvmlInit_v2" || symbol == "nvmlShutdown") return;
      member = [&faults, symbol, inner = std::move(member)](Args... args) -> R {
        faults.symbols.insert(std::string(symbol));
        if (faults.calls++ == faults.fail_at) return faults.code;
        const bool dies = CallFaults::Changes(symbol) && faults.changes++ == faults.die_at_change;
        if (dies && !faults.die_after) ::kill(::getpid(), SIGKILL);
        const R result = inner(args...);
        if (dies) ::kill(::getpid(), SIGKILL);
        return result;
      };
    }
  });
  return api;
}

// A simulated node in a directory of its own, with one process's session to it at a time. NVML is
// one per process, and so is this.
class SimNode {
 public:
  // `node` is a bundled name, or the text of a node file.
  explicit SimNode(const std::string& node) {
    // In memory if possible, where flushing a journal costs nothing.
    std::string name = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    name += "/aliquot-mig-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    std::string named = node;
    if (node.find('\n') != std::string::npos) {
      named = directory_ + "/node.yaml";
      EXPECT_TRUE(WriteFileAtomically(named, node).ok());
    }
    ::setenv("ALIQUOT_SIM_NODE", named.c_str(), 1);
    ::setenv("ALIQUOT_SIM_STATE", (directory_ + "/state").c_str(), 1);
    Connect();
  }
  // One GPU of a product.
  static std::string OneGpu(const std::string& product) {
    return "name: one\ndriver: \"580.159.04\"\ncuda: \"13.0\"\ngpus:\n- product: " + product + "\n";
  }
  ~SimNode() {
    Disconnect();
    std::filesystem::remove_all(directory_);
  }
  SimNode(const SimNode&) = delete;
  SimNode& operator=(const SimNode&) = delete;

  // A process's session. A child made by fork needs one of its own.
  void Connect() {
    faults_ = {};
    auto library = gpu::FileDriverSource(ALIQUOT_SIM_NVML_PATH).Load();
    ASSERT_TRUE(library.ok()) << library.error().message;
    library_ = *std::move(library);
    api_ = WithFaults(library_->api(), faults_);
    auto driver = NvmlMigDriver::Open(api_);
    ASSERT_TRUE(driver.ok()) << driver.error().message;
    driver_ = *std::move(driver);
  }
  void Disconnect() {
    driver_.reset();
    api_ = {};
    library_.reset();
    control_.reset();
  }

  NvmlMigDriver& driver() { return *driver_; }
  const gpu::NvmlApi& api() const { return api_; }
  CallFaults& faults() { return faults_; }
  sim::Control& control() {
    if (control_ == nullptr) {
      auto control = sim::Control::Open(directory_ + "/state", "");
      EXPECT_TRUE(control.ok());
      control_ = *std::move(control);
    }
    return *control_;
  }
  const std::string& directory() const { return directory_; }

  // The state of GPU `index`, without faults and uncounted.
  GpuMigState Look(unsigned index = 0) {
    const CallFaults kept = std::exchange(faults_, {});
    auto states = driver_->ReadAll();
    faults_ = kept;
    EXPECT_TRUE(states.ok() && states->size() > index);
    return states.ok() && states->size() > index ? (*states)[index] : GpuMigState();
  }
  // A number per device that no device created before or later has; UUIDs come back.
  std::map<std::string, std::uint64_t> Serials(unsigned index = 0) {
    return SerialsOf(Look(index), index);
  }
  // The same of a GPU that was looked at just now.
  std::map<std::string, std::uint64_t> SerialsOf(const GpuMigState& gpu, unsigned index = 0) {
    const sim::NodeState state = control().Snapshot();
    std::map<std::string, std::uint64_t> serials;
    for (const GpuInstance& instance : gpu.instances) {
      for (const ComputeInstance& compute : instance.compute) {
        serials[compute.uuid] = state.gpus[index].instances[instance.id].compute[compute.id].serial;
      }
    }
    return serials;
  }
  void Hold(unsigned index, unsigned gi, unsigned ci, unsigned pid, const std::string& name) {
    sim::ProcessOptions process;
    process.pid = pid;
    process.gpu = index;
    process.gi = gi;
    process.ci = ci;
    process.name = name;
    const Status held = control().AddProcess(process, 0);
    EXPECT_TRUE(held.ok()) << held.error().message;
  }

 private:
  std::string directory_;
  CallFaults faults_;
  std::unique_ptr<gpu::Driver> library_;
  gpu::NvmlApi api_;
  std::unique_ptr<NvmlMigDriver> driver_;
  std::unique_ptr<sim::Control> control_;
};

inline const Logger& NoLog() {
  static const FakeClock clock;
  static const Logger log(clock, Logger::NullSink());
  return log;
}

}  // namespace aliquot::mig
