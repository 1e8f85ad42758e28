// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For tests: a directory tree that goes away with the object.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace aliquot::cdi {

class TempTree {
 public:
  TempTree() {
    std::string name = std::filesystem::temp_directory_path() / "aliquot-test-XXXXXX";
    root_ = ::mkdtemp(name.data());
  }
  ~TempTree() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  TempTree(const TempTree&) = delete;
  TempTree& operator=(const TempTree&) = delete;

  const std::string& root() const { return root_; }
  std::string At(const std::string& path) const { return root_ + path; }

  void File(const std::string& path, const std::string& content = "x") const {
    MakeParent(path);
    std::ofstream(At(path)) << content;
  }
  void Link(const std::string& path, const std::string& text) const {
    MakeParent(path);
    std::filesystem::create_symlink(text, At(path));
  }
  void Directory(const std::string& path) const { std::filesystem::create_directories(At(path)); }
  // A character device, made without privileges: stat follows the link.
  void CharDevice(const std::string& path) const { Link(path, "/dev/null"); }

 private:
  void MakeParent(const std::string& path) const {
    std::filesystem::create_directories(std::filesystem::path(At(path)).parent_path());
  }

  std::string root_;
};

}  // namespace aliquot::cdi
