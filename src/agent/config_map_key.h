// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "kube/client.h"

namespace aliquot::agent {

// Follows the text under one key of a ConfigMap whose name may change. Confined to the executor.
class ConfigMapKey final : private kube::WatchHandler {
 public:
  struct Options {
    std::string ns;
    std::string key;   // "config.yaml"
    std::string what;  // what is under it, for people: "MIG configurations"
  };
  // `origin` is "configmap <namespace>/<name>"; the text is kNotFound with the ConfigMap or the
  // key.
  using Changed = std::function<void(std::string origin, Result<std::string> text)>;

  // `client` and `executor` must outlive it.
  ConfigMapKey(Options options, kube::Client& client, Executor& executor, Changed changed)
      : options_(std::move(options)),
        client_(client),
        executor_(executor),
        changed_(std::move(changed)) {}
  ~ConfigMapKey() override = default;

  // Tells later what this one has, and from then on every change; empty: nothing any more.
  void Follow(std::string name);

 private:
  void OnSync(std::vector<kube::Object> objects) override;
  void OnUpdate(kube::Object object) override;
  void OnDelete(kube::Object object) override;
  void OnUnavailable(const Error& error) override;
  void Tell(Result<std::string> text);
  std::string origin() const;

  const Options options_;
  kube::Client& client_;
  Executor& executor_;
  const Changed changed_;
  std::string name_;
  bool told_ = false;
  std::unique_ptr<kube::Watch> watch_;
};

}  // namespace aliquot::agent
