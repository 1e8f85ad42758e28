// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "base/status.h"

namespace aliquot::cli {

// Exit statuses, the same for every command.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

// Where a command writes and what it ends with. Lives as long as the command line is evaluated.
struct Console {
  std::ostream& out;  // results only
  std::ostream& err;  // messages
  int exit_code = kExitDone;

  // Prints "aliquot: <message>" to err and sets kExitFailed.
  void Fail(const Error& error);
};

// A text table: columns padded to their widest cell, two blanks between, no trailing blanks.
// Widths count UTF-8 code points.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  // Short rows are filled with empty cells.
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string ToString() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace aliquot::cli
