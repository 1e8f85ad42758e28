// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace aliquot::interposer {

// Opens the real library that ours stands in front of.
//   soname: its name for the loader, e.g. "libcuda.so.1".
//   path: where the grant says it is, or "".
//   own: a symbol that only our libraries export; a candidate that has it is one of ours.
// Without a path it looks where the loader would: LD_LIBRARY_PATH, the loader's cache, the default
// directories, and where container runtimes put drivers, passing over ourselves. The handle, or
// null. Runs code of the library. Takes as long as the loader does.
void* OpenReal(const char* soname, const char* path, const char* own);

}  // namespace aliquot::interposer
