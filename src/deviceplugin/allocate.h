// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cdi/host_devices.h"
#include "cdi/spec.h"
#include "config/config.h"
#include "gpu/inventory.h"
#include "rpc/device_plugin_types.h"
#include "share/plan.h"

namespace aliquot::deviceplugin {

// What one container of an Allocate call asked for, and what the node can give. References must
// outlive the call.
struct AllocateInput {
  const config::Config& config;
  const share::PlannedResource& resource;
  const std::vector<std::string>& ids;  // of `resource`, in the kubelet's order
  const gpu::Inventory& inventory;
  const cdi::HostDevices& host;
  const cdi::Roots& roots;
  // Devices in the CDI files that are in place; empty without a CDI strategy.
  const cdi::PublishedDevices& cdi_devices;
};

// What the container gets, for every combination of device list strategies. Pure: equal inputs give
// equal answers. Devices appear once however many of their replicas were asked for, in the order
// of `ids`.
//
// kNotFound: an id that `resource` lacks. kFailedPrecondition: a CDI device without a spec, or an
// IMEX channel that is required and missing. kInvalidArgument: a cdiAnnotationPrefix that cannot
// be part of an annotation key. The kubelet shows the message on the pod.
Result<rpc::ContainerAllocation> Allocate(const AllocateInput& input);

// The annotation key for this set of ids: `prefix` and "nvidia-device-plugin_" and a name-based
// UUID (RFC 4122, version 5) of resource and ids. Ids are held by one container at a time, so no
// two requests of a pod share a key; the same request repeated gets the same one.
Result<std::string> CdiAnnotationKey(const std::string& prefix, const std::string& resource,
                                     std::vector<std::string> ids);

}  // namespace aliquot::deviceplugin
