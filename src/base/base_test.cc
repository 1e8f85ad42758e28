// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <future>

#include "base/executor.h"
#include "base/executor_fake.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "base/text.h"

namespace aliquot {
namespace {

using std::chrono::milliseconds;

TEST(Result, KeepsValueOrError) {
  const Result<int> good = 3;
  const Result<int> bad = Error{Code::kNotFound, "no such thing"};
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(*good, 3);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().In("reading x").message, "reading x: no such thing");
  EXPECT_FALSE(bad.status().ok());
}

TEST(Text, SplitsAndTrims) {
  EXPECT_EQ(Split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(Trim(" \t x y\n"), "x y");
  EXPECT_EQ(Trim("  "), "");
}

TEST(Text, ParsesOnlyWholeNumbers) {
  EXPECT_EQ(ParseUnsigned("48"), 48u);
  for (const char* bad : {"", "-1", "+1", "4 ", "4x", "99999999999999999999"}) {
    EXPECT_FALSE(ParseUnsigned(bad)) << bad;
  }
}

TEST(Text, SuggestsOnlyNearMisses) {
  const std::string_view keys[] = {"replicas", "rename", "devices", "name"};
  EXPECT_EQ(NearestOf("replcias", keys), "replicas");
  EXPECT_EQ(NearestOf("Replica", keys), "replicas");
  EXPECT_EQ(NearestOf("nmae", keys), "name");
  EXPECT_FALSE(NearestOf("tolerations", keys));
}

TEST(FakeExecutor, RunsTimersInOrderAsTimePasses) {
  FakeClock clock;
  FakeExecutor executor(clock);
  std::string seen;
  executor.PostAfter(milliseconds(20), [&] { seen += "c"; });
  executor.PostAfter(milliseconds(10), [&] {
    seen += "b";
    executor.Post([&] { seen += "!"; });
  });
  const auto cancelled = executor.PostAfter(milliseconds(5), [&] { seen += "x"; });
  executor.Post([&] { seen += "a"; });
  executor.Cancel(cancelled);
  executor.RunReady();
  EXPECT_EQ(seen, "a");
  executor.Advance(milliseconds(15));
  EXPECT_EQ(seen, "ab!");
  executor.Advance(milliseconds(15));
  EXPECT_EQ(seen, "ab!c");
}

TEST(ThreadExecutor, RunsPostsInOrderAndStops) {
  std::string seen;
  std::promise<void> done;
  {
    ThreadExecutor executor;
    executor.Post([&] { seen += "a"; });
    executor.PostAfter(milliseconds(1), [&] {
      seen += "c";
      done.set_value();
    });
    executor.Post([&] { seen += "b"; });
    executor.PostAfter(std::chrono::hours(1), [&] { seen += "never"; });
    done.get_future().wait();
  }
  EXPECT_EQ(seen, "abc");
}

TEST(Logger, KeepsOneEventOnOneLine) {
  FakeClock clock;
  std::string out;
  const Logger log(clock, [&](std::string_view line) { out += line; });
  log.Debug("hidden");
  log.Warning("device unhealthy", {{"gpu", "GPU-1"}, {"reason", "xid 79\n\"bus\""}});
  EXPECT_EQ(out.find("hidden"), std::string::npos);
  EXPECT_NE(out.find("Z WARN device unhealthy gpu=GPU-1 reason=\"xid 79\\n\\\"bus\\\"\"\n"),
            std::string::npos)
      << out;
}

TEST(File, ReplacesAtomicallyAndReportsWhatIsMissing) {
  const std::string dir = testing::TempDir() + "/aliquot_file_test";
  std::filesystem::create_directories(dir);
  const std::string path = dir + "/x";
  ASSERT_TRUE(WriteFileAtomically(path, "one").ok());
  ASSERT_TRUE(WriteFileAtomically(path, "two", 0600).ok());
  EXPECT_EQ(*ReadFile(path), "two");
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(ReadFile(dir + "/none").error().code, Code::kNotFound);
  EXPECT_EQ(ReadFile(path, 2).error().code, Code::kResourceExhausted);
  EXPECT_FALSE(WriteFileAtomically(dir + "/no/such", "x").ok());
  ASSERT_TRUE(WriteFileDurably(path, "three", 0640).ok());
  EXPECT_EQ(*ReadFile(path), "three");
  EXPECT_FALSE(WriteFileDurably(dir + "/no/such", "x").ok());
  EXPECT_EQ(SyncDirectory(dir + "/none").error().code, Code::kNotFound);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir), {}), 1);
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace aliquot
