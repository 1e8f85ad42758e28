// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/checkpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <limits>
#include <optional>
#include <utility>

#include "base/file.h"
#include "base/unique_fd.h"

namespace aliquot::mig {
namespace {

namespace json = boost::json;

json::object ToJson(const Placement& placement) {
  return {{"Start", placement.start}, {"Size", placement.size}};
}

json::object ToJson(const std::string& uuid, const Layout& layout) {
  json::array instances;
  for (const InstanceTarget& instance : layout.instances) {
    json::array compute;
    for (const ComputeTarget& target : instance.compute) {
      // Engine profile 0 is the only one there is: engines are shared within the GPU instance.
      compute.push_back(json::object{{"ProfileID", target.profile},
                                     {"EngProfileID", 0},
                                     {"Placement", ToJson(target.placement)}});
    }
    instances.push_back(json::object{{"ProfileID", instance.profile},
                                     {"Placement", ToJson(instance.placement)},
                                     {"ComputeInstances", std::move(compute)}});
  }
  return {
      {"UUID", uuid}, {"MigMode", layout.mode_on ? 1 : 0}, {"GpuInstances", std::move(instances)}};
}

// Reads members of one JSON object; the first thing wrong is kept, with its path.
class Reader {
 public:
  explicit Reader(std::string what) : what_(std::move(what)) {}

  const std::optional<Error>& error() const { return error_; }

  const json::object* Object(const json::value* value, const std::string& path) {
    if (value != nullptr && value->is_object()) return &value->get_object();
    Fail(path, "an object");
    return nullptr;
  }
  // Null, which Go writes for an empty list, is an empty list.
  const json::array* Array(const json::object& in, const char* key, const std::string& path) {
    static const json::array kEmpty;
    const json::value* value = in.if_contains(key);
    if (value != nullptr && value->is_array()) return &value->get_array();
    if (value == nullptr || value->is_null()) return &kEmpty;
    Fail(path + "." + key, "a list");
    return nullptr;
  }
  unsigned Number(const json::object& in, const char* key, const std::string& path) {
    const json::value* value = in.if_contains(key);
    if (value != nullptr && value->is_int64() && value->get_int64() >= 0 &&
        value->get_int64() <= std::numeric_limits<int>::max()) {
      return static_cast<unsigned>(value->get_int64());
    }
    Fail(path + "." + key, "a whole number from 0");
    return 0;
  }
  std::string Text(const json::object& in, const char* key, const std::string& path) {
    const json::value* value = in.if_contains(key);
    if (value != nullptr && value->is_string()) return std::string(value->get_string());
    Fail(path + "." + key, "a text");
    return {};
  }
  bool Truth(const json::object& in, const char* key, const std::string& path) {
    const json::value* value = in.if_contains(key);
    if (value != nullptr && value->is_bool()) return value->get_bool();
    Fail(path + "." + key, "true or false");
    return false;
  }
  void Fail(const std::string& path, std::string_view expected) {
    if (!error_) {
      error_ = Error{Code::kInvalidArgument,
                     fmt::format("{} cannot be read: {} is not {}", what_, path, expected)};
    }
  }

 private:
  std::string what_;
  std::optional<Error> error_;
};

Placement ReadPlacement(Reader& reader, const json::object& in, const std::string& path) {
  const json::object* at = reader.Object(in.if_contains("Placement"), path + ".Placement");
  if (at == nullptr) return {};
  return {reader.Number(*at, "Start", path + ".Placement"),
          reader.Number(*at, "Size", path + ".Placement")};
}

InstanceTarget ReadInstance(Reader& reader, const json::object& in, const std::string& path) {
  InstanceTarget instance;
  instance.profile = reader.Number(in, "ProfileID", path);
  instance.placement = ReadPlacement(reader, in, path);
  const json::array* list = reader.Array(in, "ComputeInstances", path);
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const std::string at = fmt::format("{}.ComputeInstances[{}]", path, i);
    const json::object* object = reader.Object(&(*list)[i], at);
    if (object == nullptr) break;
    ComputeTarget compute;
    compute.profile = reader.Number(*object, "ProfileID", at);
    // mig-parted does not write it.
    if (object->contains("Placement")) compute.placement = ReadPlacement(reader, *object, at);
    instance.compute.push_back(compute);
  }
  return instance;
}

Checkpoint::Gpu ReadGpu(Reader& reader, const json::value* value, const std::string& path) {
  Checkpoint::Gpu gpu;
  const json::object* object = reader.Object(value, path);
  if (object == nullptr) return gpu;
  gpu.uuid = reader.Text(*object, "UUID", path);
  const unsigned mode = reader.Number(*object, "MigMode", path);
  if (mode > 1) reader.Fail(path + ".MigMode", "0 or 1");
  gpu.layout.mode_on = mode == 1;
  const json::array* list = reader.Array(*object, "GpuInstances", path);
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const std::string at = fmt::format("{}.GpuInstances[{}]", path, i);
    const json::object* instance = reader.Object(&(*list)[i], at);
    if (instance == nullptr) break;
    gpu.layout.instances.push_back(ReadInstance(reader, *instance, at));
  }
  std::sort(gpu.layout.instances.begin(), gpu.layout.instances.end(),
            [](const auto& a, const auto& b) { return a.placement < b.placement; });
  return gpu;
}

