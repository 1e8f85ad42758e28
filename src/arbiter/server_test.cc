// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "arbiter/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <future>
#include <random>

#include "arbiter/testing/client.h"

namespace aliquot::arbiter {
namespace {

using arbiter::testing::Client;

constexpr std::uint64_t kMib = std::uint64_t{1} << 20;
const char kGpu[] = "GPU-00112233-4455-6677-8899-aabbccddeeff";
const char kOtherGpu[] = "GPU-10112233-4455-6677-8899-aabbccddeeff";

// Waits in small steps for what another thread or process brings about; false after ten seconds.
bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) return true;
    ::usleep(1000);
  }
  return condition();
}

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    char path[] = "/tmp/aliquot-arbiter-XXXXXX";
    root_ = ::mkdtemp(path);
    options_.context_bytes = 100 * kMib;
    options_.on_event = [this](const GrantEvent& event) {
      std::lock_guard lock(mutex_);
      events_.push_back(event);
    };
    Restart();
  }
  ~ServerTest() override {
    server_.reset();
    std::filesystem::remove_all(root_);
  }

  void Restart() {
    server_.reset();
    server_ = *Server::Start(options_, log_);
  }

  GrantSpec Spec(const std::string& id, std::uint64_t limit = 1024 * kMib,
                 std::uint32_t weight = 1) {
    GrantSpec spec;
    spec.id = id;
    spec.directory = root_ + "/" + id;
    std::filesystem::create_directories(spec.directory);
    spec.devices = {{kGpu, limit, weight, 10}};
    return spec;
  }

  std::unique_ptr<Client> Greeted(const std::string& id) {
    auto client = Client::Connect(root_ + "/" + id);
    EXPECT_NE(client, nullptr);
    EXPECT_EQ(client->Hello(), ALIQUOT_WELCOME);
    return client;
  }

  GrantUsage UsageOf(const std::string& id) {
    for (GrantUsage& usage : server_->Snapshot()) {
      if (usage.id == id) return usage;
    }
    return {};
  }
  std::uint64_t Charged(const std::string& id) { return UsageOf(id).devices.at(0).charged; }

  bool SawEvent(GrantEvent::Kind kind) {
    std::lock_guard lock(mutex_);
    return std::any_of(events_.begin(), events_.end(),
                       [&](const GrantEvent& event) { return event.kind == kind; });
  }

  // What NVML shows after everybody died.
  void NobodyUses() { server_->SetDeviceMemory({kGpu, 0, 0, {}, MonotonicNow()}); }

  std::string root_;
  SystemClock clock_;
  Logger log_{clock_, Logger::NullSink()};
  std::mutex mutex_;
  std::vector<GrantEvent> events_;
  Server::Options options_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, WelcomesWithSealedPages) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto client = Greeted("a");
  EXPECT_EQ(client->control().magic, ALIQUOT_WIRE_MAGIC);
  EXPECT_EQ(client->control().gpu[0].memory.limit, 1024 * kMib);
  EXPECT_EQ(client->welcome().uuid[0][1], 0x11);
  // Nothing a process may try changes what the agent says.
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, client->control_fd(), 0),
            MAP_FAILED);
  EXPECT_LT(::pwrite(client->control_fd(), "x", 1, 0), 0);
  EXPECT_LT(::ftruncate(client->control_fd(), 0), 0);
  void* readable = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, client->control_fd(), 0);
  ASSERT_NE(readable, MAP_FAILED);
  EXPECT_NE(::mprotect(readable, 4096, PROT_READ | PROT_WRITE), 0);
  ::munmap(readable, 4096);
  const std::string again = "/proc/self/fd/" + std::to_string(client->control_fd());
  const UniqueFd reopened(::open(again.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reopened.get(), 0),
            MAP_FAILED);
  // Nor can it take its own page away from under the agent.
  EXPECT_LT(::ftruncate(client->status_fd(), 0), 0);
}

