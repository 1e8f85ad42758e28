// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/mig_layouts.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include "agent/json_path.h"
#include "base/file.h"
#include "base/text.h"
#include "config/yaml_document.h"

namespace aliquot::agent {
namespace {

namespace json = boost::json;

constexpr char kConfigKey[] = "config.yaml";

bool Same(const MigLayouts& a, const MigLayouts& b) {
  const bool same_file = a.file == b.file || (a.file && b.file && *a.file == *b.file);
  return same_file && a.origin == b.origin && a.problem == b.problem;
}

}  // namespace

std::string MigLayoutSource::MapTitle() const {
  return fmt::format("configmap {}/{}", options_.config_map_namespace, *config_map_);
}

void MigLayoutSource::Follow(std::string config_map) {
  if (config_map_ == config_map) return;
  watch_.reset();
  config_map_ = std::move(config_map);
  if (config_map_->empty()) return Reload();
  kube::Selection selection;
  selection.resource = kube::kConfigMaps;
  selection.ns = options_.config_map_namespace;
  selection.field_selector = "metadata.name=" + *config_map_;
  watch_ = client_.StartWatch(std::move(selection), executor_, *this);
}

void MigLayoutSource::Reload() {
  if (!config_map_ || !config_map_->empty()) return;
  if (options_.file.empty()) return Tell({});
  const auto text = ReadFile(options_.file, config::kMaxFileBytes);
  if (text.ok()) return Tell(ParseMigLayouts(*text, options_.file));
  Tell({options_.file, nullptr, text.error().In("the MIG configuration")});
}

void MigLayoutSource::Tell(MigLayouts layouts) {
  if (told_ && Same(*told_, layouts)) return;
  told_ = layouts;
  changed_(std::move(layouts));
}

void MigLayoutSource::OnSync(std::vector<kube::Object> objects) {
  if (!objects.empty()) return OnUpdate(std::move(objects.front()));
  Tell({MapTitle(), nullptr,
        Error{Code::kNotFound, MapTitle() + " with the MIG configurations does not exist"}});
}

void MigLayoutSource::OnUpdate(kube::Object object) {
  static const json::object kNothing;
  const json::value* value = Find(object, {"data"});
  const json::object& data =
      value != nullptr && value->is_object() ? value->get_object() : kNothing;
  const json::value* text = data.if_contains(kConfigKey);
  if (text != nullptr && text->is_string()) {
    return Tell(ParseMigLayouts(std::string(text->get_string()), MapTitle()));
  }
  std::vector<std::string> keys;
  for (const auto& entry : data) keys.emplace_back(entry.key());
  Tell({MapTitle(), nullptr,
        Error{Code::kNotFound,
              fmt::format("{} has no key \"{}\" with the MIG configurations; its keys: {}",
                          MapTitle(), kConfigKey, keys.empty() ? "none" : Join(keys, ", "))}});
}

void MigLayoutSource::OnDelete(kube::Object) { OnSync({}); }

// What was read before is as good as ever; only without any there is something to say.
void MigLayoutSource::OnUnavailable(const Error& error) {
  if (!told_) Tell({MapTitle(), nullptr, error});
}

}  // namespace aliquot::agent
