// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace aliquot {

// Canonical codes, numerically equal to gRPC's so that the rpc layer maps without a table.
enum class Code : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// What went wrong. Messages are lower-case without a full stop, "what we tried: why it failed",
// quoting the offending value and saying what was expected.
struct Error {
  Code code = Code::kUnknown;
  std::string message;

  // The same error seen from one layer up: "<context>: <message>".
  Error In(const std::string& context) const { return {code, context + ": " + message}; }

  friend bool operator==(const Error&, const Error&) = default;
};

// Nothing, or an error. Default-constructed is success.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)), ok_(false) {}  // NOLINT: implicit by design

  bool ok() const { return ok_; }
  // Only meaningful when !ok().
  const Error& error() const { return error_; }

 private:
  Error error_{Code::kOk, {}};
  bool ok_ = true;
};

// A value, or an error. Implicitly constructible from either. Reading the wrong side is undefined,
// as with tl::expected; check ok() first.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : impl_(std::move(value)) {}                             // NOLINT
  Result(Error error) : impl_(tl::unexpected<Error>(std::move(error))) {}  // NOLINT

  bool ok() const { return impl_.has_value(); }
  explicit operator bool() const { return ok(); }
  T& value() & { return *impl_; }
  const T& value() const& { return *impl_; }
  T&& value() && { return *std::move(impl_); }
  T& operator*() & { return *impl_; }
  const T& operator*() const& { return *impl_; }
  T&& operator*() && { return *std::move(impl_); }
  T* operator->() { return &*impl_; }
  const T* operator->() const { return &*impl_; }
  const Error& error() const { return impl_.error(); }
  Status status() const { return ok() ? Status() : Status(error()); }

 private:
  tl::expected<T, Error> impl_;
};

}  // namespace aliquot
