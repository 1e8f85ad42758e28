# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
# Third-party libraries, all from Debian's packages; reasons are in docs/dependencies.md.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(Boost 1.81 REQUIRED)

# aliquot_archive(<target> <library>): links lib<library>.a, or the shared one with
# ALIQUOT_LINK=shared.
function(aliquot_archive target)
  add_library(${target} INTERFACE)
  foreach(library ${ARGN})
    if(ALIQUOT_LINK STREQUAL "static")
      find_library(${library}_FILE NAMES lib${library}.a REQUIRED)
    else()
      find_library(${library}_FILE NAMES ${library} REQUIRED)
    endif()
    target_link_libraries(${target} INTERFACE ${${library}_FILE})
  endforeach()
endfunction()

add_library(aliquot_fmt INTERFACE)
target_link_libraries(aliquot_fmt INTERFACE fmt::fmt-header-only)
aliquot_archive(aliquot_boost_json boost_json)
aliquot_archive(aliquot_boost_url boost_url)
aliquot_archive(aliquot_yaml yaml-cpp)
aliquot_archive(aliquot_openssl ssl crypto)
target_link_libraries(aliquot_openssl INTERFACE Threads::Threads ${CMAKE_DL_LIBS})

if(ALIQUOT_TESTS)
  find_package(GTest REQUIRED)
  add_library(aliquot_gtest INTERFACE)
  target_link_libraries(aliquot_gtest INTERFACE GTest::gtest_main GTest::gmock)
endif()
find_library(RAPIDCHECK_LIBRARY NAMES librapidcheck.a)
find_path(RAPIDCHECK_INCLUDE NAMES rapidcheck.h)
add_library(aliquot_rapidcheck INTERFACE)
target_link_libraries(aliquot_rapidcheck INTERFACE ${RAPIDCHECK_LIBRARY})
target_include_directories(aliquot_rapidcheck SYSTEM INTERFACE ${RAPIDCHECK_INCLUDE})

if(ALIQUOT_RPC)
  find_package(Protobuf REQUIRED)
  find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
  # Debian's CMake package knows only the shared libraries; the archives have no dependency lists.
  add_library(aliquot_grpc INTERFACE)
  if(ALIQUOT_LINK STREQUAL "static")
    file(GLOB ALIQUOT_ABSL_ARCHIVES /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/libabsl_*.a)
    set(grpc_archives)
    foreach(library grpc++_unsecure grpc_unsecure gpr protobuf upb address_sorting re2 cares z)
      find_library(${library}_FILE NAMES lib${library}.a)
      if(${library}_FILE)
        list(APPEND grpc_archives ${${library}_FILE})
      endif()
    endforeach()
    target_link_libraries(aliquot_grpc INTERFACE
      -Wl,--start-group ${grpc_archives} ${ALIQUOT_ABSL_ARCHIVES} -Wl,--end-group
      Threads::Threads ${CMAKE_DL_LIBS})
  else()
    target_link_libraries(aliquot_grpc INTERFACE
      grpc++_unsecure grpc_unsecure gpr protobuf absl_synchronization Threads::Threads)
  endif()
endif()
