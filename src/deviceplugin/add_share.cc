// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "deviceplugin/add_share.h"

#include <algorithm>
#include <string>

#include "cdi/share_spec.h"

namespace aliquot::deviceplugin {

using config::DeviceListStrategy;

bool LibrariesLieOverDriver(const AllocateInput& input) {
  const auto& strategies = input.config.flags.device_list_strategies;
  const bool only_cdi =
      std::all_of(strategies.begin(), strategies.end(), [](DeviceListStrategy strategy) {
        return strategy == DeviceListStrategy::kCdiAnnotations ||
               strategy == DeviceListStrategy::kCdiCri;
      });
  const auto published = input.cdi_devices.find(cdi::kClassShare);
  return only_cdi && published != input.cdi_devices.end() &&
         published->second.contains(std::string(cdi::kShareDevice));
}

Status AddShare(const AllocateInput& input, const grants::Injection& injection,
                rpc::ContainerAllocation& out) {
  for (const grants::Mount& mount : injection.mounts) {
    out.mounts.push_back({mount.container_path, mount.host_path, true});
  }
  if (!LibrariesLieOverDriver(input)) return {};
  const std::string name = cdi::QualifiedName(cdi::kClassShare, cdi::kShareDevice);
  if (!out.cdi_devices.empty()) out.cdi_devices.push_back(name);
  if (out.annotations.empty()) return {};
  const Result<std::string> key =
      CdiAnnotationKey(input.config.flags.cdi_annotation_prefix, input.resource.name, input.ids);
  if (!key.ok()) return key.error();
  out.annotations[*key] += "," + name;
  return {};
}

}  // namespace aliquot::deviceplugin