TEST_F(ServerTest, HeartBeats) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto client = Greeted("a");
  const std::uint64_t first = __atomic_load_n(&client->control().heartbeat, __ATOMIC_RELAXED);
  EXPECT_TRUE(Eventually([&] {
    return __atomic_load_n(&client->control().heartbeat, __ATOMIC_RELAXED) >= first + 3;
  }));
}

TEST_F(ServerTest, KeepsOneLedgerForAllProcessesOfATenant) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto one = Greeted("a");
  const auto two = Greeted("a");
  EXPECT_EQ(one->Reserve(0, 600 * kMib), 600 * kMib);
  EXPECT_EQ(two->control().gpu[0].memory.outside, 600 * kMib);
  EXPECT_EQ(two->Reserve(0, 500 * kMib), std::nullopt);
  EXPECT_EQ(two->Reserve(0, 424 * kMib), 424 * kMib);
  EXPECT_EQ(UsageOf("a").devices[0].denied, 1u);
  one->Release(0, 600 * kMib);
  EXPECT_EQ(two->Reserve(0, 600 * kMib), 600 * kMib);
  EXPECT_EQ(two->List(0).size(), 2u);
}

TEST_F(ServerTest, TakesUnusedCreditBack) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto one = Greeted("a");
  const auto two = Greeted("a");
  ASSERT_EQ(one->Reserve(0, kMib, 16 * kMib), kMib);
  EXPECT_EQ(one->status().gpu[0].credit, 16 * kMib);
  EXPECT_EQ(two->Reserve(0, 1023 * kMib), 1023 * kMib);
  EXPECT_EQ(one->status().gpu[0].credit, 0u);
}

// What a process is told is free, it gets: its own unused credit is part of that.
TEST_F(ServerTest, TakesUnusedCreditOfTheOneWhoAsksBackToo) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto one = Greeted("a");
  ASSERT_EQ(one->Reserve(0, kMib, 16 * kMib), kMib);
  ASSERT_EQ(one->status().gpu[0].credit, 16 * kMib);
  EXPECT_EQ(one->control().gpu[0].memory.outside, 0u);
  EXPECT_EQ(one->Reserve(0, 1020 * kMib), 1020 * kMib);
  EXPECT_EQ(one->status().gpu[0].credit, 3 * kMib) << "no more than is missing";
  EXPECT_EQ(one->Reserve(0, 3 * kMib + 1), std::nullopt);
  EXPECT_EQ(one->Reserve(0, 3 * kMib), 3 * kMib);
  EXPECT_EQ(Charged("a"), 1024 * kMib);
}

TEST_F(ServerTest, ReservesContextsAtTheSizeItHasSeen) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto one = Greeted("a");
  EXPECT_EQ(one->Reserve(0, 0, 0, ALIQUOT_KIND_CONTEXT), 100 * kMib);
  const auto pid = static_cast<std::uint32_t>(::getpid());
  for (int i = 0; i < 3; ++i) {
    const Nanos taken = MonotonicNow() + std::chrono::seconds(2 * i);
    server_->SetDeviceMemory({kGpu, 4096 * kMib, 4000 * kMib, {{pid, 60 * kMib}}, taken});
  }
  EXPECT_EQ(Charged("a"), 60 * kMib);
  EXPECT_EQ(one->Reserve(0, 0, 0, ALIQUOT_KIND_CONTEXT), 60 * kMib);
}

TEST_F(ServerTest, AReservationWaitsForMemoryOfTheDead) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto two = Greeted("a");
  {
    const auto one = Greeted("a");
    ASSERT_EQ(one->Reserve(0, 1000 * kMib), 1000 * kMib);
  }
  ASSERT_TRUE(Eventually([&] { return UsageOf("a").devices[0].debts == 1000 * kMib; }));
  auto answer = std::async(std::launch::async, [&] { return two->Reserve(0, 500 * kMib); });
  EXPECT_EQ(answer.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  NobodyUses();
  EXPECT_EQ(answer.get(), 500 * kMib);
}

