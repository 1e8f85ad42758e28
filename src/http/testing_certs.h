// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
// For tests: certificates made on the spot.
#pragma once

#include <string>
#include <vector>

namespace aliquot::http {

struct TestingIdentity {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

// A certificate authority of its own, with P-256 keys.
class TestingAuthority {
 public:
  explicit TestingAuthority(const std::string& name);

  const std::string& certificate() const { return self_.certificate; }
  // For a server or a client (subject CN=`name`); `alternatives` as "DNS:localhost" or
  // "IP:127.0.0.1". Valid from an hour ago for `days`; negative = expired.
  TestingIdentity Issue(const std::string& name, const std::vector<std::string>& alternatives,
                        int days = 1) const;

 private:
  TestingIdentity self_;
};

}  // namespace aliquot::http
