// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "mig/profile.h"

#include <gtest/gtest.h>

#include <set>

#include "mig/catalog.h"
#include "mig/testing/products.h"

namespace aliquot::mig {
namespace {

using testing::MakeGpu;

ProfileName Name(const std::string& text) {
  auto name = ParseProfileName(text);
  EXPECT_TRUE(name.ok()) << text;
  return name.ok() ? *name : ProfileName{};
}

TEST(ProfileName, HasOneSpelling) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"1g.5gb", "1g.5gb"},
      {"7c.7g.40gb", "7g.40gb"},
      {"1c.3g.20gb", "1c.3g.20gb"},
      {"1g.10gb+me", "1g.10gb+me"},
      {"1g.24gb-me", "1g.24gb-me"},
      {"1g.24gb+me.all", "1g.24gb+me.all"},
      {"1g.24gb+me,gfx", "1g.24gb+gfx,me"},
      {"0g.0gb", "0g.0gb"},
      {"1c.1g.35gb", "1g.35gb"},
  };
  for (const auto& [text, canonical] : cases) EXPECT_EQ(Name(text).ToString(), canonical);
}

TEST(ProfileName, RefusesWhatIsNotOne) {
  for (const char* text : {"",
                           "1g",
                           "g.5gb",
                           "1g.gb",
                           "1g5gb",
                           "1g.5gb ",
                           " 1g.5gb",
                           "1g.5GB",
                           "1G.5gb",
                           "c.1g.5gb",
                           "1g.5gb+",
                           "1g.5gb-",
                           "1g.5gb+me,",
                           "1g.5gb+me,me",
                           "1g.5gb+me-gfx",
                           "1g.5gb+1me",
                           "1g.5gb+.me",
                           "1g.5gb+me.",
                           "1g.5gb+m e",
                           "1g.5gbx",
                           "1c.2c.3g.20gb",
                           "-1g.5gb",
                           "99999999999g.5gb",
                           "1g.5gb.me"}) {
    const auto name = ParseProfileName(text);
    ASSERT_FALSE(name.ok()) << text;
    EXPECT_EQ(name.error().code, Code::kInvalidArgument);
    EXPECT_NE(name.error().message.find('"' + std::string(text) + '"'), std::string::npos);
  }
}

TEST(ProfileName, GigabytesFollowTheDriversRule) {
  constexpr std::uint64_t kH200 = 143771ull << 20;
  EXPECT_EQ(ProfileGigabytes(16384, kH200), 18u);
  EXPECT_EQ(ProfileGigabytes(33280, kH200), 35u);
  EXPECT_EQ(ProfileGigabytes(71424, kH200), 71u);  // 70.5 rounds up
  EXPECT_EQ(ProfileGigabytes(143360, kH200), 141u);
  EXPECT_EQ(ProfileGigabytes(1, 0), 0u);
}

TEST(Catalog, EveryProductHasItsDocumentedNames) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a30", "1g.6gb, 1g.6gb+me, 2g.12gb, 2g.12gb+me, 4g.24gb"},
      {"a100-40gb", "1g.5gb, 1g.5gb+me, 1g.10gb, 2g.10gb, 3g.20gb, 4g.20gb, 7g.40gb"},
      {"a100-80gb", "1g.10gb, 1g.10gb+me, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb"},
      {"a100-96gb", "1g.12gb, 1g.12gb+me, 1g.24gb, 2g.24gb, 3g.48gb, 4g.48gb, 7g.96gb"},
      {"h100-80gb", "1g.10gb, 1g.10gb+me, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb, 7g.80gb"},
      {"h100-nvl", "1g.12gb, 1g.12gb+me, 1g.24gb, 2g.24gb, 3g.47gb, 4g.47gb, 7g.94gb"},
      {"gh200-96gb", "1g.12gb, 1g.12gb+me, 1g.24gb, 2g.24gb, 3g.48gb, 4g.48gb, 7g.96gb"},
      {"gh200-144gb", "1g.18gb, 1g.18gb+me, 1g.36gb, 2g.36gb, 3g.72gb, 4g.72gb, 7g.144gb"},
      {"h20-96gb", "1g.12gb, 1g.12gb+me, 1g.24gb, 2g.24gb, 3g.48gb, 4g.48gb, 7g.96gb"},
      {"h200", "1g.18gb, 1g.18gb+me, 1g.35gb, 2g.35gb, 3g.71gb, 4g.71gb, 7g.141gb"},
      {"b200", "1g.23gb, 1g.23gb+me, 1g.45gb, 2g.45gb, 3g.90gb, 4g.90gb, 7g.180gb"},
      {"gb200", "1g.23gb, 1g.23gb+me, 1g.47gb, 2g.47gb, 3g.93gb, 4g.93gb, 7g.186gb"},
      {"b300", "1g.34gb, 1g.34gb+me, 1g.67gb, 2g.67gb, 3g.135gb, 4g.135gb, 7g.269gb"},
      {"gb300", "1g.35gb, 1g.35gb+me, 1g.70gb, 2g.70gb, 3g.139gb, 4g.139gb, 7g.278gb"},
      {"rtx-pro-6000",
       "1g.24gb, 1g.24gb-me, 1g.24gb+gfx, 1g.24gb+me, 1g.24gb+me.all, 2g.48gb, "
       "2g.48gb-me, 2g.48gb+gfx, 2g.48gb+me.all, 4g.96gb, 4g.96gb+gfx"},
      {"rtx-pro-5000",
       "1g.24gb, 1g.24gb-me, 1g.24gb+gfx, 1g.24gb+me, 1g.24gb+me.all, 2g.48gb, "
       "2g.48gb+gfx"},
      {"rtx-pro-4500", "1g.16gb, 1g.16gb-me, 1g.16gb+gfx, 1g.16gb+me.all, 2g.32gb, 2g.32gb+gfx"},
  };
  for (const auto& [product, names] : cases) EXPECT_EQ(OfferedProfiles(MakeGpu(product)), names);
}

