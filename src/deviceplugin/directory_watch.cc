// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "deviceplugin/directory_watch.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/file.h"

namespace aliquot::deviceplugin {
namespace {

constexpr std::uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                  IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::unique_ptr<InotifyDirectory>> InotifyDirectory::Open(FdPoller& poller,
                                                                 std::string kubelet_socket,
                                                                 std::string socket_directory) {
  UniqueFd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify.valid()) {
    return ErrnoError(
        "cannot watch the kubelet's directory (fs.inotify.max_user_instances is the "
        "limit that usually hits)",
        errno);
  }
  std::vector<std::string> directories = {std::move(socket_directory)};
  if (!kubelet_socket.empty() && ParentOf(kubelet_socket) != directories[0]) {
    directories.push_back(ParentOf(kubelet_socket));
  }
  std::unique_ptr<InotifyDirectory> directory(new InotifyDirectory(
      poller, std::move(inotify), std::move(kubelet_socket), std::move(directories)));
  if (Status added =
          poller.Add(directory->inotify_.get(), [raw = directory.get()] { raw->Drain(); });
      !added.ok()) {
    return added.error();
  }
  return directory;
}

InotifyDirectory::InotifyDirectory(FdPoller& poller, UniqueFd inotify, std::string kubelet_socket,
                                   std::vector<std::string> directories)
    : poller_(poller),
      inotify_(std::move(inotify)),
      kubelet_socket_(std::move(kubelet_socket)),
      directories_(std::move(directories)) {}

InotifyDirectory::~InotifyDirectory() { poller_.Remove(inotify_.get()); }

// The callback is handed over and taken away while the poller cannot be in it.
void InotifyDirectory::Watch(std::function<void()> changed) {
  poller_.Remove(inotify_.get());
  changed_ = std::move(changed);
  // Cannot fail: it was in there a moment ago.
  [[maybe_unused]] const Status added = poller_.Add(inotify_.get(), [this] { Drain(); });
}

void InotifyDirectory::Unwatch() { Watch(nullptr); }

void InotifyDirectory::Drain() {
  alignas(inotify_event) char events[4096];
  while (::read(inotify_.get(), events, sizeof(events)) > 0) {
  }
  if (changed_) changed_();
}

// Adding a watch that is there already returns the same number, so only replaced directories and
// parents that are no longer needed are left over to be removed.
void InotifyDirectory::Renew() {
  std::vector<int> watches;
  for (const std::string& directory : directories_) {
    std::string path = directory;
    int watch = ::inotify_add_watch(inotify_.get(), path.c_str(), kEvents);
    if (watch >= 0) watches.push_back(watch);
    // The directory may be replaced as a whole, which only its parent sees. Above a directory that
    // does not exist, the nearest one that does tells of the next step towards it.
    do {
      path = ParentOf(path);
      watch = ::inotify_add_watch(inotify_.get(), path.c_str(), kEvents);
    } while (watch < 0 && path != "/");
    if (watch >= 0) watches.push_back(watch);
  }
  std::sort(watches.begin(), watches.end());
  watches.erase(std::unique(watches.begin(), watches.end()), watches.end());
  for (const int former : watches_) {
    if (!std::binary_search(watches.begin(), watches.end(), former)) {
      ::inotify_rm_watch(inotify_.get(), former);
    }
  }
  watches_ = std::move(watches);
}

std::optional<SocketIdentity> InotifyDirectory::LookAtKubelet() {
  Renew();
  struct stat info{};
  if (kubelet_socket_.empty() || ::stat(kubelet_socket_.c_str(), &info) != 0 ||
      !S_ISSOCK(info.st_mode)) {
    return {};
  }
  return SocketIdentity{info.st_dev, info.st_ino,
                        info.st_ctim.tv_sec * 1'000'000'000LL + info.st_ctim.tv_nsec};
}

}  // namespace aliquot::deviceplugin