TEST_F(ServerTest, DeniesWhenTheDeadGiveNothingBackInTime) {
  options_.reserve_wait = std::chrono::milliseconds(50);
  Restart();
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto two = Greeted("a");
  {
    ASSERT_EQ(Greeted("a")->Reserve(0, 1000 * kMib), 1000 * kMib);
  }
  ASSERT_TRUE(Eventually([&] { return UsageOf("a").devices[0].debts == 1000 * kMib; }));
  EXPECT_EQ(two->Reserve(0, 500 * kMib), std::nullopt);
  EXPECT_EQ(UsageOf("a").devices[0].denied, 1u);
}

// A thousand processes that die at any point of what processes do.
TEST_F(ServerTest, KilledProcessesLeaveNothingBehind) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  std::mt19937 random(7);
  for (int round = 0; round < 100; ++round) {
    std::vector<pid_t> children;
    for (int i = 0; i < 10; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        const auto client = Client::Connect(root_ + "/a");
        if (client != nullptr && client->Hello() == ALIQUOT_WELCOME) {
          while (client->Reserve(0, kMib, kMib).has_value()) client->Release(0, kMib / 2);
          while (true) ::pause();
        }
        ::_exit(1);
      }
      children.push_back(child);
    }
    ::usleep(static_cast<unsigned>(random() % 4000));
    for (const pid_t child : children) ::kill(child, SIGKILL);
    for (const pid_t child : children) ::waitpid(child, nullptr, 0);
    ASSERT_TRUE(Eventually([&] {
      NobodyUses();
      return UsageOf("a").processes.empty() && Charged("a") == 0;
    })) << "round "
        << round;
  }
}

TEST_F(ServerTest, ARestartRebuildsTheLedger) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto one = Greeted("a");
  ASSERT_EQ(one->Reserve(0, 700 * kMib), 700 * kMib);
  Restart();
  EXPECT_TRUE(one->HungUp());
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto again = Client::Connect(root_ + "/a");
  ASSERT_NE(again, nullptr);
  ASSERT_EQ(again->Hello(ALIQUOT_ROLE_CUDA, 700 * kMib, one->welcome().agent_epoch,
                         one->welcome().process_id),
            ALIQUOT_WELCOME);
  EXPECT_NE(again->welcome().agent_epoch, one->welcome().agent_epoch);
  EXPECT_EQ(Charged("a"), 700 * kMib);
  EXPECT_EQ(again->Reserve(0, 400 * kMib), std::nullopt);
}

TEST_F(ServerTest, ALostSessionIsNotChargedTwice) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto one = Greeted("a");
  ASSERT_EQ(one->Reserve(0, 700 * kMib), 700 * kMib);
  const auto again = Client::Connect(root_ + "/a");
  ASSERT_EQ(again->Hello(ALIQUOT_ROLE_CUDA, 700 * kMib, one->welcome().agent_epoch,
                         one->welcome().process_id),
            ALIQUOT_WELCOME);
  EXPECT_EQ(Charged("a"), 700 * kMib);
}

TEST_F(ServerTest, LimitsChangeWhileRunning) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto one = Greeted("a");
  ASSERT_TRUE(server_->UpdateGrant(Spec("a", 2048 * kMib)).ok());
  EXPECT_EQ(one->control().gpu[0].memory.limit, 2048 * kMib);
  EXPECT_EQ(one->Reserve(0, 1500 * kMib), 1500 * kMib);
  ASSERT_TRUE(server_->UpdateGrant(Spec("a", 1024 * kMib)).ok());
  EXPECT_EQ(one->Reserve(0, 1), std::nullopt);
  EXPECT_EQ(server_->UpdateGrant(Spec("b")).error().code, Code::kNotFound);
  GrantSpec other = Spec("a");
  other.devices[0].uuid = "GPU-1";
  EXPECT_EQ(server_->UpdateGrant(other).error().code, Code::kInvalidArgument);
}

