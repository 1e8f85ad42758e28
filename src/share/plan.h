// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "gpu/inventory.h"

namespace aliquot::share {

// The promised part of a device that one replica stands for. Absent values are not promised.
struct Share {
  std::optional<std::uint64_t> memory_bytes;  // of the device's usable memory
  std::optional<unsigned> compute_permille;   // weight of one replica, of 1000 for the device

  friend bool operator==(const Share&, const Share&) = default;
};

// One thing the kubelet can hand out: a device or a replica of one.
struct PlannedDevice {
  std::string id;           // as told to the kubelet: "<uuid>" or "<uuid>::<replica>"
  std::string device_uuid;  // of the GPU or MIG device, without the replica
  std::string gpu_uuid;     // of the physical GPU
  std::optional<std::string> mig_uuid;
  std::optional<unsigned> replica;  // present if the device is shared
  unsigned replicas = 1;            // copies of this device in this resource
  bool renamed = false;  // offered under the rename of a sharing entry, not its own resource name
  std::string index;     // "<gpu>" or "<gpu>:<mig>", as NVIDIA_VISIBLE_DEVICES takes it
  std::optional<int> numa_node;
  Share share;

  friend bool operator==(const PlannedDevice&, const PlannedDevice&) = default;
};

// One extended resource of the node.
struct PlannedResource {
  std::string name;     // "nvidia.com/gpu"
  bool shared = false;  // some device in it is replicated
  // failRequestsGreaterThanOne: 1, for requests with a replica.
  std::optional<unsigned> max_request;
  // Sorted by GPU index, MIG index, replica number. Ids are unique over the whole plan.
  std::vector<PlannedDevice> devices;

  friend bool operator==(const PlannedResource&, const PlannedResource&) = default;
};

// Something the administrator should know about one object of the node or file; the rest is served.
struct Condition {
  enum class Severity { kWarning, kError };
  Severity severity = Severity::kWarning;
  std::string object;  // "nvidia.com/gpu", a GPU's UUID, "sharing.timeSlicing.resources[0]"
  std::string message;

  friend bool operator==(const Condition&, const Condition&) = default;
};

// What a node advertises. Health is not part of it: it changes on its own and is laid over it.
struct Plan {
  std::vector<PlannedResource> resources;  // sorted by name, no empty ones
  std::vector<Condition> conditions;

  friend bool operator==(const Plan&, const Plan&) = default;
};

}  // namespace aliquot::share
