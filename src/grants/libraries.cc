// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "grants/libraries.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <filesystem>

#include "base/file.h"

namespace aliquot::grants {
namespace {

Status Install(const std::string& content, const std::string& path, unsigned mode) {
  if (const auto present = ReadFile(path); present.ok() && *present == content) return {};
  return WriteFileDurably(path, content, mode);
}

Status CheckExecutable(const std::string& directory) {
  struct statvfs info{};
  if (::statvfs(directory.c_str(), &info) != 0 || (info.f_flag & ST_NOEXEC) == 0) return {};
  return Error{Code::kFailedPrecondition,
               fmt::format("{} is on a file system mounted noexec, so containers could not load "
                           "libraries from it; choose another --state-dir",
                           directory)};
}

}  // namespace

Status InstallLibraries(const std::string& source, const std::string& target) {
  std::error_code error;
  std::filesystem::create_directories(target, error);
  if (error) return Error{Code::kFailedPrecondition, error.message()}.In("cannot make " + target);
  if (Status status = CheckExecutable(target); !status.ok()) return status;
  std::string preload;
  for (const char* name : {kCudaLibrary, kNvmlLibrary}) {
    const Result<std::string> library = ReadFile(source + "/" + name, 64u << 20);
    if (!library.ok()) return library.error();
    if (Status status = Install(*library, target + "/" + name, 0755); !status.ok()) return status;
    preload += fmt::format("{}/{}\n", kContainerLibraries, name);
  }
  return Install(preload, target + "/" + kPreloadFile, 0644);
}

}  // namespace aliquot::grants
