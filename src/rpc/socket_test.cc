// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "rpc/listen_socket.h"
#include "rpc/plugin_transport.h"
#include "rpc/socket_path.h"

namespace aliquot::rpc {
namespace {

namespace fs = std::filesystem;

class SocketTest : public testing::Test {
 protected:
  SocketTest() {
    std::string name = "/tmp/aliquot-socket-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~SocketTest() override { fs::remove_all(directory_); }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  // As after SIGKILL: the file stays, nobody listens.
  void LeaveStale(const std::string& name) {
    auto socket = ListenSocket::Bind(Path("moving"));
    ASSERT_TRUE(socket.ok());
    fs::rename(Path("moving"), Path(name));
  }

  std::string directory_;
};

TEST(SocketPath, KeepsTheNameKnownFromTheReferenceAsStem) {
  EXPECT_EQ(*PluginSocketPath("/d", "nvidia.com/gpu", "0123abcd"), "/d/nvidia-gpu.0123abcd.sock");
  EXPECT_EQ(*PluginSocketPath("/d", "nvidia.com/mig-1g.5gb.shared", "0123abcd"),
            "/d/nvidia-mig-1g.5gb.shared.0123abcd.sock");
  EXPECT_EQ(*PluginSocketPath("/d", "example.com/gpu", "0123abcd"),
            "/d/nvidia-example.com_gpu.0123abcd.sock");
}

TEST(SocketPath, CutsLongNamesButKeepsThemApart) {
  const std::string directory = "/var/lib/kubelet/device-plugins";
  const std::string name = "nvidia.com/" + std::string(62, 'x');
  const auto a = PluginSocketPath(directory, name + "a", "0123abcd");
  const auto b = PluginSocketPath(directory, name + "b", "0123abcd");
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->size(), kMaxSocketPath);
  EXPECT_NE(*a, *b);
}

TEST(SocketPath, RefusesADirectoryThatLeavesNoRoom) {
  const auto path = PluginSocketPath("/" + std::string(100, 'd'), "nvidia.com/gpu", "0123abcd");
  ASSERT_FALSE(path.ok());
  EXPECT_NE(path.error().message.find("too long"), std::string::npos);
}

TEST(SocketPath, InstancesDiffer) {
  EXPECT_EQ(NewInstanceId().size(), 8u);
  EXPECT_NE(NewInstanceId(), NewInstanceId());
}

TEST_F(SocketTest, IsPrivateAndGoesWithItsOwner) {
  {
    auto socket = ListenSocket::Bind(Path("a.sock"));
    ASSERT_TRUE(socket.ok());
    struct stat info{};
    ASSERT_EQ(::stat(Path("a.sock").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    EXPECT_TRUE(socket->Present());
  }
  EXPECT_FALSE(fs::exists(Path("a.sock")));
}

TEST_F(SocketTest, LeavesAnothersFileAlone) {
  std::optional<ListenSocket> first = *ListenSocket::Bind(Path("a.sock"));
  fs::rename(Path("a.sock"), Path("kept"));  // keeps the inode number taken
  auto second = ListenSocket::Bind(Path("a.sock"));
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(first->Present());
  first.reset();
  EXPECT_TRUE(second->Present());
}

TEST_F(SocketTest, SaysWhyItCannotBind) {
  const auto refused = [](const std::string& path) {
    const auto socket = ListenSocket::Bind(path);
    return socket.ok() ? std::string("bound") : socket.error().message;
  };
  EXPECT_NE(refused(Path("none/a.sock")).find("No such file or directory"), std::string::npos);
  EXPECT_NE(refused(Path(std::string(107, 'x'))).find("at most 107"), std::string::npos);
  std::ofstream(Path("file")) << "x";
  EXPECT_NE(refused(Path("file")).find("not a socket"), std::string::npos);
  EXPECT_NE(refused(Path("file/a.sock")).find("not a directory"), std::string::npos);
  const auto live = ListenSocket::Bind(Path("live"));
  EXPECT_NE(refused(Path("live")).find("not ours (a socket)"), std::string::npos);
}

TEST_F(SocketTest, CleansOnlyWhatOurDeadLeftBehind) {
  LeaveStale("nvidia-gpu.00000001.sock");
  LeaveStale("nvidia-gpu.sock");           // the reference plugin's
  LeaveStale("nvidia-gpu.notahexa.sock");  // nobody's we know
  LeaveStale("kubelet.sock");
  std::ofstream(Path("nvidia-gpu.00000002.sock")) << "not a socket";
  const auto live = ListenSocket::Bind(Path("nvidia-gpu.00000003.sock"));
  EXPECT_EQ(RemoveStaleSockets(directory_), std::vector<std::string>{"nvidia-gpu.00000001.sock"});
  EXPECT_TRUE(live->Present());
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 5);
  EXPECT_TRUE(RemoveStaleSockets(directory_ + "/none").empty());
}

}  // namespace
}  // namespace aliquot::rpc
