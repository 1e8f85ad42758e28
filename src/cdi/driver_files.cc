// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cdi/driver_files.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <deque>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include "base/file.h"
#include "base/text.h"

namespace aliquot::cdi {
namespace {

namespace fs = std::filesystem;

// Where distributions put the driver's 64-bit libraries. The Debian ones with "nvidia/current" are
// behind links from the triplet directory, found there too.
constexpr const char* kLibraryDirectories[] = {
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/usr/lib/aarch64-linux-gnu/nvidia/current",
};
constexpr const char* kBinaryDirectories[] = {"/usr/bin", "/usr/sbin",      "/bin",
                                              "/sbin",    "/usr/local/bin", "/usr/local/sbin"};
constexpr const char* kBinaries[] = {
    "nvidia-smi",      "nvidia-debugdump",        "nvidia-persistenced",
    "nvidia-imex",     "nvidia-cuda-mps-control", "nvidia-cuda-mps-server",
    "nvidia-imex-ctl",
};
constexpr const char* kSockets[] = {"/var/run/nvidia-persistenced/socket",
                                    "/var/run/nvidia-fabricmanager/socket", "/tmp/nvidia-mps"};
// Loaders with version numbers of their own, mounted only on request: an image usually brings them.
constexpr const char* kExplicitLibraries[] = {
    "libEGL.so",
    "libGL.so",
    "libGLESv1_CM.so",
    "libGLESv2.so",
    "libGLX.so",
    "libGLdispatch.so",
    "libOpenCL.so",
    "libOpenGL.so",
    "libnvidia-api.so",
    "libnvidia-egl-xcb.so",
    "libnvidia-egl-xlib.so",
};
// Part of every driver up to 535, with a version number of its own.
constexpr const char* kLegacyNvvm = "libnvidia-nvvm70.so";

std::vector<std::string> List(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool IsVersionOf(std::string_view name, std::string_view library) {
  return name.starts_with(library) &&
         (name.size() == library.size() || name[library.size()] == '.');
}

bool IsWanted(std::string_view name, const std::string& suffix, bool explicit_libraries) {
  if (name.ends_with(suffix) || IsVersionOf(name, kLegacyNvvm)) return true;
  return explicit_libraries &&
         std::any_of(std::begin(kExplicitLibraries), std::end(kExplicitLibraries),
                     [&](const char* library) { return IsVersionOf(name, library); });
}

// The directories to search, each once, resolved and with its vdpau subdirectory.
std::vector<std::string> LibraryDirectories(const std::string& root) {
  std::vector<std::string> wanted(std::begin(kLibraryDirectories), std::end(kLibraryDirectories));
  const std::string conf = root + "/etc/ld.so.conf.d";
  for (const std::string& name : List(conf)) {
    if (!name.ends_with(".conf")) continue;
    const Result<std::string> text = ReadFile(conf + "/" + name, 64u << 10);
    if (!text.ok()) continue;  // an unreadable fragment only costs its extra directories
    for (const std::string& line : Split(*text, '\n')) {
      if (line.starts_with('/')) wanted.emplace_back(Trim(line));
    }
  }
  std::vector<std::string> found;
  for (const std::string& directory : wanted) {
    for (const char* below : {"", "/vdpau"}) {
      const Result<std::string> resolved = ResolveInRoot(root, directory + below);
      if (!resolved.ok() || std::count(found.begin(), found.end(), *resolved) != 0) continue;
      found.push_back(*resolved);
    }
  }
  return found;
}

bool IsFile(const std::string& path) {
  struct stat info = {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

void FindLibraries(const std::string& root, const DriverFileOptions& options, DriverFiles& out) {
  const std::string suffix = ".so." + out.version;
  std::map<std::string, Library> by_path;
  std::set<std::string> cuda;
  for (const std::string& directory : LibraryDirectories(root)) {
    const std::vector<std::string> names = List(root + directory);
    for (const std::string& name : names) {
      const std::string path = directory + "/" + name;
      if (!IsWanted(name, suffix, options.explicit_libraries) || !IsFile(root + path)) continue;
      by_path.try_emplace(path, Library{path, {}});
      if (name == "libcuda" + suffix) cuda.insert(directory);
    }
    for (const std::string& name : names) {
      const std::string path = directory + "/" + name;
      std::error_code error;
      const fs::path text = fs::read_symlink(root + path, error);
      if (error || name.find(".so") == std::string::npos) continue;
      const Result<std::string> target = ResolveInRoot(root, path);
      if (!target.ok()) continue;
      const auto library = by_path.find(*target);
      if (library != by_path.end()) library->second.links.push_back({path, text});
    }
  }
  for (auto& [path, library] : by_path) out.libraries.push_back(std::move(library));
  out.cuda_directories.assign(cuda.begin(), cuda.end());
}

void FindBinaries(const std::string& root, DriverFiles& out) {
  for (const char* name : kBinaries) {
    for (const char* directory : kBinaryDirectories) {
      const std::string path = fmt::format("{}/{}", directory, name);
      const Result<std::string> target = ResolveInRoot(root, path);
      if (!target.ok() || !IsFile(root + *target)) continue;
      out.binaries.push_back({path, *target});
      break;
    }
  }
}

void FindFirmware(const std::string& root, const DriverFileOptions& options, DriverFiles& out) {
  std::vector<std::string> bases = {"/lib/firmware/updates", "/lib/firmware"};
  if (!options.kernel_release.empty()) {
    bases = {"/lib/firmware/updates/" + options.kernel_release, "/lib/firmware/updates",
             "/lib/firmware/" + options.kernel_release, "/lib/firmware"};
  }
  for (const std::string& base : bases) {
    const std::string directory = fmt::format("{}/nvidia/{}", base, out.version);
    const Result<std::string> resolved = ResolveInRoot(root, directory);
    if (!resolved.ok()) continue;
    for (const std::string& name : List(root + *resolved)) {
      if (!name.starts_with("gsp") || !name.ends_with(".bin")) continue;
      out.firmware.push_back({directory + "/" + name, *resolved + "/" + name});
    }
  }
}

void FindSockets(const std::string& root, DriverFiles& out) {
  for (const char* path : kSockets) {
    const Result<std::string> target = ResolveInRoot(root, path);
    // /var/run is a link to /run nearly everywhere; the container gets the resolved path.
    if (target.ok()) out.sockets.push_back({*target, *target});
  }
}

}  // namespace

Result<std::string> ResolveInRoot(const std::string& root, std::string_view path) {
  constexpr int kMaxLinks = 40;  // as Linux: ELOOP
  std::deque<std::string> rest;
  for (std::string& piece : Split(path, '/')) rest.push_back(std::move(piece));
  std::string done;
  int links = 0;
  while (!rest.empty()) {
    const std::string piece = std::move(rest.front());
    rest.pop_front();
    if (piece.empty() || piece == ".") continue;
    if (piece == "..") {
      done.erase(std::min(done.size(), done.rfind('/')));
      continue;
    }
    const std::string next = done + "/" + piece;
    char text[PATH_MAX];
    const ssize_t length = ::readlink((root + next).c_str(), text, sizeof(text));
    if (length < 0) {  // not a link, or not there, which the last check tells
      done = next;
      continue;
    }
    if (++links > kMaxLinks) {
      return Error{Code::kFailedPrecondition,
                   fmt::format("cannot resolve {} below {}: more than {} symbolic links", path,
                               root, kMaxLinks)};
    }
    const std::string_view target(text, static_cast<std::size_t>(length));
    if (target.starts_with('/')) done.clear();
    std::vector<std::string> pieces = Split(target, '/');
    rest.insert(rest.begin(), std::make_move_iterator(pieces.begin()),
                std::make_move_iterator(pieces.end()));
  }
  struct stat info = {};
  if (::lstat((root + done).c_str(), &info) != 0) {
    return ErrnoError(fmt::format("cannot resolve {} below \"{}\"", path, root), errno);
  }
  return done.empty() ? std::string("/") : done;
}

Result<DriverFiles> FindDriverFiles(const std::string& root, const std::string& version,
                                    const DriverFileOptions& options) {
  if (version.empty()) {
    return Error{Code::kInvalidArgument,
                 "cannot look for driver files: the driver's version is unknown"};
  }
  DriverFiles out;
  out.version = version;
  FindLibraries(root, options, out);
  if (out.cuda_directories.empty()) {
    return Error{Code::kNotFound,
                 fmt::format("no libcuda.so.{} below driver root \"{}\"; mount the host's driver "
                             "root there, or set its path with --driver-root-ctr-path",
                             version, root.empty() ? "/" : root)};
  }
  FindBinaries(root, out);
  FindFirmware(root, options, out);
  if (options.sockets) FindSockets(root, out);
  const auto by_path = [](const DriverFile& a, const DriverFile& b) { return a.path < b.path; };
  for (auto* files : {&out.binaries, &out.firmware, &out.sockets}) {
    std::sort(files->begin(), files->end(), by_path);
  }
  return out;
}

}  // namespace aliquot::cdi