TEST_F(ServerTest, SharesGatesOnlyWhenTwoTenantsArePresent) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  ASSERT_TRUE(server_->AddGrant(Spec("b")).ok());
  const auto one = Greeted("a");
  const auto gate = [&] {
    return __atomic_load_n(&one->control().gpu[0].gate.gate, __ATOMIC_ACQUIRE);
  };
  EXPECT_EQ(gate() & 3, 0u);
  {
    const auto two = Greeted("b");
    EXPECT_TRUE(Eventually([&] { return (gate() & ALIQUOT_GATE_SHARED) != 0; }));
    EXPECT_EQ(one->control().attention, 1u);
    EXPECT_EQ(gate() & ALIQUOT_GATE_CLOSED, 0u);
  }
  EXPECT_TRUE(Eventually([&] { return (gate() & 3) == 0 && one->control().attention == 0; }));
}

TEST_F(ServerTest, DrivesTurnsFromStatusPages) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  ASSERT_TRUE(server_->AddGrant(Spec("b")).ok());
  const auto one = Greeted("a");
  const auto two = Greeted("b");
  // Both always have a thread at the gate and nothing in flight.
  one->status().gpu[0].waiting = 1;
  two->status().gpu[0].waiting = 1;
  one->Ring(ALIQUOT_WANT, 0);
  two->Ring(ALIQUOT_WANT, 0);
  const auto closed = [](Client& c) {
    return (__atomic_load_n(&c.control().gpu[0].gate.gate, __ATOMIC_ACQUIRE) &
            ALIQUOT_GATE_CLOSED) != 0;
  };
  EXPECT_TRUE(Eventually([&] { return closed(*one) && !closed(*two); }));
  EXPECT_TRUE(Eventually([&] { return !closed(*one) && closed(*two); }));
  one->status().gpu[0].waiting = 0;
  EXPECT_TRUE(Eventually([&] { return !closed(*two) && !closed(*one); }));
}

// Its kernels may wait for each other across GPUs. Turns are long here, so that a machine that is
// slow to bring two gates into force does not look like turns of their own.
TEST_F(ServerTest, ATenantOfTwoGpusHasItsTurnsOnBothTogether) {
  std::vector<std::unique_ptr<Client>> clients;
  for (const char* id : {"a", "b"}) {
    GrantSpec spec = Spec(id);
    spec.devices.push_back({kOtherGpu, 1024 * kMib, 1, 10});
    spec.quantum = std::chrono::milliseconds(50);
    ASSERT_TRUE(server_->AddGrant(spec).ok());
    clients.push_back(Greeted(id));
    for (std::uint32_t gpu : {0u, 1u}) clients.back()->status().gpu[gpu].waiting = 1;
  }
  for (const auto& client : clients) {
    for (std::uint32_t gpu : {0u, 1u}) client->Ring(ALIQUOT_WANT, gpu);
  }
  const auto open = [&](int client, int gpu) {
    return (__atomic_load_n(&clients[client]->control().gpu[gpu].gate.gate, __ATOMIC_ACQUIRE) &
            ALIQUOT_GATE_CLOSED) == 0;
  };
  // From when they take turns.
  ASSERT_TRUE(Eventually([&] { return open(0, 0) != open(1, 0) && open(0, 1) != open(1, 1); }));
  int together = 0, apart = 0, turns = 0;
  bool former = open(0, 0);
  EXPECT_TRUE(Eventually([&] {
    const bool now = open(0, 0);
    turns += now != former ? 1 : 0;
    former = now;
    ++(now == open(0, 1) ? together : apart);
    return turns >= 10;
  }));
  EXPECT_LT(apart, together / 4) << together << " looks";
}

