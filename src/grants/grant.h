// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace aliquot::grants {

using WallTime = std::chrono::system_clock::time_point;

// The part of one device that a container was promised.
struct GrantDevice {
  std::string uuid;                // of the GPU or MIG device
  std::string gpu_uuid;            // of the physical GPU
  unsigned held = 0;               // replicas
  unsigned of = 1;                 // replicas the device had when the promise was made
  std::uint64_t usable_bytes = 0;  // memory the device had then; 0 if unknown
  // Most memory the container may hold there; absent = no limit.
  std::optional<std::uint64_t> memory_bytes;

  friend bool operator==(const GrantDevice&, const GrantDevice&) = default;
};

// Which container holds a grant, as the kubelet tells.
struct Holder {
  std::string pod_namespace;
  std::string pod;
  std::string container;  // empty: an init container, which the kubelet does not list

  friend bool operator==(const Holder&, const Holder&) = default;
};

// What one container was given by one Allocate call. A plain value; on disk it is a record.
struct Grant {
  std::string id;                        // 32 hexadecimal digits, never used twice
  std::string resource;                  // "nvidia.com/gpu"
  std::vector<std::string> replica_ids;  // those of devices with a share, sorted
  std::vector<GrantDevice> devices;      // in the order the interposer counts them
  // Whether the interposer charges memory and paces launches at all. Fixed: it reads this once.
  bool memory = false;
  bool compute = false;
  // Where the real libraries are in the container, if ours are mounted over them; else empty.
  std::string driver_library;
  std::string nvml_library;
  WallTime created_at;           // whole milliseconds
  std::optional<Holder> holder;  // as last seen; absent until the kubelet has told

  friend bool operator==(const Grant&, const Grant&) = default;
};

// A grant's record: JSON, one object, with a final newline.
std::string ToRecord(const Grant& grant);
// kInvalidArgument if `text` is no record of a version we know, naming what is wrong with it.
Result<Grant> ParseRecord(const std::string& text);

// The text of the file `share` in the grant's directory; docs/wire-protocol.md has the format.
// `capped`: the compute mode when the container was made, for people to read.
std::string ShareText(const Grant& grant, bool capped);

// Whether `id` is one that grants can have. Guards paths made of it.
bool IsGrantId(const std::string& id);

}  // namespace aliquot::grants
