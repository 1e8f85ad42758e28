// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// The command line as outside tools and scripts rely on it: keys, order, exit statuses, messages.
#include <gmock/gmock.h>
#include <stdlib.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>
#include <sstream>

#include "base/file.h"
#include "base/text.h"
#include "cli/command_line.h"
#include "sim/model/node.h"
#include "tests/agent_fixture.h"

namespace aliquot::tests {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class CliTest : public testing::Test {
 protected:
  CliTest() {
    ::setenv("ALIQUOT_SIM_LIBRARY", ALIQUOT_SIM_NVML, 1);
    ::unsetenv("ALIQUOT_SIM_STATE");
    ::unsetenv("ALIQUOT_SIM_NODE");
  }

  // Runs "aliquot <arguments>"; the exit status.
  int Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "aliquot");
    std::vector<const char*> argv;
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    std::ostringstream out;
    std::ostringstream err;
    cli::Console console{out, err};
    const int status = cli::RunCommandLine(static_cast<int>(argv.size()), argv.data(), console);
    out_ = out.str();
    err_ = err.str();
    return status;
  }
  json::value Json(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-o", "json"});
    EXPECT_EQ(Run(std::move(arguments)), 0) << err_;
    std::error_code failure;
    json::value value = json::parse(out_, failure);
    EXPECT_FALSE(failure) << out_;
    return value;
  }
  std::vector<std::string> Labels(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"labels", "--no-timestamp"});
    EXPECT_EQ(Run(std::move(arguments)), 0) << err_;
    return Split(Trim(out_), '\n');
  }
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(WriteFileAtomically(path, text).ok());
    return path;
  }
  static std::string Keys(const json::value& object) {
    std::vector<std::string> keys;
    for (const auto& entry : object.as_object()) keys.emplace_back(entry.key());
    return Join(keys, " ");
  }

  TemporaryDirectory directory_;
  std::string out_;
  std::string err_;
};

TEST_F(CliTest, PlanHasExactlyTheKeysOfItsContract) {
  const json::value plan = Json({"plan", "--node", "t4-x4"});
  EXPECT_EQ(Keys(plan), "node simulated resources labels warnings");
  EXPECT_EQ(plan.at("node").as_string(), "t4-x4");
  EXPECT_TRUE(plan.at("simulated").as_bool());
  EXPECT_TRUE(plan.at("warnings").as_array().empty());
  ASSERT_EQ(plan.at("resources").as_array().size(), 1u);
  const json::value& resource = plan.at_pointer("/resources/0");
  EXPECT_EQ(Keys(resource), "name devices");
  const json::value& device = resource.at("devices").at(0);
  EXPECT_EQ(Keys(device), "id gpu mig replica healthy numaNode share");
  EXPECT_EQ(Keys(device.at("share")), "memoryBytes computePermille");
  EXPECT_EQ(device.at("id"), device.at("gpu"));
  EXPECT_TRUE(device.at("mig").is_null());
  EXPECT_TRUE(device.at("replica").is_null());
  EXPECT_TRUE(device.at("healthy").as_bool());
  EXPECT_TRUE(device.at("share").at("memoryBytes").is_null());
  EXPECT_EQ(plan.at("labels").at("aliquot.dev/simulated").as_string(), "true");
}

TEST_F(CliTest, PlanOfReplicasOnEveryBundledNode) {
  const std::string config = Write("config.yaml", SharedBy(10));
  for (const std::string& node : sim::BundledNodeNames()) {
    const json::value plan = Json({"plan", "--node", node, "--config", config});
    const std::size_t gpus = sim::LoadNode(node)->gpus.size();
    const json::array& devices = plan.at_pointer("/resources/0/devices").as_array();
    ASSERT_EQ(devices.size(), 10 * gpus) << node;
    for (std::size_t i = 0; i < devices.size(); ++i) {
      EXPECT_EQ(devices[i].at("replica").to_number<std::size_t>(), i % 10);
      EXPECT_EQ(devices[i].at("id").as_string(),
                std::string(devices[i].at("gpu").as_string()) + "::" + std::to_string(i % 10));
    }
    Json({"plan", "--node", node, "--config", config, "--no-timestamp"});
    const std::string first = out_;
    Json({"plan", "--node", node, "--config", config, "--no-timestamp"});
    EXPECT_EQ(out_, first) << "the same inputs give the same bytes";
  }
}