TEST(Catalog, EveryProfileIsFoundByItsOwnName) {
  for (const std::string& product : testing::ProductNames()) {
    const GpuMigState gpu = MakeGpu(product);
    for (const InstanceProfile& profile : gpu.profiles) {
      const auto found = ResolveProfile(gpu, profile.name);
      ASSERT_TRUE(found.ok()) << product << found.error().message;
      EXPECT_EQ(found->instance, &profile);
      EXPECT_EQ(found->compute->slices, profile.slices);
      EXPECT_EQ(found->compute->multiprocessors, profile.multiprocessors);
      EXPECT_EQ(found->warning, "");
    }
  }
}

TEST(Catalog, DoubleMemoryTakesAllMultiprocessors) {
  for (const auto& [product, name] : std::vector<std::pair<std::string, std::string>>{
           {"a100-40gb", "1g.10gb"}, {"h200", "1g.35gb"}, {"b200", "1g.45gb"}}) {
    const GpuMigState gpu = MakeGpu(product);
    const auto found = ResolveProfile(gpu, Name(name));
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found->compute->index, 7u) << product;
  }
}

TEST(Catalog, TakesNeighbouringSizesWithAWarning) {
  const auto resolve = [](const std::string& product, const std::string& name) -> std::string {
    const GpuMigState gpu = MakeGpu(product);
    const auto found = ResolveProfile(gpu, Name(name));
    if (!found.ok()) return "not found";
    EXPECT_NE(found->warning, "");
    return found->instance->name.ToString();
  };
  EXPECT_EQ(resolve("a100-80gb", "3g.39gb"), "3g.40gb");
  EXPECT_EQ(resolve("a100-80gb", "7g.79gb"), "7g.80gb");
  EXPECT_EQ(resolve("gb200", "1g.24gb"), "1g.23gb");
  EXPECT_EQ(resolve("gb200", "3g.95gb"), "3g.93gb");
  EXPECT_EQ(resolve("gb200", "7g.189gb"), "7g.186gb");
  EXPECT_EQ(resolve("a100-40gb", "2c.3g.19gb"), "3g.20gb");
  EXPECT_EQ(resolve("b200", "3g.93gb"), "not found");   // a GB200's
  EXPECT_EQ(resolve("b200", "7g.186gb"), "not found");  // a GB200's
  EXPECT_EQ(resolve("a100-80gb", "1g.5gb"), "not found");
  EXPECT_EQ(resolve("a100-40gb", "1g.5gb+gfx"), "not found");
  EXPECT_EQ(resolve("a100-40gb", "5c.7g.40gb"), "not found");
}

TEST(Catalog, NamesWhatIsOffered) {
  const GpuMigState gpu = MakeGpu("a100-40gb");
  const auto found = ResolveProfile(gpu, Name("2g.20gb"));
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, Code::kNotFound);
  EXPECT_NE(found.error().message.find("\"2g.20gb\"; it offers 1g.5gb, 1g.5gb+me, 1g.10gb"),
            std::string::npos)
      << found.error().message;
}

TEST(Catalog, RefusesWhatTwoProfilesAreNearTo) {
  GpuMigState gpu = MakeGpu("a100-40gb");
  gpu.profiles[0].name.gigabytes = 9;
  gpu.profiles.back().name.gigabytes = 11;
  const auto found = ResolveProfile(gpu, Name("1g.10gb"));
  ASSERT_FALSE(found.ok());
  EXPECT_NE(found.error().message.find("both 1g.9gb and 1g.11gb are near"), std::string::npos);
}

TEST(Profile, LabelForm) {
  EXPECT_EQ(LabelForm(Name("1g.24gb+me.all")), "1g.24gb.me.all");
  EXPECT_EQ(LabelForm(Name("1g.24gb-me")), "1g.24gb-me");
}

}  // namespace
}  // namespace aliquot::mig
