// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/config_choice.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace aliquot::agent {
namespace {

using Map = std::map<std::string, std::string>;

struct Case {
  const char* what;
  std::optional<Map> configs;
  std::string label;
  std::string default_key;
  std::string fallbacks;
  std::string chosen;    // key; "-": no configuration; empty: refused
  std::string reason;    // of the refusal
  std::string mentions;  // in its text
};

ConfigOffer Choose(const Case& c) {
  ChoiceInputs inputs;
  inputs.config_map = "gpu-operator/sharing";
  inputs.policy = "cluster-policy";
  inputs.node = "worker-1";
  inputs.label = "nvidia.com/device-plugin.config";
  inputs.label_value = c.label;
  inputs.default_key = c.default_key;
  inputs.fallbacks = *ParseFallbacks(c.fallbacks);
  inputs.configs = c.configs;
  return ChooseConfig(inputs);
}

TEST(ConfigChoice, FollowsTheReferencesRules) {
  const Map two = {{"any", "A"}, {"t4", "T"}};
  const Map one = {{"only", "O"}};
  const Map named = {{"default", "D"}, {"t4", "T"}};
  const Case cases[] = {
      {"the label", two, "t4", "any", "empty", "t4", "", ""},
      {"the label without a default", two, "t4", "", "", "t4", "", ""},
      {"no label", two, "", "any", "empty", "any", "", ""},
      {"a label that is no key", two, "t44", "any", "empty", "", "ConfigKeyNotFound",
       "node worker-1, label nvidia.com/device-plugin.config: \"t44\" is not a key of configmap "
       "gpu-operator/sharing (valid keys: \"any\", \"t4\")"},
      {"keys are compared exactly", two, "T4", "any", "empty", "", "ConfigKeyNotFound", "\"T4\""},
      {"a default that is no key", two, "", "ayn", "empty", "", "DefaultConfigNotFound",
       "clusterpolicy cluster-policy, devicePlugin.config.default: \"ayn\" is not a key"},
      {"a label beside a default that is no key", two, "t4", "ayn", "empty", "t4", "", ""},
      {"empty", two, "", "", "empty", "-", "", ""},
      {"empty first", named, "", "", "empty,named", "-", "", ""},
      {"named", named, "", "", "named,single", "default", "", ""},
      {"named, absent, then single of two", two, "", "", "named,single", "", "ConfigNotChosen",
       "label the node nvidia.com/device-plugin.config=KEY"},
      {"single", one, "", "", "named,single", "only", "", ""},
      {"named, absent, then empty", two, "", "", "named,empty", "-", "", ""},
      {"no fallback", one, "", "", "", "", "ConfigNotChosen", "\"only\""},
      {"no keys", Map(), "", "", "empty", "", "ConfigMapEmpty", "gpu-operator/sharing"},
      {"no keys, but a label", Map(), "any", "", "empty", "", "ConfigMapEmpty", ""},
      {"no ConfigMap", std::nullopt, "t4", "any", "empty", "", "ConfigMapNotFound",
       "configmap gpu-operator/sharing: does not exist (clusterpolicy cluster-policy names it"},
  };
  for (const Case& c : cases) {
    const ConfigOffer offer = Choose(c);
    EXPECT_EQ(offer.refusal ? offer.refusal->reason : "", c.reason) << c.what;
    if (c.chosen.empty()) {
      ASSERT_TRUE(offer.refusal) << c.what;
      EXPECT_NE(offer.refusal->ToString().find(c.mentions), std::string::npos)
          << c.what << ": " << offer.refusal->ToString();
    } else if (c.chosen == "-") {
      EXPECT_FALSE(offer.text) << c.what;
      EXPECT_EQ(offer.source, "") << c.what;
    } else {
      EXPECT_EQ(offer.text, c.configs->at(c.chosen)) << c.what;
      EXPECT_EQ(offer.source, "configmap gpu-operator/sharing (key " + c.chosen + ")") << c.what;
    }
  }
}

TEST(ConfigChoice, ManyKeysAreNotAllListed) {
  Map many;
  for (int i = 0; i < 1000; ++i) many["key-" + std::to_string(i)] = "";
  const ConfigOffer offer = Choose({"", many, "x", "", "", "", "", ""});
  EXPECT_LT(offer.refusal->ToString().size(), 600u);
  EXPECT_TRUE(offer.refusal->hint.ends_with("and 980 more"));
}

TEST(ConfigChoice, ConfigsAreTheTextsThatAreNotTheKubelets) {
  const auto object = boost::json::parse(R"({"data": {"a": "1", "..data": "2", "..2026_01": "3",
      "b": 4, ".hidden": "5"}, "binaryData": {"c": "AAA="}})");
  EXPECT_EQ(ConfigsOf(object.as_object()), (Map{{"a", "1"}, {".hidden", "5"}}));
  EXPECT_EQ(ConfigsOf({}), Map());
  EXPECT_EQ(ConfigsOf(boost::json::parse(R"({"data": []})").as_object()), Map());
}

TEST(ConfigChoice, FallbacksAreReadOrRefused) {
  EXPECT_EQ(*ParseFallbacks(" named, single "),
            (std::vector<Fallback>{Fallback::kNamed, Fallback::kSingle}));
  EXPECT_TRUE(ParseFallbacks("")->empty());
  EXPECT_EQ(ParseFallbacks("named,first").error().message,
            "\"first\" is not a fallback; expected named, single or empty");
  EXPECT_FALSE(ParseFallbacks("named,").ok());
}

}  // namespace
}  // namespace aliquot::agent
