// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "sim/control/control.h"
#include "sim/nvml/abi.h"

namespace aliquot::sim {

// The simulated library as a program meets it: opened by path, called by name, on a node of its
// own whose state lies in a fresh directory. For tests.
class NvmlTest : public testing::Test {
 protected:
  ~NvmlTest() override {
    if (directory_.empty()) return;
    if (up_) Call("nvmlShutdown");
    std::filesystem::remove_all(directory_);
  }

  // Starts a session on a bundled node, or on a node file's text.
  void Start(const std::string& node) {
    char name[] = "/tmp/aliquot-nvml-XXXXXX";
    directory_ = ::mkdtemp(name);
    ::setenv("ALIQUOT_SIM_NODE", node.c_str(), 1);
    ::setenv("ALIQUOT_SIM_STATE", directory_.c_str(), 1);
    Init();
    auto control = Control::Open(directory_, "");
    ASSERT_TRUE(control.ok()) << control.error().message;
    control_ = *std::move(control);
  }
  void Init() {
    ASSERT_EQ(Call("nvmlInit_v2"), abi::kSuccess);
    up_ = true;
  }
  void Shutdown() {
    up_ = false;
    ASSERT_EQ(Call("nvmlShutdown"), abi::kSuccess);
  }

  // Arguments must have the exact types of the function's parameters.
  template <typename... Arguments>
  int Call(const char* name, Arguments... arguments) {
    auto* function = reinterpret_cast<int (*)(Arguments...)>(Symbol(name));
    if (function == nullptr) {
      ADD_FAILURE() << name << " is not exported";
      return -1;
    }
    return function(arguments...);
  }
  static void* Symbol(const char* name) { return ::dlsym(Handle(), name); }
  static void* Handle() {
    static void* const handle = ::dlopen(ALIQUOT_SIM_NVML_PATH, RTLD_NOW | RTLD_LOCAL);
    EXPECT_NE(handle, nullptr) << ::dlerror();
    return handle;
  }

  abi::Device Gpu(unsigned index) {
    abi::Device device = nullptr;
    EXPECT_EQ(Call("nvmlDeviceGetHandleByIndex_v2", index, &device), abi::kSuccess);
    return device;
  }
  abi::Device Mig(unsigned gpu, unsigned index) {
    abi::Device device = nullptr;
    EXPECT_EQ(Call("nvmlDeviceGetMigDeviceHandleByIndex", Gpu(gpu), index, &device), abi::kSuccess);
    return device;
  }
  std::string Text(const char* call, abi::Device device) {
    char text[96] = "";
    EXPECT_EQ(Call(call, device, &text[0], 96u), abi::kSuccess) << call;
    return text;
  }
  unsigned Number(const char* call, abi::Device device) {
    unsigned value = 0;
    EXPECT_EQ(Call(call, device, &value), abi::kSuccess) << call;
    return value;
  }
  Control& control() { return *control_; }
  const std::string& directory() const { return directory_; }

 private:
  std::string directory_;
  std::unique_ptr<Control> control_;
  bool up_ = false;
};

}  // namespace aliquot::sim
