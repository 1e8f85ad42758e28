// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "controller/plan.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "controller/assess.h"
#include "controller/json_path.h"
#include "controller/spec_fields.h"
#include "controller/status.h"
#include "controller/test_objects.h"

namespace aliquot::controller {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr char kNow[] = "2026-06-01T12:00:00Z";
constexpr char kLater[] = "2026-06-01T13:00:00Z";

std::string FieldsOf(const std::string& spec) {
  return FieldsWithoutEffect(boost::json::parse(spec).as_object());
}

void AddPolicy(Observed& observed, const kube::Object& object) {
  Policy policy = ReadPolicy(object);
  policy.version = "1";
  observed.policies[policy.name] = std::move(policy);
}

void AddNode(Observed& observed, const std::string& name, const kube::Object& object) {
  observed.nodes[name] = {ReadNode(object), "1"};
}

// A policy, and `gpus` nodes that serve.
Observed Serving(int gpus, const std::string& spec = "{}") {
  Observed observed;
  observed.ns = "gpu-operator";
  observed.daemon_set_name = "aliquot-agent";
  AddPolicy(observed, TestPolicy("cluster-policy", spec));
  observed.daemon_set = ReadDaemonSet(TestDaemonSet(gpus));
  for (int i = 0; i < gpus; ++i) {
    const std::string name = fmt::format("gpu-{}", i);
    AddNode(observed, name, TestNode(name, {{"nvidia.com/gpu.present", "true"}}));
    observed.agents["agent-" + name] = ReadAgentPod(TestPod("agent-" + name, name));
  }
  return observed;
}

std::string ErrorMessage(const Actions& actions) {
  for (const auto& item : actions.statuses.at(0).status.at("conditions").as_array()) {
    if (item.at("type") == "Error") return std::string(item.at("message").as_string());
  }
  return {};
}

// What the API server would hold after these writes.
void Carry(Observed& observed, const Actions& actions) {
  for (const StatusWrite& write : actions.statuses) {
    observed.policies.at(write.policy).status = write.status;
  }
}

TEST(Plan, TheSamePlanLaterWritesNothing) {
  Observed observed = Serving(2);
  const Actions first = Plan(observed, kNow);
  EXPECT_THAT(first.nodes, SizeIs(2));
  ASSERT_THAT(first.statuses, SizeIs(1));
  EXPECT_TRUE(first.statuses[0].urgent);
  Carry(observed, first);
  EXPECT_THAT(Plan(observed, kLater).statuses, IsEmpty());
}

TEST(Plan, TransitionTimesMoveOnlyWithTheStatus) {
  Observed observed = Serving(1);
  Carry(observed, Plan(observed, kNow));
  observed.agents.begin()->second.ready = false;
  Carry(observed, Plan(observed, kLater));
  const boost::json::object status = observed.policies.begin()->second.status;
  for (const auto& item : status.at("conditions").as_array()) {
    const bool moved = item.at("type") != "SpecFieldsIgnored";
    EXPECT_EQ(item.at("lastTransitionTime"), moved ? kLater : kNow) << item;
  }
}

TEST(Plan, ConditionsOfOthersStay) {
  Observed observed = Serving(1);
  observed.policies.begin()->second.status =
      boost::json::parse(R"({"conditions":[{"type":"Audited","status":"True"}],"foreign":1})")
          .as_object();
  const Actions actions = Plan(observed, kNow);
  const boost::json::object& status = actions.statuses.at(0).status;
  EXPECT_EQ(status.at("conditions").as_array().at(0).at("type"), "Audited");
  EXPECT_EQ(status.at("foreign"), 1);
}

TEST(Plan, ManyTroubledNodesMakeAShortMessage) {
  Observed observed = Serving(200);
  for (auto& [name, pod] : observed.agents) {
    pod.ready = false;
    pod.trouble = std::string(200, 'x');
  }
  const std::string message = ErrorMessage(Plan(observed, kNow));
  EXPECT_THAT(message, AllOf(HasSubstr("states not ready: [state-device-plugin]"),
                             HasSubstr("node gpu-0: its agent is not ready: xxx"),
                             HasSubstr("and 195 more nodes")));
  EXPECT_LE(message.size(), 2000u);
}

TEST(Plan, AnAgentOfTheFormerVersionIsNotReadyYet) {
  Observed observed = Serving(2);
  observed.daemon_set->template_generation = "2";
  observed.agents.begin()->second.template_generation = "2";
  EXPECT_THAT(
      ErrorMessage(Plan(observed, kNow)),
      AllOf(HasSubstr("node gpu-1: its agent is of the former version"), Not(HasSubstr("gpu-0"))));
}

TEST(Plan, APodOnItsWayOutDoesNotCount) {
  Observed observed = Serving(1);
  AgentPod next = observed.agents.begin()->second;
  observed.agents.begin()->second.leaving = true;
  EXPECT_THAT(ErrorMessage(Plan(observed, kNow)), HasSubstr("no agent runs there"));
  observed.agents["next"] = next;
  EXPECT_EQ(Plan(observed, kNow).assessment.state, "ready");
}

TEST(Plan, WithoutTheDaemonSetItSaysSo) {
  Observed observed = Serving(0);
  observed.daemon_set.reset();
  EXPECT_THAT(ErrorMessage(Plan(observed, kNow)),
              HasSubstr("DaemonSet gpu-operator/aliquot-agent of the node agent does not exist"));
}

TEST(Plan, WaitsForConfigMapsItHasNotSeen) {
  Observed observed = Serving(1, R"({"devicePlugin":{"config":{"name":"c"}},
                                     "migManager":{"config":{"name":"m"},
                                                   "gpuClientsConfig":{"name":"u"}}})");
  Actions actions = Plan(observed, kNow);
  EXPECT_THAT(actions.config_maps, testing::ElementsAre("c", "m", "u"));
  EXPECT_THAT(actions.statuses, IsEmpty());
  observed.config_maps["c"] = ConfigKeys{{"any", ""}};
  observed.config_maps["m"] = ConfigKeys{{"layouts.yaml", ""}};
  observed.config_maps["u"] = ConfigKeys{{"clients.yaml", ""}};
  EXPECT_THAT(ErrorMessage(Plan(observed, kNow)),
              HasSubstr("ConfigMap gpu-operator/m has no key \"config.yaml\"; it has "
                        "layouts.yaml"));
  observed.config_maps["m"] = ConfigKeys{{"config.yaml", ""}};
  observed.config_maps["u"] = std::nullopt;
  EXPECT_THAT(ErrorMessage(Plan(observed, kNow)),
              HasSubstr("migManager.gpuClientsConfig.name: ConfigMap gpu-operator/u does not"));
}

