// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "interposer/testing/agent_stub.h"
#include "sim/cuda/testing/child.h"

namespace aliquot::interposer::testing {

using sim::cuda::testing::Child;
using sim::cuda::testing::Play;
using sim::cuda::testing::Variables;

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kGiB = 1u << 30;
constexpr char kUuid[] = "GPU-3a0f5c2e-9b1d-4e77-8c55-0d1f2a3b4c5d";

// A simulated H200 and a grant, in a directory of their own.
class InterposerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);  // a child that ended is noticed by what it does not say
    char name[] = "/tmp/aliquot-interposer-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory_ = name;
    std::filesystem::create_directory(directory_ + "/grant");
    std::filesystem::create_directory(directory_ + "/state");
    WriteNode("13.0");
  }
  // The node, with a driver for programs of this version of CUDA.
  void WriteNode(const std::string& cuda) const {
    std::ofstream(directory_ + "/node.yaml")
        << "name: interposer-test\ndriver: \"580.159.04\"\ncuda: \"" << cuda << "\"\n"
        << "gpus:\n- product: H200\n  uuid: " << kUuid << "\n";
  }
  void TearDown() override {
    agent_.reset();
    std::filesystem::remove_all(directory_);
  }

  AgentStub::Options Options(std::uint64_t limit) const {
    AgentStub::Options options;
    options.directory = directory_ + "/grant";
    options.uuid = kUuid;
    options.driver = ALIQUOT_SIM_CUDA_PATH;
    options.limit = limit;
    return options;
  }
  void StartAgent(const AgentStub::Options& options) {
    agent_ = std::make_unique<AgentStub>(options);
  }
  // The environment of a program that opens the interposer as its driver.
  Variables Env() const {
    return {{"ALIQUOT_SIM_NODE", directory_ + "/node.yaml"},
            {"ALIQUOT_SIM_STATE", directory_ + "/state"},
            {"ALIQUOT_SIM_TIME_SCALE", "0.1"},
            {"ALIQUOT_GRANT_DIR", directory_ + "/grant"},
            {"TEST_CUDA_LIBRARY", ALIQUOT_INTERPOSER_PATH},
            // A sanitized program refuses to start if something is preloaded before its runtime.
            {"ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0"}};
  }
  template <typename Done>
  static bool Eventually(const Done& done) {
    for (int i = 0; i < 1000; ++i) {
      if (done()) return true;
      ::usleep(5'000);
    }
    return false;
  }

  std::string directory_;
  std::unique_ptr<AgentStub> agent_;
};

}  // namespace aliquot::interposer::testing