// The file's object, if it is JSON of version v1.
Result<json::object> ParseFile(std::string_view text, const std::string& what,
                               const char* version_key) {
  json::error_code failure;
  json::value value = json::parse(text, failure);
  if (failure || !value.is_object()) {
    return Error{Code::kInvalidArgument, what + " cannot be read: it is not a JSON object"};
  }
  const json::value* version = value.get_object().if_contains(version_key);
  if (version == nullptr || !version->is_string() || version->get_string() != "v1") {
    return Error{Code::kInvalidArgument,
                 fmt::format("{} cannot be read: {} is not \"v1\"", what, version_key)};
  }
  return std::move(value.get_object());
}

Status SyncPath(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError("cannot open " + path, errno);
  if (::fsync(fd.get()) != 0) return ErrnoError("cannot flush " + path, errno);
  return {};
}

std::string DirectoryOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Checkpoint CheckpointOf(const std::vector<GpuMigState>& gpus) {
  Checkpoint checkpoint;
  for (const GpuMigState& gpu : gpus) {
    if (gpu.mig_capable) checkpoint.gpus.push_back({gpu.uuid, LayoutOf(gpu)});
  }
  return checkpoint;
}

std::string WriteCheckpoint(const Checkpoint& checkpoint) {
  json::array devices;
  for (const Checkpoint::Gpu& gpu : checkpoint.gpus) {
    devices.push_back(ToJson(gpu.uuid, gpu.layout));
  }
  const json::object file{{"Version", "v1"},
                          {"MigState", json::object{{"Devices", std::move(devices)}}}};
  return json::serialize(file) + "\n";
}

Result<Checkpoint> ReadCheckpoint(std::string_view text) {
  const std::string what = "the checkpoint";
  const auto file = ParseFile(text, what, "Version");
  if (!file.ok()) return file.error();
  Reader reader(what);
  Checkpoint checkpoint;
  const json::object* state = reader.Object(file->if_contains("MigState"), "MigState");
  const json::array* list =
      state == nullptr ? nullptr : reader.Array(*state, "Devices", "MigState");
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    checkpoint.gpus.push_back(ReadGpu(reader, &(*list)[i], fmt::format("MigState.Devices[{}]", i)));
  }
  if (reader.error()) return *reader.error();
  return checkpoint;
}

std::string WriteJournal(const Journal& journal) {
  json::array gpus;
  for (const Journal::Gpu& gpu : journal.gpus) {
    gpus.push_back(json::object{{"goal", gpu.goal == Journal::Goal::kAfter ? "after" : "before"},
                                {"awaitsReboot", gpu.awaits_reboot},
                                {"before", ToJson(gpu.uuid, gpu.before)},
                                {"after", ToJson(gpu.uuid, gpu.after)}});
  }
  return json::serialize(json::object{{"version", "v1"}, {"gpus", std::move(gpus)}}) + "\n";
}

Result<Journal> ReadJournal(std::string_view text) {
  const std::string what = "the journal of MIG changes";
  const auto file = ParseFile(text, what, "version");
  if (!file.ok()) return file.error();
  Reader reader(what);
  Journal journal;
  const json::array* list = reader.Array(*file, "gpus", "");
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const std::string at = fmt::format("gpus[{}]", i);
    const json::object* object = reader.Object(&(*list)[i], at);
    if (object == nullptr) break;
    Journal::Gpu gpu;
    Checkpoint::Gpu before = ReadGpu(reader, object->if_contains("before"), at + ".before");
    gpu.uuid = std::move(before.uuid);
    gpu.before = std::move(before.layout);
    gpu.after = ReadGpu(reader, object->if_contains("after"), at + ".after").layout;
    const std::string goal = reader.Text(*object, "goal", at);
    if (goal != "after" && goal != "before") reader.Fail(at + ".goal", "after or before");
    gpu.goal = goal == "before" ? Journal::Goal::kBefore : Journal::Goal::kAfter;
    gpu.awaits_reboot = reader.Truth(*object, "awaitsReboot", at);
    journal.gpus.push_back(std::move(gpu));
  }
  if (reader.error()) return *reader.error();
  return journal;
}

Status FileJournalStore::Save(std::string_view text) {
  if (Status written = WriteFileAtomically(path_, text, 0600); !written.ok()) return written;
  // The rename comes first and the flush after it; nothing is done to a GPU before both.
  if (Status flushed = SyncPath(path_); !flushed.ok()) return flushed;
  return SyncPath(DirectoryOf(path_));
}

Result<std::string> FileJournalStore::Load() { return ReadFile(path_); }

Status FileJournalStore::Remove() {
  if (::unlink(path_.c_str()) != 0 && errno != ENOENT) {
    return ErrnoError("cannot remove " + path_, errno);
  }
  return SyncPath(DirectoryOf(path_));
}

}  // namespace aliquot::mig
