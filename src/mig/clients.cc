// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/clients.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"

namespace aliquot::mig {
namespace {

namespace fs = std::filesystem;

// Processes end while they are looked at, so nothing here is an error.
bool HasOpen(const fs::path& process, const std::string& path) {
  std::error_code error;
  for (fs::directory_iterator at(process / "fd", error), end; !error && at != end;
       at.increment(error)) {
    std::error_code gone;
    if (fs::read_symlink(at->path(), gone) == path) return true;
  }
  return false;
}

}  // namespace

std::vector<Holder> ProcessesWithOpen(const std::string& path, const std::string& proc) {
  std::vector<Holder> holders;
  std::error_code error;
  for (fs::directory_iterator at(proc, error), end; !error && at != end; at.increment(error)) {
    const auto pid = ParseUnsigned(at->path().filename().string());
    if (!pid || *pid == static_cast<unsigned long long>(::getpid())) continue;
    if (!HasOpen(at->path(), path)) continue;
    const auto comm = ReadFile((at->path() / "comm").string(), 4096);
    holders.push_back(
        {static_cast<unsigned>(*pid), comm.ok() ? std::string(Trim(*comm)) : std::string(), ""});
  }
  std::sort(holders.begin(), holders.end(),
            [](const Holder& a, const Holder& b) { return a.pid < b.pid; });
  return holders;
}

}  // namespace aliquot::mig
