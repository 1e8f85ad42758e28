// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "share/plan.h"

namespace aliquot::share {

// The kubelet drops a ListAndWatch message above 4 MiB (the default limit of gRPC) and then shows
// no devices at all, so we refuse before: 3 MiB.
inline constexpr std::size_t kMaxListBytes = 3u << 20;

// Longest device id of the device plugin API. Source: api.proto of v1beta1, message Device.
inline constexpr std::size_t kMaxIdLength = 63;

// Bytes one device with an id of `id_length` characters takes at most in a ListAndWatch message.
std::size_t EncodedDeviceBytes(std::size_t id_length, std::optional<int> numa_node);

// An upper bound of the ListAndWatch message for this resource, exact if all devices are unhealthy.
std::size_t EncodedListBytes(const PlannedResource& resource);

// An upper bound for `replicas` copies of a device with a UUID of `uuid_length` characters; one
// copy has no replica number.
std::uint64_t EncodedReplicasBytes(std::size_t uuid_length, unsigned replicas,
                                   std::optional<int> numa_node);

// Length of the longest id of `replicas` copies.
std::size_t LongestId(std::size_t uuid_length, unsigned replicas);

}  // namespace aliquot::share
