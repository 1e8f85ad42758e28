// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace aliquot::grants {

// Where a container has its grant; arbiter/wire.h tells the interposer the same.
inline constexpr char kContainerGrant[] = "/run/aliquot/grant";
// Where a container has the real driver libraries, if ours are mounted over them (CDI).
inline constexpr char kContainerDriver[] = "/run/aliquot/driver";

struct Mount {
  std::string host_path;
  std::string container_path;

  friend bool operator==(const Mount&, const Mount&) = default;
};

// What a container with a grant gets beside its devices. All mounts are read-only: a socket can be
// connected to nevertheless.
//   the grant's directory, both libraries, and /etc/ld.so.preload, so that the loader puts ours
//   before the driver's in every program. With CDI the libraries also lie over the driver's
//   (cdi/share_spec.h), which covers programs that open them by path.
struct Injection {
  std::vector<Mount> mounts;

  friend bool operator==(const Injection&, const Injection&) = default;
};

// `live_directory`: the grant's; `libraries`: where InstallLibraries put them. Paths on the host.
Injection Inject(const std::string& live_directory, const std::string& libraries);

}  // namespace aliquot::grants
