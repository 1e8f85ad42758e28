// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace aliquot::config {

enum class MigStrategy { kNone, kSingle, kMixed };
enum class DeviceListStrategy { kEnvVar, kVolumeMounts, kCdiAnnotations, kCdiCri };
enum class DeviceIdStrategy { kUuid, kIndex };
enum class DiscoveryStrategy { kAuto, kNvml, kTegra, kVfio };
// How GetPreferredAllocation chooses among replicas and MIG devices. kSpread is ours: distinct
// GPUs first.
enum class AllocationPolicy { kDistributed, kPacked, kSpread };

// flags: of the file; each field holds the value after flag, environment, file and default were
// weighed (in that order).
struct Flags {
  MigStrategy mig_strategy = MigStrategy::kNone;
  bool fail_on_init_error = true;
  std::string mps_root;
  std::string nvidia_driver_root = "/";  // on the host
  std::string nvidia_dev_root = "/";     // on the host; unless given, nvidia_driver_root
  bool gdrcopy_enabled = false;
  bool gds_enabled = false;
  bool mofed_enabled = false;
  DiscoveryStrategy device_discovery_strategy = DiscoveryStrategy::kAuto;
  bool use_node_feature_api = true;

  // flags.plugin
  bool pass_device_specs = false;
  std::vector<DeviceListStrategy> device_list_strategies = {DeviceListStrategy::kEnvVar};
  DeviceIdStrategy device_id_strategy = DeviceIdStrategy::kUuid;
  std::string cdi_annotation_prefix = "cdi.k8s.io/";
  std::string nvidia_ctk_path = "/usr/bin/nvidia-ctk";  // on the host
  std::string container_driver_root = "/driver-root";   // in the agent's container
  AllocationPolicy allocation_policy = AllocationPolicy::kDistributed;

  // flags.gfd
  bool gfd_oneshot = false;
  bool gfd_no_timestamp = false;
  std::optional<std::chrono::nanoseconds> gfd_sleep_interval =
      std::chrono::seconds(60);  // none = infinite
  std::string gfd_output_file = "/etc/kubernetes/node-feature-discovery/features.d/gfd";
  std::string gfd_machine_type_file = "/sys/class/dmi/id/product_name";

  friend bool operator==(const Flags&, const Flags&) = default;
};

struct Imex {
  std::vector<int> channel_ids;  // empty or {0}
  bool required = false;

  friend bool operator==(const Imex&, const Imex&) = default;
};

// Which devices an entry of sharing...resources is about. Honoured in extended mode only.
struct AllDevices {
  friend bool operator==(const AllDevices&, const AllDevices&) = default;
};
struct DeviceCount {
  unsigned count = 0;  // the first N in index order
  friend bool operator==(const DeviceCount&, const DeviceCount&) = default;
};
struct DeviceRefs {
  // GPU index "0", MIG index "0:1", "GPU-<uuid>", "MIG-<uuid>" or "MIG-GPU-<uuid>/<gi>/<ci>"
  std::vector<std::string> refs;
  friend bool operator==(const DeviceRefs&, const DeviceRefs&) = default;
};
using DeviceSelection = std::variant<AllDevices, DeviceCount, DeviceRefs>;

struct ReplicatedResource {
  std::string name;    // with the nvidia.com/ prefix
  std::string rename;  // with the prefix; empty = keep the name. Already settled: renameByDefault
                       // and the neutralising of §2.4 are applied when not in extended mode
  DeviceSelection devices = AllDevices{};
  unsigned replicas = 1;  // >= 2; 1 is accepted in extended mode

  friend bool operator==(const ReplicatedResource&, const ReplicatedResource&) = default;
};

// Our extension sharing.timeSlicing.isolation (the same key under mps is refused). Without any
// promise (both kNone) it is the same as absent.
struct Isolation {
  enum class Memory { kNone, kShare, kBytes };
  enum class Compute { kNone, kFair, kCapped };
  enum class OnViolation { kReport, kKill };
  // How a container's claims on GPU time are weighed against others'.
  enum class TenantClass { kNormal, kLatency, kBestEffort };
  Memory memory = Memory::kNone;
  std::uint64_t memory_bytes_per_replica = 0;  // with kBytes
  Compute compute = Compute::kNone;
  std::optional<std::chrono::microseconds> quantum;
  OnViolation on_violation = OnViolation::kReport;
  // Of the containers of a namespace; those of others are kNormal, which is never in here.
  std::map<std::string, TenantClass> classes;

  bool active() const { return memory != Memory::kNone || compute != Compute::kNone; }
  friend bool operator==(const Isolation&, const Isolation&) = default;
};

enum class SharingStrategy { kNone, kTimeSlicing, kMps };

struct Sharing {
  SharingStrategy strategy = SharingStrategy::kNone;
  bool extended = false;  // sharing.mode: extended
  bool rename_by_default = false;
  bool fail_requests_greater_than_one = false;
  std::vector<ReplicatedResource> resources;
  std::optional<Isolation> isolation;

  friend bool operator==(const Sharing&, const Sharing&) = default;
};

// resources.gpus / resources.mig: honoured in extended mode only, before the built-in patterns.
struct ResourcePattern {
  std::string pattern;  // '*' matches anything, all else literal, anchored, case-sensitive
  std::string name;     // resource name with the prefix

  friend bool operator==(const ResourcePattern&, const ResourcePattern&) = default;
};

// The effective configuration of one node.
struct Config {
  Flags flags;
  Imex imex;
  std::vector<ResourcePattern> gpu_patterns;
  std::vector<ResourcePattern> mig_patterns;
  Sharing sharing;

  friend bool operator==(const Config&, const Config&) = default;
};

// Options of the agent that have no key in the file.
struct AgentSettings {
  // Empty: never register.
  std::string kubelet_socket = "/var/lib/kubelet/device-plugins/kubelet.sock";
  std::string config_file;
  bool strict_config = false;
  std::vector<std::string> cdi_feature_flags;
  std::vector<std::string> cdi_disable_hooks;  // names of hooks, or "all"
  // DP_DISABLE_HEALTHCHECKS and DP_ENABLE_HEALTHCHECKS as given: comma lists of XIDs, "all",
  // "xids".
  std::string dp_disable_healthchecks;
  std::string dp_enable_healthchecks;
  std::string node_name;
  std::string pod_name;
  std::string kube_namespace = "default";
  std::string kubeconfig;  // empty: in the cluster
  double kube_api_qps = 5;
  unsigned kube_api_burst = 10;

  friend bool operator==(const AgentSettings&, const AgentSettings&) = default;
};

}  // namespace aliquot::config
