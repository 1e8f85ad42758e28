// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cdi/hooks.h"

#include <algorithm>

#include "cdi/driver_files.h"

namespace aliquot::cdi {

bool Hooks::Available(const std::string& hook) const {
  return program_ && !disabled_.contains("all") && !disabled_.contains(hook);
}

void Hooks::Add(const std::string& hook, const std::vector<std::string>& args,
                ContainerEdits& edits) const {
  if (!Available(hook)) return;
  const std::string base = program_->substr(program_->rfind('/') + 1);
  Hook call{"createContainer", *program_, {base}, {}};
  if (base == "nvidia-ctk") call.args.push_back("hook");
  call.args.push_back(hook);
  call.args.insert(call.args.end(), args.begin(), args.end());
  edits.hooks.push_back(std::move(call));
}

std::optional<std::string> FindHookProgram(const config::Flags& flags, const Roots& roots) {
  const std::string& configured = flags.nvidia_ctk_path;
  if (!roots.driver_host.empty()) {
    const bool is_default = configured.empty() || configured == config::Flags().nvidia_ctk_path;
    return is_default ? std::nullopt : std::optional(configured);
  }
  for (const std::string& path :
       {configured, std::string("/usr/bin/nvidia-cdi-hook"), std::string("/usr/bin/nvidia-ctk")}) {
    if (path.starts_with('/') && ResolveInRoot(roots.driver, path).ok()) return path;
  }
  return std::nullopt;
}

}  // namespace aliquot::cdi
