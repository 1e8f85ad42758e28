// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sim/cuda/node.h"
#include "sim/cuda/testing/child.h"
#include "sim/state/mig.h"

namespace aliquot::sim::cuda::testing {
namespace {

// A tenth of the real time: most scenarios only need things to happen in order.
Variables OneH200() { return {{"ALIQUOT_SIM_NODE", "h200-x1"}, {"ALIQUOT_SIM_TIME_SCALE", "0.1"}}; }

// Scenarios that one process plays alone; each is a function of that name in testing/scenarios_*.
class Alone : public ::testing::TestWithParam<const char*> {};

TEST_P(Alone, IsAsOnARealDriver) { EXPECT_EQ(Play({GetParam()}, OneH200()), 0); }

INSTANTIATE_TEST_SUITE_P(Scenarios, Alone,
                         ::testing::Values("enumeration", "proc-address", "per-thread-streams",
                                           "contexts", "fork", "fork-before-init", "reload",
                                           "linear", "pointer-attributes", "copies", "virtual",
                                           "pools", "launch-errors", "legacy-order",
                                           "host-functions", "threads", "libraries", "graph-nodes",
                                           "graph-any-nodes", "graph-allocations", "capture",
                                           "capture-errors", "recapture", "capture-to-graphics",
                                           "virtual-export"),
                         [](const auto& scenario) {
                           std::string name = scenario.param;
                           for (char& c : name) {
                             if (c == '-') c = '_';
                           }
                           return name;
                         });

// Figures in simulated time, so at the speed of the real GPU, where a late thread would show.
TEST(CudaTime, EventsMeasureSimulatedTimeExactly) {
  Variables variables = OneH200();
  variables["ALIQUOT_SIM_TIME_SCALE"] = "1";
  EXPECT_EQ(Play({"event-times"}, variables), 0);
}

TEST(CudaTime, StreamsOverlapUpToTheMultiprocessors) {
  Variables variables = OneH200();
  variables["ALIQUOT_SIM_TIME_SCALE"] = "1";
  EXPECT_EQ(Play({"overlap"}, variables), 0);
}

TEST(CudaDevices, NoNodeNoDevice) { EXPECT_EQ(Play({"no-device"}, {}), 0); }

TEST(CudaDevices, OrderAndVisibility) {
  const std::string a100 = "NVIDIA A100-SXM4-40GB";
  const std::string t4 = "Tesla T4";
  Variables variables = {{"ALIQUOT_SIM_NODE", "a10-x2"}};
  EXPECT_EQ(Play({"visible", "NVIDIA A10", "NVIDIA A10"}, variables), 0);
  variables["CUDA_VISIBLE_DEVICES"] = "1";
  EXPECT_EQ(Play({"visible", "NVIDIA A10"}, variables), 0);
  variables["CUDA_VISIBLE_DEVICES"] = "1,7,0";  // ends at the first that is not there
  EXPECT_EQ(Play({"visible", "NVIDIA A10"}, variables), 0);
  for (const char* none : {"", "-1", "0,0", "GPU-12345678"}) {
    variables["CUDA_VISIBLE_DEVICES"] = none;
    EXPECT_EQ(Play({"no-device"}, variables), 0) << none;
  }
  variables.erase("CUDA_VISIBLE_DEVICES");
  variables["NVIDIA_VISIBLE_DEVICES"] = "0";  // what the container runtime would do
  EXPECT_EQ(Play({"visible", "NVIDIA A10"}, variables), 0);
}

// A container that got its devices by CDI.
TEST(CudaDevices, DeviceNodesDecideWhereTheRuntimeIsToldNothing) {
  namespace fs = std::filesystem;
  char name[] = "/tmp/aliquot-sim-dev-XXXXXX";
  Environment environment;
  environment.dev = ::mkdtemp(name);
  environment.nvidia_visible = "void";
  const auto seen = [&](const char* node) {
    environment.node = node;
    const auto opened = Node::Open(environment);
    EXPECT_TRUE(opened.ok());
    std::vector<unsigned> gpus;
    for (const DeviceInfo& device : (*opened)->devices()) gpus.push_back(device.engine.gpu);
    return gpus;
  };
  const auto add = [&](const std::string& node) { std::ofstream(environment.dev + node).flush(); };
  EXPECT_EQ(seen("a10-x2"), std::vector<unsigned>{});
  add("/nvidia1");
  EXPECT_EQ(seen("a10-x2"), std::vector<unsigned>{1});
  EXPECT_EQ(seen("a30-x2-mig"), std::vector<unsigned>{}) << "a GPU instance is not open to it";
  fs::create_directory(environment.dev + "/nvidia-caps");
  for (unsigned gi = 0; gi < kMaxGpuInstances; ++gi) {
    add("/nvidia-caps/nvidia-cap" + std::to_string(GpuInstanceCapMinor(1, gi)));
    add("/nvidia-caps/nvidia-cap" + std::to_string(ComputeInstanceCapMinor(1, gi, 0)));
  }
  EXPECT_EQ(seen("a30-x2-mig"), std::vector<unsigned>{1});
  fs::remove_all(environment.dev);
}

TEST(CudaDevices, AMigDeviceIsSeenAlone) {
  const Variables variables = {{"ALIQUOT_SIM_NODE", "a30-x2-mig"},
                               {"CUDA_VISIBLE_DEVICES", "MIG-"}};
  EXPECT_EQ(Play({"no-device"}, variables), 0);  // names nothing: too short
}

}  // namespace
}  // namespace aliquot::sim::cuda::testing
