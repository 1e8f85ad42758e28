// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "rpc/socket_path.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>

#include "base/unique_fd.h"

namespace aliquot::rpc {
namespace {

constexpr std::string_view kStart = "nvidia-";
constexpr std::string_view kEnd = ".sock";
constexpr std::size_t kInstanceDigits = 8;
constexpr std::size_t kHashDigits = 8;

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// "nvidia-<anything>.<8 hex digits>.sock"
bool IsOurs(std::string_view name) {
  if (!name.starts_with(kStart) || !name.ends_with(kEnd)) return false;
  name.remove_prefix(kStart.size());
  name.remove_suffix(kEnd.size());
  if (name.size() < kInstanceDigits + 2) return false;
  const std::string_view instance = name.substr(name.size() - kInstanceDigits);
  return name[name.size() - kInstanceDigits - 1] == '.' && IsHex(instance);
}

// FNV-1a, 32 bits.
std::uint32_t Hash(std::string_view text) {
  std::uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

// Only a refused connection proves that no process holds the socket. A socket between bind and
// listen refuses too; its owner notices the loss through its directory watch and binds again.
bool NobodyListens(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof(address.sun_path)) return false;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return false;
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
         errno == ECONNREFUSED;
}

}  // namespace

std::string NewInstanceId() {
  std::random_device random;
  return fmt::format("{:08x}", static_cast<std::uint32_t>(random()));
}

Result<std::string> PluginSocketPath(const std::string& directory, std::string_view resource,
                                     std::string_view instance) {
  // "nvidia.com/gpu" is "gpu", as the name always was; another vendor's stays whole.
  std::string stem(resource.starts_with("nvidia.com/") ? resource.substr(11) : resource);
  std::replace(stem.begin(), stem.end(), '/', '_');
  const std::size_t fixed =
      directory.size() + 1 + kStart.size() + 1 + instance.size() + kEnd.size();
  constexpr std::size_t kLeastStem = kHashDigits + 2;
  if (fixed + kLeastStem > kMaxSocketPath) {
    return Error{Code::kInvalidArgument,
                 fmt::format("socket directory \"{}\" is too long: a socket path has at most {} "
                             "bytes, which leaves {} for the directory; use a shorter one",
                             directory, kMaxSocketPath,
                             kMaxSocketPath - (fixed - directory.size()) - kLeastStem)};
  }
  if (const std::size_t room = kMaxSocketPath - fixed; stem.size() > room) {
    stem = fmt::format("{}~{:08x}", stem.substr(0, room - kHashDigits - 1), Hash(resource));
  }
  return fmt::format("{}/{}{}.{}{}", directory, kStart, stem, instance, kEnd);
}

std::vector<std::string> RemoveStaleSockets(const std::string& directory) {
  std::vector<std::string> removed;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  if (!dir) return removed;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string path = fmt::format("{}/{}", directory, entry->d_name);
    struct stat info{};
    if (!IsOurs(entry->d_name) || ::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) {
      continue;
    }
    if (NobodyListens(path) && ::unlink(path.c_str()) == 0) removed.emplace_back(entry->d_name);
  }
  std::sort(removed.begin(), removed.end());
  return removed;
}

}  // namespace aliquot::rpc
