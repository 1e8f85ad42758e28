// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/mig_job.h"
#include "base/executor.h"
#include "kube/client.h"

namespace aliquot::agent {

// Where the layout configurations of a node come from: the key "config.yaml" of a ConfigMap, else a
// file, else nowhere, and then they follow from what the GPUs offer. Tells of every change of the
// content. Confined to the executor.
class MigLayoutSource final : private kube::WatchHandler {
 public:
  struct Options {
    std::string config_map_namespace;
    std::string file;  // read only without a ConfigMap; empty: none
  };
  using Changed = std::function<void(MigLayouts)>;

  MigLayoutSource(Options options, kube::Client& client, Executor& executor, Changed changed)
      : options_(std::move(options)),
        client_(client),
        executor_(executor),
        changed_(std::move(changed)) {}
  ~MigLayoutSource() override = default;

  // Tells what there is: of this ConfigMap of the namespace later, without one (empty) at once.
  // Until another one was read, what was told last stays.
  void Follow(std::string config_map);
  // Reads the file again.
  void Reload();

 private:
  void OnSync(std::vector<kube::Object> objects) override;
  void OnUpdate(kube::Object object) override;
  void OnDelete(kube::Object object) override;
  void OnUnavailable(const Error& error) override;
  std::string MapTitle() const;
  void Tell(MigLayouts layouts);

  const Options options_;
  kube::Client& client_;
  Executor& executor_;
  const Changed changed_;
  std::optional<std::string> config_map_;  // absent before Follow
  std::optional<MigLayouts> told_;
  std::unique_ptr<kube::Watch> watch_;
};

}  // namespace aliquot::agent
