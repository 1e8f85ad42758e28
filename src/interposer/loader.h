// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

// The dynamic loader's functions under the versions that every glibc has: they moved from libdl to
// libc in 2.34, and a plain reference would need that.
namespace aliquot::interposer {

void* OpenLibrary(const char* path);
void CloseLibrary(void* handle);
const char* OpenError();
// Null if it is not there.
void* FindSymbol(void* handle, const char* name);
// In what the program and its libraries have loaded already.
void* FindGlobalSymbol(const char* name);
// A library that is loaded under this name, or null; nothing is loaded. Not to be closed.
void* LoadedLibrary(const char* name);
// The file this library was loaded from, "" if the loader does not say.
void OwnPath(char* path, size_t room);

}  // namespace aliquot::interposer
