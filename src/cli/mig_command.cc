// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cli/mig_command.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/mig_actions.h"

namespace aliquot::cli {
namespace {

using Action = void (*)(const MigOptions&, Console&);
using Options = std::shared_ptr<MigOptions>;

CLI::App* Add(CLI::App* mig, const char* name, const char* help, Action action,
              const Options& options, Console& console) {
  CLI::App* command = mig->add_subcommand(name, help);
  AddNodeOption(*command, options->node);
  command
      ->add_option("--state", options->sim_state,
                   "directory in which a simulated node is kept between commands")
      ->type_name("DIR")
      ->envname("ALIQUOT_SIM_STATE");
  command
      ->add_option("--driver-root", options->node.driver_root,
                   "where the driver is installed, if not in the usual library folders")
      ->type_name("DIR")
      ->envname("NVIDIA_DRIVER_ROOT");
  command->add_flag("-d,--debug", options->debug, "log every step to standard error")
      ->envname("MIG_PARTED_DEBUG");
  command->callback([action, options, &console] { action(*options, console); });
  return command;
}

void AddConfig(CLI::App* command, const Options& options) {
  command
      ->add_option("-f,--config-file", options->config_file,
                   "file of MIG configurations, - for standard input")
      ->type_name("FILE")
      ->envname("MIG_PARTED_CONFIG_FILE")
      ->required();
  command
      ->add_option("-c,--selected-config", options->selected_config,
                   "which of them; may be left out if there is only one")
      ->type_name("LABEL")
      ->envname("MIG_PARTED_SELECTED_CONFIG");
}

void AddModeOnly(CLI::App* command, const Options& options) {
  command->add_flag("-m,--mode-only", options->mode_only, "only the MIG mode, not the devices")
      ->envname("MIG_PARTED_MODE_CHANGE_ONLY");
}

void AddTableOrJson(CLI::App* command, const Options& options) {
  command->add_option("-o,--output", options->output, "table for people, json for programs")
      ->check(CLI::IsMember({"table", "json"}));
}

void AddYamlOrJson(CLI::App* command, const Options& options) {
  command->add_option("-o,--output-format", options->output, "yaml (the default) or json")
      ->check(CLI::IsMember({"yaml", "json"}));
}

void AddChange(CLI::App* command, const Options& options) {
  command
      ->add_option("-k,--hooks-file", options->hooks_file,
                   "file of programs to run before and after")
      ->type_name("FILE")
      ->envname("MIG_PARTED_HOOKS_FILE");
  AddModeOnly(command, options);
  command
      ->add_flag("-s,--skip-reset", options->skip_reset,
                 "never reset a GPU beyond what the driver does itself")
      ->envname("MIG_PARTED_SKIP_RESET");
  command
      ->add_flag("--allow-reboot", options->allow_reboot,
                 "let a change of the MIG mode wait for a reboot where a reset is impossible")
      ->envname("WITH_REBOOT");
  command
      ->add_option("--state-dir", options->state_dir,
                   "where a change in progress is written down, to be finished after a crash "
                   "(default: /var/lib/aliquot, or the state of a simulated node)")
      ->type_name("DIR")
      ->envname("ALIQUOT_STATE_DIR");
  AddTableOrJson(command, options);
}

void AddCheckpointFile(CLI::App* command, const Options& options) {
  command
      ->add_option("-f,--checkpoint-file", options->checkpoint_file,
                   "the checkpoint, - for standard input or output")
      ->type_name("FILE")
      ->envname("MIG_PARTED_CHECKPOINT_FILE")
      ->required();
}

}  // namespace

void AddMigCommand(CLI::App& root, Console& console) {
  const auto options = std::make_shared<MigOptions>();
  CLI::App* mig = root.add_subcommand("mig", "MIG layouts: plan, apply, check, save and restore");
  mig->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, Action action) {
    return Add(mig, name, help, action, options, console);
  };

  CLI::App* plan = add("plan", "show what an apply would do", MigPlanCommand);
  AddConfig(plan, options);
  AddModeOnly(plan, options);
  AddTableOrJson(plan, options);

  CLI::App* apply = add("apply", "give the GPUs the layouts of a configuration", MigApplyCommand);
  AddConfig(apply, options);
  AddChange(apply, options);

  CLI::App* check =
      add("assert", "fail unless the GPUs have the layouts of a configuration", MigAssertCommand);
  AddConfig(check, options);
  AddModeOnly(check, options);
  check->add_flag("-a,--valid-config", options->valid_only, "only check the file")
      ->envname("MIG_PARTED_VALID_CONFIG");
  AddTableOrJson(check, options);

  CLI::App* show = add("export", "print the present layouts as a configuration", MigExportCommand);
  AddYamlOrJson(show, options);
  show->add_option("-l,--config-label", options->label, "its label")->capture_default_str();

  CLI::App* generate =
      add("generate-config", "print the configurations that make sense on this node",
          MigGenerateConfigCommand);
  generate->add_option("-f,--output-file", options->output_file, "where to write them")
      ->type_name("FILE");
  AddYamlOrJson(generate, options);

  CLI::App* checkpoint =
      add("checkpoint", "save the exact layouts, places included", MigCheckpointCommand);
  AddCheckpointFile(checkpoint, options);

  CLI::App* restore =
      add("restore", "give the GPUs the layouts of a checkpoint", MigRestoreCommand);
  AddCheckpointFile(restore, options);
  AddChange(restore, options);
}

}  // namespace aliquot::cli
