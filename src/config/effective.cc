// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "config/effective.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "config/names.h"
#include "config/scalars.h"

namespace aliquot::config {
namespace {

namespace json = boost::json;

json::object FlagsToJson(const Flags& flags) {
  json::array strategies;
  for (const DeviceListStrategy strategy : flags.device_list_strategies) {
    strategies.emplace_back(ToWord(strategy));
  }
  return {
      {"migStrategy", ToWord(flags.mig_strategy)},
      {"failOnInitError", flags.fail_on_init_error},
      {"mpsRoot", flags.mps_root},
      {"nvidiaDriverRoot", flags.nvidia_driver_root},
      {"nvidiaDevRoot", flags.nvidia_dev_root},
      {"gdrcopyEnabled", flags.gdrcopy_enabled},
      {"gdsEnabled", flags.gds_enabled},
      {"mofedEnabled", flags.mofed_enabled},
      {"deviceDiscoveryStrategy", ToWord(flags.device_discovery_strategy)},
      {"useNodeFeatureAPI", flags.use_node_feature_api},
      {"plugin",
       {{"passDeviceSpecs", flags.pass_device_specs},
        {"deviceListStrategy", std::move(strategies)},
        {"deviceIDStrategy", ToWord(flags.device_id_strategy)},
        {"cdiAnnotationPrefix", flags.cdi_annotation_prefix},
        {"nvidiaCTKPath", flags.nvidia_ctk_path},
        {"containerDriverRoot", flags.container_driver_root},
        {"sharedDevicesAllocationPolicy", ToWord(flags.allocation_policy)}}},
      {"gfd",
       {{"oneshot", flags.gfd_oneshot},
        {"noTimestamp", flags.gfd_no_timestamp},
        {"sleepInterval", FormatDuration(flags.gfd_sleep_interval)},
        {"outputFile", flags.gfd_output_file},
        {"machineTypeFile", flags.gfd_machine_type_file}}},
  };
}

json::array PatternsToJson(const std::vector<ResourcePattern>& patterns) {
  json::array all;
  for (const ResourcePattern& pattern : patterns) {
    all.push_back(json::object{{"pattern", pattern.pattern}, {"name", pattern.name}});
  }
  return all;
}

struct DevicesToJson {
  json::value operator()(const AllDevices&) const { return "all"; }
  json::value operator()(const DeviceCount& count) const { return count.count; }
  json::value operator()(const DeviceRefs& refs) const {
    json::array all;
    for (const std::string& ref : refs.refs) all.emplace_back(ref);
    return all;
  }
};

json::object IsolationToJson(const Isolation& isolation) {
  json::object object;
  switch (isolation.memory) {
    case Isolation::Memory::kNone:
      object["memory"] = "none";
      break;
    case Isolation::Memory::kShare:
      object["memory"] = "share";
      break;
    case Isolation::Memory::kBytes:
      object["memory"] = isolation.memory_bytes_per_replica;
      break;
  }
  object["compute"] = ToWord(isolation.compute);
  object["quantum"] = nullptr;
  if (isolation.quantum) object["quantum"] = FormatDuration(*isolation.quantum);
  object["onViolation"] = ToWord(isolation.on_violation);
  json::object classes;
  for (const auto& [name, tenant_class] : isolation.classes) {
    json::value& list = classes[ToWord(tenant_class)];
    if (list.is_null()) list = json::array();
    list.as_array().emplace_back(name);
  }
  if (!classes.empty()) object["classes"] = std::move(classes);
  return object;
}

json::object SharingToJson(const Sharing& sharing) {
  json::object object{{"mode", sharing.extended ? "extended" : "compatible"}};
  if (sharing.resources.empty()) return object;
  json::array resources;
  for (const ReplicatedResource& resource : sharing.resources) {
    json::object entry{{"name", resource.name}};
    if (!resource.rename.empty()) entry["rename"] = resource.rename;
    entry["devices"] = std::visit(DevicesToJson(), resource.devices);
    entry["replicas"] = resource.replicas;
    resources.push_back(std::move(entry));
  }
  json::object section{
      {"renameByDefault", sharing.rename_by_default},
      {"failRequestsGreaterThanOne", sharing.fail_requests_greater_than_one},
      {"resources", std::move(resources)},
  };
  if (sharing.isolation) section["isolation"] = IsolationToJson(*sharing.isolation);
  object[sharing.strategy == SharingStrategy::kMps ? "mps" : "timeSlicing"] = std::move(section);
  return object;
}

}  // namespace

json::object ToJson(const Config& config) {
  json::array channels;
  for (const int id : config.imex.channel_ids) channels.emplace_back(id);
  return {
      {"version", "v1"},
      {"flags", FlagsToJson(config.flags)},
      {"resources",
       {{"gpus", PatternsToJson(config.gpu_patterns)},
        {"mig", PatternsToJson(config.mig_patterns)}}},
      {"sharing", SharingToJson(config.sharing)},
      {"imex", {{"channelIDs", std::move(channels)}, {"required", config.imex.required}}},
  };
}

json::array ToJson(const std::vector<Diagnostic>& diagnostics) {
  json::array all;
  for (const Diagnostic& diagnostic : diagnostics) {
    const bool in_file = diagnostic.position.line > 0;
    all.push_back(json::object{
        {"severity", diagnostic.severity == Severity::kError ? "error" : "warning"},
        {"line", in_file ? json::value(diagnostic.position.line) : json::value(nullptr)},
        {"column", in_file ? json::value(diagnostic.position.column) : json::value(nullptr)},
        {"path", diagnostic.path},
        {"message", diagnostic.message},
        {"hint", diagnostic.hint},
    });
  }
  return all;
}

}  // namespace aliquot::config
