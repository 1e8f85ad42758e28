// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/mig_records.h"

#include <unistd.h>

#include <boost/json.hpp>
#include <filesystem>

#include "base/file.h"
#include "mig/checkpoint.h"

namespace aliquot::agent {
namespace {

namespace json = boost::json;

std::string Path(const std::string& state_dir) { return state_dir + "/mig-reboot.json"; }

}  // namespace

Status RecordReboot(const std::string& state_dir, const std::string& boot_id,
                    const std::string& label) {
  std::error_code ignored;  // saving says what is wrong
  std::filesystem::create_directories(state_dir, ignored);
  return mig::FileJournalStore(Path(state_dir))
      .Save(json::serialize(json::object{{"bootId", boot_id}, {"label", label}}));
}

bool HasRebootRecord(const std::string& state_dir) {
  return ::access(Path(state_dir).c_str(), F_OK) == 0;
}

std::string RebootedFor(const std::string& state_dir, const std::string& boot_id) {
  const auto text = ReadFile(Path(state_dir));
  if (!text.ok()) return {};
  boost::system::error_code failure;
  const json::value record = json::parse(*text, failure);
  if (failure || !record.is_object()) return {};
  const json::value* boot = record.get_object().if_contains("bootId");
  const json::value* label = record.get_object().if_contains("label");
  if (boot == nullptr || label == nullptr || !boot->is_string() || !label->is_string()) return {};
  // Without a name for this boot it must be taken for another one: rather no reboot than many.
  if (!boot_id.empty() && boot->get_string() == boot_id) return {};
  return std::string(label->get_string());
}

void RemoveRebootRecord(const std::string& state_dir) { ::unlink(Path(state_dir).c_str()); }

}  // namespace aliquot::agent
