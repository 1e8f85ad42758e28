// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <initializer_list>
#include <string>
#include <string_view>

namespace aliquot::agent {

// The value below a path of keys; null if some key is absent or something on the way is no object.
inline const boost::json::value* Find(const boost::json::object& object,
                                      std::initializer_list<std::string_view> path) {
  const boost::json::object* at = &object;
  const boost::json::value* found = nullptr;
  for (const std::string_view key : path) {
    if (at == nullptr || (found = at->if_contains(key)) == nullptr) return nullptr;
    at = found->if_object();
  }
  return found;
}

// The text below a path; empty if there is none.
inline std::string FindText(const boost::json::object& object,
                            std::initializer_list<std::string_view> path) {
  const boost::json::value* value = Find(object, path);
  const boost::json::string* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(*text);
}

}  // namespace aliquot::agent
