// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cdi/host_devices.h"

#include <sys/stat.h>

#include <filesystem>
#include <system_error>

namespace aliquot::cdi {
namespace {

namespace fs = std::filesystem;

struct Place {
  const char* directory;
  const char* prefix;  // of the file names of interest
};

constexpr Place kPlaces[] = {
    {"/dev", "nvidia"},
    {"/dev", "gdrdrv"},
    {"/dev/nvidia-caps", "nvidia-cap"},
    {"/dev/dri", "card"},
    {"/dev/dri", "renderD"},
    {"/dev/infiniband", "uverbs"},
    {"/dev/infiniband", "rdma_cm"},
};
constexpr Place kImexChannels = {"/dev/nvidia-caps-imex-channels", "channel"};
constexpr Place kDrmLinks = {"/dev/dri/by-path", "pci-"};

std::vector<std::string> List(const std::string& root, const Place& place) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(root + place.directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename();
    if (name.starts_with(place.prefix)) names.push_back(name);
  }
  return names;
}

void ReadNodes(const std::string& root, const Place& place, bool outside_dev_root,
               HostDevices& out) {
  for (const std::string& name : List(root, place)) {
    const std::string path = std::string(place.directory) + "/" + name;
    struct stat info = {};
    if (::stat((root + path).c_str(), &info) != 0 || !S_ISCHR(info.st_mode)) continue;
    out.nodes.try_emplace(path, HostNode{info.st_mode & 07777u, info.st_gid, outside_dev_root});
  }
}

std::string WithoutTrailingSlashes(std::string path) {
  while (!path.empty() && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

std::vector<std::string> HostDevices::WithPrefix(std::string_view prefix) const {
  std::vector<std::string> paths;
  for (auto it = nodes.lower_bound(std::string(prefix));
       it != nodes.end() && it->first.starts_with(prefix); ++it) {
    paths.push_back(it->first);
  }
  return paths;
}

std::string Roots::DevOnHost(const std::string& path, const HostDevices& host) const {
  const auto node = host.nodes.find(path);
  if (node != host.nodes.end() && node->second.outside_dev_root) return path;
  return dev_host + path;
}

Roots ResolveRoots(const config::Flags& flags) {
  Roots roots;
  roots.driver = WithoutTrailingSlashes(flags.container_driver_root);
  roots.driver_host = WithoutTrailingSlashes(flags.nvidia_driver_root);
  roots.dev_host = flags.nvidia_dev_root.empty() ? roots.driver_host
                                                 : WithoutTrailingSlashes(flags.nvidia_dev_root);
  std::error_code error;
  // Outside a container there is nothing at the container's driver root; the host is all around.
  if (!fs::is_directory(roots.driver.empty() ? "/" : roots.driver, error)) {
    roots.driver = roots.driver_host;
  }
  if (fs::is_directory(roots.driver + "/dev", error)) roots.dev = roots.driver;
  return roots;
}

HostDevices ReadHostDevices(const std::string& dev_root) {
  HostDevices out;
  const std::string root = WithoutTrailingSlashes(dev_root);
  for (const Place& place : kPlaces) ReadNodes(root, place, false, out);
  ReadNodes(root, kImexChannels, false, out);
  if (!root.empty()) ReadNodes("", kImexChannels, true, out);
  for (const std::string& name : List(root, kDrmLinks)) {
    const std::string path = std::string(kDrmLinks.directory) + "/" + name;
    std::error_code error;
    const fs::path target = fs::read_symlink(root + path, error);
    if (!error) out.links[path] = target;
  }
  return out;
}

}  // namespace aliquot::cdi
