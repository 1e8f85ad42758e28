// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/state/seen_pids.h"

#include <sys/stat.h>

#include <filesystem>
#include <system_error>

#include "base/file.h"
#include "base/text.h"

namespace aliquot::sim {
namespace {

namespace fs = std::filesystem;

// The inode number of the pid namespace of the process in a directory of /proc; 0 if it ended or
// may not be looked at.
std::uint64_t NamespaceOf(const std::string& process) {
  struct stat info{};
  return ::stat((process + "/ns/pid").c_str(), &info) == 0 ? info.st_ino : 0;
}

// The number of a process in its own pid namespace: the last in the line "NSpid:" of its status.
// Source: proc(5).
std::optional<std::uint32_t> InnerPid(const std::string& process) {
  const Result<std::string> status = ReadFile(process + "/status", 1u << 16);
  if (!status.ok()) return std::nullopt;
  for (const std::string& line : Split(*status, '\n')) {
    if (!line.starts_with("NSpid:")) continue;
    const auto pid = ParseUnsigned(line.substr(line.rfind('\t') + 1));
    if (pid) return static_cast<std::uint32_t>(*pid);
  }
  return std::nullopt;
}

}  // namespace

std::uint64_t OwnPidNamespace() { return NamespaceOf("/proc/self"); }

std::map<SeenPids::Key, std::uint32_t> SeenPids::ReadAll() const {
  std::map<Key, std::uint32_t> all;
  std::error_code error;
  for (fs::directory_iterator it(proc_, error), end; !error && it != end; it.increment(error)) {
    const auto outer = ParseUnsigned(it->path().filename().string());
    if (!outer) continue;
    const std::uint64_t where = NamespaceOf(it->path());
    const auto inner = InnerPid(it->path());
    if (where != 0 && inner) all[{where, *inner}] = static_cast<std::uint32_t>(*outer);
  }
  return all;
}

std::uint32_t SeenPids::Of(const ProcessState& process) {
  if (process.pid_namespace == 0 || process.pid_namespace == NamespaceOf(proc_ + "/self")) {
    return process.pid;
  }
  if (!others_) others_ = ReadAll();
  const auto found = others_->find({process.pid_namespace, process.pid});
  return found == others_->end() ? 0 : found->second;
}

}  // namespace aliquot::sim
