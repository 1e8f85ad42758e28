// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

namespace aliquot::http {

struct Request {
  std::string method;  // "GET" or "HEAD"
  std::string path;    // "/metrics", without the query; not decoded
  std::string query;   // after the "?", without it; not decoded
  std::string body;
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// Runs on the server's only thread, so it must not wait for anything: it reads a Published value
// and formats it. A handler that throws gives status 500.
using Handler = std::function<Response(const Request&)>;

}  // namespace aliquot::http
