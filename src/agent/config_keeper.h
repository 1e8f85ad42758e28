// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "config/settings.h"

namespace aliquot::agent {

// What part of a valid configuration this agent cannot do (yet); serving it as if it could would
// promise an isolation that nobody enforces.
Status CheckSupported(const config::Config& config);

// Reads the configuration, again and again, and keeps the last good one serving. Confined to the
// executor; reads and writes files.
class ConfigKeeper {
 public:
  struct View {
    std::string path;  // of the file; empty if there is none
    // "file", "last good file" (the file is bad since before this start), "flags and defaults"
    std::string origin;
    std::shared_ptr<const config::Config> serving;  // null while there has been no good one
    std::uint64_t generation = 0;                   // counts configurations put to use
    std::optional<std::chrono::system_clock::time_point> applied_at;
    bool failing = false;                         // the newest attempt was refused
    std::vector<config::Diagnostic> diagnostics;  // of the newest attempt
  };

  // `sources` has flags and environment, its file text is ignored. `state_dir` keeps the last good
  // file over restarts; empty = not kept.
  ConfigKeeper(config::ConfigSources sources, std::string state_dir, const Clock& clock,
               const Logger& log);

  // Reads the file again. True if another configuration is to be served now. Logs every problem of
  // an attempt once.
  bool Reload();

  const View& view() const { return view_; }
  // Flags and environment do not change while the agent runs, so neither do these.
  const config::AgentSettings& settings() const { return settings_; }

 private:
  struct Attempt;
  Attempt Try(std::optional<std::string> text) const;
  bool Adopt(const config::Config& config, std::string origin);
  void Report(const Attempt& attempt);
  std::string LastGoodPath() const { return state_dir_ + "/last-good-config.yaml"; }

  config::ConfigSources sources_;
  const std::string state_dir_;
  const Clock& clock_;
  const Logger& log_;
  config::AgentSettings settings_;
  View view_;
};

}  // namespace aliquot::agent