// A status page is the tenant's to write, whatever comes of it for itself.
TEST_F(ServerTest, GarbageInAStatusPageHoldsNobodyUp) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  ASSERT_TRUE(server_->AddGrant(Spec("b")).ok());
  const auto liar = Greeted("a");
  const auto honest = Greeted("b");
  honest->status().gpu[0].waiting = 1;
  honest->Ring(ALIQUOT_WANT, 0);
  const auto closed = [&] {
    return (__atomic_load_n(&honest->control().gpu[0].gate.gate, __ATOMIC_ACQUIRE) &
            ALIQUOT_GATE_CLOSED) != 0;
  };
  std::mt19937_64 random(7);
  auto* words = reinterpret_cast<std::uint64_t*>(&liar->status());
  for (int round = 0; round < 100; ++round) {
    for (std::size_t i = 0; i < sizeof(aliquot_status) / sizeof(*words); ++i) {
      __atomic_store_n(&words[i], random(), __ATOMIC_RELAXED);
    }
    liar->Ring(ALIQUOT_WANT, 0);
    ASSERT_TRUE(Eventually([&] { return !closed(); })) << "round " << round;
  }
  EXPECT_EQ(honest->Reserve(0, kMib), kMib);
}

TEST_F(ServerTest, RunningOutOfDescriptorsEndsNobodysSession) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto bystander = Greeted("a");
  const int next = ::dup(0);
  ASSERT_GE(next, 0);
  ::close(next);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit tight{static_cast<rlim_t>(next) + 6, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  std::vector<std::unique_ptr<Client>> crowd;
  for (int i = 0; i < 20; ++i) {
    if (auto client = Client::Connect(root_ + "/a")) crowd.push_back(std::move(client));
  }
  EXPECT_LT(crowd.size(), 20u) << "they are out";
  EXPECT_EQ(bystander->Reserve(0, kMib), kMib);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  crowd.clear();
  EXPECT_EQ(Greeted("a")->Reserve(0, kMib), kMib);
}

TEST_F(ServerTest, SleepsWhenNothingIsShared) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto one = Greeted("a");
  const auto before = server_->counters();
  ::usleep(100'000);
  EXPECT_LE(server_->counters().wakes - before.wakes, 2u);
}

TEST_F(ServerTest, CutsOffWhoBreaksTheProtocol) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto bystander = Greeted("a");
  const std::function<void(Client&)> misdeeds[] = {
      [](Client& c) { c.SendRaw("x", 1); },
      [](Client& c) {
        const aliquot_header header{ALIQUOT_GRANT, sizeof header, 1};
        c.SendRaw(&header, sizeof header);
      },
      [](Client& c) {
        char large[ALIQUOT_FRAME_MAX + 100] = {};
        c.SendRaw(large, sizeof large);
      },
      [](Client& c) { c.Ring(ALIQUOT_WANT, 1); },   // the grant has one device
      [](Client& c) { c.Ring(ALIQUOT_WANT, 77); },  // the protocol has sixteen
      [](Client& c) { c.Release(0, 1); },           // held nothing
      [](Client& c) {
        for (int i = 0; i < 100'000; ++i) c.Ring(ALIQUOT_WORK, 0);
      },
  };
  for (const auto& misdeed : misdeeds) {
    const auto client = Greeted("a");
    misdeed(*client);
    EXPECT_TRUE(client->HungUp());
  }
  EXPECT_TRUE(SawEvent(GrantEvent::Kind::kMisbehaved));
  EXPECT_EQ(bystander->Reserve(0, kMib), kMib);
}

TEST_F(ServerTest, RefusesOtherVersionsPolitely) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto client = Client::Connect(root_ + "/a");
  aliquot_hello hello{};
  hello.header = {ALIQUOT_HELLO, sizeof hello, 1};
  hello.magic = ALIQUOT_WIRE_MAGIC;
  hello.version = 99;
  ASSERT_TRUE(client->SendRaw(&hello, sizeof hello));
  EXPECT_EQ(client->Receive(), ALIQUOT_REFUSE);
}

TEST_F(ServerTest, TurnsAwayWhoDoesNotBelong) {
  options_.admit = [](pid_t pid, uid_t uid, const std::string& grant) {
    return pid != ::getpid() || uid != ::getuid() || grant != "a";
  };
  Restart();
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  ASSERT_TRUE(server_->AddGrant(Spec("b")).ok());
  const auto client = Client::Connect(root_ + "/a");
  EXPECT_TRUE(client == nullptr || client->Hello() == 0);
  EXPECT_TRUE(SawEvent(GrantEvent::Kind::kTurnedAway));
  Greeted("b");
}

