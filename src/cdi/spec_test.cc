// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "cdi/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aliquot::cdi {
namespace {

using ::testing::HasSubstr;

Spec OneDevice(const std::string& name = "GPU-1") {
  Spec spec;
  spec.device_class = "gpu";
  spec.devices.push_back({name, {}});
  spec.devices[0].edits.device_nodes.push_back({"/dev/nvidia0", "", ""});
  return spec;
}

TEST(MinimumVersion, IsTheLowestThatKnowsTheContent) {
  Spec spec = OneDevice();
  EXPECT_EQ(MinimumVersion(spec), "0.3.0");
  EXPECT_EQ(MinimumVersion(OneDevice("0:1")), "0.5.0");
  spec.devices[0].edits.device_nodes[0].host_path = "/run/nvidia/driver/dev/nvidia0";
  EXPECT_EQ(MinimumVersion(spec), "0.5.0");
  spec.common.additional_gids.insert(44);
  EXPECT_EQ(MinimumVersion(spec), "0.7.0");
  Spec dotted = OneDevice();
  dotted.device_class = "gpu.shared";
  EXPECT_EQ(MinimumVersion(dotted), "0.6.0");
}

TEST(Validate, AcceptsNamesRuntimesAccept) {
  for (const char* name : {"GPU-4cf8db2d", "0", "0:1", "all", "MIG-1_2.3"}) {
    EXPECT_TRUE(Validate(OneDevice(name)).ok()) << name;
  }
}

TEST(Validate, RefusesWhatRuntimesRefuse) {
  for (const char* name : {"", "-a", "a:", "a b", "a/b", "a=b"}) {
    EXPECT_FALSE(Validate(OneDevice(name)).ok()) << name;
  }
  Spec spec = OneDevice();
  spec.devices.push_back(spec.devices[0]);
  EXPECT_THAT(Validate(spec).error().message, HasSubstr("appears twice"));
  spec = OneDevice();
  spec.devices[0].edits = {};
  EXPECT_THAT(Validate(spec).error().message, HasSubstr("changes nothing"));
  spec = OneDevice();
  spec.common.env = {"=x"};
  EXPECT_FALSE(Validate(spec).ok());
  spec = OneDevice();
  spec.common.mounts = {{"relative", "/x", {}}};
  EXPECT_FALSE(Validate(spec).ok());
  spec = OneDevice();
  spec.devices[0].edits.device_nodes[0].permissions = "rwx";
  EXPECT_FALSE(Validate(spec).ok());
  spec = OneDevice();
  spec.device_class = "1gpu";
  EXPECT_FALSE(Validate(spec).ok());
  spec = OneDevice();
  spec.devices.clear();
  EXPECT_FALSE(Validate(spec).ok());
}

TEST(Names, AreTheReferencePlugins) {
  EXPECT_EQ(QualifiedName("gpu", "GPU-1"), "k8s.device-plugin.nvidia.com/gpu=GPU-1");
  EXPECT_EQ(FileName("imex-channel"), "k8s.device-plugin.nvidia.com-imex-channel.json");
}

TEST(ToJson, WritesEveryFieldUnderItsSchemaName) {
  Spec spec = OneDevice();
  spec.devices[0].edits.device_nodes[0] = {"/dev/a", "/host/dev/a", "rw"};
  spec.common.env = {"A=\"b\""};
  spec.common.mounts = {{"/h", "/c", {"ro", "rbind"}}};
  spec.common.hooks = {{"createContainer", "/bin/hook", {"hook", "x"}, {"E=1"}}};
  spec.common.additional_gids = {44};
  EXPECT_EQ(ToJson(spec), R"({
  "cdiVersion": "0.7.0",
  "kind": "k8s.device-plugin.nvidia.com/gpu",
  "devices": [
    {
      "name": "GPU-1",
      "containerEdits": {
        "deviceNodes": [
          {
            "path": "/dev/a",
            "hostPath": "/host/dev/a",
            "permissions": "rw"
          }
        ]
      }
    }
  ],
  "containerEdits": {
    "env": [
      "A=\"b\""
    ],
    "hooks": [
      {
        "hookName": "createContainer",
        "path": "/bin/hook",
        "args": [
          "hook",
          "x"
        ],
        "env": [
          "E=1"
        ]
      }
    ],
    "mounts": [
      {
        "hostPath": "/h",
        "containerPath": "/c",
        "options": [
          "ro",
          "rbind"
        ]
      }
    ],
    "additionalGids": [
      44
    ]
  }
}
)");
}

}  // namespace
}  // namespace aliquot::cdi
