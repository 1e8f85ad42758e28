# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
# The pure answer to Allocate, apart from the servers; include from this folder's CMakeLists.txt.
aliquot_library(aliquot_allocate
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/allocate.cc ${CMAKE_CURRENT_LIST_DIR}/add_share.cc
  DEPS aliquot_base aliquot_gpu aliquot_config aliquot_share aliquot_cdi aliquot_grants)
aliquot_test(allocate_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/allocate_test.cc ${CMAKE_CURRENT_LIST_DIR}/add_share_test.cc
  DEPS aliquot_allocate)
