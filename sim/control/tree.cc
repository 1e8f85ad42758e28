// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/control/tree.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/file.h"
#include "base/text.h"
#include "sim/state/mig.h"

namespace aliquot::sim {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kMajorNvidia = 195;
constexpr unsigned kMajorCaps = 241;  // dynamic on a real host
constexpr unsigned kMajorUvm = 510;   // dynamic on a real host
constexpr unsigned kMajorDrm = 226;
constexpr unsigned kMinorCtl = 255;
constexpr unsigned kMinorModeset = 254;
constexpr unsigned kCapConfig = 1;
constexpr unsigned kCapMonitor = 2;
constexpr unsigned kModeOwner = 0400;
constexpr unsigned kModeAll = 0444;

// Collects the first error, so that the writers below read as lists of files.
class TreeWriter {
 public:
  TreeWriter(std::string root, bool device_nodes)
      : root_(std::move(root)), device_nodes_(device_nodes) {}

  void File(const std::string& path, std::string_view content, unsigned mode = 0644) {
    if (!MakeParent(path)) return;
    Keep(WriteFileAtomically(root_ + path, content, mode));
  }

  void Link(const std::string& path, const std::string& target) {
    if (!MakeParent(path)) return;
    std::error_code error;
    fs::remove(root_ + path, error);
    fs::create_symlink(target, root_ + path, error);
    if (error) Keep(ErrnoError("cannot create " + root_ + path, error.value()));
  }

  void Directory(const std::string& path) {
    std::error_code error;
    fs::create_directories(root_ + path, error);
    if (error) Keep(ErrnoError("cannot create " + root_ + path, error.value()));
  }

  void Device(const std::string& path, unsigned major, unsigned minor, unsigned mode = 0666) {
    if (!device_nodes_) return File(path, "", mode);
    if (!MakeParent(path)) return;
    const std::string full = root_ + path;
    ::unlink(full.c_str());
    if (::mknod(full.c_str(), S_IFCHR | mode, makedev(major, minor)) != 0 ||
        ::chmod(full.c_str(), mode) != 0) {
      Keep(ErrnoError("cannot make the device node " + full, errno));
    }
  }

  // A library: a copy of `from`, or an empty file if there is none.
  void Library(const std::string& path, const std::string& from) {
    constexpr std::size_t kMostBytes = 256u << 20;
    const Result<std::string> content =
        from.empty() ? Result<std::string>(std::string()) : ReadFile(from, kMostBytes);
    if (!content.ok() && content.error().code != Code::kNotFound) return Keep(content.error());
    File(path, content.ok() ? *content : std::string(), 0755);
  }

  Status status() const { return status_; }

 private:
  void Keep(Status status) {
    if (status_.ok()) status_ = std::move(status);
  }
  bool MakeParent(const std::string& path) {
    Directory(path.substr(0, path.rfind('/')));
    return status_.ok();
  }

