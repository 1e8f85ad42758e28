// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kube/client.h"

namespace aliquot::controller {

// One watch and what it has told so far. Lives on the executor it reports to.
class Feed final : public kube::WatchHandler {
 public:
  // What is done with the objects. Each returns whether anything that matters changed.
  struct Takers {
    std::function<bool(std::vector<kube::Object>)> sync;
    std::function<bool(const kube::Object&)> update;
    std::function<bool(const kube::Object&)> remove;
  };

  // `changed` follows a taker that returned true, an outage and its end. Everything given must
  // outlive the feed.
  Feed(Takers takers, std::function<void()> changed)
      : takers_(std::move(takers)), changed_(std::move(changed)) {}
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  void Start(kube::Client& client, kube::Selection selection, Executor& on) {
    watch_ = client.StartWatch(std::move(selection), on, *this);
  }
  // Whether the present state has been told at least once.
  bool synced() const { return synced_; }
  // Why nothing new is heard at present; empty while the watch works.
  const std::string& outage() const { return outage_; }

 private:
  void OnSync(std::vector<kube::Object> objects) override {
    synced_ = true;
    outage_.clear();
    takers_.sync(std::move(objects));
    changed_();
  }
  void OnUpdate(kube::Object object) override {
    if (takers_.update(object)) changed_();
  }
  void OnDelete(kube::Object object) override {
    if (takers_.remove(object)) changed_();
  }
  void OnUnavailable(const Error& error) override {
    outage_ = error.message;
    changed_();
  }

  const Takers takers_;
  const std::function<void()> changed_;
  bool synced_ = false;
  std::string outage_;
  std::unique_ptr<kube::Watch> watch_;
};

}  // namespace aliquot::controller
