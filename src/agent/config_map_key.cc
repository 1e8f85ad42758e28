// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/config_map_key.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include "agent/json_path.h"
#include "base/text.h"

namespace aliquot::agent {

namespace json = boost::json;

std::string ConfigMapKey::origin() const {
  return fmt::format("configmap {}/{}", options_.ns, name_);
}

void ConfigMapKey::Follow(std::string name) {
  if (name_ == name) return;
  watch_.reset();
  name_ = std::move(name);
  if (name_.empty()) return;
  kube::Selection selection;
  selection.resource = kube::kConfigMaps;
  selection.ns = options_.ns;
  selection.field_selector = "metadata.name=" + name_;
  watch_ = client_.StartWatch(std::move(selection), executor_, *this);
}

void ConfigMapKey::Tell(Result<std::string> text) {
  told_ = true;
  changed_(origin(), std::move(text));
}

void ConfigMapKey::OnSync(std::vector<kube::Object> objects) {
  if (!objects.empty()) return OnUpdate(std::move(objects.front()));
  Tell(Error{Code::kNotFound,
             fmt::format("{} with the {} does not exist", origin(), options_.what)});
}

void ConfigMapKey::OnUpdate(kube::Object object) {
  static const json::object kNothing;
  const json::value* value = Find(object, {"data"});
  const json::object& data =
      value != nullptr && value->is_object() ? value->get_object() : kNothing;
  const json::value* text = data.if_contains(options_.key);
  if (text != nullptr && text->is_string()) return Tell(std::string(text->get_string()));
  std::vector<std::string> keys;
  for (const auto& entry : data) keys.emplace_back(entry.key());
  Tell(Error{Code::kNotFound,
             fmt::format("{} has no key \"{}\" with the {}; its keys: {}", origin(), options_.key,
                         options_.what, keys.empty() ? "none" : Join(keys, ", "))});
}

void ConfigMapKey::OnDelete(kube::Object) { OnSync({}); }

// What was read before is as good as ever; only without any there is something to say.
void ConfigMapKey::OnUnavailable(const Error& error) {
  if (!told_) Tell(error);
}

}  // namespace aliquot::agent