  std::string root_;
  bool device_nodes_;
  Status status_;
};

std::string Capability(unsigned minor, unsigned mode) {
  return fmt::format("DeviceFileMinor: {}\nDeviceFileMode: {}\nDeviceFileModify: 1\n", minor, mode);
}

std::string Information(const GpuSpec& gpu, std::string_view driver) {
  return fmt::format(
      "Model: \t\t {}\nIRQ:   \t\t {}\nGPU UUID: \t {}\nVideo BIOS: \t {}\nBus Type: \t PCIe\n"
      "DMA Size: \t 52 bits\nDMA Mask: \t 0xfffffffffffff\nBus Location: \t {}\n"
      "Device Minor: \t {}\nGPU Firmware: \t {}\nGPU Excluded:\t No\n",
      gpu.product->name, 64 + gpu.minor, gpu.uuid, ToLower(gpu.product->vbios),
      ToLower(BusIdLegacy(gpu)), gpu.minor, driver);
}

// The first 64 bytes a PCI device must have, without any capability.
std::string PciConfig(const Product& product) {
  std::string config(256, '\0');
  const auto put16 = [&](std::size_t at, unsigned value) {
    config[at] = static_cast<char>(value & 0xFF);
    config[at + 1] = static_cast<char>(value >> 8 & 0xFF);
  };
  put16(0x00, product.pci_device_id & 0xFFFF);
  put16(0x02, product.pci_device_id >> 16);
  put16(0x0A, product.pci_class >> 8);
  config[0x09] = static_cast<char>(product.pci_class & 0xFF);
  put16(0x2C, product.pci_subsystem_id & 0xFFFF);
  put16(0x2E, product.pci_subsystem_id >> 16);
  return config;
}

// The address ranges of a GPU, one line per resource: registers, frame buffer, doorbells.
std::string PciResources(const GpuSpec& gpu) {
  constexpr std::uint64_t kMemory = 0x040200;    // IORESOURCE_MEM and _SIZEALIGN
  constexpr std::uint64_t kMemory64 = 0x14220c;  // and prefetchable, 64 bits wide
  constexpr unsigned kResources = 13;
  // A window per bus number, wide enough for the largest frame buffer.
  const std::uint64_t window = std::uint64_t{gpu.pci_domain * 256 + gpu.pci_bus + 1} << 40;
  const auto line = [](std::uint64_t start, std::uint64_t bytes, std::uint64_t flags) {
    return fmt::format("0x{:016x} 0x{:016x} 0x{:016x}\n", start, bytes == 0 ? 0 : start + bytes - 1,
                       flags);
  };
  std::string text = line(0x80000000 + (std::uint64_t{gpu.pci_bus} << 24), 16u << 20, kMemory);
  text += line(window, gpu.product->bar1_mib << 20, kMemory64);
  text += line(0, 0, 0);
  text += line(window + (std::uint64_t{1} << 39), 32u << 20, kMemory64);
  for (unsigned i = 4; i < kResources; ++i) text += line(0, 0, 0);
  return text;
}

void WriteDriver(TreeWriter& tree, std::string_view version, bool mig_capable) {
  tree.File("/proc/driver/nvidia/version",
            fmt::format("NVRM version: NVIDIA UNIX x86_64 Kernel Module  {}  (simulated)\n"
                        "GCC version:  (simulated)\n",
                        version));
  tree.File("/proc/driver/nvidia/params",
            "ModifyDeviceFiles: 1\nDeviceFileUID: 0\n"
            "DeviceFileGID: 0\nDeviceFileMode: 438\n");
  tree.File("/sys/module/nvidia/version", fmt::format("{}\n", version));
  tree.File("/sys/module/nvidia/initstate", "live\n");
  tree.Directory("/sys/bus/pci/drivers/nvidia");
  tree.File("/proc/modules",
            "nvidia_uvm 1 0 - Live 0x0000000000000000\n"
            "nvidia_modeset 1 0 - Live 0x0000000000000000\n"
            "nvidia 1 2 nvidia_uvm,nvidia_modeset, Live 0x0000000000000000\n");
  tree.File("/proc/devices",
            fmt::format("Character devices:\n  1 mem\n{0} nvidia\n{0} nvidia-modeset\n"
                        "{0} nvidiactl\n{1} drm\n{2} nvidia-caps\n{3} nvidia-uvm\n\n"
                        "Block devices:\n  8 sd\n",
                        kMajorNvidia, kMajorDrm, kMajorCaps, kMajorUvm));
  tree.Device("/dev/nvidiactl", kMajorNvidia, kMinorCtl);
  tree.Device("/dev/nvidia-modeset", kMajorNvidia, kMinorModeset);
  tree.Device("/dev/nvidia-uvm", kMajorUvm, 0);
  tree.Device("/dev/nvidia-uvm-tools", kMajorUvm, 1);
  if (!mig_capable) return;
  const std::string caps = "/proc/driver/nvidia/capabilities/mig/";
  tree.File("/proc/driver/nvidia-caps/mig-minors", MigMinorsFile());
  tree.File(caps + "config", Capability(kCapConfig, kModeOwner));
  tree.File(caps + "monitor", Capability(kCapMonitor, kModeAll));
  tree.Device("/dev/nvidia-caps/nvidia-cap1", kMajorCaps, kCapConfig, kModeOwner);
  tree.Device("/dev/nvidia-caps/nvidia-cap2", kMajorCaps, kCapMonitor, kModeAll);
}

void WriteInstances(TreeWriter& tree, const GpuSpec& gpu, const GpuState& state) {
  const std::string caps = fmt::format("/proc/driver/nvidia/capabilities/gpu{}/mig", gpu.minor);
  tree.Directory(caps);
  const auto add = [&](const std::string& path, unsigned minor) {
    tree.File(path, Capability(minor, kModeAll));
    tree.Device(fmt::format("/dev/nvidia-caps/nvidia-cap{}", minor), kMajorCaps, minor, kModeAll);
  };
  for (unsigned gi = 0; gi < kMaxGpuInstances; ++gi) {
    if (state.instances[gi].used == 0) continue;
    add(fmt::format("{}/gi{}/access", caps, gi), GpuInstanceCapMinor(gpu.minor, gi));
  }
  for (const MigDeviceId id : MigDevices(state)) {
    add(fmt::format("{}/gi{}/ci{}/access", caps, id.gi, id.ci),
        ComputeInstanceCapMinor(gpu.minor, id.gi, id.ci));
  }
}

void WriteGpu(TreeWriter& tree, const GpuSpec& gpu, const GpuState& state,
              std::string_view driver) {
  const Product& product = *gpu.product;
  const std::string bdf = ToLower(BusIdLegacy(gpu));
  const std::string pci = "/sys/bus/pci/devices/" + bdf;
  tree.File(pci + "/vendor", fmt::format("0x{:04x}\n", product.pci_device_id & 0xFFFF));
  tree.File(pci + "/device", fmt::format("0x{:04x}\n", product.pci_device_id >> 16));
  tree.File(pci + "/subsystem_vendor",
            fmt::format("0x{:04x}\n", product.pci_subsystem_id & 0xFFFF));
  tree.File(pci + "/subsystem_device", fmt::format("0x{:04x}\n", product.pci_subsystem_id >> 16));
  tree.File(pci + "/class", fmt::format("0x{:06x}\n", product.pci_class));
  tree.File(pci + "/numa_node", fmt::format("{}\n", gpu.numa_node.value_or(-1)));
  tree.File(pci + "/config", PciConfig(product));
  tree.File(pci + "/resource", PciResources(gpu));
  tree.Link(pci + "/driver", "../../drivers/nvidia");
  // A lost GPU is still on the list of the bus; only the driver has given it up.
  const unsigned card = gpu.minor + 1;  // card0 is the management controller's
  tree.Directory(fmt::format("{}/drm/card{}", pci, card));
  tree.Directory(fmt::format("{}/drm/renderD{}", pci, 128 + gpu.minor));
  tree.Device(fmt::format("/dev/dri/card{}", card), kMajorDrm, card);
  tree.Device(fmt::format("/dev/dri/renderD{}", 128 + gpu.minor), kMajorDrm, 128 + gpu.minor);
  tree.File(fmt::format("/proc/driver/nvidia/gpus/{}/information", bdf), Information(gpu, driver));
  tree.Device(fmt::format("/dev/nvidia{}", gpu.minor), kMajorNvidia, gpu.minor);
  if (product.mig) WriteInstances(tree, gpu, state);
}

void WriteLibraries(TreeWriter& tree, std::string_view version, const std::string& from) {
  const std::string lib = "/usr/lib/x86_64-linux-gnu/";
  const auto add = [&](std::string_view name, std::string_view link, const std::string& source) {
    const std::string real = fmt::format("{}.so.{}", name, version);
    tree.Library(lib + real, source);
    tree.Link(lib + fmt::format("{}.so.{}", name, link), real);
  };
  const auto simulated = [&](std::string_view file) {
    return from.empty() ? std::string() : fmt::format("{}/{}", from, file);
  };
  add("libnvidia-ml", "1", simulated("libnvidia-ml.so.1"));
  add("libcuda", "1", simulated("libcuda.so.1"));
  tree.Link(lib + "libcuda.so", "libcuda.so.1");
  for (const std::string_view name :
       {"libcudadebugger", "libnvidia-cfg", "libnvidia-nvvm", "libnvidia-opencl",
        "libnvidia-ptxjitcompiler", "libnvcuvid", "libnvidia-encode"}) {
    add(name, "1", "");
  }
  for (const std::string_view program : {"nvidia-smi", "nvidia-debugdump", "nvidia-persistenced",
                                         "nvidia-cuda-mps-control", "nvidia-cuda-mps-server"}) {
    tree.File(fmt::format("/usr/bin/{}", program), "#!/bin/sh\necho simulated\n", 0755);
  }
  for (const std::string_view firmware : {"gsp_tu10x.bin", "gsp_ga10x.bin"}) {
    tree.File(fmt::format("/lib/firmware/nvidia/{}/{}", version, firmware), "");
  }
}

}  // namespace

