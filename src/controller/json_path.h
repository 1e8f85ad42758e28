// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace aliquot::controller {

using Path = std::initializer_list<std::string_view>;

// The value at the end of `path`; null if there is none or an object on the way is something else.
const boost::json::value* Find(const boost::json::object& object, Path path);
// The object at `path`; an empty one if there is none.
const boost::json::object& ObjectAt(const boost::json::object& object, Path path);
// The text at `path`; empty if there is none or it is not a text.
std::string TextAt(const boost::json::object& object, Path path);
// The whole number at `path`; 0 if there is none or it is something else.
std::int64_t NumberAt(const boost::json::object& object, Path path);
// The text of member `key`; empty if absent. For label and annotation maps.
std::string_view Member(const boost::json::object& object, std::string_view key);
// Puts what is at `path` of `from`, if there is anything, at the same place of `to`.
void CopyAt(const boost::json::object& from, Path path, boost::json::object& to);
// Of status.conditions those of type Ready, with nothing but type and status.
boost::json::array ReadyConditions(const boost::json::object& object);
// Whether a value says nothing: null, "", [], {}, or an object of such.
bool SaysNothing(const boost::json::value& value);

}  // namespace aliquot::controller
