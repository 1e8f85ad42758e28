// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "grants/host_processes.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "grants/grant.h"
#include "grants/injection.h"

namespace aliquot::grants {
namespace {

namespace fs = std::filesystem;

// A container is a few processes deep; the limit only ends a walk through a damaged table.
constexpr int kMaxParents = 64;
constexpr std::size_t kContainerIdDigits = 64;

struct Stat {
  pid_t parent = 0;
  std::uint64_t start_time = 0;
};

// /proc/<pid>/stat: the second field is in parentheses and may contain anything. Source: proc(5).
std::optional<Stat> ParseStat(const std::string& text) {
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos || name_end + 2 > text.size()) return std::nullopt;
  const std::vector<std::string> fields = Split(text.substr(name_end + 2), ' ');
  if (fields.size() < 20) return std::nullopt;
  const auto parent = ParseUnsigned(fields[1]);  // field 4
  const auto start = ParseUnsigned(fields[19]);  // field 22
  if (!parent || !start) return std::nullopt;
  return Stat{static_cast<pid_t>(*parent), *start};
}

// The 64 hexadecimal digits with which runtimes name a container's group, such as
// "cri-containerd-<id>.scope".
std::string_view ContainerId(std::string_view group) {
  std::size_t run = 0;
  for (std::size_t i = 0; i <= group.size(); ++i) {
    const bool digit = i < group.size() && std::string_view("0123456789abcdef").find(group[i]) !=
                                               std::string_view::npos;
    if (digit) {
      ++run;
      continue;
    }
    if (run == kContainerIdDigits) return group.substr(i - run, run);
    run = 0;
  }
  return {};
}

}  // namespace

std::optional<std::string> ContainerInCgroup(std::string_view text) {
  std::optional<std::string> group;
  for (const std::string& line : Split(text, '\n')) {
    // "<hierarchy>:<controllers>:<path>"; the path may contain colons.
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string path = line.substr(second + 1);
    // From the top: groups that a container makes inside its own are still that container.
    for (const std::string& part : Split(path, '/')) {
      if (const std::string_view id = ContainerId(part); !id.empty()) return std::string(id);
    }
    if (path != "/" && !group) group = path;
  }
  return group;
}

std::optional<std::string> PodInCgroup(std::string_view text) {
  // A UUID; a pod that the kubelet has from a file: 32 digits.
  const auto is_uid = [](std::string_view uid) {
    return uid.size() >= 32 && uid.size() <= 36 &&
           uid.find_first_not_of("0123456789abcdef-") == std::string_view::npos;
  };
  for (const std::string& line : Split(text, '\n')) {
    // ".../kubepods-burstable-pod<uid>.slice/..." with systemd, "_" for "-" in it; or
    // ".../kubepods/burstable/pod<uid>/...".
    for (std::string part : Split(line, '/')) {
      if (part.ends_with(".slice")) part.resize(part.size() - 6);
      const std::size_t at = part.starts_with("pod") ? 0 : part.rfind("-pod");
      if (at == std::string::npos) continue;
      std::string uid = part.substr(at + (at == 0 ? 3 : 4));
      std::replace(uid.begin(), uid.end(), '_', '-');
      if (is_uid(uid)) return uid;
    }
  }
  return std::nullopt;
}

std::set<std::string> GrantsInMountInfo(std::string_view text, std::string_view device) {
  std::set<std::string> grants;
  for (const std::string& line : Split(text, '\n')) {
    // "36 35 98:0 <root of the mount in its file system> <mount point> ..."
    const std::vector<std::string> fields = Split(line, ' ');
    if (fields.size() < 5 || fields[4] != kContainerGrant || fields[2] != device) continue;
    const std::string id = fields[3].substr(fields[3].rfind('/') + 1);
    if (IsGrantId(id)) grants.insert(id);
  }
  return grants;
}

std::string ProcHostProcesses::Read(pid_t pid, const char* file) const {
  const auto text = ReadFile(fmt::format("{}/{}/{}", proc_, pid, file), 4u << 20);
  return text.ok() ? *text : std::string();
}

std::set<std::string> ProcHostProcesses::GrantsMountedBy(pid_t pid) const {
  struct stat info{};
  if (::stat(live_.c_str(), &info) != 0) return {};
  return GrantsInMountInfo(Read(pid, "mountinfo"),
                           fmt::format("{}:{}", major(info.st_dev), minor(info.st_dev)));
}

std::optional<ProcessIdentity> ProcHostProcesses::Identify(pid_t pid) const {
  const std::optional<Stat> stat = ParseStat(Read(pid, "stat"));
  if (!stat) return std::nullopt;
  return ProcessIdentity{pid, stat->start_time};
}

std::optional<std::string> ProcHostProcesses::ContainerOf(pid_t pid) const {
  return ContainerInCgroup(Read(pid, "cgroup"));
}

std::optional<std::string> ProcHostProcesses::PodOf(pid_t pid) const {
  return PodInCgroup(Read(pid, "cgroup"));
}

std::optional<std::string> ProcHostProcesses::GrantOf(pid_t pid) const {
  const std::optional<std::string> container = ContainerOf(pid);
  for (int i = 0; i < kMaxParents && pid > 1; ++i) {
    const std::set<std::string> grants = GrantsMountedBy(pid);
    if (!grants.empty()) return *grants.begin();
    const std::optional<Stat> stat = ParseStat(Read(pid, "stat"));
    if (!stat || !container || ContainerOf(stat->parent) != container) return std::nullopt;
    pid = stat->parent;
  }
  return std::nullopt;
}

std::set<std::string> ProcHostProcesses::MountedGrants() const {
  std::set<std::string> grants;
  std::set<std::string> seen;  // mount namespaces
  std::error_code error;
  for (fs::directory_iterator at(proc_, error), end; !error && at != end; at.increment(error)) {
    const auto pid = ParseUnsigned(at->path().filename().string());
    if (!pid) continue;
    std::error_code gone;
    const std::string space = fs::read_symlink(at->path() / "ns" / "mnt", gone).string();
    if (!gone && !seen.insert(space).second) continue;
    grants.merge(GrantsMountedBy(static_cast<pid_t>(*pid)));
  }
  return grants;
}

Status ProcHostProcesses::Kill(const ProcessIdentity& process) const {
  const std::string what = fmt::format("cannot kill process {}", process.pid);
  const UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!fd.valid()) {
    return errno == ESRCH ? Error{Code::kNotFound, what + ": it is gone"} : ErrnoError(what, errno);
  }
  // From here on the number cannot be given to another process unnoticed.
  if (Identify(process.pid) != process) {
    return Error{Code::kNotFound, what + ": it is gone, its number belongs to another"};
  }
  if (::syscall(SYS_pidfd_send_signal, fd.get(), SIGKILL, nullptr, 0) == 0) return {};
  return ErrnoError(what, errno);
}

}  // namespace aliquot::grants
