// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "sim/cuda/kernel_image.h"

#include <gtest/gtest.h>

namespace aliquot::sim::cuda {
namespace {

TEST(KernelText, AllThatALineCanSay) {
  const auto image = ParseKernelText(
      "aliquot-kernels 1\n"
      "# a comment\n"
      "kernel a time=200us\n"
      "kernel b time=wave:5ms params=8,4,16 regs=64 shared=1024  # another\n"
      "kernel c time=param:1 params=8,4 effect=add\n"
      "kernel d\n"
      "global g 4096\n");
  ASSERT_TRUE(image);
  ASSERT_EQ(image->kernels.size(), 4u);
  EXPECT_EQ(image->kernels[0].time.time, 200'000);
  EXPECT_EQ(image->kernels[1].time.kind, KernelTime::Kind::kWave);
  EXPECT_EQ(image->kernels[1].parameter_bytes, (std::vector<unsigned>{8, 4, 16}));
  EXPECT_EQ(image->kernels[1].registers, 64u);
  EXPECT_TRUE(image->kernels[2].adds);
  EXPECT_EQ(image->kernels[3].time.kind, KernelTime::Kind::kDefault);
  EXPECT_EQ(image->globals[0].bytes, 4096u);
}

TEST(KernelText, RefusesWhatItDoesNotUnderstand) {
  for (const char* line :
       {"kernel", "kernel a time=5", "kernel a time=5h", "kernel a speed=9",
        "kernel a time=param:0", "kernel a time=param:0 params=2", "kernel a effect=add params=4,4",
        "kernel a params=0", "global g", "global g 0", "what is this"}) {
    EXPECT_FALSE(ParseKernelText(std::string("aliquot-kernels 1\n") + line)) << line;
  }
  EXPECT_FALSE(ParseKernelText("aliquot-kernels 2\n"));
}

TEST(Ptx, EntriesAndDirectives) {
  const auto image = ParsePtx(
      ".version 8.0\n.target sm_90\n.address_size 64\n"
      "// aliquot: time=3ms regs=40\n"
      ".visible .entry first(\n  .param .u64 .ptr .global p0,\n  .param .f32 p1,\n"
      "  .param .align 8 .b8 p2[24]\n)\n{ ret; }\n"
      ".entry second { ret; }\n");
  ASSERT_TRUE(image);
  ASSERT_EQ(image->kernels.size(), 2u);
  EXPECT_EQ(image->kernels[0].name, "first");
  EXPECT_EQ(image->kernels[0].time.time, 3'000'000);
  EXPECT_EQ(image->kernels[0].parameter_bytes, (std::vector<unsigned>{8, 4, 24}));
  EXPECT_EQ(image->kernels[1].name, "second");
  EXPECT_EQ(image->kernels[1].time.kind, KernelTime::Kind::kDefault);
}

TEST(Ptx, CutOffTextIsRefused) {
  EXPECT_FALSE(ParsePtx(".version 8.0\n.entry"));
  EXPECT_FALSE(ParsePtx(".version 8.0\n.entry f(.param .u64 a"));
}

TEST(Image, ToldByItsBeginning) {
  EXPECT_FALSE(ReadKernelImage(""));
  EXPECT_FALSE(ReadKernelImage("hello"));
  EXPECT_TRUE(ReadKernelImage("\177ELF....")->opaque);
  EXPECT_FALSE(ReadKernelImage("aliquot-kernels 1\nkernel a\n")->opaque);
}

}  // namespace
}  // namespace aliquot::sim::cuda
