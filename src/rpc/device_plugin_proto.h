// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "kubelet/deviceplugin/v1beta1/api.pb.h"
#include "rpc/device_plugin_types.h"

// Between our plain values and the wire messages. Included only within rpc/. Pure.
namespace aliquot::rpc {

// A serialised ListAndWatchResponse.
std::string EncodeList(const std::vector<DeviceEntry>& devices);
std::vector<DeviceEntry> FromProto(const v1beta1::ListAndWatchResponse& list);
void ToProto(const ContainerAllocation& allocation, v1beta1::ContainerAllocateResponse* out);
ContainerAllocation FromProto(const v1beta1::ContainerAllocateResponse& response);

}  // namespace aliquot::rpc
