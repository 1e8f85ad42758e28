// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cdi/writer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/file.h"

namespace aliquot::cdi {
namespace {

namespace fs = std::filesystem;

Status CheckAll(const std::vector<Spec>& specs) {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const std::string& device_class = specs[i].device_class;
    if (std::count(std::begin(kClasses), std::end(kClasses), device_class) == 0) {
      return Error{Code::kInvalidArgument,
                   fmt::format("class \"{}\" is none of ours", device_class)};
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (specs[j].device_class == device_class) {
        return Error{Code::kInvalidArgument, fmt::format("class \"{}\" twice", device_class)};
      }
    }
    if (Status status = Validate(specs[i]); !status.ok()) return status.error().In(device_class);
  }
  return {};
}

}  // namespace

Result<WriteReport> SpecWriter::Apply(const std::vector<Spec>& specs) {
  const std::string context = fmt::format("cannot write CDI specs to {}", directory_);
  if (Status status = CheckAll(specs); !status.ok()) return status.error().In(context);

  WriteReport report;
  std::error_code error;
  if (!specs.empty()) fs::create_directories(directory_, error);
  if (error) return Error{Code::kFailedPrecondition, error.message()}.In(context);
  for (const std::string_view device_class : kClasses) {
    const std::string name = FileName(device_class);
    const std::string path = directory_ + "/" + name;
    const auto spec = std::find_if(specs.begin(), specs.end(), [&](const Spec& candidate) {
      return candidate.device_class == device_class;
    });
    if (spec == specs.end()) {
      if (::unlink(path.c_str()) == 0) {
        report.removed.push_back(name);
      } else if (errno != ENOENT && errno != ENOTDIR) {
        return ErrnoError(fmt::format("cannot remove {}", path), errno).In(context);
      }
      continue;
    }
    const std::string content = ToJson(*spec);
    const Result<std::string> present = ReadFile(path);
    if (present.ok() && *present == content) continue;
    if (Status status = WriteFileAtomically(path, content); !status.ok()) {
      return status.error().In(context);
    }
    report.written.push_back(name);
  }
  return report;
}

}  // namespace aliquot::cdi