TEST_F(CliTest, PlanOfMixedMigIsSortedByResource) {
  const json::value plan = Json({"plan", "--node", "a100-40gb-x8-mig", "--mig-strategy", "mixed"});
  std::vector<std::string> resources;
  for (const json::value& resource : plan.at("resources").as_array()) {
    resources.push_back(json::value_to<std::string>(resource.at("name")) + " " +
                        std::to_string(resource.at("devices").as_array().size()));
    for (const json::value& device : resource.at("devices").as_array()) {
      EXPECT_EQ(device.at("mig").is_null(), resource.at("name").as_string() == "nvidia.com/gpu");
    }
  }
  EXPECT_EQ(resources,
            (std::vector<std::string>{"nvidia.com/gpu 3", "nvidia.com/mig-1g.5gb 9",
                                      "nvidia.com/mig-2g.10gb 1", "nvidia.com/mig-3g.20gb 3",
                                      "nvidia.com/mig-7g.40gb 1"}));
}

TEST_F(CliTest, PlanWarnsAboutWhatIsNotServedAsAsked) {
  const std::string config = Write("config.yaml", SharedBy(2, "nvidia.com/mig-9g.99gb"));
  const json::value plan = Json({"plan", "--node", "t4-x1", "--config", config});
  ASSERT_EQ(plan.at("warnings").as_array().size(), 1u) << out_;
  EXPECT_EQ(Keys(plan.at_pointer("/warnings/0")), "object message");
}

TEST_F(CliTest, PlanForPeopleIsATable) {
  EXPECT_EQ(Run({"plan", "--node", "t4-x4"}), 0);
  EXPECT_THAT(out_, StartsWith("simulated node t4-x4: driver 580.159.04, CUDA 13.0, 4 GPUs\n"));
  EXPECT_THAT(out_, HasSubstr("RESOURCE"));
  EXPECT_THAT(out_, HasSubstr("Tesla T4"));
  EXPECT_EQ(err_, "");
}

TEST_F(CliTest, DevicesHasExactlyItsKeys) {
  const json::value node = Json({"devices", "--node", "a30-x2-mig"});
  EXPECT_EQ(Keys(node), "node simulated driverVersion nvmlVersion cudaVersion gpus broken links");
  const json::value& gpu = node.at_pointer("/gpus/1");
  EXPECT_EQ(Keys(gpu),
            "index minor uuid name busId pciDeviceId pciSubsystemId computeCapability "
            "multiprocessors memory numaNode mig deviceNode drmNodes fabric");
  EXPECT_EQ(Keys(gpu.at("mig")), "capable enabled maxDevices profiles devices");
  EXPECT_EQ(gpu.at("mig").at("devices").as_array().size(), 4u);
  EXPECT_EQ(Keys(gpu.at_pointer("/mig/devices/0")),
            "uuid index gpuInstance computeInstance profile placement memory multiprocessors "
            "slices engines capabilityNodes");
  EXPECT_EQ(Keys(node.at_pointer("/links/0")), "a b p2p nvlinks");
}

TEST_F(CliTest, DevicesForPeople) {
  EXPECT_EQ(Run({"devices", "--node", "mixed-a100-t4"}), 0);
  EXPECT_THAT(out_, HasSubstr("NVIDIA A100-PCIE-40GB"));
  EXPECT_THAT(out_, HasSubstr("nv12"));
}

TEST_F(CliTest, LabelsAreSortedValidAndOfEveryBundledNode) {
  for (const std::string& node : sim::BundledNodeNames()) {
    for (const char* strategy : {"none", "single", "mixed"}) {
      const std::vector<std::string> lines = Labels({"--node", node, "--mig-strategy", strategy});
      EXPECT_TRUE(std::is_sorted(lines.begin(), lines.end())) << node;
      for (const std::string& line : lines) {
        const std::size_t equals = line.find('=');
        ASSERT_NE(equals, std::string::npos) << line;
        const std::string value = line.substr(equals + 1);
        EXPECT_LE(value.size(), 63u) << line;
        EXPECT_EQ(value.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789-_."),
                  std::string::npos)
            << line;
      }
    }
  }
}

