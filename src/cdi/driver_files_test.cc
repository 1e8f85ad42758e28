// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cdi/driver_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cdi/hooks.h"
#include "cdi/host_devices.h"
#include "cdi/temp_tree.h"

namespace aliquot::cdi {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kVersion[] = "580.159.04";
constexpr char kLib[] = "/usr/lib/x86_64-linux-gnu";

std::string Lib(const std::string& name) { return std::string(kLib) + "/" + name; }

std::vector<std::string> Paths(const DriverFiles& files) {
  std::vector<std::string> out;
  for (const Library& library : files.libraries) out.push_back(library.path);
  return out;
}

TEST(ResolveInRoot, AbsoluteLinksStayInsideTheRoot) {
  TempTree tree;
  tree.File("/etc/alternatives/real");
  tree.Link("/usr/bin/tool", "/etc/alternatives/real");
  EXPECT_EQ(*ResolveInRoot(tree.root(), "/usr/bin/tool"), "/etc/alternatives/real");
}

TEST(ResolveInRoot, DotDotCannotLeaveTheRoot) {
  TempTree tree;
  tree.File("/file");
  tree.Link("/up", "../../../../file");
  EXPECT_EQ(*ResolveInRoot(tree.root(), "/up"), "/file");
}

TEST(ResolveInRoot, SaysMissingAndLoopsApart) {
  TempTree tree;
  tree.Link("/a", "b");
  tree.Link("/b", "a");
  EXPECT_EQ(ResolveInRoot(tree.root(), "/none").error().code, Code::kNotFound);
  EXPECT_EQ(ResolveInRoot(tree.root(), "/a").error().code, Code::kFailedPrecondition);
}

TEST(FindDriverFiles, FindsLibrariesOfThisVersionWithTheirLinks) {
  TempTree tree;
  tree.File(Lib("libcuda.so.580.159.04"));
  tree.File(Lib("libcuda.so.535.1"));  // left behind by an old driver
  tree.File(Lib("libnvidia-nvvm70.so.4"));
  tree.File(Lib("libc.so.6"));
  tree.File(Lib("vdpau/libvdpau_nvidia.so.580.159.04"));
  tree.Link(Lib("libcuda.so.1"), "libcuda.so.580.159.04");
  tree.Link(Lib("libcuda.so"), "libcuda.so.1");
  const auto files = FindDriverFiles(tree.root(), kVersion, {});
  ASSERT_TRUE(files.ok()) << files.error().message;
  EXPECT_THAT(Paths(*files), ElementsAre(Lib("libcuda.so.580.159.04"), Lib("libnvidia-nvvm70.so.4"),
                                         Lib("vdpau/libvdpau_nvidia.so.580.159.04")));
  EXPECT_THAT(files->libraries[0].links,
              ElementsAre(LibraryLink{Lib("libcuda.so"), "libcuda.so.1"},
                          LibraryLink{Lib("libcuda.so.1"), "libcuda.so.580.159.04"}));
  EXPECT_THAT(files->cuda_directories, ElementsAre(kLib));
}

TEST(FindDriverFiles, ADirectoryBehindALinkCountsOnce) {
  TempTree tree;
  tree.File("/usr/lib64/libcuda.so.580.159.04");
  tree.Link("/lib64", "usr/lib64");
  EXPECT_EQ(FindDriverFiles(tree.root(), kVersion, {})->libraries.size(), 1u);
}

TEST(FindDriverFiles, SearchesWhatLdSoConfNames) {
  TempTree tree;
  tree.File("/opt/nvidia/lib/libcuda.so.580.159.04");
  tree.File("/etc/ld.so.conf.d/nvidia.conf", "# comment\n/opt/nvidia/lib\n");
  EXPECT_THAT(FindDriverFiles(tree.root(), kVersion, {})->cuda_directories,
              ElementsAre("/opt/nvidia/lib"));
}

TEST(FindDriverFiles, ProgramsFirmwareAndSockets) {
  TempTree tree;
  tree.File(Lib("libcuda.so.580.159.04"));
  tree.File("/usr/lib/nvidia/current/nvidia-smi");
  tree.Link("/usr/bin/nvidia-smi", "/usr/lib/nvidia/current/nvidia-smi");
  tree.Link("/lib", "usr/lib");
  tree.File("/usr/lib/firmware/nvidia/580.159.04/gsp_ga10x.bin");
  tree.File("/usr/lib/firmware/nvidia/580.159.04/notes.txt");
  tree.Link("/var/run", "/run");
  tree.File("/run/nvidia-persistenced/socket");
  const auto files = FindDriverFiles(tree.root(), kVersion, {});
  ASSERT_TRUE(files.ok()) << files.error().message;
  EXPECT_THAT(files->binaries,
              ElementsAre(DriverFile{"/usr/bin/nvidia-smi", "/usr/lib/nvidia/current/nvidia-smi"}));
  EXPECT_THAT(files->firmware,
              ElementsAre(DriverFile{"/lib/firmware/nvidia/580.159.04/gsp_ga10x.bin",
                                     "/usr/lib/firmware/nvidia/580.159.04/gsp_ga10x.bin"}));
  EXPECT_THAT(files->sockets, ElementsAre(DriverFile{"/run/nvidia-persistenced/socket",
                                                     "/run/nvidia-persistenced/socket"}));
  DriverFileOptions no_sockets;
  no_sockets.sockets = false;
  EXPECT_TRUE(FindDriverFiles(tree.root(), kVersion, no_sockets)->sockets.empty());
}

TEST(FindDriverFiles, ExplicitLibrariesOnlyOnRequest) {
  TempTree tree;
  tree.File(Lib("libcuda.so.580.159.04"));
  tree.File(Lib("libEGL.so.1.1.0"));
  tree.File(Lib("libEGL_mesa.so.0.0.0"));
  EXPECT_EQ(FindDriverFiles(tree.root(), kVersion, {})->libraries.size(), 1u);
  DriverFileOptions options;
  options.explicit_libraries = true;
  EXPECT_THAT(Paths(*FindDriverFiles(tree.root(), kVersion, options)),
              ElementsAre(Lib("libEGL.so.1.1.0"), Lib("libcuda.so.580.159.04")));
}

TEST(FindDriverFiles, WithoutLibcudaSaysWhereItLooked) {
  TempTree tree;
  const auto files = FindDriverFiles(tree.root(), kVersion, {});
  ASSERT_FALSE(files.ok());
  EXPECT_EQ(files.error().code, Code::kNotFound);
  EXPECT_THAT(files.error().message, HasSubstr(tree.root()));
}

TEST(HostDevices, ReadsCharacterDevicesBelowTheDevRootOnly) {
  TempTree tree;
  tree.CharDevice("/dev/nvidia0");
  tree.CharDevice("/dev/nvidiactl");
  tree.CharDevice("/dev/nvidia-caps/nvidia-cap21");
  tree.CharDevice("/dev/infiniband/uverbs0");
  tree.CharDevice("/dev/random");
  tree.File("/dev/nvidia1");  // an ordinary file left by a container runtime
  tree.Link("/dev/dri/by-path/pci-0000:06:00.0-card", "../card1");
  const HostDevices host = ReadHostDevices(tree.root());
  EXPECT_TRUE(host.Has("/dev/nvidia0"));
  EXPECT_FALSE(host.Has("/dev/nvidia1"));
  EXPECT_FALSE(host.Has("/dev/random"));
  EXPECT_THAT(host.WithPrefix("/dev/nvidia-caps/"), ElementsAre("/dev/nvidia-caps/nvidia-cap21"));
  EXPECT_THAT(host.WithPrefix("/dev/infiniband/uverbs"), ElementsAre("/dev/infiniband/uverbs0"));
  EXPECT_EQ(host.links.at("/dev/dri/by-path/pci-0000:06:00.0-card"), "../card1");
}

TEST(Roots, TheDevRootIsTheDriverRootIfThatHasDevices) {
  TempTree tree;
  config::Flags flags;
  flags.container_driver_root = tree.root();
  flags.nvidia_driver_root = "/run/nvidia/driver/";
  flags.nvidia_dev_root = flags.nvidia_driver_root;  // as config leaves it unless set
  EXPECT_EQ(ResolveRoots(flags).dev, "");
  tree.Directory("/dev");
  const Roots roots = ResolveRoots(flags);
  EXPECT_EQ(roots.dev, tree.root());
  EXPECT_EQ(roots.driver_host, "/run/nvidia/driver");
  EXPECT_EQ(roots.dev_host, "/run/nvidia/driver");
  flags.nvidia_dev_root = "/";
  EXPECT_EQ(ResolveRoots(flags).dev_host, "");
}

TEST(FindHookProgram, ChecksWhatItCanSee) {
  TempTree tree;
  config::Flags flags;
  const Roots roots{tree.root(), tree.root(), "", ""};
  EXPECT_EQ(FindHookProgram(flags, roots), std::nullopt);
  tree.File("/usr/bin/nvidia-cdi-hook");
  EXPECT_EQ(FindHookProgram(flags, roots), "/usr/bin/nvidia-cdi-hook");
  tree.File("/usr/bin/nvidia-ctk");
  EXPECT_EQ(FindHookProgram(flags, roots), "/usr/bin/nvidia-ctk");
}

TEST(FindHookProgram, TrustsOnlyAConfiguredPathItCannotSee) {
  config::Flags flags;
  const Roots roots{"/driver-root", "", "/run/nvidia/driver", ""};
  EXPECT_EQ(FindHookProgram(flags, roots), std::nullopt);
  flags.nvidia_ctk_path = "/usr/local/nvidia/toolkit/nvidia-cdi-hook";
  EXPECT_EQ(FindHookProgram(flags, roots), "/usr/local/nvidia/toolkit/nvidia-cdi-hook");
}

TEST(Hooks, TheProgramsNameDecidesHowItIsCalled) {
  ContainerEdits edits;
  Hooks("/usr/bin/nvidia-ctk", {"enable-cuda-compat"})
      .Add("update-ldcache", {"--folder", "/l"}, edits);
  Hooks("/opt/nvidia-cdi-hook", {}).Add("update-ldcache", {}, edits);
  Hooks("/opt/nvidia-cdi-hook", {"all"}).Add("update-ldcache", {}, edits);
  Hooks("/opt/nvidia-cdi-hook", {"update-ldcache"}).Add("update-ldcache", {}, edits);
  ASSERT_EQ(edits.hooks.size(), 2u);
  EXPECT_THAT(edits.hooks[0].args,
              ElementsAre("nvidia-ctk", "hook", "update-ldcache", "--folder", "/l"));
  EXPECT_THAT(edits.hooks[1].args, ElementsAre("nvidia-cdi-hook", "update-ldcache"));
}

}  // namespace
}  // namespace aliquot::cdi
