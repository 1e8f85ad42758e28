// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <tuple>

#include "controller/json_path.h"
#include "controller/spec_fields.h"

namespace aliquot::controller {
namespace {

namespace json = boost::json;

// Reads typed values and notes those of another type.
class SpecReader {
 public:
  SpecReader(const json::object& spec, std::vector<std::string>& problems)
      : spec_(spec), problems_(problems) {}

  void Read(Path path, bool& into) {
    const json::value* value = Present(path);
    if (value == nullptr) return;
    if (value->is_bool()) {
      into = value->get_bool();
    } else {
      Complain(path, *value, "true or false");
    }
  }
  // Whether there is a text, the empty one too.
  bool Read(Path path, std::string& into) {
    const json::value* value = Present(path);
    if (value == nullptr) return false;
    if (!value->is_string()) {
      Complain(path, *value, "a text");
      return false;
    }
    into = std::string(value->get_string());
    return true;
  }
  void Complain(Path path, const json::value& value, std::string_view expected) {
    problems_.push_back(fmt::format("spec.{}: {} is not {}", fmt::join(path, "."),
                                    json::serialize(value).substr(0, 80), expected));
  }

 private:
  const json::value* Present(Path path) const {
    const json::value* value = Find(spec_, path);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  const json::object& spec_;
  std::vector<std::string>& problems_;
};

PolicySpec ReadSpec(const json::object& object, std::vector<std::string>& problems) {
  PolicySpec spec;
  SpecReader reader(object, problems);
  reader.Read({"devicePlugin", "enabled"}, spec.device_plugin_enabled);
  reader.Read({"devicePlugin", "config", "name"}, spec.config_name);
  reader.Read({"devicePlugin", "config", "default"}, spec.config_default);
  reader.Read({"migManager", "enabled"}, spec.mig_manager_enabled);
  reader.Read({"migManager", "config", "name"}, spec.mig_config_name);
  reader.Read({"migManager", "gpuClientsConfig", "name"}, spec.mig_clients_name);
  reader.Read({"sandboxWorkloads", "enabled"}, spec.sandbox_enabled);

  std::string word;
  if (reader.Read({"mig", "strategy"}, word) && !word.empty() && word != "none" &&
      word != "single" && word != "mixed") {
    reader.Complain({"mig", "strategy"}, json::value(word), "none, single or mixed");
  }
  if (reader.Read({"migManager", "config", "default"}, word)) {
    spec.label_mig_disabled = word == "all-disabled";
    if (!word.empty() && !spec.label_mig_disabled) {
      reader.Complain({"migManager", "config", "default"}, json::value(word),
                      "\"all-disabled\" or empty");
    }
  }
  if (reader.Read({"sandboxWorkloads", "defaultWorkload"}, word) && !word.empty()) {
    const auto workload = ParseWorkload(word);
    spec.default_workload = workload.value_or(Workload::kContainer);
    if (!workload) {
      reader.Complain({"sandboxWorkloads", "defaultWorkload"}, json::value(word),
                      "container, vm-passthrough or vm-vgpu");
    }
  }
  return spec;
}

}  // namespace

std::optional<Workload> ParseWorkload(std::string_view word) {
  if (word == "container") return Workload::kContainer;
  if (word == "vm-passthrough") return Workload::kVmPassthrough;
  if (word == "vm-vgpu") return Workload::kVmVgpu;
  return std::nullopt;
}

Policy ReadPolicy(const kube::Object& object) {
  Policy policy;
  policy.name = TextAt(object, {"metadata", "name"});
  policy.uid = TextAt(object, {"metadata", "uid"});
  policy.version = TextAt(object, {"metadata", "resourceVersion"});
  policy.created = TextAt(object, {"metadata", "creationTimestamp"});
  policy.generation = NumberAt(object, {"metadata", "generation"});
  const json::object& spec = ObjectAt(object, {"spec"});
  policy.spec = ReadSpec(spec, policy.problems);
  policy.without_effect = FieldsWithoutEffect(spec);
  policy.status = ObjectAt(object, {"status"});
  return policy;
}

const Policy* ActivePolicy(const Policies& policies) {
  const auto oldest = std::min_element(policies.begin(), policies.end(), [](auto& a, auto& b) {
    return std::tie(a.second.created, a.first) < std::tie(b.second.created, b.first);
  });
  return oldest == policies.end() ? nullptr : &oldest->second;
}

}  // namespace aliquot::controller