TEST_F(ServerTest, LimitsProcessesPerGrant) {
  options_.most_processes = 3;
  Restart();
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  ASSERT_TRUE(server_->AddGrant(Spec("b")).ok());
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(Greeted("a"));
  EXPECT_EQ(Client::Connect(root_ + "/a")->Hello(), ALIQUOT_REFUSE);
  Greeted("b");
}

TEST_F(ServerTest, ObserversHoldNothing) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto observer = Client::Connect(root_ + "/a");
  ASSERT_EQ(observer->Hello(ALIQUOT_ROLE_OBSERVER, 500 * kMib), ALIQUOT_WELCOME);
  EXPECT_EQ(Charged("a"), 0u);
  EXPECT_TRUE(UsageOf("a").processes.empty());
  EXPECT_EQ(observer->Reserve(0, kMib), std::nullopt);
}

// A process may ask NVML as well, in a session of its own: its memory is there once.
TEST_F(ServerTest, WhatAnObserverUsesOtherwiseIsNotCountedTwice) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto process = Greeted("a");
  ASSERT_EQ(process->Reserve(0, 500 * kMib), 500 * kMib);
  auto observer = Client::Connect(root_ + "/a");
  ASSERT_EQ(observer->Hello(ALIQUOT_ROLE_OBSERVER, 0), ALIQUOT_WELCOME);
  const auto pid = static_cast<std::uint32_t>(::getpid());
  for (int i = 0; i < 3; ++i) {
    const Nanos taken = MonotonicNow() + std::chrono::seconds(2 * i);
    server_->SetDeviceMemory({kGpu, 4096 * kMib, 3600 * kMib, {{pid, 500 * kMib}}, taken});
    EXPECT_EQ(Charged("a"), 500 * kMib);
  }
  observer.reset();
  EXPECT_EQ(process->Reserve(0, 500 * kMib), 500 * kMib);
  EXPECT_EQ(UsageOf("a").devices[0].debts, 0u);
}

// Two copies of the interposer in one process: NVML has one figure for both.
TEST_F(ServerTest, TwoSessionsOfOneProcessShareWhatNvmlSays) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  const auto one = Greeted("a");
  const auto two = Greeted("a");
  ASSERT_EQ(one->Reserve(0, 300 * kMib), 300 * kMib);
  ASSERT_EQ(two->Reserve(0, 200 * kMib), 200 * kMib);
  const auto pid = static_cast<std::uint32_t>(::getpid());
  server_->SetDeviceMemory({kGpu, 4096 * kMib, 3600 * kMib, {{pid, 500 * kMib}}, MonotonicNow()});
  EXPECT_EQ(Charged("a"), 500 * kMib);
}

TEST_F(ServerTest, RemovingAGrantHangsUpAndFreesItsName) {
  ASSERT_TRUE(server_->AddGrant(Spec("a")).ok());
  EXPECT_EQ(server_->AddGrant(Spec("a")).error().code, Code::kAlreadyExists);
  const auto client = Greeted("a");
  server_->RemoveGrant("a");
  EXPECT_TRUE(client->HungUp());
  EXPECT_EQ(Client::Connect(root_ + "/a"), nullptr);
  EXPECT_TRUE(server_->AddGrant(Spec("a")).ok());
  Greeted("a");
}

TEST_F(ServerTest, RefusesSpecsNobodyCouldUse) {
  GrantSpec none = Spec("a");
  none.devices.clear();
  EXPECT_EQ(server_->AddGrant(none).error().code, Code::kInvalidArgument);
  GrantSpec twice = Spec("a");
  twice.devices.push_back(twice.devices[0]);
  EXPECT_EQ(server_->AddGrant(twice).error().code, Code::kInvalidArgument);
  GrantSpec nowhere = Spec("a");
  nowhere.directory = root_ + "/nowhere";
  EXPECT_FALSE(server_->AddGrant(nowhere).ok());
}

}  // namespace
}  // namespace aliquot::arbiter
