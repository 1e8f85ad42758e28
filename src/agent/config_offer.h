// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>

namespace aliquot::agent {

// Why something that the cluster asks for cannot be done.
struct Refusal {
  std::string reason;   // one word, CamelCase, for Events and conditions: "ConfigKeyNotFound"
  std::string object;   // "node worker-1, label nvidia.com/device-plugin.config"
  std::string message;  // the problem, with the value
  std::string hint;     // the valid choices, or what to do; may be empty

  // "object: message (hint)".
  std::string ToString() const {
    return object + ": " + message + (hint.empty() ? "" : " (" + hint + ")");
  }

  friend bool operator==(const Refusal&, const Refusal&) = default;
};

// What the cluster wants this node's configuration to be. A plain value.
struct ConfigOffer {
  // Where `text` is from: "configmap gpu-operator/time-slicing-config (key any)".
  std::string source;
  // Absent: no ConfigMap is chosen; the file, or flags and defaults, count.
  std::optional<std::string> text;
  // Variables laid over those of the process, and who gives them.
  std::map<std::string, std::string> environment;
  std::string environment_source;
  // Nothing shall be advertised, because of this; empty: advertise.
  std::string withdrawn;
  // There is no configuration to offer; `text` and `environment` mean nothing then.
  std::optional<Refusal> refusal;

  friend bool operator==(const ConfigOffer&, const ConfigOffer&) = default;
};

}  // namespace aliquot::agent