TEST(Plan, AnUnreadableConfigMapIsAReason) {
  Observed observed = Serving(1, R"({"devicePlugin":{"config":{"name":"c"}}})");
  observed.errors["configmap c"] = "list configmaps: forbidden";
  EXPECT_THAT(ErrorMessage(Plan(observed, kNow)), HasSubstr("list configmaps: forbidden"));
}

TEST(Plan, WrongValuesAreNamed) {
  const Actions actions = Plan(Serving(1, R"({"mig":{"strategy":"double"},
      "devicePlugin":{"enabled":"yes"},"migManager":{"config":{"default":"all-1g.5gb"}}})"),
                               kNow);
  EXPECT_THAT(ErrorMessage(actions),
              AllOf(HasSubstr("spec.mig.strategy: \"double\" is not none, single or mixed"),
                    HasSubstr("spec.devicePlugin.enabled: \"yes\" is not true or false"),
                    HasSubstr("spec.migManager.config.default: \"all-1g.5gb\" is not")));
  EXPECT_EQ(actions.assessment.state, "notReady");
}

TEST(Plan, CountsEveryGpuNodeOnce) {
  Observed observed = Serving(2);
  AddNode(observed, "down", TestNode("down", {{"nvidia.com/gpu.present", "true"}}, false));
  AddNode(observed, "out",
          TestNode("out", {{"nvidia.com/gpu.present", "true"},
                           {"nvidia.com/gpu.deploy.device-plugin", "false"}}));
  AddNode(observed, "paused",
          TestNode("paused", {{"nvidia.com/gpu.present", "true"},
                              {"nvidia.com/gpu.deploy.device-plugin", "paused-for-x"}}));
  AddNode(observed, "plain", TestNode("plain"));
  const NodeCounts counts = Plan(observed, kNow).assessment.counts;
  EXPECT_EQ(counts.serving, 2u);
  EXPECT_EQ(counts.unreachable, 1u);
  EXPECT_EQ(counts.opted_out, 1u);
  EXPECT_EQ(counts.paused, 1u);
  EXPECT_EQ(counts.gpu(), 5u);
}

TEST(Plan, EqualAgeIsDecidedByName) {
  Observed observed = Serving(1);
  AddPolicy(observed, TestPolicy("a-policy"));
  const Actions actions = Plan(observed, kNow);
  EXPECT_EQ(actions.assessment.active, "a-policy");
}

