// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/file_watch.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "base/file.h"

namespace aliquot::agent {
namespace {

namespace fs = std::filesystem;

class FileWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() / ("aliquot-watch-" + std::to_string(::getpid()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    auto poller = FdPoller::Create();
    ASSERT_TRUE(poller.ok());
    poller_ = std::move(*poller);
  }
  void TearDown() override {
    watch_.reset();
    fs::remove_all(dir_);
  }
  void Watch(const std::string& path) {
    auto started = FileWatch::Start(*poller_, path, [this] {
      std::lock_guard lock(mutex_);
      ++calls_;
      changed_.notify_all();
    });
    ASSERT_TRUE(started.ok());
    watch_ = std::move(*started);
  }
  // Waits until reading the path gives `content`, woken only by the watch.
  bool Sees(const std::string& path, const std::string& content) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
      const auto text = ReadFile(path);
      return calls_ > 0 && text.ok() && *text == content;
    });
  }

  fs::path dir_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int calls_ = 0;
  std::unique_ptr<FdPoller> poller_;
  std::unique_ptr<FileWatch> watch_;
};

TEST_F(FileWatchTest, SeesWritingInPlaceAndReplacing) {
  const std::string path = dir_ / "config.yaml";
  std::ofstream(path) << "one";
  Watch(path);
  std::ofstream(path) << "two";
  EXPECT_TRUE(Sees(path, "two"));
  ASSERT_TRUE(WriteFileAtomically(path, "three").ok());
  EXPECT_TRUE(Sees(path, "three"));
}

TEST_F(FileWatchTest, SeesTheSwapOfAMountedConfigMap) {
  fs::create_directories(dir_ / "..1");
  fs::create_directories(dir_ / "..2");
  std::ofstream(dir_ / "..1/config.yaml") << "one";
  std::ofstream(dir_ / "..2/config.yaml") << "two";
  fs::create_symlink("..1", dir_ / "..data");
  fs::create_symlink("..data/config.yaml", dir_ / "config.yaml");
  Watch(dir_ / "config.yaml");
  fs::create_symlink("..2", dir_ / "..tmp");
  fs::rename(dir_ / "..tmp", dir_ / "..data");
  EXPECT_TRUE(Sees(dir_ / "config.yaml", "two"));
  // The directory that holds the content now is watched too.
  std::ofstream(dir_ / "..2/config.yaml") << "three";
  EXPECT_TRUE(Sees(dir_ / "config.yaml", "three"));
}

TEST_F(FileWatchTest, SeesAFileAppearInADirectoryThatDidNotExist) {
  const fs::path path = dir_ / "a/b/config.yaml";
  Watch(path);
  fs::create_directories(path.parent_path());
  std::ofstream(path) << "late";
  EXPECT_TRUE(Sees(path, "late"));
}

}  // namespace
}  // namespace aliquot::agent
