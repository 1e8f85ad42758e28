// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "base/fd_poller.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <atomic>
#include <future>

namespace aliquot {
namespace {

TEST(FdPoller, CallsBackUntilRemoved) {
  auto poller = FdPoller::Create();
  ASSERT_TRUE(poller.ok());
  const UniqueFd fd(::eventfd(0, EFD_NONBLOCK));
  std::promise<void> twice;
  std::atomic<int> calls = 0;
  ASSERT_TRUE((*poller)
                  ->Add(fd.get(),
                        [&] {
                          eventfd_t value = 0;
                          if (++calls == 2) {
                            ::eventfd_read(fd.get(), &value);
                            twice.set_value();
                          }
                        })
                  .ok());
  ::eventfd_write(fd.get(), 1);
  twice.get_future().wait();
  (*poller)->Remove(fd.get());
  ::eventfd_write(fd.get(), 1);
  (*poller)->Remove(fd.get());
  EXPECT_EQ(calls, 2);
}

TEST(FdPoller, LetsACallbackRemoveItself) {
  auto poller = FdPoller::Create();
  ASSERT_TRUE(poller.ok());
  const UniqueFd fd(::eventfd(1, EFD_NONBLOCK));
  std::promise<void> called;
  ASSERT_TRUE((*poller)
                  ->Add(fd.get(),
                        [&] {
                          (*poller)->Remove(fd.get());
                          called.set_value();  // a second call would throw
                        })
                  .ok());
  called.get_future().wait();
}

TEST(FdPoller, RefusesWhatCannotBePolled) {
  auto poller = FdPoller::Create();
  ASSERT_TRUE(poller.ok());
  EXPECT_FALSE((*poller)->Add(-1, [] {}).ok());
}

}  // namespace
}  // namespace aliquot
