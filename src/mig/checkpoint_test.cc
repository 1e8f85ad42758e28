// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mig/drawing.h"
#include "mig/planner.h"
#include "mig/testing/driver_fake.h"
#include "mig/testing/layouts.h"
#include "mig/testing/products.h"

namespace aliquot::mig {
namespace {

using testing::MakeGpu;

GpuMigState With(const std::string& product, const std::map<std::string, unsigned>& devices) {
  testing::FakeMigDriver driver;
  driver.Add(MakeGpu(product));
  DesiredGpu desired{true, {}};
  for (const auto& [name, count] : devices) desired.devices[*ParseProfileName(name)] = count;
  const auto plan = PlanGpu(MakeGpu(product), desired);
  testing::Establish(driver, MakeGpu(product).uuid, plan->after);
  return driver.Look(MakeGpu(product).uuid);
}

TEST(Checkpoint, HasTheFormatOfMigParted) {
  const Checkpoint checkpoint = CheckpointOf({With("a100-40gb", {{"3g.20gb", 1}})});
  const std::string text = WriteCheckpoint(checkpoint);
  EXPECT_EQ(
      text,
      "{\"Version\":\"v1\",\"MigState\":{\"Devices\":[{\"UUID\":\"GPU-00000000-0000-4000-8000-"
      "000000000000\",\"MigMode\":1,\"GpuInstances\":[{\"ProfileID\":2,\"Placement\":{\"Start\":4,"
      "\"Size\":4},\"ComputeInstances\":[{\"ProfileID\":2,\"EngProfileID\":0,\"Placement\":{"
      "\"Start\":0,\"Size\":3}}]}]}]}}\n");
  EXPECT_EQ(*ReadCheckpoint(text), checkpoint);
}

TEST(Checkpoint, RestoresOneWithoutPlacesOfComputeInstances) {
  const auto checkpoint = ReadCheckpoint(
      R"({"Version":"v1","MigState":{"Devices":[{"UUID":"x","MigMode":1,"GpuInstances":[
      {"ProfileID":4,"Placement":{"Start":0,"Size":8},"ComputeInstances":[
      {"ProfileID":2,"EngProfileID":0},{"ProfileID":1,"EngProfileID":0},
      {"ProfileID":1,"EngProfileID":0}]}]},{"UUID":"y","MigMode":0,"GpuInstances":null}]}})");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const auto plan = PlanLayout(MakeGpu("a100-40gb"), checkpoint->gpus[0].layout);
  ASSERT_TRUE(plan.ok());
  const auto& compute = plan->after.instances[0].compute;
  EXPECT_EQ(compute[0].placement, (Placement{4, 3}));
  EXPECT_EQ(compute[1].placement, (Placement{0, 2}));
  EXPECT_EQ(compute[2].placement, (Placement{2, 2}));
  EXPECT_FALSE(checkpoint->gpus[1].layout.mode_on);
}

TEST(Checkpoint, RefusesWhatItCannotRead) {
  for (const char* text :
       {"", "[]", "{}", "{\"Version\":\"v2\"}", "{\"Version\":\"v1\"}",
        "{\"Version\":\"v1\",\"MigState\":{\"Devices\":{}}}",
        "{\"Version\":\"v1\",\"MigState\":{\"Devices\":[{\"UUID\":\"x\",\"MigMode\":2}]}}",
        "{\"Version\":\"v1\",\"MigState\":{\"Devices\":[{\"UUID\":\"x\",\"MigMode\":1,"
        "\"GpuInstances\":[{\"ProfileID\":-1}]}]}}"}) {
    const auto read = ReadCheckpoint(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code, Code::kInvalidArgument);
  }
}

TEST(Journal, SurvivesItsFile) {
  std::string directory = ::testing::TempDir() + "journal-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/mig-journal.json";
  FileJournalStore store(path);
  EXPECT_EQ(store.Load().error().code, Code::kNotFound);
  Journal journal;
  journal.gpus.push_back({"GPU-1", LayoutOf(With("a100-40gb", {{"3g.20gb", 2}})),
                          LayoutOf(With("a100-40gb", {{"1c.3g.20gb", 2}, {"1g.5gb", 1}})),
                          Journal::Goal::kBefore, true});
  ASSERT_TRUE(store.Save(WriteJournal(journal)).ok());
  const auto text = store.Load();
  ASSERT_TRUE(text.ok());
  const auto read = ReadJournal(*text);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, journal);
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
  EXPECT_TRUE(store.Remove().ok());
  EXPECT_TRUE(store.Remove().ok());
  EXPECT_EQ(store.Load().error().code, Code::kNotFound);
  ::rmdir(directory.c_str());
}

TEST(Drawing, ShowsBeforeAndAfter) {
  GpuMigState gpu = With("a100-40gb", {{"3g.20gb", 1}, {"2g.10gb", 1}, {"1g.5gb", 2}});
  gpu.instances[0].compute[0].holders = {{1, "", ""}};
  DesiredGpu desired{true, {{*ParseProfileName("3g.20gb"), 1}, {*ParseProfileName("4g.20gb"), 1}}};
  EXPECT_EQ(Draw(*PlanGpu(gpu, desired)),
            "GPU 0  NVIDIA A100-SXM4-40GB  GPU-00000000-0000-4000-8000-000000000000\n"
            "        0       1       2       3       4       5       6       7\n"
            "before |-2g.10gb       |-1g.5gb|-1g.5gb|=3g.20gb *                     |\n"
            "after  |+4g.20gb                       |=3g.20gb *                     |\n");
}

TEST(Drawing, ShowsModeAndSharedInstances) {
  const GpuMigState gpu = With("a30", {{"1c.2g.12gb", 2}, {"1g.6gb", 1}});
  EXPECT_EQ(Draw(*PlanGpu(gpu, DesiredGpu{})),
            "GPU 0  NVIDIA A30  GPU-00000000-0000-4000-8000-000000000000\n"
            "        0       1       2       3\n"
            "before |-2g.12gb[1c 1c]|-1g.6gb|       |\n"
            "after  MIG off\n");
}

}  // namespace
}  // namespace aliquot::mig
