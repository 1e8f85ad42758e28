# SPDX-FileCopyrightText: 2026 The Aliquot Authors
# SPDX-License-Identifier: Apache-2.0
# Build rules shared by every folder.

# Only the optimised build is what users run; the others keep their programs to themselves.
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(ALIQUOT_OUT ${CMAKE_SOURCE_DIR}/out)
else()
  set(ALIQUOT_OUT ${CMAKE_BINARY_DIR}/out)
endif()

add_library(aliquot_options INTERFACE)
target_include_directories(aliquot_options INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
target_compile_options(aliquot_options INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wconversion -Wno-sign-conversion
  -ffunction-sections -fdata-sections)
if(ALIQUOT_WERROR)
  target_compile_options(aliquot_options INTERFACE -Werror)
endif()
target_link_options(aliquot_options INTERFACE -Wl,--gc-sections -Wl,-z,relro,-z,now)
if(ALIQUOT_SANITIZE)
  target_compile_options(aliquot_options INTERFACE
    -fsanitize=${ALIQUOT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(aliquot_options INTERFACE -fsanitize=${ALIQUOT_SANITIZE})
elseif(ALIQUOT_LINK STREQUAL "static")
  target_link_options(aliquot_options INTERFACE -static-libstdc++ -static-libgcc)
endif()

# aliquot_library(<name> [FAST] SOURCES ... DEPS ...): one folder under src/. Optimised for size, as
# most of it runs seldom and what is resident is mostly code; FAST for what somebody waits for.
function(aliquot_library name)
  cmake_parse_arguments(ARG "FAST" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC aliquot_options ${ARG_DEPS})
  if(NOT ARG_FAST)
    # At -Os g++ 12 takes every std::optional for uninitialised; the sanitizer builds still warn.
    target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-Os -Wno-maybe-uninitialized>)
  endif()
endfunction()

# aliquot_test(<name> SOURCES ... DEPS ... [LABELS ...]): one GoogleTest binary, registered as one
# ctest entry per test case.
function(aliquot_test name)
  if(NOT ALIQUOT_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE aliquot_options ${ARG_DEPS} aliquot_gtest)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS "${ARG_LABELS}")
endfunction()
