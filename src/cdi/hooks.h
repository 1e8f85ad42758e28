// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cdi/host_devices.h"
#include "cdi/spec.h"
#include "config/config.h"

namespace aliquot::cdi {

// Our libraries for containers with an enforced share.
struct ShareLibraries {
  std::string cuda;              // on the host
  std::string nvml;              // on the host
  std::string driver_directory;  // in the container, for the real ones
};

// What --cdi-feature-flags and --cdi-disable-hooks say, and where the agent keeps libraries.
struct Options {
  std::set<std::string> feature_flags;
  std::set<std::string> disabled_hooks;  // by hook name; "all" disables every one
  std::optional<ShareLibraries> share_libraries = std::nullopt;  // absent: none to hand out

  bool Has(const std::string& flag) const { return feature_flags.contains(flag); }
};

// Feature flags of the reference that change what we write. Others are accepted and change nothing.
inline constexpr char kExplicitDriverLibraries[] = "enable-explicit-driver-libraries";
inline constexpr char kNoAdditionalGids[] = "no-additional-gids-for-device-nodes";
inline constexpr char kDisableIpcDiscoverer[] = "disable-ipc-discoverer";

// Calls NVIDIA's hook program at container creation, if the host has it.
class Hooks {
 public:
  // `program`: path on the host; absent = the host has none.
  Hooks(std::optional<std::string> program, std::set<std::string> disabled)
      : program_(std::move(program)), disabled_(std::move(disabled)) {}

  // False if there is no program, or the hook is disabled.
  bool Available(const std::string& hook) const;
  // Appends a call of `hook` to `edits`; nothing if it is not available. A program named nvidia-ctk
  // is called as "nvidia-ctk hook <name>", any other as "<base name> <name>".
  void Add(const std::string& hook, const std::vector<std::string>& args,
           ContainerEdits& edits) const;

 private:
  std::optional<std::string> program_;
  std::set<std::string> disabled_;
};

// The hook program on the host: the configured path, then the packages' own places. What we can see
// is checked. If the host's file system is not visible here (a driver root other than /), a path
// that was configured is trusted and the default is not: a spec that names a missing program keeps
// every container from starting.
std::optional<std::string> FindHookProgram(const config::Flags& flags, const Roots& roots);

}  // namespace aliquot::cdi
