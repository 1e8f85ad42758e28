// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace aliquot::cdi {

// The parts of a Container Device Interface file that we use.
// Source: Container Device Interface specification 1.1.0, SPEC.md.

// Vendor of every spec we write, the same as the reference plugin's, so that container runtimes,
// admission rules and annotations written for it keep working.
inline constexpr std::string_view kVendor = "k8s.device-plugin.nvidia.com";

inline constexpr std::string_view kClassGpu = "gpu";
inline constexpr std::string_view kClassImexChannel = "imex-channel";
inline constexpr std::string_view kClassGdrcopy = "gdrcopy";
inline constexpr std::string_view kClassGds = "gds";
inline constexpr std::string_view kClassMofed = "mofed";
inline constexpr std::string_view kClassShare = "aliquot-share";  // ours alone
inline constexpr std::string_view kClasses[] = {kClassGpu, kClassImexChannel, kClassGdrcopy,
                                                kClassGds, kClassMofed,       kClassShare};

struct DeviceNode {
  std::string path;         // in the container
  std::string host_path;    // empty = the same as path
  std::string permissions;  // of "rwm"; empty = all

  friend bool operator==(const DeviceNode&, const DeviceNode&) = default;
};

struct Mount {
  std::string host_path;
  std::string container_path;
  std::vector<std::string> options;

  friend bool operator==(const Mount&, const Mount&) = default;
};

struct Hook {
  std::string name;  // stage: "createContainer"
  std::string path;  // on the host
  std::vector<std::string> args;
  std::vector<std::string> env;

  friend bool operator==(const Hook&, const Hook&) = default;
};

// Changes to a container. In Spec::common they are made once if any device of the spec is asked
// for.
struct ContainerEdits {
  std::vector<std::string> env;  // "NAME=value"
  std::vector<DeviceNode> device_nodes;
  std::vector<Mount> mounts;
  std::vector<Hook> hooks;
  std::set<unsigned> additional_gids;

  bool empty() const {
    return env.empty() && device_nodes.empty() && mounts.empty() && hooks.empty() &&
           additional_gids.empty();
  }
  friend bool operator==(const ContainerEdits&, const ContainerEdits&) = default;
};

struct Device {
  std::string name;
  ContainerEdits edits;

  friend bool operator==(const Device&, const Device&) = default;
};

// One file.
struct Spec {
  std::string device_class;  // "gpu"
  std::vector<Device> devices;
  ContainerEdits common;

  friend bool operator==(const Spec&, const Spec&) = default;
};

// Which devices can be asked for: class -> device names.
using PublishedDevices = std::map<std::string, std::set<std::string>, std::less<>>;

// "k8s.device-plugin.nvidia.com/gpu=GPU-..."
std::string QualifiedName(std::string_view device_class, std::string_view device);
// "k8s.device-plugin.nvidia.com-gpu.json"
std::string FileName(std::string_view device_class);
// The lowest CDI version that can express `spec`: container runtimes refuse files that are newer
// than they are.
std::string_view MinimumVersion(const Spec& spec);
// What a container runtime would refuse: bad class or device names, no devices, two devices of one
// name, devices without edits, relative paths, malformed variables. A refused file makes every
// device in it unknown, so this is checked before a file is replaced.
Status Validate(const Spec& spec);
// The file's content: indented, with a final newline, and the same for equal specs.
std::string ToJson(const Spec& spec);

}  // namespace aliquot::cdi
