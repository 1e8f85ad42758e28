// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/file_watch.h"

#include <sys/inotify.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/file.h"

namespace aliquot::agent {
namespace {

namespace fs = std::filesystem;

// The directories to watch: of the path itself, of each symlink target on the way, and of the
// nearest existing ancestor where the path does not exist.
std::set<std::string> DirectoriesOf(const std::string& path) {
  std::set<std::string> directories;
  fs::path current = fs::absolute(path);
  std::error_code ignored;
  for (int hops = 0; hops < 8; ++hops) {
    fs::path directory = current.parent_path();
    while (!fs::is_directory(directory, ignored) && directory.has_relative_path()) {
      directory = directory.parent_path();
    }
    directories.insert(directory);
    // A mounted ConfigMap links name -> ..data/name and ..data -> a dated directory.
    if (fs::is_symlink(directory, ignored)) directories.insert(directory.parent_path());
    if (!fs::is_symlink(current, ignored)) break;
    const fs::path target = fs::read_symlink(current, ignored);
    current = target.is_absolute() ? target : current.parent_path() / target;
  }
  return directories;
}

}  // namespace

Result<std::unique_ptr<FileWatch>> FileWatch::Start(FdPoller& poller, std::string path,
                                                    std::function<void()> on_change) {
  UniqueFd inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify.valid()) return ErrnoError("cannot watch " + path + ": inotify", errno);
  std::unique_ptr<FileWatch> watch(
      new FileWatch(poller, std::move(path), std::move(on_change), std::move(inotify)));
  watch->Rearm();
  FileWatch* self = watch.get();
  if (Status added = poller.Add(self->inotify_.get(), [self] { self->OnReadable(); });
      !added.ok()) {
    return added.error();
  }
  return watch;
}

FileWatch::FileWatch(FdPoller& poller, std::string path, std::function<void()> on_change,
                     UniqueFd inotify)
    : poller_(poller),
      path_(std::move(path)),
      on_change_(std::move(on_change)),
      inotify_(std::move(inotify)) {}

FileWatch::~FileWatch() { poller_.Remove(inotify_.get()); }

bool FileWatch::Rearm() {
  constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                    IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
  std::set<int> now;
  for (const std::string& directory : DirectoriesOf(path_)) {
    // Adding a directory again returns the watch it has.
    const int watch = ::inotify_add_watch(inotify_.get(), directory.c_str(), kEvents);
    if (watch >= 0) now.insert(watch);
  }
  for (const int old : watches_) {
    if (!now.contains(old)) ::inotify_rm_watch(inotify_.get(), old);
  }
  return std::exchange(watches_, now) != now;
}

void FileWatch::OnReadable() {
  char events[4096];
  while (::read(inotify_.get(), events, sizeof(events)) > 0) {
  }
  // What appeared between an event and the new watch is seen by arming until nothing changes.
  while (Rearm()) {
  }
  on_change_();
}

}  // namespace aliquot::agent
