// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "metrics/agent_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/file.h"
#include "base/text.h"
#include "metrics/cluster_metrics.h"
#include "metrics/grant_metrics.h"
#include "metrics/process.h"

namespace aliquot::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string LabelList(const Family& family) {
  std::string out = Join(family.descriptor().labels, ", ");
  return out.empty() ? "–" : out;
}

// "name | type | labels" of each row of the page's tables.
std::set<std::string> RowsOfThePage() {
  const Result<std::string> page = ReadFile("docs/metrics.md");
  EXPECT_TRUE(page.ok());
  std::set<std::string> rows;
  if (!page.ok()) return rows;
  for (const std::string& line : Split(*page, '\n')) {
    const std::vector<std::string> cells = Split(line, '|');
    if (cells.size() < 7 || !Trim(cells[1]).starts_with('`')) continue;
    const std::string_view name = Trim(cells[1]);
    rows.insert(std::string(name.substr(1, name.size() - 2)) + " | " + std::string(Trim(cells[2])) +
                " | " + std::string(Trim(cells[4])));
  }
  return rows;
}

TEST(AgentMetrics, ThePageListsExactlyTheRegistry) {
  Registry registry;
  AgentMetrics metrics(registry);
  GrantMetrics grants(registry);
  ClusterMetrics cluster(registry);
  AddProcessMetrics(registry, "/proc");
  std::set<std::string> rows;
  for (const Family* family : registry.families()) {
    rows.insert(family->descriptor().name + " | " + family->type() + " | " + LabelList(*family));
  }
  EXPECT_EQ(rows, RowsOfThePage());
}

TEST(AgentMetrics, NamesFollowTheConventions) {
  Registry registry;
  AgentMetrics metrics(registry);
  GrantMetrics grants(registry);
  ClusterMetrics cluster(registry);
  AddProcessMetrics(registry, "/proc");
  for (const Family* family : registry.families()) {
    const Descriptor& descriptor = family->descriptor();
    EXPECT_TRUE(descriptor.name.starts_with("aliquot_") || descriptor.name.starts_with("process_"))
        << descriptor.name;
    EXPECT_EQ(descriptor.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos)
        << descriptor.name;
    EXPECT_EQ(descriptor.name.ends_with("_total"), std::string(family->type()) == "counter")
        << descriptor.name;
    EXPECT_TRUE(descriptor.help.ends_with('.')) << descriptor.name;
    for (const std::string& label : descriptor.labels) {
      EXPECT_EQ(label.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos) << label;
      EXPECT_NE(label, "le");
    }
  }
}

share::Plan MakePlan() {
  share::Plan plan;
  share::PlannedResource resource;
  resource.name = "nvidia.com/gpu";
  for (unsigned i = 0; i < 2; ++i) {
    share::PlannedDevice device;
    device.id = "GPU-0::" + std::to_string(i);
    device.device_uuid = device.gpu_uuid = "GPU-0";
    device.replicas = 2;
    device.share.memory_bytes = 1u << 30;
    device.share.compute_permille = 500;
    resource.devices.push_back(device);
  }
  plan.resources.push_back(resource);
  plan.conditions.push_back({share::Condition::Severity::kError, "x", "y"});
  return plan;
}

TEST(AgentMetrics, PlanAndHealth) {
  Registry registry;
  AgentMetrics metrics(registry);
  metrics.SetPlan(MakePlan(), {{"GPU-0", "XID 79"}}, {{"nvidia.com/gpu", "interposer"}});
  const std::string text = registry.Text();
  for (const char* line : {
           "aliquot_devices{resource=\"nvidia.com/gpu\",health=\"healthy\"} 0",
           "aliquot_devices{resource=\"nvidia.com/gpu\",health=\"unhealthy\"} 2",
           "device=\"GPU-0\",gpu=\"GPU-0\",reason=\"XID 79\"} 1",
           "aliquot_device_replicas{resource=\"nvidia.com/gpu\",device=\"GPU-0\",gpu=\"GPU-0\"} 2",
           "gpu=\"GPU-0\"} 1073741824",
           "gpu=\"GPU-0\"} 500",
           "aliquot_resource_tier{resource=\"nvidia.com/gpu\",tier=\"interposer\"} 1",
           "aliquot_plan_conditions{severity=\"error\"} 1",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  metrics.SetPlan({}, {}, {});
  EXPECT_THAT(registry.Text(), Not(HasSubstr("nvidia.com/gpu")));
}

TEST(AgentMetrics, EventsAndReloads) {
  Registry registry;
  AgentMetrics metrics(registry);
  gpu::Inventory inventory;
  inventory.simulated_node = "t4-x1";
  inventory.driver_version = "580.159.04";
  inventory.cuda_version = 13000;
  metrics.SetInventory(inventory, 3);
  metrics.CountXid("GPU-0", 79);
  metrics.CountAllocation("nvidia.com/gpu", false, std::chrono::microseconds(80));
  const auto time = std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000));
  metrics.CountConfigReload(true, time);
  metrics.CountConfigReload(false, time + std::chrono::hours(1));
  const std::string text = registry.Text();
  for (const char* line : {
           "aliquot_node_simulated 1",
           "aliquot_driver_info{driver_version=\"580.159.04\",cuda_version=\"13.0\"} 1",
           "aliquot_inventory_generation 3",
           "aliquot_xid_events_total{gpu=\"GPU-0\",xid=\"79\"} 1",
           "aliquot_allocations_total{resource=\"nvidia.com/gpu\",result=\"failed\"} 1",
           "aliquot_allocation_duration_seconds_bucket{le=\"0.0001\"} 1",
           "aliquot_config_reloads_total{result=\"failed\"} 1",
           "aliquot_config_last_reload_failed 1",
           "aliquot_config_last_success_timestamp_seconds 1700000000",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

}  // namespace
}  // namespace aliquot::metrics
