// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cdi/share_spec.h"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <utility>

namespace aliquot::cdi {
namespace {

bool Is32Bit(const std::string& path) {
  char header[EI_NIDENT] = {};
  std::ifstream(path, std::ios::binary).read(header, sizeof(header));
  return std::memcmp(header, ELFMAG, SELFMAG) == 0 && header[EI_CLASS] == ELFCLASS32;
}

// Puts `ours` wherever the library `name`.<driver version> is mounted; true if it is anywhere.
bool MountOver(const SpecInput& input, const Spec& gpu, const std::string& name,
               const std::string& ours, ContainerEdits& edits) {
  bool found = false;
  for (const Library& library : input.files.libraries) {
    const std::string base = library.path.substr(library.path.rfind('/') + 1);
    if (base != fmt::format("{}.{}", name, input.files.version)) continue;
    if (Is32Bit(input.roots.driver + library.path)) continue;
    const std::string real = input.roots.DriverOnHost(library.path);
    for (const Mount& mount : gpu.common.mounts) {
      if (mount.host_path == real)
        edits.mounts.push_back({ours, mount.container_path, mount.options});
    }
    if (std::exchange(found, true)) continue;
    edits.mounts.push_back(
        {real, fmt::format("{}/{}.1", input.options.share_libraries->driver_directory, name),
         FileMountOptions()});
  }
  return found;
}

}  // namespace

BuiltSpec BuildShareSpec(const SpecInput& input, const Spec& gpu) {
  BuiltSpec out;
  out.spec.device_class = kClassShare;
  const bool wanted = input.options.share_libraries && input.config.sharing.isolation &&
                      input.config.sharing.isolation->active();
  if (!wanted || !input.with_files || gpu.devices.empty()) return out;
  Device device{std::string(kShareDevice), {}};
  const ShareLibraries& ours = *input.options.share_libraries;
  if (MountOver(input, gpu, "libcuda.so", ours.cuda, device.edits) &&
      MountOver(input, gpu, "libnvidia-ml.so", ours.nvml, device.edits)) {
    out.spec.devices.push_back(std::move(device));
  } else {
    out.warnings.push_back(
        "the driver's libcuda or libnvidia-ml was not found, so containers with a share get ours "
        "by /etc/ld.so.preload only");
  }
  return out;
}

}  // namespace aliquot::cdi
