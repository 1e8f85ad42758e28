// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cdi/build.h"

#include <sys/utsname.h>

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "cdi/driver_files.h"
#include "cdi/extra_specs.h"
#include "cdi/gpu_spec.h"
#include "cdi/share_spec.h"

namespace aliquot::cdi {

PublishedDevices SpecSet::Devices() const {
  PublishedDevices out;
  for (const Spec& spec : specs) {
    for (const Device& device : spec.devices) out[spec.device_class].insert(device.name);
  }
  return out;
}

namespace {

// True if the files below the driver root are those of simulated node `name`, written by `aliquot
// sim tree`. Any others are of real GPUs, which are not the simulated node's to give.
bool ShowsNode(const Roots& roots, const std::string& name) {
  const Result<std::string> told = ReadFile(roots.driver + "/usr/share/aliquot/simulated-node");
  return told.ok() && *told == name + "\n";
}

}  // namespace

bool UsesCdi(const config::Flags& flags) {
  return std::any_of(flags.device_list_strategies.begin(), flags.device_list_strategies.end(),
                     [](config::DeviceListStrategy strategy) {
                       return strategy == config::DeviceListStrategy::kCdiAnnotations ||
                              strategy == config::DeviceListStrategy::kCdiCri;
                     });
}

Result<SpecSet> BuildSpecs(const config::Config& config, const gpu::Inventory& inventory,
                           const HostDevices& host, const Roots& roots, const Options& options) {
  SpecSet out;
  if (!UsesCdi(config.flags) || inventory.gpus.empty()) return out;

  DriverFiles files;
  std::optional<std::string> program;
  const bool with_files = !inventory.simulated() || ShowsNode(roots, inventory.simulated_node);
  if (with_files) {
    DriverFileOptions wanted;
    wanted.explicit_libraries = options.Has(kExplicitDriverLibraries);
    wanted.sockets = !options.Has(kDisableIpcDiscoverer);
    utsname system = {};
    if (::uname(&system) == 0) wanted.kernel_release = system.release;
    Result<DriverFiles> found = FindDriverFiles(roots.driver, inventory.driver_version, wanted);
    if (!found.ok()) return found.error().In("cannot build CDI specs");
    files = *std::move(found);
    program = FindHookProgram(config.flags, roots);
    if (!program) {
      out.warnings.push_back(
          "no nvidia-cdi-hook or nvidia-ctk on the host; CDI specs mount libraries at their link "
          "names instead, see docs/cdi.md");
    }
  }
  const Hooks hooks(std::move(program), options.disabled_hooks);
  const SpecInput input{config, inventory, host, roots, files, hooks, options, with_files};
  std::vector<BuiltSpec> built = BuildExtraSpecs(input);
  BuiltSpec gpu = BuildGpuSpec(input);
  built.push_back(BuildShareSpec(input, gpu.spec));
  built.insert(built.begin(), std::move(gpu));
  for (BuiltSpec& one : built) {
    out.warnings.insert(out.warnings.end(), one.warnings.begin(), one.warnings.end());
    if (!one.spec.devices.empty()) out.specs.push_back(std::move(one.spec));
  }
  return out;
}

}  // namespace aliquot::cdi
