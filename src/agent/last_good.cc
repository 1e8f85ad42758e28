// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "agent/last_good.h"

#include <boost/json.hpp>
#include <exception>

namespace aliquot::agent {

namespace json = boost::json;

std::string FormatOffer(const ConfigOffer& offer) {
  return json::serialize(
      json::object{{"source", offer.source},
                   {"text", offer.text ? json::value(*offer.text) : json::value(nullptr)},
                   {"environment", json::value_from(offer.environment)},
                   {"environmentSource", offer.environment_source},
                   {"withdrawn", offer.withdrawn}});
}

Result<ConfigOffer> ParseOffer(const std::string& text) {
  try {
    const json::object file = json::parse(text).as_object();
    const auto member = [&](const char* name) {
      return json::value_to<std::string>(file.at(name));
    };
    ConfigOffer offer;
    offer.source = member("source");
    if (!file.at("text").is_null()) offer.text = member("text");
    offer.environment = json::value_to<std::map<std::string, std::string>>(file.at("environment"));
    offer.environment_source = member("environmentSource");
    offer.withdrawn = member("withdrawn");
    return offer;
  } catch (const std::exception& failure) {
    return Error{Code::kDataLoss, std::string("not a kept configuration: ") + failure.what()};
  }
}

}  // namespace aliquot::agent
