// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "deviceplugin/directory_watch.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>

namespace aliquot::deviceplugin {
namespace {

namespace fs = std::filesystem;

class DirectoryWatchTest : public testing::Test {
 protected:
  DirectoryWatchTest() {
    std::string name = "/tmp/aliquot-watch-XXXXXX";
    root_ = ::mkdtemp(name.data());
    plugins_ = root_ + "/kubelet/device-plugins";
    poller_ = *FdPoller::Create();
  }
  ~DirectoryWatchTest() override {
    watch_.reset();
    fs::remove_all(root_);
  }

  void Open() {
    watch_ = *InotifyDirectory::Open(*poller_, plugins_ + "/kubelet.sock", plugins_);
    watch_->Watch([this] {
      std::lock_guard lock(mutex_);
      told_ = true;
      wake_.notify_all();
    });
    Look();
  }
  std::optional<SocketIdentity> Look() {
    {
      std::lock_guard lock(mutex_);
      told_ = false;
    }
    return watch_->LookAtKubelet();
  }
  // Waits to be told of a change and looks, as the manager does, until `wanted` is seen.
  bool SeesKubelet(bool wanted) {
    while (true) {
      if (Look().has_value() == wanted) return true;
      std::unique_lock lock(mutex_);
      if (!wake_.wait_for(lock, std::chrono::seconds(10), [this] { return told_; })) return false;
    }
  }
  bool Told() {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, std::chrono::seconds(10), [this] { return told_; });
  }
  static void MakeSocket(const std::string& path) {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }

  std::string root_;
  std::string plugins_;
  std::unique_ptr<FdPoller> poller_;
  std::unique_ptr<InotifyDirectory> watch_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool told_ = false;
};

TEST_F(DirectoryWatchTest, SeesTheKubeletComeAndGo) {
  fs::create_directories(plugins_);
  Open();
  EXPECT_FALSE(Look());
  MakeSocket(plugins_ + "/kubelet.sock");
  EXPECT_TRUE(SeesKubelet(true));
  fs::remove(plugins_ + "/kubelet.sock");
  EXPECT_TRUE(SeesKubelet(false));
}

TEST_F(DirectoryWatchTest, ARestartedKubeletIsAnotherOne) {
  fs::create_directories(plugins_);
  Open();
  MakeSocket(plugins_ + "/kubelet.sock");
  const auto first = Look();
  ASSERT_TRUE(first);
  EXPECT_EQ(Look(), first);
  fs::remove(plugins_ + "/kubelet.sock");
  MakeSocket(plugins_ + "/kubelet.sock");
  EXPECT_TRUE(Told());
  EXPECT_NE(Look(), first);
}

TEST_F(DirectoryWatchTest, TellsWhenOurOwnSocketIsRemoved) {
  fs::create_directories(plugins_);
  MakeSocket(plugins_ + "/ours.sock");
  Open();
  fs::remove(plugins_ + "/ours.sock");
  EXPECT_TRUE(Told());
}

TEST_F(DirectoryWatchTest, FollowsADirectoryThatIsMadeLaterStepByStep) {
  Open();
  fs::create_directory(root_ + "/kubelet");
  EXPECT_TRUE(Told());
  Look();
  fs::create_directory(plugins_);
  EXPECT_TRUE(Told());
  Look();
  MakeSocket(plugins_ + "/kubelet.sock");
  EXPECT_TRUE(SeesKubelet(true));
}

TEST_F(DirectoryWatchTest, FollowsADirectoryMadeAllAtOnce) {
  Open();
  fs::create_directories(plugins_);
  MakeSocket(plugins_ + "/kubelet.sock");
  EXPECT_TRUE(SeesKubelet(true));
}

TEST_F(DirectoryWatchTest, FollowsAReplacedDirectory) {
  fs::create_directories(plugins_);
  MakeSocket(plugins_ + "/kubelet.sock");
  Open();
  ASSERT_TRUE(Look());
  fs::rename(plugins_, plugins_ + ".old");
  EXPECT_TRUE(SeesKubelet(false));
  fs::create_directory(plugins_);
  MakeSocket(plugins_ + "/kubelet.sock");
  EXPECT_TRUE(SeesKubelet(true));
  Look();
  fs::remove(plugins_ + "/kubelet.sock");
  EXPECT_TRUE(SeesKubelet(false));
}

TEST_F(DirectoryWatchTest, IsSilentAfterUnwatch) {
  fs::create_directories(plugins_);
  Open();
  watch_->Unwatch();
  Look();
  MakeSocket(plugins_ + "/kubelet.sock");
  EXPECT_TRUE(Look());
  EXPECT_FALSE(told_);
}

}  // namespace
}  // namespace aliquot::deviceplugin