// The whole list, as node-feature-discovery would see it.
TEST_F(CliTest, LabelsOfAT4) {
  EXPECT_EQ(Labels({"--node", "t4-x1"}), (std::vector<std::string>{
                                             "aliquot.dev/simulated=true",
                                             "nvidia.com/cuda.driver-version.full=580.159.04",
                                             "nvidia.com/cuda.driver-version.major=580",
                                             "nvidia.com/cuda.driver-version.minor=159",
                                             "nvidia.com/cuda.driver-version.revision=04",
                                             "nvidia.com/cuda.driver.major=580",
                                             "nvidia.com/cuda.driver.minor=159",
                                             "nvidia.com/cuda.driver.rev=04",
                                             "nvidia.com/cuda.runtime-version.full=13.0",
                                             "nvidia.com/cuda.runtime-version.major=13",
                                             "nvidia.com/cuda.runtime-version.minor=0",
                                             "nvidia.com/cuda.runtime.major=13",
                                             "nvidia.com/cuda.runtime.minor=0",
                                             "nvidia.com/gpu.compute.major=7",
                                             "nvidia.com/gpu.compute.minor=5",
                                             "nvidia.com/gpu.count=1",
                                             "nvidia.com/gpu.family=turing",
                                             "nvidia.com/gpu.machine=unknown",
                                             "nvidia.com/gpu.memory=15360",
                                             "nvidia.com/gpu.mode=unknown",
                                             "nvidia.com/gpu.product=Tesla-T4",
                                             "nvidia.com/gpu.replicas=1",
                                             "nvidia.com/gpu.sharing-strategy=none",
                                             "nvidia.com/mig.capable=false",
                                             "nvidia.com/mps.capable=false",
                                             "nvidia.com/vgpu.present=false",
                                         }));
}

TEST_F(CliTest, LabelsOfASharedT4) {
  const std::string config = Write("config.yaml", SharedBy(10));
  const std::vector<std::string> lines = Labels({"--node", "t4-x1", "--config", config});
  for (const char* wanted :
       {"nvidia.com/gpu.product=Tesla-T4-SHARED", "nvidia.com/gpu.replicas=10",
        "nvidia.com/gpu.sharing-strategy=time-slicing", "nvidia.com/gpu.count=1"}) {
    EXPECT_EQ(std::count(lines.begin(), lines.end(), wanted), 1) << wanted << "\n" << out_;
  }
}

TEST_F(CliTest, LabelsOfASingleMigNode) {
  std::vector<std::string> lines = Labels({"--node", "a30-x2-mig", "--mig-strategy", "single"});
  std::erase_if(lines, [](const std::string& line) { return line.find("/cuda.") != line.npos; });
  EXPECT_EQ(lines, (std::vector<std::string>{
                       "aliquot.dev/simulated=true",
                       "nvidia.com/gpu.compute.major=8",
                       "nvidia.com/gpu.compute.minor=0",
                       "nvidia.com/gpu.count=8",
                       "nvidia.com/gpu.engines.copy=1",
                       "nvidia.com/gpu.engines.decoder=0",
                       "nvidia.com/gpu.engines.encoder=0",
                       "nvidia.com/gpu.engines.jpeg=0",
                       "nvidia.com/gpu.engines.ofa=0",
                       "nvidia.com/gpu.family=ampere",
                       "nvidia.com/gpu.machine=unknown",
                       "nvidia.com/gpu.memory=5952",
                       "nvidia.com/gpu.mode=unknown",
                       "nvidia.com/gpu.multiprocessors=14",
                       "nvidia.com/gpu.product=NVIDIA-A30-MIG-1g.6gb",
                       "nvidia.com/gpu.replicas=1",
                       "nvidia.com/gpu.sharing-strategy=none",
                       "nvidia.com/gpu.slices.ci=1",
                       "nvidia.com/gpu.slices.gi=1",
                       "nvidia.com/mig.capable=true",
                       "nvidia.com/mig.strategy=single",
                       "nvidia.com/mps.capable=false",
                       "nvidia.com/vgpu.present=false",
                   }));
}

