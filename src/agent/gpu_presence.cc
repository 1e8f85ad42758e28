// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/gpu_presence.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <filesystem>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/text.h"

namespace aliquot::agent {
namespace {

namespace fs = std::filesystem;

// "0x10de\n" without the newline; empty if it cannot be read.
std::string Attribute(const fs::path& device, const char* name) {
  const Result<std::string> text = ReadFile(device / name, 64);
  return text.ok() ? std::string(Trim(*text)) : std::string();
}

bool IsNvidiaGpu(const fs::path& device) {
  if (Attribute(device, "vendor") != "0x10de") return false;
  const std::string pci_class = Attribute(device, "class");
  return pci_class.starts_with("0x0300") || pci_class.starts_with("0x0302");
}

}  // namespace

std::optional<bool> HasNvidiaGpu(const std::string& root) {
  std::error_code failure;
  if (fs::exists(root + "/dev/dxg", failure)) return {};
  fs::directory_iterator devices(root + "/sys/bus/pci/devices", failure);
  if (failure == std::errc::no_such_file_or_directory && fs::exists(root + "/sys/bus")) {
    return false;  // no PCI at all
  }
  for (const fs::directory_iterator end; !failure && devices != end; devices.increment(failure)) {
    if (IsNvidiaGpu(devices->path())) return true;
  }
  if (failure) return {};
  return false;
}

GpuPresence::GpuPresence(FdPoller& poller, Executor& executor, std::string root,
                         std::function<void()> appeared, std::function<void()> idle)
    : poller_(poller),
      executor_(executor),
      root_(std::move(root)),
      appeared_(std::move(appeared)),
      idle_(std::move(idle)) {
  Listen();
  Look();
}

GpuPresence::~GpuPresence() {
  *alive_ = false;
  executor_.Cancel(timer_);
  if (uevents_.valid()) poller_.Remove(uevents_.get());
}

void GpuPresence::Listen() {
  uevents_.Reset(
      ::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
  sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;  // what the kernel itself sends
  // Without permission, or in a sandbox, the timer has to do.
  if (!uevents_.valid() ||
      ::bind(uevents_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    uevents_.Reset();
    return;
  }
  const auto readable = [this, alive = alive_, fd = uevents_.get()] {
    char event[4096];
    bool pci = false;
    ssize_t length = 0;
    while ((length = ::recv(fd, event, sizeof(event), 0)) > 0) {
      const std::string_view text(event, static_cast<std::size_t>(length));
      pci = pci || text.find("SUBSYSTEM=pci") != std::string_view::npos;
    }
    if (!pci) return;
    executor_.Post([this, alive] {
      if (*alive) Look();
    });
  };
  if (!poller_.Add(uevents_.get(), readable).ok()) uevents_.Reset();
}

void GpuPresence::Look() {
  executor_.Cancel(timer_);
  // Posted, so that it may destroy this.
  if (HasNvidiaGpu(root_).value_or(true)) {
    executor_.Post([appeared = appeared_, alive = alive_] {
      if (*alive) appeared();
    });
    return;
  }
  executor_.Post([idle = idle_, alive = alive_] {
    if (*alive) idle();
  });
  timer_ = executor_.PostAfter(kInterval, [this] { Look(); });
}

}  // namespace aliquot::agent
