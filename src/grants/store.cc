// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "grants/store.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <tuple>

#include "base/file.h"

namespace aliquot::grants {
namespace {

namespace fs = std::filesystem;

constexpr char kRecordSuffix[] = ".json";

// With all parents; those that are made get what the umask leaves.
Status MakeDirectory(const std::string& path, mode_t mode) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return Error{Code::kFailedPrecondition, error.message()}.In("cannot make " + path);
  if (::chmod(path.c_str(), mode) == 0) return {};
  return ErrnoError(fmt::format("cannot set the mode of {}", path), errno);
}

Result<std::vector<std::string>> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error) return Error{Code::kUnavailable, error.message()}.In("cannot list " + directory);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Result<GrantStore::Loaded> GrantStore::Load() {
  for (const std::string& directory : {records_, live_}) {
    if (Status status = MakeDirectory(directory, 0700); !status.ok()) return status.error();
  }
  const Result<std::vector<std::string>> files = NamesIn(records_);
  if (!files.ok()) return files.error();
  Loaded loaded;
  std::set<std::string> with_record;
  for (const std::string& file : *files) {
    const std::string path = records_ + "/" + file;
    // What a write that did not finish left behind ends in six more characters.
    if (!file.ends_with(kRecordSuffix)) {
      if (file.find(kRecordSuffix) != std::string::npos) ::unlink(path.c_str());
      continue;
    }
    const std::string id = file.substr(0, file.size() - sizeof(kRecordSuffix) + 1);
    with_record.insert(id);
    const Result<std::string> text = ReadFile(path, 1u << 20);
    Result<Grant> grant = text.ok() ? ParseRecord(*text) : text.error();
    if (grant.ok() && grant->id != id) {
      grant = Error{Code::kInvalidArgument, fmt::format("the record of grant {}", grant->id)};
    }
    if (grant.ok()) {
      loaded.grants.push_back(*std::move(grant));
    } else {
      loaded.problems.push_back(grant.error().In(path).message);
    }
  }
  std::sort(loaded.grants.begin(), loaded.grants.end(), [](const Grant& a, const Grant& b) {
    return std::tie(a.created_at, a.id) < std::tie(b.created_at, b.id);
  });
  const Result<std::vector<std::string>> directories = NamesIn(live_);
  if (!directories.ok()) return directories.error();
  for (const std::string& name : *directories) {
    if (IsGrantId(name) && !with_record.contains(name)) loaded.orphans.push_back(name);
  }
  return loaded;
}

Status GrantStore::Save(const Grant& grant) {
  const Status saved = WriteFileDurably(RecordPath(grant.id), ToRecord(grant), 0600);
  if (!saved.ok()) return saved.error().In("cannot keep the grant");
  return {};
}

Status GrantStore::MakeLive(const Grant& grant, const std::string& share_text) {
  const std::string directory = LiveDirectory(grant.id);
  if (Status status = MakeDirectory(directory, 0755); !status.ok()) return status;
  const std::string path = directory + "/share";
  if (const auto present = ReadFile(path); present.ok() && !present->empty()) return {};
  return WriteFileAtomically(path, share_text, 0644);
}

Status GrantStore::Erase(const std::string& id) {
  // The record first: a directory without a record is recognised as left over.
  const std::string path = RecordPath(id);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoError(fmt::format("cannot remove {}", path), errno);
  }
  return EraseLive(id);
}

Status GrantStore::EraseLive(const std::string& id) {
  std::error_code error;
  fs::remove_all(LiveDirectory(id), error);
  if (!error) return {};
  return Error{Code::kUnknown, error.message()}.In("cannot remove " + LiveDirectory(id));
}

}  // namespace aliquot::grants