TEST_F(CliTest, LabelsOfAMixedMigNode) {
  std::vector<std::string> lines =
      Labels({"--node", "a100-40gb-x8-mig", "--mig-strategy", "mixed"});
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "nvidia.com/mig.strategy=mixed"), 1);
  const auto of = [&](const std::string& resource) {
    std::vector<std::string> found;
    for (const std::string& line : lines) {
      if (line.starts_with("nvidia.com/" + resource + ".")) {
        found.push_back(line.substr(resource.size() + 12));
      }
    }
    return Join(found, " ");
  };
  EXPECT_EQ(of("mig-1g.5gb"),
            "count=9 engines.copy=1 engines.decoder=0 engines.encoder=0 engines.jpeg=0 "
            "engines.ofa=0 memory=4864 multiprocessors=14 "
            "product=NVIDIA-A100-SXM4-40GB-MIG-1g.5gb replicas=1 sharing-strategy=none "
            "slices.ci=1 slices.gi=1");
  EXPECT_EQ(of("mig-3g.20gb"),
            "count=3 engines.copy=3 engines.decoder=2 engines.encoder=0 engines.jpeg=0 "
            "engines.ofa=0 memory=19968 multiprocessors=42 "
            "product=NVIDIA-A100-SXM4-40GB-MIG-3g.20gb replicas=1 sharing-strategy=none "
            "slices.ci=3 slices.gi=3");
  EXPECT_EQ(of("mig-7g.40gb"),
            "count=1 engines.copy=7 engines.decoder=5 engines.encoder=0 engines.jpeg=1 "
            "engines.ofa=1 memory=40192 multiprocessors=98 "
            "product=NVIDIA-A100-SXM4-40GB-MIG-7g.40gb replicas=1 sharing-strategy=none "
            "slices.ci=7 slices.gi=7");
}

TEST_F(CliTest, ConfigCheckPrintsEveryProblemAndItsStatus) {
  EXPECT_EQ(Run({"config", "check", Write("good.yaml", SharedBy(10))}), 0);
  EXPECT_EQ(Run({"config", "check", Write("warn.yaml", "version: v1\nflgas: {}\n")}), 0);
  EXPECT_THAT(out_, HasSubstr("warn.yaml:2:1: warning: "));
  EXPECT_THAT(out_, HasSubstr("flags")) << "a suggestion";
  EXPECT_EQ(Run({"config", "check", "--strict", Write("warn.yaml", "version: v1\nflgas: {}\n")}),
            1);
  EXPECT_EQ(Run({"config", "check",
                 Write("bad.yaml",
                       "version: v1\nflags: {migStrategy: both}\n"
                       "sharing: {timeSlicing: {resources: [{name: gpu, "
                       "replicas: ten}]}}\n")}),
            1);
  EXPECT_THAT(out_, HasSubstr("bad.yaml:2:"));
  EXPECT_THAT(out_, HasSubstr("bad.yaml:3:"));
  EXPECT_THAT(out_, HasSubstr("2 errors"));
  EXPECT_EQ(Run({"config", "check", directory_.path() + "/missing.yaml"}), 1);
  EXPECT_THAT(err_, HasSubstr("missing.yaml"));
  EXPECT_EQ(Run({"config", "check"}), 2);
}

TEST_F(CliTest, ConfigCheckKnowsTheNode) {
  const std::string file = Write("mig.yaml", SharedBy(2, "nvidia.com/mig-9g.99gb"));
  EXPECT_EQ(Run({"config", "check", file, "--node", "t4-x1"}), 0);
  EXPECT_THAT(out_, HasSubstr("mig-9g.99gb"));
  EXPECT_EQ(Run({"config", "check", file, "--node", "nope"}), 1);
}

TEST_F(CliTest, ConfigCheckAsJson) {
  EXPECT_EQ(Run({"config", "check", "-o", "json", Write("bad.yaml", "version: v9\n")}), 1);
  const json::value result = json::parse(out_);
  EXPECT_EQ(Keys(result), "file valid diagnostics");
  EXPECT_FALSE(result.at("valid").as_bool());
  EXPECT_EQ(Keys(result.at_pointer("/diagnostics/0")), "severity line column path message hint");
}

