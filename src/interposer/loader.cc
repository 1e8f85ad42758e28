// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/loader.h"

#include <dlfcn.h>
#include <string.h>

#include "interposer/libc.h"

// The first versions of each architecture.
#if defined(__x86_64__)
__asm__(".symver dlopen, dlopen@GLIBC_2.2.5");
__asm__(".symver dlclose, dlclose@GLIBC_2.2.5");
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
__asm__(".symver dlerror, dlerror@GLIBC_2.2.5");
__asm__(".symver dladdr, dladdr@GLIBC_2.2.5");
#else
__asm__(".symver dlopen, dlopen@GLIBC_2.17");
__asm__(".symver dlclose, dlclose@GLIBC_2.17");
__asm__(".symver dlsym, dlsym@GLIBC_2.17");
__asm__(".symver dlerror, dlerror@GLIBC_2.17");
__asm__(".symver dladdr, dladdr@GLIBC_2.17");
#endif

namespace aliquot::interposer {

// Local: nothing of the real library gets in the way of ours. No RTLD_DEEPBIND: drivers are linked
// -Bsymbolic, and sanitized programs end at the sight of it.
void* OpenLibrary(const char* path) { return ::dlopen(path, RTLD_LAZY | RTLD_LOCAL); }

void CloseLibrary(void* handle) { ::dlclose(handle); }

const char* OpenError() {
  const char* error = ::dlerror();
  return error == nullptr ? "" : error;
}

void* FindSymbol(void* handle, const char* name) { return ::dlsym(handle, name); }

void* FindGlobalSymbol(const char* name) { return ::dlsym(RTLD_DEFAULT, name); }

void* LoadedLibrary(const char* name) {
  return ::dlopen(name, RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD);
}

void OwnPath(char* path, size_t room) {
  Dl_info info = {};
  path[0] = '\0';
  if (::dladdr(reinterpret_cast<void*>(&OwnPath), &info) == 0 || info.dli_fname == nullptr) return;
  Copy(path, room, info.dli_fname, ::strlen(info.dli_fname));
}

}  // namespace aliquot::interposer
