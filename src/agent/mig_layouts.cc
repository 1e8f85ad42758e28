// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/mig_layouts.h"

#include <utility>

#include "base/file.h"
#include "config/yaml_document.h"

namespace aliquot::agent {
namespace {

bool Same(const MigLayouts& a, const MigLayouts& b) {
  const bool same_file = a.file == b.file || (a.file && b.file && *a.file == *b.file);
  return same_file && a.origin == b.origin && a.problem == b.problem;
}

}  // namespace

MigLayoutSource::MigLayoutSource(Options options, kube::Client& client, Executor& executor,
                                 Changed changed)
    : options_(std::move(options)),
      changed_(std::move(changed)),
      map_({options_.config_map_namespace, "config.yaml", "MIG configurations"}, client, executor,
           [this](std::string origin, Result<std::string> text) {
             if (text.ok()) return Tell(ParseMigLayouts(*text, std::move(origin)));
             Tell({std::move(origin), nullptr, text.error()});
           }) {}

void MigLayoutSource::Follow(const std::string& config_map) {
  if (config_map_ == config_map) return;
  config_map_ = config_map;
  map_.Follow(config_map);
  Reload();
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

}  // namespace aliquot::agent