TEST_F(CliTest, SimListHasEveryBundledNode) {
  EXPECT_EQ(Run({"sim", "list"}), 0);
  for (const std::string& node : sim::BundledNodeNames()) EXPECT_THAT(out_, HasSubstr(node));
}

TEST_F(CliTest, EveryCommandHelps) {
  const struct {
    std::vector<std::string> command;
    const char* purpose;
  } kCommands[] = {
      {{}, "fractional GPUs for Kubernetes"},
      {{"plan"}, "would advertise"},
      {{"devices"}, "GPUs and MIG devices"},
      {{"labels"}, "node labels"},
      {{"config"}, "configurations"},
      {{"config", "check"}, "every problem"},
      {{"config", "show"}, "effective configuration"},
      {{"agent"}, "to the kubelet"},
      {{"controller"}, "ClusterPolicies"},
      {{"demo"}, "whole story"},
      {{"sim"}, "simulated nodes"},
  };
  for (auto each : kCommands) {
    each.command.push_back("--help");
    EXPECT_EQ(Run(each.command), 0);
    EXPECT_THAT(out_, HasSubstr(each.purpose));
    EXPECT_THAT(out_, HasSubstr("Usage: aliquot"));
    EXPECT_EQ(err_, "");
  }
}

TEST_F(CliTest, TheAgentsHelpNamesDefaultsAndVariables) {
  EXPECT_EQ(Run({"agent", "--help"}), 0);
  for (const char* wanted : {"--listen", "127.0.0.1:9410", "ALIQUOT_LISTEN", "--mig-strategy",
                             "MIG_STRATEGY", "--kubelet-socket", "KUBELET_SOCKET"}) {
    EXPECT_THAT(out_, HasSubstr(wanted));
  }
}

TEST_F(CliTest, UsageErrorsEndWithTwo) {
  EXPECT_EQ(Run({}), 2);
  EXPECT_EQ(Run({"paln"}), 2);
  EXPECT_EQ(Run({"plan", "--no-such-flag"}), 2);
  EXPECT_EQ(Run({"plan", "--node"}), 2);
  EXPECT_EQ(Run({"plan", "-o", "xml"}), 2);
  EXPECT_EQ(Run({"devices", "too", "many"}), 2);
  EXPECT_EQ(out_, "");
  EXPECT_NE(err_, "");
}

TEST_F(CliTest, AnUnknownNodeIsNamedWithTheKnownOnes) {
  for (const char* command : {"plan", "devices", "labels"}) {
    EXPECT_EQ(Run({command, "--node", "t4-x5"}), 1);
    EXPECT_THAT(err_, StartsWith("aliquot: ")) << command;
    EXPECT_THAT(err_, HasSubstr("\"t4-x5\""));
    EXPECT_THAT(err_, HasSubstr("t4-x4"));
    EXPECT_EQ(out_, "");
  }
}

TEST_F(CliTest, ANodeMayBeAFile) {
  const std::string file =
      Write("rack.yaml", "name: rack1\ndriver: \"580.1\"\ncuda: \"13.0\"\ngpus:\n- product: L4\n");
  EXPECT_EQ(Json({"plan", "--node", file}).at("node").as_string(), "rack1");
  EXPECT_EQ(Run({"plan", "--node", Write("bad.yaml", "name: x\ngpus:\n- product: L5\n")}), 1);
  EXPECT_THAT(err_, HasSubstr("bad.yaml:3:"));
}

// CLI11 alone would take the next argument for the missing value.
TEST_F(CliTest, AnEmptyValueAfterAnEqualsSignIsEmpty) {
  EXPECT_EQ(Run({"plan", "--config=", "--node=t4-x1", "-o", "json"}), 0) << err_;
  EXPECT_EQ(json::parse(out_).at("node").as_string(), "t4-x1");
}

TEST_F(CliTest, ABrokenConfigurationEndsWithOneAndItsProblems) {
  EXPECT_EQ(Run({"plan", "--node", "t4-x1", "--config",
                 Write("bad.yaml", "sharing: {timeSlicing: {}}\n")}),
            1);
  EXPECT_THAT(err_, HasSubstr("bad.yaml:1:"));
  EXPECT_EQ(out_, "");
}

}  // namespace
}  // namespace aliquot::tests
