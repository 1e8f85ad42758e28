// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cdi/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "cdi/temp_tree.h"

namespace aliquot::cdi {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kGpuFile[] = "k8s.device-plugin.nvidia.com-gpu.json";
constexpr char kGdsFile[] = "k8s.device-plugin.nvidia.com-gds.json";

Spec Make(const std::string& device_class, const std::string& node) {
  Spec spec;
  spec.device_class = device_class;
  spec.devices.push_back({"all", {}});
  spec.devices[0].edits.device_nodes.push_back({node, "", "rw"});
  return spec;
}

struct stat StatOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info;
}

TEST(SpecWriter, MakesTheDirectoryAndWorldReadableFiles) {
  TempTree tree;
  SpecWriter writer(tree.At("/run/cdi"));
  const auto report = writer.Apply({Make("gpu", "/dev/nvidia0")});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_THAT(report->written, ElementsAre(kGpuFile));
  const std::string path = tree.At(std::string("/run/cdi/") + kGpuFile);
  EXPECT_EQ(StatOf(path).st_mode & 07777u, 0644u);
  EXPECT_EQ(*ReadFile(path), ToJson(Make("gpu", "/dev/nvidia0")));
}

TEST(SpecWriter, LeavesAnEqualFileAlone) {
  TempTree tree;
  SpecWriter writer(tree.root());
  ASSERT_TRUE(writer.Apply({Make("gpu", "/dev/nvidia0")}).ok());
  const ino_t before = StatOf(tree.At(std::string("/") + kGpuFile)).st_ino;
  SpecWriter after_restart(tree.root());
  EXPECT_EQ(*after_restart.Apply({Make("gpu", "/dev/nvidia0")}), WriteReport{});
  EXPECT_EQ(StatOf(tree.At(std::string("/") + kGpuFile)).st_ino, before);
  EXPECT_THAT(writer.Apply({Make("gpu", "/dev/nvidia1")})->written, ElementsAre(kGpuFile));
}

TEST(SpecWriter, RemovesOursAndNeverOthers) {
  TempTree tree;
  tree.File("/nvidia.yaml");
  tree.File("/k8s.device-plugin.nvidia.com-other.json");
  SpecWriter writer(tree.root());
  ASSERT_TRUE(writer.Apply({Make("gpu", "/dev/nvidia0"), Make("gds", "/dev/nvidia-fs0")}).ok());
  EXPECT_THAT(writer.Apply({Make("gpu", "/dev/nvidia0")})->removed, ElementsAre(kGdsFile));
  EXPECT_THAT(writer.Apply({})->removed, ElementsAre(kGpuFile));
  EXPECT_TRUE(ReadFile(tree.At("/nvidia.yaml")).ok());
  EXPECT_TRUE(ReadFile(tree.At("/k8s.device-plugin.nvidia.com-other.json")).ok());
}

TEST(SpecWriter, NothingToWriteNeedsNoDirectory) {
  TempTree tree;
  SpecWriter writer(tree.At("/none"));
  const auto report = writer.Apply({});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_THAT(report->removed, IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(tree.At("/none")));
}

TEST(SpecWriter, AnInvalidSpecChangesNoFile) {
  TempTree tree;
  SpecWriter writer(tree.root());
  ASSERT_TRUE(writer.Apply({Make("gpu", "/dev/nvidia0")}).ok());
  EXPECT_FALSE(writer.Apply({Make("gpu", "/dev/nvidia1"), Make("gds", "relative")}).ok());
  EXPECT_FALSE(writer.Apply({Make("gpu", "/dev/nvidia1"), Make("gpu", "/dev/nvidia2")}).ok());
  EXPECT_FALSE(writer.Apply({Make("../../etc/passwd", "/dev/nvidia1")}).ok());
  EXPECT_THAT(*ReadFile(tree.At(std::string("/") + kGpuFile)), HasSubstr("/dev/nvidia0"));
}

TEST(SpecWriter, SaysWhyItCannotWrite) {
  TempTree tree;
  tree.File("/file");
  SpecWriter writer(tree.At("/file/cdi"));
  const auto report = writer.Apply({Make("gpu", "/dev/nvidia0")});
  ASSERT_FALSE(report.ok());
  EXPECT_THAT(report.error().message, HasSubstr("/file/cdi"));
}

}  // namespace
}  // namespace aliquot::cdi
