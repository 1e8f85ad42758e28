// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/text.h"
#include "sim/model/bundled.h"
#include "sim/model/node.h"
#include "sim/model/uuid.h"

namespace aliquot::sim {
namespace {

std::string NodeYaml(const std::string& gpus, const std::string& rest = "") {
  return "name: n\ndriver: \"580.159.04\"\ncuda: \"13.0\"\ngpus:\n" + gpus + rest;
}

// The problems of a node file, without "n.yaml:".
std::string Problems(const std::string& text) {
  const Result<NodeSpec> node = ParseNode("n.yaml", text);
  return node.ok() ? "" : node.error().message;
}

TEST(Uuid, Version5FollowsRfc4122) {
  // From the RFC's errata: the DNS name space and "www.example.com".
  const auto dns = ParseUuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
  ASSERT_TRUE(dns);
  EXPECT_EQ(FormatUuid(UuidV5(*dns, "www.example.com")), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
  EXPECT_EQ(FormatUuid(UuidV5(*dns, std::string(200, 'x'))).size(), 36u);
}

TEST(Uuid, ParsesOnlyTheCanonicalForm) {
  EXPECT_TRUE(ParseUuid("6BA7B810-9dad-11d1-80b4-00c04fd430c8"));
  EXPECT_FALSE(ParseUuid("6ba7b810-9dad-11d1-80b4-00c04fd430c"));
  EXPECT_FALSE(ParseUuid("6ba7b8109dad-11d1-80b4-00c04fd430c8-"));
  EXPECT_FALSE(ParseUuid("6ba7b810-9dad-11d1-80b4-00c04fd430cg"));
  EXPECT_FALSE(ParseUuid(""));
}

TEST(Product, EveryBundledFileIsGoodAndNamedByItsKey) {
  for (const BundledFile& file : BundledProducts()) {
    const Result<Product> product = ParseProduct(file.name, std::string(file.text));
    ASSERT_TRUE(product.ok()) << product.error().message;
    EXPECT_EQ(ToLower(product->key), file.name);
  }
  EXPECT_EQ(BundledProductKeys().size(), BundledProducts().size());
}

// Names of the whole table of each product, as listings of real drivers show them.
TEST(Product, MigNamesFollowFromMemory) {
  const std::map<std::string, std::vector<std::string>> expected = {
      {"A100-SXM4-40GB",
       {"1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb", "1g.5gb+me", "1g.10gb"}},
      {"A100-SXM4-80GB",
       {"1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb", "1g.10gb+me", "1g.20gb"}},
      {"A30", {"1g.6gb", "2g.12gb", "4g.24gb", "1g.6gb+me", "2g.12gb+me"}},
      {"H100-80GB-HBM3",
       {"1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb", "1g.10gb+me", "1g.20gb"}},
      {"H200", {"1g.18gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb", "1g.18gb+me", "1g.35gb"}},
      {"B200", {"1g.23gb", "2g.45gb", "3g.90gb", "4g.90gb", "7g.180gb", "1g.23gb+me", "1g.45gb"}},
      {"RTX-PRO-6000-Server",
       {"1g.24gb", "2g.48gb", "4g.96gb", "1g.24gb+me", "1g.24gb+gfx", "2g.48gb+gfx", "4g.96gb+gfx",
        "1g.24gb-me", "2g.48gb-me", "1g.24gb+me.all", "2g.48gb+me.all"}},
  };
  for (const auto& [key, names] : expected) {
    const auto product = BundledProduct(key);
    ASSERT_TRUE(product.ok()) << product.error().message;
    std::vector<std::string> got;
    for (const MigProfile& profile : (*product)->mig->profiles) got.push_back(profile.name);
    EXPECT_EQ(got, names) << key;
  }
}

// Otherwise a profile's name would jump to the next eighth.
TEST(Product, NoProfileHasMoreThanItsPartOfTheMemory) {
  for (const std::string& key : BundledProductKeys()) {
    const auto product = BundledProduct(key);
    ASSERT_TRUE(product.ok());
    if (!(*product)->mig) continue;
    for (const MigProfile& profile : (*product)->mig->profiles) {
      EXPECT_LE(profile.memory_mib * (*product)->mig->grid,
                profile.size * (*product)->memory_total_mib)
          << key << " " << profile.name;
      EXPECT_TRUE(std::set<unsigned>(profile.starts.begin(), profile.starts.end()).size() ==
                  profile.starts.size());
    }
  }
}

TEST(Product, ComputeProfilesOfAnA100) {
  const auto product = BundledProduct("a100-sxm4-40gb");
  ASSERT_TRUE(product.ok());
  const auto table = [&](const char* name) {
    std::vector<std::string> rows;
    for (const ComputeProfile& p : ComputeProfiles(**product, *(*product)->ProfileByName(name))) {
      rows.push_back(std::to_string(p.index) + " " + p.name + " x" + std::to_string(p.instances) +
                     " " + std::to_string(p.multiprocessors));
    }
    return rows;
  };
  EXPECT_EQ(table("3g.20gb"), (std::vector<std::string>{"0 1c.3g.20gb x3 14", "1 2c.3g.20gb x1 28",
                                                        "2 3g.20gb x1 42"}));
  EXPECT_EQ(table("7g.40gb"), (std::vector<std::string>{"0 1c.7g.40gb x7 14", "1 2c.7g.40gb x3 28",
                                                        "2 3c.7g.40gb x2 42", "3 4c.7g.40gb x1 56",
                                                        "4 7g.40gb x1 98"}));
}

TEST(Product, DoubleMemoryProfileHasTwoComputeProfiles) {
  const auto product = BundledProduct("H200");
  ASSERT_TRUE(product.ok());
  const auto profiles = ComputeProfiles(**product, *(*product)->ProfileByName("1g.35gb"));
  ASSERT_EQ(profiles.size(), 2u);
  EXPECT_EQ(profiles[0].index, 0u);
  EXPECT_EQ(profiles[0].multiprocessors, 16u);
  EXPECT_EQ(profiles[1].index, 7u);
  EXPECT_EQ(profiles[1].multiprocessors, 26u);
}

TEST(Node, EveryBundledNodeLoads) {
  const std::vector<std::string> names = BundledNodeNames();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  for (const std::string& name : names) {
    const Result<NodeSpec> node = LoadNode(name);
    ASSERT_TRUE(node.ok()) << node.error().message;
    EXPECT_EQ(node->name, name);
  }
}

TEST(Node, DerivedIdsAreStableAndDistinct) {
  const Result<NodeSpec> node = LoadNode("a100-40gb-x16");
  ASSERT_TRUE(node.ok());
  std::set<std::string> ids;
  for (const GpuSpec& gpu : node->gpus) {
    ids.insert(gpu.uuid);
    ids.insert(BusId(gpu));
    ids.insert(gpu.serial);
  }
  EXPECT_EQ(ids.size(), 48u);
  // Written down so that a change of the rule does not go unnoticed.
  const Result<NodeSpec> t4 = LoadNode("t4-x1");
  ASSERT_TRUE(t4.ok());
  EXPECT_EQ(t4->gpus[0].uuid, "GPU-df256ff8-82d4-56f2-9e3a-5425bfcdf81a");
  EXPECT_EQ(BusIdLegacy(t4->gpus[0]), "0000:07:00.0");
  EXPECT_EQ(MigUuid(t4->gpus[0], 1, 0), MigUuid(t4->gpus[0], 1, 0));
  EXPECT_NE(MigUuid(t4->gpus[0], 1, 0), MigUuid(t4->gpus[0], 1, 1));
}

TEST(Node, TakesWhatIsGiven) {
  const Result<NodeSpec> node = ParseNode(
      "n.yaml",
      NodeYaml("- {product: t4, uuid: GPU-00112233-4455-6677-8899-aabbccddeeff, minor: 3,\n"
               "   busId: \"0001:3b:00.0\", serial: S1, numaNode: -1}\n"));
  ASSERT_TRUE(node.ok()) << node.error().message;
  EXPECT_EQ(node->gpus[0].uuid, "GPU-00112233-4455-6677-8899-aabbccddeeff");
  EXPECT_EQ(BusId(node->gpus[0]), "00000001:3B:00.0");
  EXPECT_EQ(node->gpus[0].minor, 3u);
  EXPECT_EQ(node->gpus[0].serial, "S1");
  EXPECT_FALSE(node->gpus[0].numa_node);
  EXPECT_EQ(node->cuda_version, 13000);
}

TEST(Node, TopologyFollowsBoardAndNuma) {
  const Result<NodeSpec> hgx = LoadNode("a100-40gb-x8");
  ASSERT_TRUE(hgx.ok());
  EXPECT_EQ(TopologyLevel(*hgx, 0, 1), 20u);
  EXPECT_EQ(TopologyLevel(*hgx, 1, 2), 40u);
  EXPECT_EQ(TopologyLevel(*hgx, 3, 4), 50u);
  EXPECT_EQ(NvLinks(*hgx, 0).size(), 12u);
  EXPECT_TRUE(NvLinks(*hgx, 0)[11].active);
  EXPECT_FALSE(NvLinks(*hgx, 0)[11].gpu);
  const Result<NodeSpec> bridged = LoadNode("a30-x2");
  ASSERT_TRUE(bridged.ok());
  EXPECT_EQ(NvLinks(*bridged, 0)[3].gpu, 1u);
  const Result<NodeSpec> t4 = LoadNode("t4-x4");
  ASSERT_TRUE(t4.ok());
  EXPECT_TRUE(NvLinks(*t4, 0).empty());
}

TEST(Node, ReportsEveryProblemWithItsPlace) {
  const std::string problems = Problems(
      "name: n\n"
      "driver: fast\n"
      "cuda: \"13\"\n"
      "gpus:\n"
      "- product: T5\n"
      "- product: T4\n"
      "  cuont: 2\n"
      "- product: A30\n"
      "  mig: [1g.5gb]\n"
      "- product: T4\n"
      "  mig: []\n");
  EXPECT_EQ(problems,
            "n.yaml:2:9: driver \"fast\" is not a version such as 580.159.04\n"
            "n.yaml:3:7: cuda \"13\" is not a version such as \"13.0\"\n"
            "n.yaml:5:12: unknown product \"T5\"; expected one of A10, A100-PCIE-40GB, "
            "A100-SXM4-40GB, A100-SXM4-80GB, A30, B200, H100-80GB-HBM3, H100-PCIe, H200, L4, L40S, "
            "RTX-PRO-6000-Server, T4\n"
            "n.yaml:7:3: unknown key \"cuont\" of a GPU; did you mean \"count\"?\n"
            "n.yaml:9:9: product A30 has no MIG profile \"1g.5gb\"; expected one of 1g.6gb, "
            "2g.12gb, 4g.24gb, 1g.6gb+me, 2g.12gb+me\n"
            "n.yaml:11:8: product T4 has no MIG");
}

TEST(Node, RefusesContradictions) {
  EXPECT_NE(Problems(NodeYaml("- {product: T4, count: 2, minor: 1}\n")).find("one entry per GPU"),
            std::string::npos);
  EXPECT_NE(Problems(NodeYaml("- {product: T4, minor: 1}\n- {product: T4}\n"))
                .find("GPU 1 repeats the minor 1"),
            std::string::npos);
  EXPECT_NE(Problems(NodeYaml("- {product: T4, count: 40}\n")).find("from 1 to 32"),
            std::string::npos);
  EXPECT_NE(Problems(NodeYaml("- {product: T4, count: 20}\n- {product: T4, count: 20}\n"))
                .find("more than 32 GPUs"),
            std::string::npos);
  EXPECT_NE(
      Problems(NodeYaml("- {product: A30, count: 2}\n", "nvlinks:\n- {a: 0, b: 1, count: 5}\n"))
          .find("GPU 0 uses 5 links; product A30 has 4"),
      std::string::npos);
  EXPECT_NE(Problems(NodeYaml("- product: T4\n", "faults:\n- {kind: xid, gpu: 0}\n"))
                .find("aliquot sim xid"),
            std::string::npos);
  EXPECT_NE(Problems(NodeYaml("- product: T4\n", "name: again\n")).find("twice"),
            std::string::npos);
}

// None of these may crash, hang or be taken for a node.
TEST(Node, SurvivesHostileText) {
  std::vector<std::string> texts = {
      ",",
      ",!nam name: x",
      "]",
      "",
      "\n",
      "---\n---\n",
      "[]",
      "a",
      "{",
      "&a [*a]",
      "a: &a\n  b: *a\n",
      "? [x]\n: y\n",
      "gpus: !!binary x\n",
      std::string("name: a\0b", 9),
      "\xff\xfe",
      "%YAML 9.9\n---\n",
      "name: [a]\ndriver: {}\ncuda: ~\ngpus: {}\n",
      "gpus: [~, 1, [], {}]\n",
      std::string(2000, '['),
      std::string(2000, '{'),
      std::string(100000, 'x'),
      NodeYaml("- &g {product: T4}\n- *g\n- <<: *g\n"),
      NodeYaml("- {product: T4, count: 1e9}\n"),
      NodeYaml("- {product: T4, count: -0x1}\n"),
      NodeYaml("- {product: T4, busId: \"::::.0\"}\n- {product: T4, uuid: GPU-}\n")};
  std::string anchors = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    anchors += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int j = 0; j < 9; ++j) anchors += "," + last;
    anchors += "]\n";
  }
  texts.push_back(anchors);
  for (const std::string& text : texts) {
    EXPECT_FALSE(ParseNode("hostile", text).ok()) << text.substr(0, 60);
    EXPECT_FALSE(ParseProduct("hostile", text).ok()) << text.substr(0, 60);
  }
}

TEST(Node, UnknownNameListsTheKnown) {
  const Result<NodeSpec> node = LoadNode("t4");
  ASSERT_FALSE(node.ok());
  EXPECT_EQ(node.error().code, Code::kNotFound);
  EXPECT_NE(node.error().message.find("t4-x1"), std::string::npos);
  EXPECT_FALSE(LoadNode("/nonexistent/node.yaml").ok());
}

}  // namespace
}  // namespace aliquot::sim
