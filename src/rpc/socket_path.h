// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

// Names of the sockets we serve on: "nvidia-<resource>.<instance>.sock", e.g.
// "nvidia-gpu.shared.3f9c01ab.sock". The instance part keeps two agents apart that share the
// directory during a rolling update: with one fixed name the newcomer would take the path over and
// the old one would remove it on leaving, after which nobody could reach the newcomer.
namespace aliquot::rpc {

// Longest path that fits a unix socket address, in bytes.
constexpr std::size_t kMaxSocketPath = 107;

// Eight hexadecimal digits, random. Process ids would not do: every agent is number 1 in its own
// container.
std::string NewInstanceId();

// Path of the socket of `resource` in `directory`. A name that would not fit is cut and marked with
// a hash of the whole. kInvalidArgument if the directory alone leaves no room.
Result<std::string> PluginSocketPath(const std::string& directory, std::string_view resource,
                                     std::string_view instance);

// Removes what earlier agents left in `directory`: sockets with names of the above form that nobody
// listens on. Never touches a socket that accepts connections, nor any other name. Returns the
// names removed. A missing directory has none.
std::vector<std::string> RemoveStaleSockets(const std::string& directory);

}  // namespace aliquot::rpc
