// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cdi/extra_specs.h"

#include <fmt/format.h>

#include <iterator>

namespace aliquot::cdi {
namespace {

// One device "all" with every node found; no devices if there are none.
BuiltSpec AllNodes(std::string_view device_class, const std::vector<std::string>& prefixes,
                   const SpecInput& input) {
  BuiltSpec out;
  out.spec.device_class = device_class;
  Device all{"all", {}};
  for (const std::string& prefix : prefixes) {
    for (const std::string& path : input.host.WithPrefix(prefix)) {
      AddNode(path, input.host, input.roots, input.options, all.edits);
    }
  }
  if (all.edits.empty()) {
    out.warnings.push_back(fmt::format("{} is enabled but the host has no {}*; containers get none",
                                       device_class, prefixes.front()));
  } else {
    out.spec.devices.push_back(std::move(all));
  }
  return out;
}

BuiltSpec GdsSpec(const SpecInput& input) {
  BuiltSpec out = AllNodes(kClassGds, {"/dev/nvidia-fs"}, input);
  if (out.spec.devices.empty()) return out;
  for (const char* path : {"/run/udev", "/etc/cufile.json"}) {
    if (!ResolveInRoot(input.roots.driver, path).ok()) continue;
    out.spec.devices.front().edits.mounts.push_back(
        {input.roots.DriverOnHost(path), path, FileMountOptions()});
  }
  return out;
}

BuiltSpec ImexSpec(const SpecInput& input) {
  BuiltSpec out;
  out.spec.device_class = kClassImexChannel;
  for (const int channel : input.config.imex.channel_ids) {
    const std::string path = ImexChannelPath(channel);
    if (!input.host.Has(path)) {
      out.warnings.push_back(
          fmt::format("IMEX channel {} is configured but {} is not a character "
                      "device on the host; containers get none",
                      channel, path));
      continue;
    }
    Device device{fmt::to_string(channel), {}};
    AddNode(path, input.host, input.roots, input.options, device.edits);
    out.spec.devices.push_back(std::move(device));
  }
  return out;
}

}  // namespace

std::string ImexChannelPath(int channel) {
  return fmt::format("/dev/nvidia-caps-imex-channels/channel{}", channel);
}

std::vector<BuiltSpec> BuildExtraSpecs(const SpecInput& input) {
  std::vector<BuiltSpec> out;
  if (input.inventory.simulated()) return out;
  const config::Flags& flags = input.config.flags;
  if (!input.config.imex.channel_ids.empty()) out.push_back(ImexSpec(input));
  if (flags.gdrcopy_enabled) out.push_back(AllNodes(kClassGdrcopy, {"/dev/gdrdrv"}, input));
  if (flags.gds_enabled) out.push_back(GdsSpec(input));
  if (flags.mofed_enabled) {
    out.push_back(
        AllNodes(kClassMofed, {"/dev/infiniband/uverbs", "/dev/infiniband/rdma_cm"}, input));
  }
  return out;
}

}  // namespace aliquot::cdi
