// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0

// The pages of a running agent, as scrapers, probes and people at night read them.
#include <boost/json.hpp>
#include <charconv>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "tests/agent_fixture.h"

namespace aliquot::tests {
namespace {

namespace json = boost::json;

class AgentPagesTest : public AgentTest {
 protected:
  static std::set<std::string> Keys(const json::value& object) {
    std::set<std::string> keys;
    for (const auto& entry : object.as_object()) keys.insert(entry.key());
    return keys;
  }
};

// "name{label="value",...} number", read the way Prometheus does.
bool IsSample(std::string_view line, std::string& name) {
  const std::size_t end = line.find_first_of("{ ");
  if (end == 0 || end == std::string_view::npos) return false;
  name = line.substr(0, end);
  std::size_t at = end;
  if (line[at] == '{') {
    bool quoted = false;
    for (++at; at < line.size() && (quoted || line[at] != '}'); ++at) {
      if (quoted && line[at] == '\\') {
        ++at;
      } else if (line[at] == '"') {
        quoted = !quoted;
      }
    }
    if (at >= line.size()) return false;
    ++at;
  }
  if (at >= line.size() || line[at] != ' ') return false;
  const std::string_view number = line.substr(at + 1);
  if (number == "+Inf" || number == "NaN") return true;
  double value = 0;
  const auto read = std::from_chars(number.data(), number.data() + number.size(), value);
  return read.ec == std::errc() && read.ptr == number.data() + number.size();
}

TEST_F(AgentPagesTest, MetricsCanBeParsedAndAreThoseOfThePage) {
  Configure(SharedBy(10));
  StartAll(40);
  ASSERT_TRUE(kubelet_->Place("pod", "main", kGpu, 2).ok());
  ASSERT_TRUE(sim().RaiseXid(0, 63, {}, {}).ok());
  ASSERT_TRUE(Shows(40, 30));
  const auto documented = ReadFile("docs/metrics.md");
  ASSERT_TRUE(documented.ok());
  std::set<std::string> families;
  for (const std::string& line : Split(Trim(agent_.Get("/metrics").body), '\n')) {
    if (line.starts_with("# TYPE ")) {
      const std::string name = Split(line, ' ').at(2);
      EXPECT_TRUE(families.insert(name).second) << line;
      EXPECT_NE(documented->find("`" + name + "`"), std::string::npos) << name;
      continue;
    }
    if (line.starts_with("# HELP ")) continue;
    std::string name;
    ASSERT_TRUE(IsSample(line, name)) << line;
    for (const char* suffix : {"_bucket", "_sum", "_count"}) {
      if (!families.contains(name) && name.ends_with(suffix)) {
        name.resize(name.size() - std::string_view(suffix).size());
      }
    }
    EXPECT_TRUE(families.contains(name)) << line;
  }
  EXPECT_EQ(agent_.Metric("aliquot_node_simulated"), 1);
  EXPECT_EQ(agent_.Metric("aliquot_driver_up"), 1);
  EXPECT_EQ(agent_.Metric("aliquot_devices{resource=\"nvidia.com/gpu\",health=\"healthy\"}"), 30);
  EXPECT_EQ(agent_.Metric("aliquot_devices{resource=\"nvidia.com/gpu\",health=\"unhealthy\"}"), 10);
  EXPECT_EQ(agent_.Metric("aliquot_allocations_total{resource=\"nvidia.com/gpu\",result=\"ok\"}"),
            1);
  EXPECT_EQ(agent_.Metric("aliquot_registrations_total{resource=\"nvidia.com/gpu\",result=\"ok\"}"),
            1);
  EXPECT_EQ(agent_.Metric("aliquot_resource_tier{resource=\"nvidia.com/gpu\",tier=\"none\"}"), 1);
  EXPECT_GT(agent_.Metric("process_resident_memory_bytes"), 0);
}

TEST_F(AgentPagesTest, StatuszTellsTheWholeState) {
  Configure(SharedBy(10));
  StartAll(40);
  ASSERT_TRUE(agent_.AwaitStatus("/ready", true));
  const json::value status = agent_.Status();
  EXPECT_EQ(Keys(status),
            (std::set<std::string>{"version", "startedAt", "ready", "notReadyBecause", "simulated",
                                   "config", "driver", "gpus", "brokenGpus", "health", "plan",
                                   "cdiError", "kubelet", "recentProblems", "idle", "holders",
                                   "holdersError", "shares"}));
  EXPECT_TRUE(status.at("simulated").as_bool());
  EXPECT_TRUE(status.at("notReadyBecause").is_null());
  EXPECT_EQ(status.at_pointer("/config/file").as_string(), Path("config.yaml"));
  EXPECT_EQ(status.at_pointer("/config/origin").as_string(), "file");
  EXPECT_TRUE(status.at_pointer("/config/problems").as_array().empty());
  EXPECT_TRUE(status.at_pointer("/config/effective").is_object());
  EXPECT_TRUE(status.at_pointer("/driver/up").as_bool());
  EXPECT_EQ(status.at_pointer("/driver/version").as_string(), sim().node().driver);
  EXPECT_EQ(status.at("gpus").as_array().size(), 4u);
  EXPECT_EQ(status.at_pointer("/gpus/3/uuid").as_string(), GpuUuid(3));
  EXPECT_EQ(status.at_pointer("/gpus/0/name").as_string(), "Tesla T4");
  EXPECT_EQ(status.at_pointer("/plan/resources/0/name").as_string(), kGpu);
  EXPECT_EQ(status.at_pointer("/plan/resources/0/devices"), 40);
  EXPECT_TRUE(status.at_pointer("/plan/resources/0/shared").as_bool());
  const json::value& plugin = status.at_pointer("/kubelet/plugins/0");
  EXPECT_EQ(plugin.at("resource").as_string(), kGpu);
  EXPECT_TRUE(plugin.at("error").is_null());
  EXPECT_TRUE(plugin.at("registrationError").is_null());
  // The kubelet reads the list after it has registered us.
  EXPECT_TRUE(agent_.AwaitStatus("/kubelet/plugins/0/streams", 1));
  EXPECT_TRUE(status.at("recentProblems").as_array().empty());
}

TEST_F(AgentPagesTest, StatuszNamesWhatIsWrong) {
  Configure(
      "version: v1\nsharing:\n  timeSlicing:\n    resources:\n    - name: nvidia.com/gpu\n"
      "      replcas: 10\n      replicas: 10\n");
  StartAll(40);
  const json::value problems = agent_.Status().at_pointer("/config/problems");
  ASSERT_EQ(problems.as_array().size(), 1u);
  const std::string text = json::value_to<std::string>(problems.at(0).at("message"));
  EXPECT_NE(text.find("replcas"), std::string::npos) << text;
  ASSERT_TRUE(sim().RaiseXid(1, 63, {}, {}).ok());
  ASSERT_TRUE(agent_.AwaitStatus("/health/xidEvents/0/xid", 63));
  const json::value status = agent_.Status();
  const std::string reason =
      json::value_to<std::string>(status.at_pointer("/health/unhealthy/" + GpuUuid(1) + "/reason"));
  EXPECT_NE(reason.find("63"), std::string::npos) << reason;
  EXPECT_FALSE(status.at("recentProblems").as_array().empty());
}

TEST_F(AgentPagesTest, ProbesAndUnknownPages) {
  StartAll(4);
  EXPECT_EQ(agent_.Get("/healthz").body, "ok\n");
  EXPECT_TRUE(Eventually([&] { return agent_.Get("/readyz").body == "ok\n"; }));
  EXPECT_EQ(agent_.Get("/").status, 404);
  EXPECT_EQ(agent_.Get("/metrics/").status, 404);
}

}  // namespace
}  // namespace aliquot::tests
