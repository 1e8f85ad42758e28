// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "gpu/driver_source.h"

#include <fmt/format.h>

#include <array>
#include <deque>
#include <filesystem>
#include <string_view>

#include "base/text.h"

namespace aliquot::gpu {
namespace {

constexpr const char* kSoname = "libnvidia-ml.so.1";
constexpr std::array<std::string_view, 6> kFolders = {
    "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
    "/lib64",     "/lib/x86_64-linux-gnu",     "/lib/aarch64-linux-gnu"};
// As many as Linux follows before it says ELOOP.
constexpr int kMaxSymlinks = 40;

void PrependParts(std::deque<std::string>& parts, std::string_view path) {
  const std::vector<std::string> pieces = Split(path, '/');
  parts.insert(parts.begin(), pieces.begin(), pieces.end());
}

// `path` as a process would see it after chroot(root): absolute links and ".." stay inside.
// Empty if it does not exist.
std::string ResolveUnder(const std::string& root, std::string_view path) {
  namespace fs = std::filesystem;
  std::deque<std::string> parts;
  PrependParts(parts, path);
  std::vector<std::string> resolved;
  int links = 0;
  std::error_code error;
  while (!parts.empty()) {
    const std::string part = parts.front();
    parts.pop_front();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!resolved.empty()) resolved.pop_back();
      continue;
    }
    resolved.push_back(part);
    const fs::path here(root + "/" + Join(resolved, "/"));
    const fs::file_status status = fs::symlink_status(here, error);
    if (error || !fs::exists(status)) return {};
    if (!fs::is_symlink(status)) continue;
    if (++links > kMaxSymlinks) return {};
    const std::string target = fs::read_symlink(here, error).string();
    if (error) return {};
    resolved.pop_back();
    if (target.starts_with('/')) resolved.clear();
    PrependParts(parts, target);
  }
  const std::string file = root + "/" + Join(resolved, "/");
  return fs::is_regular_file(file, error) ? file : std::string();
}

bool IsWholeHost(const std::string& root) { return root.empty() || root == "/"; }

Error NothingFound(const std::string& root, const std::string& why) {
  std::string tried = fmt::format("the dynamic loader's path ({})", why);
  if (!IsWholeHost(root)) {
    tried = fmt::format("{} in {} under driver root \"{}\", and {}", kSoname,
                        fmt::join(kFolders, ", "), root, tried);
  }
  return {Code::kNotFound,
          fmt::format("cannot load the NVIDIA driver library: tried {}; install the NVIDIA driver "
                      "on this node, or set the container driver root to where it is mounted",
                      tried)};
}

Result<std::unique_ptr<Driver>> MakeDriver(DynamicLibrary library, const std::string& path) {
  Result<NvmlApi> api = LoadNvml(library);
  if (!api.ok()) return api.error().In(path);
  std::string simulated_node;
  if (void* symbol = library.Find("aliquotSimulatedNode"); symbol != nullptr) {
    const char* name = reinterpret_cast<const char* (*)()>(symbol)();
    simulated_node = name != nullptr && *name != '\0' ? name : "simulated";
  }
  return std::make_unique<Driver>(*std::move(api), path, std::move(simulated_node),
                                  std::move(library));
}

}  // namespace

std::string FindNvmlUnder(const std::string& driver_root) {
  for (std::string_view folder : kFolders) {
    std::string file = ResolveUnder(driver_root, fmt::format("{}/{}", folder, kSoname));
    if (!file.empty()) return file;
  }
  return {};
}

Result<NvmlApi> LoadNvml(const DynamicLibrary& library) {
  NvmlApi api;
  std::string missing;
  VisitNvml(api, [&]<typename R, typename... Args>(
                     const char* symbol, std::function<R(Args...)>& member, bool required) {
    if (void* address = library.Find(symbol); address != nullptr) {
      member = reinterpret_cast<R (*)(Args...)>(address);
    } else if (required && missing.empty()) {
      missing = symbol;
    }
  });
  if (!missing.empty()) {
    return Error{Code::kFailedPrecondition,
                 fmt::format("symbol \"{}\" is missing; a driver of version 450 or later is needed",
                             missing)};
  }
  return api;
}

Result<std::unique_ptr<Driver>> NvmlDriverSource::Load() {
  std::string path = IsWholeHost(driver_root_) ? std::string() : FindNvmlUnder(driver_root_);
  if (path.empty()) path = kSoname;
  Result<DynamicLibrary> library = DynamicLibrary::Open(path);
  if (!library.ok()) return NothingFound(driver_root_, library.error().message);
  return MakeDriver(std::move(library).value(), path);
}

Result<std::unique_ptr<Driver>> FileDriverSource::Load() {
  Result<DynamicLibrary> library = DynamicLibrary::Open(path_);
  if (!library.ok()) return library.error();
  return MakeDriver(std::move(library).value(), path_);
}

}  // namespace aliquot::gpu
