// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/driver_source.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace aliquot::gpu {
namespace {

namespace fs = std::filesystem;

class DriverSourceTest : public ::testing::Test {
 protected:
  DriverSourceTest() : root_(::testing::TempDir() + "aliquot-root-" + std::to_string(::getpid())) {
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  ~DriverSourceTest() override { fs::remove_all(root_); }
  void Touch(const std::string& file) {
    fs::create_directories(fs::path(root_ + file).parent_path());
    std::ofstream(root_ + file) << "not a library";
  }
  void Link(const std::string& file, const std::string& target) {
    fs::create_directories(fs::path(root_ + file).parent_path());
    fs::create_symlink(target, root_ + file);
  }

  std::string root_;
};

TEST_F(DriverSourceTest, SearchesTheFoldersInOrder) {
  EXPECT_EQ(FindNvmlUnder(root_), "");
  Touch("/lib/x86_64-linux-gnu/libnvidia-ml.so.1");
  EXPECT_EQ(FindNvmlUnder(root_), root_ + "/lib/x86_64-linux-gnu/libnvidia-ml.so.1");
  Touch("/usr/lib64/libnvidia-ml.so.1");
  EXPECT_EQ(FindNvmlUnder(root_), root_ + "/usr/lib64/libnvidia-ml.so.1");
}

TEST_F(DriverSourceTest, ResolvesLinksInsideTheRoot) {
  Touch("/opt/driver/libnvidia-ml.so.580");
  Link("/usr/lib64/libnvidia-ml.so.1", "/opt/driver/../driver/libnvidia-ml.so.580");
  EXPECT_EQ(FindNvmlUnder(root_), root_ + "/opt/driver/libnvidia-ml.so.580");
}

TEST_F(DriverSourceTest, LinksCannotLeaveTheRootOrGoInCircles) {
  Link("/usr/lib64/libnvidia-ml.so.1", "../../../../../../../../../etc/passwd");
  EXPECT_EQ(FindNvmlUnder(root_), "");
  Link("/lib64/libnvidia-ml.so.1", "other");
  Link("/lib64/other", "libnvidia-ml.so.1");
  EXPECT_EQ(FindNvmlUnder(root_), "");
  Touch("/usr/lib/real/libnvidia-ml.so.1");
  Link("/lib", "usr/lib/real/../real/..");
  Link("/usr/lib/x86_64-linux-gnu", "/lib/real");
  EXPECT_EQ(FindNvmlUnder(root_), root_ + "/usr/lib/real/libnvidia-ml.so.1");
}

TEST_F(DriverSourceTest, AFileThatIsNoLibrarySaysWhatWasTriedAndWhatToDo) {
  Touch("/usr/lib64/libnvidia-ml.so.1");
  NvmlDriverSource source(root_);
  const auto driver = source.Load();
  ASSERT_FALSE(driver.ok());
  EXPECT_EQ(driver.error().code, Code::kNotFound);
  EXPECT_NE(driver.error().message.find("under driver root \"" + root_ + "\""), std::string::npos);
  EXPECT_NE(driver.error().message.find("install the NVIDIA driver"), std::string::npos);
}

TEST(LoadNvmlTest, AMissingRequiredSymbolIsNamed) {
  const Result<DynamicLibrary> library = DynamicLibrary::Open("libm.so.6");
  ASSERT_TRUE(library.ok());
  const Result<NvmlApi> api = LoadNvml(*library);
  ASSERT_FALSE(api.ok());
  EXPECT_EQ(api.error().code, Code::kFailedPrecondition);
  EXPECT_NE(api.error().message.find("\"nvmlInit_v2\" is missing"), std::string::npos);
}

TEST(DynamicLibraryTest, OpenFailsWithTheLoadersWords) {
  const Result<DynamicLibrary> library = DynamicLibrary::Open("/nonexistent/libx.so");
  ASSERT_FALSE(library.ok());
  EXPECT_NE(library.error().message.find("/nonexistent/libx.so"), std::string::npos);
}

}  // namespace
}  // namespace aliquot::gpu