std::string MigMinorsFile() {
  std::string text = fmt::format("config {}\nmonitor {}\n", kCapConfig, kCapMonitor);
  for (unsigned gpu = 0; gpu < kMaxGpus; ++gpu) {
    for (unsigned gi = 0; gi < kMaxGpuInstances; ++gi) {
      text += fmt::format("gpu{}/gi{}/access {}\n", gpu, gi, GpuInstanceCapMinor(gpu, gi));
      for (unsigned ci = 0; ci < kMaxComputeInstances; ++ci) {
        text += fmt::format("gpu{}/gi{}/ci{}/access {}\n", gpu, gi, ci,
                            ComputeInstanceCapMinor(gpu, gi, ci));
      }
    }
  }
  return text;
}

Status WriteTree(const NodeSpec& node, const NodeState& state, const std::string& root,
                 const TreeOptions& options) {
  TreeWriter tree(root, options.device_nodes);
  bool mig_capable = false;
  for (const GpuSpec& gpu : node.gpus) mig_capable = mig_capable || gpu.product->mig.has_value();
  WriteDriver(tree, state.driver_version, mig_capable);
  for (std::size_t i = 0; i < node.gpus.size(); ++i) {
    WriteGpu(tree, node.gpus[i], state.gpus[i], state.driver_version);
  }
  WriteLibraries(tree, state.driver_version, options.library_directory);
  tree.File("/usr/share/aliquot/simulated-node", node.name + "\n");
  return tree.status();
}

}  // namespace aliquot::sim
