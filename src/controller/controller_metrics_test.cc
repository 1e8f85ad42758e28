// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/controller_metrics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/file.h"
#include "base/text.h"

namespace aliquot::controller {
namespace {

using testing::HasSubstr;
using testing::Not;

// "name | type | labels" of each row of the page's tables about metrics.
std::set<std::string> RowsOfThePage() {
  const Result<std::string> page = ReadFile("docs/controller.md");
  EXPECT_TRUE(page.ok());
  std::set<std::string> rows;
  if (!page.ok()) return rows;
  for (const std::string& line : Split(*page, '\n')) {
    const std::vector<std::string> cells = Split(line, '|');
    if (cells.size() < 7) continue;
    const std::string_view name = Trim(cells[1]);
    if (!name.starts_with("`aliquot_") && !name.starts_with("`gpu_operator_")) continue;
    rows.insert(fmt::format("{} | {} | {}", name.substr(1, name.size() - 2), Trim(cells[2]),
                            Trim(cells[4])));
  }
  return rows;
}

TEST(ControllerMetrics, ThePageListsExactlyTheRegistry) {
  metrics::Registry registry;
  ControllerMetrics metrics(registry);
  std::set<std::string> rows;
  for (const metrics::Family* family : registry.families()) {
    const metrics::Descriptor& descriptor = family->descriptor();
    rows.insert(fmt::format("{} | {} | {}", descriptor.name, family->type(),
                            descriptor.labels.empty() ? "–" : Join(descriptor.labels, ", ")));
  }
  EXPECT_EQ(rows, RowsOfThePage());
}

TEST(ControllerMetrics, AReplicaThatStopsActingForgetsTheCluster) {
  metrics::Registry registry;
  ControllerMetrics metrics(registry);
  Assessment assessment;
  assessment.active = "cluster-policy";
  assessment.state = "notReady";
  assessment.counts.serving = 3;
  assessment.counts.refusing = 1;
  assessment.problems = {{"", "", "a"}, {"state-device-plugin", "n", "b"}};
  metrics.SetAssessment(assessment, 9, std::chrono::milliseconds(2), {});
  metrics.SetWatch("nodes", true);
  EXPECT_THAT(registry.Text(), HasSubstr("gpu_operator_gpu_nodes_total 4\n"));
  EXPECT_THAT(registry.Text(), HasSubstr("gpu_operator_reconciliation_status 0\n"));
  EXPECT_THAT(registry.Text(), HasSubstr("gpu_operator_reconciliation_failed_total 1\n"));
  EXPECT_THAT(registry.Text(), HasSubstr("aliquot_controller_gpu_nodes{state=\"refusing\"} 1\n"));
  EXPECT_THAT(registry.Text(), HasSubstr("aliquot_controller_problems{scope=\"node\"} 1\n"));
  metrics.ClearAssessment();
  EXPECT_THAT(registry.Text(), Not(HasSubstr("\ngpu_operator_gpu_nodes_total")));
  EXPECT_THAT(registry.Text(), Not(HasSubstr("\naliquot_controller_watch_up")));
}

}  // namespace
}  // namespace aliquot::controller
