// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "grants/grant.h"

namespace aliquot::grants {

// Grants as files. A record says that a grant exists; it is on a disk that survives a reboot,
// because the kubelet keeps the answers of Allocate in a checkpoint of its own and mounts the same
// directories again afterwards. The live directory of a grant, which its container has mounted, is
// where memory-backed files belong and can always be made again from the record.
//
//   <records>/<id>.json      mode 0600 in a directory of mode 0700
//   <live>/<id>/             mode 0755, in a directory of mode 0700 so that nobody else on the host
//                            reaches the sockets
//   <live>/<id>/share        mode 0644
//   <live>/<id>/socket       made by who serves the grant
//
// Whatever step a crash comes after, Load finds every grant that was answered, and nothing that was
// not can hinder a later one. Confined to one thread; blocks on the disk.
class GrantStore {
 public:
  // Absolute paths, the same on the host as here; made on first use.
  GrantStore(std::string records, std::string live)
      : records_(std::move(records)), live_(std::move(live)) {}

  struct Loaded {
    std::vector<Grant> grants;          // oldest first, then by id
    std::vector<std::string> problems;  // records that cannot be read; they are left alone
    // Ids of live directories without a readable record.
    std::vector<std::string> orphans;
  };
  Result<Loaded> Load();

  // Writes the record; on return it survives a loss of power.
  Status Save(const Grant& grant);
  // Makes the live directory with `share_text`. One that is there keeps its file and its socket: a
  // container may be using it.
  Status MakeLive(const Grant& grant, const std::string& share_text);
  // Removes record and live directory. What is missing already is no error.
  Status Erase(const std::string& id);
  // Removes a live directory, which has no record.
  Status EraseLive(const std::string& id);

  std::string LiveDirectory(const std::string& id) const { return live_ + "/" + id; }

 private:
  std::string RecordPath(const std::string& id) const { return records_ + "/" + id + ".json"; }

  const std::string records_;
  const std::string live_;
};

}  // namespace aliquot::grants
