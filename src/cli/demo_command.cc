// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/demo_command.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/console.h"
#include "cli/demo_story.h"

namespace aliquot::cli {

void AddDemoCommand(CLI::App& root, Console& console) {
  auto options = std::make_shared<DemoOptions>();
  CLI::App& command = *root.add_subcommand(
      "demo", "the whole story on a simulated node, beside a stand-in for the kubelet");
  command.add_option("--node", options->node, "simulated node to tell it on")
      ->type_name("NAME|FILE")
      ->capture_default_str();
  command.add_flag("--real", options->real,
                   "this machine's GPUs instead of a simulated node, without breaking any");
  command.callback([options, &console] {
    if (Status told = TellStory(*options, console); !told.ok()) console.Fail(told.error());
  });
}

}  // namespace aliquot::cli
