// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// The arbiter and the interposer together: real processes that keep a simulated GPU busy. A loaded
// machine delays both, so bounds are wide; exact shares are proven on the scheduler's own model.
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
#include <random>
#include <string>
#include <vector>

#include "arbiter/server.h"
#include "base/file.h"

namespace aliquot {
namespace {

// UUID of the GPU of the node below.
constexpr char kNode[] = R"(name: shared-gpu
driver: "580.159.04"
cuda: "13.0"
gpus:
- product: H200
  uuid: GPU-00000000-1111-2222-3333-444444444444
)";
constexpr char kGpu[] = "GPU-00000000-1111-2222-3333-444444444444";
constexpr std::uint64_t kGib = std::uint64_t{1} << 30;

double Now() { return std::chrono::duration<double>(arbiter::MonotonicNow()).count(); }

// The arbiter in slow motion: what it has to be punctual about, it has ten times as long for.
arbiter::Tuning SlowMotion() {
  arbiter::Tuning tuning;
  for (arbiter::Nanos* time :
       {&tuning.turn, &tuning.lead, &tuning.lag, &tuning.grace, &tuning.drain, &tuning.cap_alone,
        &tuning.cap_shared, &tuning.cap_gappy, &tuning.forget, &tuning.recent, &tuning.recent_least,
        &tuning.habit, &tuning.residence, &tuning.classify}) {
    *time *= 10;
  }
  return tuning;
}

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 20'000; ++i) {
    if (condition()) return true;
    ::usleep(1000);
  }
  return condition();
}

// A load that prints what it did to a file. Killed on destruction.
class Spin {
 public:
  Spin(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
       std::string output)
      : output_(std::move(output)) {
    std::vector<char*> argv = {const_cast<char*>("spin")};
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
    ::posix_spawn(&pid_, ALIQUOT_SPIN_PATH, &actions, nullptr, argv.data(), envp.data());
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

  Spin& Start(const std::string& tenant, double start, std::vector<std::string> arguments) {
    const std::string folder = std::filesystem::path(ALIQUOT_SIM_CUDA_PATH).parent_path();
    std::vector<std::string> environment = {
        "LD_LIBRARY_PATH=" + folder,
        std::string("LD_PRELOAD=") + ALIQUOT_INTERPOSER_PATH,
        "ALIQUOT_GRANT_DIR=" + root_ + "/" + tenant,
        "ALIQUOT_SIM_NODE=" + root_ + "/node.yaml",
        "ALIQUOT_SIM_STATE=" + root_ + "/state",
    };
    for (const std::string& argument :
         {std::string("--start-at"), std::to_string(start), std::string("--seconds"),
          std::string("2"), std::string("--iterations-per-us"), std::string("1000"),
          std::string("--kernel-us"), std::string("2000"), std::string("--batch"),
          std::string("4")}) {
      arguments.push_back(argument);
    }
    const std::string output = root_ + "/out-" + std::to_string(spins_.size());
    spins_.push_back(std::make_unique<Spin>(arguments, environment, output));
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

TEST_F(SharedGpuTest, MoreProcessesDoNotBuyMoreTime) {
  AddTenant("one", 1);
  AddTenant("three", 1);
  const double start = Now() + 1.5;
  Spin& one = Start("one", start, {});
  Spin& three = Start("three", start, {"--processes", "3"});
  const double a = one.Share(), b = three.Share();
  EXPECT_GT(a / (a + b), 0.3) << a << " v " << b;  // the hardware alone: 0.25
  EXPECT_GT(b / (a + b), 0.25) << a << " v " << b;
  EXPECT_GT(a + b, 0.5);
}

TEST_F(SharedGpuTest, WeightsDivideTheTime) {
  AddTenant("heavy", 3);
  AddTenant("light", 1);
  const double start = Now() + 1.5;
  Spin& heavy = Start("heavy", start, {});
  Spin& light = Start("light", start, {});
  const double a = heavy.Share(), b = light.Share();
  EXPECT_GT(a / b, 1.15) << a << " v " << b;  // the hardware alone: 1
  EXPECT_LT(a / b, 6) << a << " v " << b;
}

TEST_F(SharedGpuTest, ATenantAloneHasTheWholeGpu) {
  AddTenant("alone", 1);
  AddTenant("absent", 9);
  Spin& alone = Start("alone", Now() + 1, {});
  EXPECT_GT(alone.Share(), 0.8);
  EXPECT_EQ(Usage("alone").compute.waited, arbiter::Nanos(0));
}

TEST_F(SharedGpuTest, KilledProcessesLeaveNothingBehind) {
  AddTenant("a", 1);
  AddTenant("b", 1);
  std::mt19937 random(7);
  // Somebody to share with, so that processes also die at gates.
  Start("b", Now() + 3600, {"--warm-seconds", "3600"});
  for (int round = 0; round < 10; ++round) {
    std::vector<Spin*> victims;
    for (int i = 0; i < 4; ++i) victims.push_back(&Start("a", Now(), {"--seconds", "3600"}));
    ::usleep(1000 * static_cast<unsigned>(random() % 200));
    for (Spin* victim : victims) victim->Kill();
    ASSERT_TRUE(Eventually([&] {
      server_->SetDeviceMemory({kGpu, 0, UINT64_MAX, {}, arbiter::MonotonicNow()});
      return Processes("a") == 0 && Usage("a").charged == 0;
    })) << "round "
        << round;
  }
}

TEST_F(SharedGpuTest, ARestartOfTheAgentDisturbsNobody) {
  AddTenant("a", 1);
  AddTenant("b", 1);
  const double start = Now() + 1.5;
  Spin& a = Start("a", start, {});
  Spin& b = Start("b", start, {});
  ASSERT_TRUE(Eventually([&] { return Processes("a") == 1 && Processes("b") == 1; }));
  const std::uint64_t held = Usage("a").charged;
  EXPECT_GT(held, 0u);
  for (int i = 0; i < 3; ++i) {
    Restart();
    ASSERT_TRUE(Eventually([&] { return Processes("a") == 1 && Processes("b") == 1; }));
    EXPECT_EQ(Usage("a").charged, held);
  }
  const double x = a.Share(), y = b.Share();
  EXPECT_GT(x + y, 0.4);
  EXPECT_GT(x / (x + y), 0.2);
  EXPECT_LT(x / (x + y), 0.8);
}

}  // namespace
}  // namespace aliquot
