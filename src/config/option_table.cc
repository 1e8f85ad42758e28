// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/names.h"
#include "config/options.h"

namespace aliquot::config {
namespace {

using Targets = OptionTargets;
using Value = OptionValue;

// Values come validated, so the word is always one of the table's.
template <typename E>
E Word(const Value& value) {
  return *FromWord<E>(std::get<std::string>(value));
}
bool Bool(const Value& value) { return std::get<bool>(value); }
const std::string& Text(const Value& value) { return std::get<std::string>(value); }
const std::vector<std::string>& List(const Value& value) {
  return std::get<std::vector<std::string>>(value);
}

std::vector<Option> SharedOptions() {
  return {
      {.key = "flags.migStrategy",
       .flags = {"mig-strategy"},
       .variables = {"GFD_MIG_STRATEGY", "MIG_STRATEGY"},
       .type = OptionType::kWord,
       .default_text = "none",
       .help = "how MIG devices become resources",
       .words = AllWords<MigStrategy>(),
       .store = [](const Value& v,
                   Targets& t) { t.config.flags.mig_strategy = Word<MigStrategy>(v); }},
      {.key = "flags.failOnInitError",
       .flags = {"fail-on-init-error"},
       .variables = {"GFD_FAIL_ON_INIT_ERROR", "FAIL_ON_INIT_ERROR"},
       .type = OptionType::kBool,
       .default_text = "true",
       .help = "whether a driver that cannot be initialised is an error",
       .store = [](const Value& v, Targets& t) { t.config.flags.fail_on_init_error = Bool(v); }},
      {.key = "flags.mpsRoot",
       .flags = {"mps-root"},
       .variables = {"MPS_ROOT"},
       .help = "directory on the host for MPS pipes and logs; required with sharing.mps",
       .store = [](const Value& v, Targets& t) { t.config.flags.mps_root = Text(v); }},
      {.key = "flags.nvidiaDriverRoot",
       .flags = {"driver-root", "nvidia-driver-root"},
       .variables = {"NVIDIA_DRIVER_ROOT"},
       .default_text = "/",
       .help = "root of the driver installation on the host",
       .store = [](const Value& v, Targets& t) { t.config.flags.nvidia_driver_root = Text(v); }},
      {.key = "flags.nvidiaDevRoot",
       .flags = {"dev-root", "nvidia-dev-root"},
       .variables = {"NVIDIA_DEV_ROOT"},
       .help = "root of the device nodes on the host; empty means the driver root",
       .store = [](const Value& v, Targets& t) { t.config.flags.nvidia_dev_root = Text(v); }},
      {.key = "flags.gdrcopyEnabled",
       .flags = {"gdrcopy-enabled"},
       .variables = {"GDRCOPY_ENABLED"},
       .type = OptionType::kBool,
       .default_text = "false",
       .help = "give containers GDRCopy",
       .store = [](const Value& v, Targets& t) { t.config.flags.gdrcopy_enabled = Bool(v); }},
      {.key = "flags.gdsEnabled",
       .flags = {"gds-enabled"},
       .variables = {"GDS_ENABLED"},
       .type = OptionType::kBool,
       .default_text = "false",
       .help = "give containers GPUDirect Storage",
       .store = [](const Value& v, Targets& t) { t.config.flags.gds_enabled = Bool(v); }},
      {.key = "flags.mofedEnabled",
       .flags = {"mofed-enabled"},
       .variables = {"MOFED_ENABLED"},
       .type = OptionType::kBool,
       .default_text = "false",
       .help = "give containers the devices of MOFED",
       .store = [](const Value& v, Targets& t) { t.config.flags.mofed_enabled = Bool(v); }},
      {.key = "flags.deviceDiscoveryStrategy",
       .flags = {"device-discovery-strategy"},
       .variables = {"DEVICE_DISCOVERY_STRATEGY"},
       .type = OptionType::kWord,
       .default_text = "auto",
       .help = "how devices are found",
       .words = AllWords<DiscoveryStrategy>(),
       .store =
           [](const Value& v, Targets& t) {
             t.config.flags.device_discovery_strategy = Word<DiscoveryStrategy>(v);
           }},
      {.key = "flags.useNodeFeatureAPI",
       .flags = {"use-node-feature-api"},
       .variables = {"GFD_USE_NODE_FEATURE_API", "USE_NODE_FEATURE_API"},
       .type = OptionType::kBool,
       .default_text = "true",
       .help = "publish node labels through NodeFeature objects",
       .store = [](const Value& v, Targets& t) { t.config.flags.use_node_feature_api = Bool(v); }},
  };
}

std::vector<Option> PluginOptions() {
  return {
      {.key = "flags.plugin.passDeviceSpecs",
       .flags = {"pass-device-specs"},
       .variables = {"PASS_DEVICE_SPECS"},
       .type = OptionType::kBool,
       .default_text = "false",
       .help = "name the device nodes to the kubelet; needed with the static CPU manager",
       .store = [](const Value& v, Targets& t) { t.config.flags.pass_device_specs = Bool(v); }},
      {.key = "flags.plugin.deviceListStrategy",
       .flags = {"device-list-strategy"},
       .variables = {"DEVICE_LIST_STRATEGY"},
       .type = OptionType::kWords,
       .default_text = "envvar",
       .help = "how the container runtime is told which devices to add",
       .words = AllWords<DeviceListStrategy>(),
       .store =
           [](const Value& v, Targets& t) {
             auto& strategies = t.config.flags.device_list_strategies;
             strategies.clear();
             for (const auto& [word, strategy] : WordsOf(DeviceListStrategy())) {
               for (const std::string& chosen : List(v)) {
                 if (chosen == word && (strategies.empty() || strategies.back() != strategy)) {
                   strategies.push_back(strategy);
                 }
               }
             }
           }},
      {.key = "flags.plugin.deviceIDStrategy",
       .flags = {"device-id-strategy"},
       .variables = {"DEVICE_ID_STRATEGY"},
       .type = OptionType::kWord,
       .default_text = "uuid",
       .help = "how devices are named to the container runtime",
       .words = AllWords<DeviceIdStrategy>(),
       .store = [](const Value& v,
                   Targets& t) { t.config.flags.device_id_strategy = Word<DeviceIdStrategy>(v); }},
      {.key = "flags.plugin.cdiAnnotationPrefix",
       .flags = {"cdi-annotation-prefix"},
       .variables = {"CDI_ANNOTATION_PREFIX"},
       .default_text = "cdi.k8s.io/",
       .help = "prefix of the annotations that the strategy cdi-annotations sets",
       .store = [](const Value& v, Targets& t) { t.config.flags.cdi_annotation_prefix = Text(v); }},
      {.key = "flags.plugin.nvidiaCTKPath",
       .flags = {"nvidia-cdi-hook-path", "nvidia-ctk-path"},
       .variables = {"NVIDIA_CDI_HOOK_PATH", "NVIDIA_CTK_PATH"},
       .default_text = "/usr/bin/nvidia-ctk",
       .help = "the toolkit's hook program on the host, named in CDI specifications",
       .store = [](const Value& v, Targets& t) { t.config.flags.nvidia_ctk_path = Text(v); }},
      {.key = "flags.plugin.containerDriverRoot",
       .flags = {"driver-root-ctr-path", "container-driver-root"},
       .variables = {"DRIVER_ROOT_CTR_PATH", "CONTAINER_DRIVER_ROOT"},
       .default_text = "/driver-root",
       .help = "where the driver root is mounted in the agent's own container",
       .store = [](const Value& v, Targets& t) { t.config.flags.container_driver_root = Text(v); }},
      {.key = "flags.plugin.sharedDevicesAllocationPolicy",
       .flags = {"shared-devices-allocation-policy"},
       .variables = {"SHARED_DEVICES_ALLOCATION_POLICY"},
       .type = OptionType::kWord,
       .default_text = "distributed",
       .help = "which replicas and MIG devices are preferred; spread is Aliquot's own",
       .words = AllWords<AllocationPolicy>(),
       .store = [](const Value& v,
                   Targets& t) { t.config.flags.allocation_policy = Word<AllocationPolicy>(v); }},
      {.key = "imex.channelIDs",
       .flags = {"imex-channel-ids"},
       .variables = {"IMEX_CHANNEL_IDS"},
       .type = OptionType::kIntegers,
       .help = "IMEX channels for every container with a GPU; none or 0",
       .store =
           [](const Value& v, Targets& t) {
             // Validated: none, or 0.
             t.config.imex.channel_ids.clear();
             for (const std::int64_t id : std::get<std::vector<std::int64_t>>(v)) {
               t.config.imex.channel_ids.push_back(static_cast<int>(id));
             }
           }},
      {.key = "imex.required",
       .flags = {"imex-required"},
       .variables = {"IMEX_REQUIRED"},
       .type = OptionType::kBool,
       .default_text = "false",
       .help = "whether a missing IMEX channel is an error",
       .store = [](const Value& v, Targets& t) { t.config.imex.required = Bool(v); }},
      {.key = "sharing.mode",
       .flags = {"sharing-mode"},
       .variables = {"ALIQUOT_SHARING_MODE"},
       .type = OptionType::kWord,
       .default_text = "compatible",
       .help = "extended honours devices, rename and replicas: 1; Aliquot's own",
       .words = {"compatible", "extended"},
       .store = [](const Value& v,
                   Targets& t) { t.config.sharing.extended = Text(v) == "extended"; }},
  };
}

std::vector<Option> GfdOptions() {
  return {
      {.key = "flags.gfd.oneshot",
       .flags = {"oneshot"},
       .variables = {"GFD_ONESHOT"},
       .type = OptionType::kBool,
       .default_text = "false",
       .help = "label once and exit",
       .store = [](const Value& v, Targets& t) { t.config.flags.gfd_oneshot = Bool(v); }},
      {.key = "flags.gfd.noTimestamp",
       .flags = {"no-timestamp"},
       .variables = {"GFD_NO_TIMESTAMP"},
       .type = OptionType::kBool,
       .default_text = "false",
       .help = "leave out the label with the time of labelling",
       .store = [](const Value& v, Targets& t) { t.config.flags.gfd_no_timestamp = Bool(v); }},
      {.key = "flags.gfd.sleepInterval",
       .flags = {"sleep-interval"},
       .variables = {"GFD_SLEEP_INTERVAL"},
       .type = OptionType::kDuration,
       .default_text = "60s",
       .help = "time between two rounds of labelling, or infinite",
       .store = [](const Value& v,
                   Targets& t) { t.config.flags.gfd_sleep_interval = std::get<Duration>(v); }},
      {.key = "flags.gfd.outputFile",
       .flags = {"output-file", "output", "o"},
       .variables = {"GFD_OUTPUT_FILE"},
       .default_text = "/etc/kubernetes/node-feature-discovery/features.d/gfd",
       .help = "feature file to write when the NodeFeature API is off; empty is standard output",
       .store = [](const Value& v, Targets& t) { t.config.flags.gfd_output_file = Text(v); }},
      {.key = "flags.gfd.machineTypeFile",
       .flags = {"machine-type-file"},
       .variables = {"GFD_MACHINE_TYPE_FILE"},
       .default_text = "/sys/class/dmi/id/product_name",
       .help = "file with the type of the machine",
       .store = [](const Value& v, Targets& t) { t.config.flags.gfd_machine_type_file = Text(v); }},
  };
}

std::vector<Option> AgentOptions() {
  return {
      {.flags = {"config-file"},
       .variables = {"GFD_CONFIG_FILE", "CONFIG_FILE"},
       .help = "configuration file, YAML or JSON",
       .store = [](const Value& v, Targets& t) { t.agent.config_file = Text(v); }},
      {.flags = {"strict-config"},
       .variables = {"ALIQUOT_STRICT_CONFIG"},
       .type = OptionType::kBool,
       .default_text = "false",
       .help = "refuse unknown and repeated keys of the file; Aliquot's own",
       .store = [](const Value& v, Targets& t) { t.agent.strict_config = Bool(v); }},
      {.flags = {"kubelet-socket"},
       .variables = {"KUBELET_SOCKET"},
       .default_text = "/var/lib/kubelet/device-plugins/kubelet.sock",
       .help = "the kubelet's registration socket; empty means never register",
       .store = [](const Value& v, Targets& t) { t.agent.kubelet_socket = Text(v); }},
      {.flags = {"cdi-feature-flags"},
       .variables = {"CDI_FEATURE_FLAGS"},
       .type = OptionType::kList,
       .help = "features of the CDI specifications",
       .store = [](const Value& v, Targets& t) { t.agent.cdi_feature_flags = List(v); }},
      {.flags = {"cdi-disable-hooks"},
       .variables = {"CDI_DISABLE_HOOKS"},
       .type = OptionType::kList,
       .help = "CDI hooks to leave out, or all",
       .store = [](const Value& v, Targets& t) { t.agent.cdi_disable_hooks = List(v); }},
      {.variables = {"DP_DISABLE_HEALTHCHECKS"},
       .help = "XIDs to ignore as well, or all",
       .store = [](const Value& v, Targets& t) { t.agent.dp_disable_healthchecks = Text(v); }},
      {.variables = {"DP_ENABLE_HEALTHCHECKS"},
       .help = "XIDs that are fatal even if ignored otherwise, or all",
       .store = [](const Value& v, Targets& t) { t.agent.dp_enable_healthchecks = Text(v); }},
      {.flags = {"node-name"},
       .variables = {"NODE_NAME"},
       .help = "name of this node in the cluster",
       .store = [](const Value& v, Targets& t) { t.agent.node_name = Text(v); }},
      {.flags = {"pod-name"},
       .variables = {"POD_NAME"},
       .help = "name of the agent's own pod",
       .store = [](const Value& v, Targets& t) { t.agent.pod_name = Text(v); }},
      {.flags = {"namespace"},
       .variables = {"NAMESPACE"},
       .default_text = "default",
       .help = "namespace for the objects the agent writes",
       .store = [](const Value& v, Targets& t) { t.agent.kube_namespace = Text(v); }},
      {.flags = {"kubeconfig"},
       .variables = {"KUBECONFIG"},
       .help = "kubeconfig file; empty means in the cluster",
       .store = [](const Value& v, Targets& t) { t.agent.kubeconfig = Text(v); }},
      {.flags = {"kube-api-qps"},
       .variables = {"KUBE_API_QPS"},
       .type = OptionType::kNumber,
       .default_text = "5",
       .help = "requests per second to the API server",
       .store = [](const Value& v, Targets& t) { t.agent.kube_api_qps = std::get<double>(v); }},
      {.flags = {"kube-api-burst"},
       .variables = {"KUBE_API_BURST"},
       .type = OptionType::kCount,
       .default_text = "10",
       .help = "requests to the API server that may come at once",
       .store =
           [](const Value& v, Targets& t) {
             t.agent.kube_api_burst = static_cast<unsigned>(std::get<std::int64_t>(v));
           }},
  };
}

}  // namespace

std::span<const Option> AllOptions() {
  static const std::vector<Option> kOptions = [] {
    std::vector<Option> all = SharedOptions();
    for (auto part : {PluginOptions(), GfdOptions(), AgentOptions()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return kOptions;
}

}  // namespace aliquot::config
