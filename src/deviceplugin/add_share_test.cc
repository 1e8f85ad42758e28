// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "deviceplugin/add_share.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace aliquot::deviceplugin {
namespace {

using config::DeviceListStrategy;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kGpuName[] = "k8s.device-plugin.nvidia.com/gpu=GPU-0";
constexpr char kShareName[] = "k8s.device-plugin.nvidia.com/aliquot-share=libraries";

class AddShareTest : public ::testing::Test {
 protected:
  AddShareTest() {
    resource_.name = "nvidia.com/gpu";
    share::PlannedDevice& device = resource_.devices.emplace_back();
    device.id = "GPU-0::0";
    device.device_uuid = device.gpu_uuid = "GPU-0";
    device.replica = 0;
    cdi_devices_ = {{"gpu", {"GPU-0"}}, {"aliquot-share", {"libraries"}}};
  }
  rpc::ContainerAllocation Answer(std::vector<DeviceListStrategy> strategies) {
    config_.flags.device_list_strategies = std::move(strategies);
    const AllocateInput input{config_, resource_, ids_, inventory_, host_, roots_, cdi_devices_};
    auto answer = Allocate(input);
    EXPECT_TRUE(answer.ok());
    EXPECT_TRUE(AddShare(input, {{{"/host/grant", "/run/aliquot/grant"}}}, *answer).ok());
    over_ = LibrariesLieOverDriver(input);
    EXPECT_THAT(answer->mounts,
                ::testing::Contains(rpc::Mount{"/run/aliquot/grant", "/host/grant", true}));
    return *answer;
  }

  config::Config config_;
  share::PlannedResource resource_;
  std::vector<std::string> ids_ = {"GPU-0::0"};
  gpu::Inventory inventory_;
  cdi::HostDevices host_;
  cdi::Roots roots_;
  cdi::PublishedDevices cdi_devices_;
  bool over_ = false;
};

TEST_F(AddShareTest, EnvironmentAndVolumeMounts) {
  for (const auto strategy : {DeviceListStrategy::kEnvVar, DeviceListStrategy::kVolumeMounts}) {
    const auto answer = Answer({strategy});
    EXPECT_FALSE(over_);
    EXPECT_THAT(answer.cdi_devices, IsEmpty());
    EXPECT_THAT(answer.annotations, IsEmpty());
  }
}

// Of two mounts at one place the later wins, so ours must come after the driver's.
TEST_F(AddShareTest, CdiDevicesAfterThoseOfTheGpu) {
  EXPECT_THAT(Answer({DeviceListStrategy::kCdiCri}).cdi_devices, ElementsAre(kGpuName, kShareName));
  EXPECT_TRUE(over_);
  const auto answer = Answer({DeviceListStrategy::kCdiAnnotations, DeviceListStrategy::kCdiCri});
  EXPECT_THAT(answer.cdi_devices, ElementsAre(kGpuName, kShareName));
  ASSERT_EQ(answer.annotations.size(), 1u);
  EXPECT_EQ(answer.annotations.begin()->second, std::string(kGpuName) + "," + kShareName);
}

TEST_F(AddShareTest, WhereTheRuntimeMayChooseOnlyThePreloadFileCounts) {
  const auto answer = Answer({DeviceListStrategy::kEnvVar, DeviceListStrategy::kCdiCri});
  EXPECT_FALSE(over_);
  EXPECT_THAT(answer.cdi_devices, ElementsAre(kGpuName));
}

TEST_F(AddShareTest, WithoutASpecOnlyThePreloadFileCounts) {
  cdi_devices_.erase("aliquot-share");
  EXPECT_THAT(Answer({DeviceListStrategy::kCdiCri}).cdi_devices, ElementsAre(kGpuName));
  EXPECT_FALSE(over_);
}

}  // namespace
}  // namespace aliquot::deviceplugin