TEST(SpecFields, SilentAboutWhatWorksAndWhatIsOff) {
  EXPECT_EQ(FieldsOf("{}"), "");
  EXPECT_EQ(FieldsOf(R"({"driver":{"enabled":false,"version":"580","repository":"r"},
                         "dcgm":{},"toolkit":{"enabled":false},"operator":{},"daemonsets":{},
                         "devicePlugin":{"enabled":true,"config":{"name":"a","default":"b"},
                                         "env":[{"name":"A"}],"args":[],"image":""},
                         "gfd":{"enabled":false},"mig":{"strategy":"mixed"},
                         "migManager":{"enabled":true,"config":{"name":"","default":""}},
                         "sandboxWorkloads":{"enabled":false,"defaultWorkload":"container"}})"),
            "");
}

TEST(SpecFields, GroupsWhatDoesNot) {
  EXPECT_EQ(FieldsOf(R"({"driver":{"enabled":true},"toolkit":{"version":"1"},
                         "devicePlugin":{"image":"i","mps":{"root":"/r"}},
                         "operator":{"runtimeClass":"nvidia"}})"),
            "not part of Aliquot: driver, toolkit, devicePlugin.mps; set by the Helm chart only: "
            "devicePlugin.image, operator.runtimeClass");
  EXPECT_EQ(FieldsOf(R"({"devicePluginn":{"a":1},"devicePlugin":{"config":{"defualt":"x"}}})"),
            "unknown: devicePluginn (meant devicePlugin?), devicePlugin.config.defualt (meant "
            "default?)");
}

TEST(SpecFields, AHostileSpecStaysShort) {
  boost::json::object spec;
  for (int i = 0; i < 5000; ++i) spec[std::string(300, 'x') + std::to_string(i)] = 1;
  EXPECT_LT(FieldsWithoutEffect(spec).size(), 2500u);
}

Observed AnyCluster() {
  Observed observed = Serving(
      0, *rc::gen::elementOf(std::vector<std::string>{
             "{}", R"({"devicePlugin":{"config":{"name":"c"}}})",
             R"({"devicePlugin":{"config":{"name":"c","default":"a"}}})",
             R"({"devicePlugin":{"enabled":false}})", R"({"sandboxWorkloads":{"enabled":true}})"}));
  if (*rc::gen::arbitrary<bool>()) AddPolicy(observed, TestPolicy("other"));
  if (*rc::gen::arbitrary<bool>()) observed.daemon_set.reset();
  if (*rc::gen::arbitrary<bool>()) {
    observed.config_maps["c"] = *rc::gen::element<std::optional<ConfigKeys>>(
        std::nullopt, ConfigKeys{}, ConfigKeys{{"a", ""}}, ConfigKeys{{"a", "line 1: bad"}});
  }
  const int nodes = *rc::gen::inRange(0, 6);
  for (int i = 0; i < nodes; ++i) {
    const std::string name = fmt::format("n{}", i);
    LabelMap labels;
    if (*rc::gen::arbitrary<bool>()) {
      labels["nvidia.com/gpu.present"] = *rc::gen::element<std::string>("true", "false");
    }
    if (*rc::gen::arbitrary<bool>()) {
      labels["nvidia.com/device-plugin.config"] = *rc::gen::element<std::string>("a", "b");
    }
    AddNode(observed, name, TestNode(name, labels, *rc::gen::arbitrary<bool>()));
    if (*rc::gen::arbitrary<bool>()) {
      observed.agents[name] = ReadAgentPod(TestPod(name, name, *rc::gen::arbitrary<bool>()));
    }
  }
  return observed;
}

RC_GTEST_PROP(Plan, IsDoneAfterOneRoundAndCountsAreWhole, ()) {
  Observed observed = AnyCluster();
  const Actions actions = Plan(observed, kNow);
  std::size_t gpus = 0;
  for (const auto& [name, node] : observed.nodes) gpus += node.facts.gpu() ? 1 : 0;
  RC_ASSERT(actions.assessment.counts.gpu() == gpus);
  RC_ASSERT((actions.assessment.state == "ready") == actions.assessment.problems.empty());
  Carry(observed, actions);
  RC_ASSERT(Plan(observed, kLater).statuses.empty());
  std::size_t active = 0;
  for (const auto& [name, policy] : observed.policies) {
    active += Member(policy.status, "state") != "ignored" ? 1 : 0;
  }
  RC_ASSERT(active == 1u);
}

}  // namespace
}  // namespace aliquot::controller
