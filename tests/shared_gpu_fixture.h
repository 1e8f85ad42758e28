// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "arbiter/server.h"
#include "base/file.h"

namespace aliquot::tests {

// UUID of the GPU of the node below.
inline constexpr char kNode[] = R"(name: shared-gpu
driver: "580.159.04"
cuda: "13.0"
gpus:
- product: H200
  uuid: GPU-00000000-1111-2222-3333-444444444444
)";
inline constexpr char kGpu[] = "GPU-00000000-1111-2222-3333-444444444444";
inline constexpr std::uint64_t kGib = std::uint64_t{1} << 30;

inline double Now() { return std::chrono::duration<double>(arbiter::MonotonicNow()).count(); }

// The arbiter in slow motion: what it has to be punctual about, it has ten times as long for.
inline arbiter::Tuning SlowMotion() {
  arbiter::Tuning tuning;
  for (arbiter::Nanos* time :
       {&tuning.turn, &tuning.lead, &tuning.lag, &tuning.grace, &tuning.drain, &tuning.cap_alone,
        &tuning.cap_shared, &tuning.cap_gappy, &tuning.forget, &tuning.recent, &tuning.recent_least,
        &tuning.habit, &tuning.residence, &tuning.classify}) {
    *time *= 10;
  }
  return tuning;
}

inline bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 20'000; ++i) {
    if (condition()) return true;
    ::usleep(1000);
  }
  return condition();
}

// A load that prints what it did to a file. Killed on destruction.
class Spin {
 public:
  Spin(const char* program, const std::vector<std::string>& arguments,
       const std::vector<std::string>& environment, std::string output)
      : output_(std::move(output)) {
    std::vector<char*> argv = {const_cast<char*>(program)};
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    std::vector<char*> envp;
    for (const std::string& variable : environment) {
      envp.push_back(const_cast<char*>(variable.c_str()));
    }
    envp.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 1, output_.c_str(), O_CREAT | O_WRONLY | O_TRUNC,
                                       0644);
    ::posix_spawn(&pid_, program, &actions, nullptr, argv.data(), envp.data());
    ::posix_spawn_file_actions_destroy(&actions);
  }
  Spin(const Spin&) = delete;
  Spin& operator=(const Spin&) = delete;
  ~Spin() { Kill(); }

  void Kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  // Part of the measured time its kernels took, summed over its processes.
  double Share() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    EXPECT_EQ(status, 0);
    const std::string text = ReadFile(output_).ok() ? *ReadFile(output_) : "";
    double sum = 0;
    const std::string key = "\"share\": ";
    for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
      sum += std::atof(text.c_str() + at + key.size());
    }
    return sum;
  }

 private:
  std::string output_;
  pid_t pid_ = -1;
};

// Tenants on one simulated GPU: an arbiter of the test's own, and loads that share the GPU through
// the interposer.
class SharedGpuTest : public ::testing::Test {
 protected:
  SharedGpuTest() {
    char path[] = "/tmp/aliquot-shared-gpu-XXXXXX";
    root_ = ::mkdtemp(path);
    std::filesystem::create_directories(root_ + "/state");
    EXPECT_TRUE(WriteFileAtomically(root_ + "/node.yaml", kNode).ok());
    Restart();
  }
  ~SharedGpuTest() override {
    spins_.clear();
    server_.reset();
    std::filesystem::remove_all(root_);
  }

  void Restart() {
    server_.reset();
    arbiter::Server::Options options;
    options.tuning = SlowMotion();
    server_ = *arbiter::Server::Start(options, log_);
    for (const arbiter::GrantSpec& spec : specs_) EXPECT_TRUE(server_->AddGrant(spec).ok());
  }

  void AddTenant(const std::string& name, std::uint32_t weight, std::uint64_t memory = 40 * kGib) {
    arbiter::GrantSpec spec;
    spec.id = name;
    spec.directory = root_ + "/" + name;
    spec.devices = {{kGpu, memory, weight, 10}};
    std::filesystem::create_directories(spec.directory);
    ASSERT_TRUE(
        WriteFileAtomically(spec.directory + "/share", arbiter::ShareFile(spec, {}, {})).ok());
    ASSERT_TRUE(server_->AddGrant(spec).ok());
    specs_.push_back(spec);
  }

  Spin& Start(const std::string& tenant, double start, const std::vector<std::string>& arguments) {
    // What comes later counts.
    std::vector<std::string> all = {
        "--start-at", std::to_string(start), "--seconds", "2",       "--iterations-per-us",
        "1000",       "--kernel-us",         "2000",      "--batch", "4"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return Run(tenant, ALIQUOT_SPIN_PATH, all);
  }
  Spin& Run(const std::string& tenant, const char* program,
            const std::vector<std::string>& arguments) {
    const std::string folder = std::filesystem::path(ALIQUOT_SIM_CUDA_PATH).parent_path();
    std::vector<std::string> environment = {
        "LD_LIBRARY_PATH=" + folder,
        std::string("LD_PRELOAD=") + ALIQUOT_INTERPOSER_PATH,
        "ALIQUOT_GRANT_DIR=" + root_ + "/" + tenant,
        "ALIQUOT_SIM_NODE=" + root_ + "/node.yaml",
        "ALIQUOT_SIM_STATE=" + root_ + "/state",
        // A sanitized program refuses to start if something is preloaded before its runtime.
        "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0",
        "TEST_CUDA_LIBRARY=libcuda.so.1",
    };
    const std::string output = root_ + "/out-" + std::to_string(spins_.size());
    spins_.push_back(std::make_unique<Spin>(program, arguments, environment, output));
    return *spins_.back();
  }

  arbiter::DeviceUsage Usage(const std::string& tenant) {
    for (const arbiter::GrantUsage& usage : server_->Snapshot()) {
      if (usage.id == tenant) return usage.devices.at(0);
    }
    return {};
  }
  std::size_t Processes(const std::string& tenant) {
    for (const arbiter::GrantUsage& usage : server_->Snapshot()) {
      if (usage.id == tenant) return usage.processes.size();
    }
    return 0;
  }

  std::string root_;
  SystemClock clock_;
  Logger log_{clock_, Logger::NullSink()};
  std::vector<arbiter::GrantSpec> specs_;
  std::vector<std::unique_ptr<Spin>> spins_;
  std::unique_ptr<arbiter::Server> server_;
};

}  // namespace aliquot::tests
