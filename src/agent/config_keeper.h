// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/config_offer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "config/settings.h"

namespace aliquot::agent {

// What part of a valid configuration this agent cannot do (yet); serving it as if it could would
// promise an isolation that nobody enforces.
Status CheckSupported(const config::Config& config);

// Reads the configuration, again and again, and keeps the last good one serving. The one place that
// adopts configurations, whether they come from a file or from the cluster. Confined to the
// executor; reads and writes files.
class ConfigKeeper {
 public:
  // Where configurations come from.
  enum class Mode {
    kFile,     // file, flags and environment
    kCluster,  // offers of the cluster laid over them; nothing before the first offer
  };

  struct View {
    std::string path;  // of the file, or what the cluster chose; empty if there is neither
    // "file", "configmap", "flags and defaults", "last good file" or "last good of the cluster"
    // (there is nothing newer that can be used since before this start)
    std::string origin;
    std::shared_ptr<const config::Config> serving;  // null while there has been no good one
    std::uint64_t generation = 0;                   // counts configurations put to use
    std::optional<std::chrono::system_clock::time_point> applied_at;
    bool failing = false;                         // the newest attempt was refused
    std::string reason;                           // in one word why, if failing
    std::vector<config::Diagnostic> diagnostics;  // of the newest attempt
    std::string withdrawn;  // why nothing is to be advertised; empty: advertise
  };

  // `sources` has flags and environment, its file text is ignored. `state_dir` keeps the last good
  // configuration over restarts; empty = not kept.
  ConfigKeeper(config::ConfigSources sources, std::string state_dir, Mode mode, const Clock& clock,
               const Logger& log);

  // Tries again what there is: the file, the newest offer. True if another configuration is to be
  // served now, or nothing any more, or something again. Logs every problem of an attempt once.
  bool Reload();
  // The cluster's newest word, then Reload.
  bool Offer(ConfigOffer offer);
  // What the cluster said last before this start, unless there is an offer. For a start while the
  // API server does not answer. Returns as Reload.
  bool ServeLastGood();

  const View& view() const { return view_; }
  // Of the newest configuration in use, or of flags and environment. Only the settings about health
  // checks and CDI hooks can differ from those at the start.
  const config::AgentSettings& settings() const { return settings_; }

 private:
  struct Attempt;
  Attempt Try(std::optional<std::string> text, const ConfigOffer& offer) const;
  Attempt TryNewest() const;
  bool Adopt(const Attempt& attempt, std::string origin);
  void Report(const Attempt& attempt);
  bool SetWithdrawn(const std::string& why);
  void SaveLastGood(const Attempt& attempt);
  bool LoadLastGood();
  std::string LastGoodPath() const;

  const config::ConfigSources sources_;
  const std::string file_;
  const std::string state_dir_;
  const Mode mode_;
  const Clock& clock_;
  const Logger& log_;
  config::AgentSettings settings_;
  std::optional<ConfigOffer> offer_;
  std::string saved_;  // as last written to LastGoodPath
  View view_;
};

}  // namespace aliquot::agent
