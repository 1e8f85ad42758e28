// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"

namespace aliquot {

Error ErrnoError(std::string_view what, int error_number) {
  Code code = Code::kUnknown;
  if (error_number == ENOENT || error_number == ENOTDIR) code = Code::kNotFound;
  if (error_number == EACCES || error_number == EPERM) code = Code::kPermissionDenied;
  if (error_number == EEXIST) code = Code::kAlreadyExists;
  return {code, fmt::format("{}: {}", what, ::strerror(error_number))};
}

Result<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(fmt::format("cannot open {}", path), errno);
  std::string content;
  char buffer[16384];
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(fmt::format("cannot read {}", path), errno);
    if (got == 0) return content;
    if (content.size() + static_cast<std::size_t>(got) > max_bytes) {
      return Error{Code::kResourceExhausted,
                   fmt::format("cannot read {}: larger than {} bytes", path, max_bytes)};
    }
    content.append(buffer, static_cast<std::size_t>(got));
  }
}

namespace {

Status Replace(const std::string& path, std::string_view content, unsigned mode, bool durable) {
  std::string temporary = path + ".XXXXXX";
  const UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(fmt::format("cannot create a file beside {}", path), errno);
  auto fail = [&](const char* what) -> Status {
    const Error error = ErrnoError(fmt::format("cannot {} {}", what, temporary), errno);
    ::unlink(temporary.c_str());
    return error;
  };
  while (!content.empty()) {
    const ssize_t wrote = ::write(fd.get(), content.data(), content.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail("write");
    content.remove_prefix(static_cast<std::size_t>(wrote));
  }
  if (::fchmod(fd.get(), mode) != 0) return fail("set the mode of");
  if (durable && ::fsync(fd.get()) != 0) return fail("write to disk");
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail("rename");
  return {};
}

}  // namespace

Status WriteFileAtomically(const std::string& path, std::string_view content, unsigned mode) {
  return Replace(path, content, mode, false);
}

Status WriteFileDurably(const std::string& path, std::string_view content, unsigned mode) {
  if (Status status = Replace(path, content, mode, true); !status.ok()) return status;
  const std::size_t slash = path.rfind('/');
  return SyncDirectory(slash == std::string::npos ? "." : path.substr(0, slash + 1));
}

Status SyncDirectory(const std::string& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(fmt::format("cannot open {}", directory), errno);
  if (::fsync(fd.get()) == 0) return {};
  return ErrnoError(fmt::format("cannot write {} to disk", directory), errno);
}

}  // namespace aliquot
