// SPDX-FileCopyrightText: 2026 The Aliquot Authors
// SPDX-License-Identifier: Apache-2.0
#include "interposer/find_library.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "interposer/libc.h"
#include "interposer/loader.h"

namespace aliquot::interposer {
namespace {

constexpr size_t kPathRoom = 1024;

// What it takes to try one candidate.
struct Search {
  const char* soname;
  const char* own;
  char self[kPathRoom];  // where we were loaded from
};

void* Try(const Search& search, const char* path) {
  if (!Exists(path) || SameFile(path, search.self)) return nullptr;
  void* handle = OpenLibrary(path);
  if (handle == nullptr) {
    Log("can't open %s: %s", path, OpenError());
    return nullptr;
  }
  if (FindSymbol(handle, search.own) != nullptr) {
    CloseLibrary(handle);
    return nullptr;
  }
  Log("in front of %s", path);
  return handle;
}

void* TryIn(const Search& search, const char* directory, size_t length) {
  char path[kPathRoom];
  if (length == 0 || !Copy(path, sizeof(path), directory, length)) return nullptr;
  const size_t name = ::strlen(search.soname);
  if (length + 1 + name >= sizeof(path)) return nullptr;
  path[length] = '/';
  ::memcpy(path + length + 1, search.soname, name + 1);
  return Try(search, path);
}

void* TryList(const Search& search, const char* list) {
  while (list != nullptr && *list != '\0') {
    const size_t length = ::strcspn(list, ":;");
    if (void* handle = TryIn(search, list, length)) return handle;
    list += length;
    if (*list != '\0') ++list;
  }
  return nullptr;
}

// The loader's cache as glibc 2.2 and later write it: see ldconfig's cache format 1.1.
struct CacheEntry {
  int32_t flags;
  uint32_t key;
  uint32_t value;
  uint32_t os_version;
  uint64_t hardware;
};
struct CacheHeader {
  char magic[20];  // "glibc-ld.so.cache1.1"
  uint32_t count;
  uint32_t strings;
  uint32_t unused[5];
};
// Libraries of glibc for this architecture, and where Debian and its kin keep them.
#if defined(__x86_64__)
constexpr int32_t kOurs = 0x303;
#define ALIQUOT_MULTIARCH "x86_64-linux-gnu"
#else
constexpr int32_t kOurs = 0xa03;
#define ALIQUOT_MULTIARCH "aarch64-linux-gnu"
#endif

// A string of the cache, or null if it does not end within it.
const char* CacheString(const char* cache, size_t size, uint32_t offset) {
  if (offset >= size) return nullptr;
  return ::memchr(cache + offset, 0, size - offset) == nullptr ? nullptr : cache + offset;
}

void* TryEntries(const Search& search, const char* cache, size_t size) {
  CacheHeader header;
  if (size < sizeof(header)) return nullptr;
  ::memcpy(&header, cache, sizeof(header));
  if (::memcmp(header.magic, "glibc-ld.so.cache1.1", sizeof(header.magic)) != 0) return nullptr;
  if (header.count > (size - sizeof(header)) / sizeof(CacheEntry)) return nullptr;
  for (uint32_t i = 0; i < header.count; ++i) {
    CacheEntry entry;
    ::memcpy(&entry, cache + sizeof(header) + i * sizeof(entry), sizeof(entry));
    const char* key = CacheString(cache, size, entry.key);
    const char* value = CacheString(cache, size, entry.value);
    if (entry.flags != kOurs || key == nullptr || value == nullptr) continue;
    if (::strcmp(key, search.soname) != 0) continue;
    if (void* handle = Try(search, value)) return handle;
  }
  return nullptr;
}

void* TryCache(const Search& search) {
  const int fd = ::open("/etc/ld.so.cache", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  const off_t size = ::lseek(fd, 0, SEEK_END);
  void* map = size <= 0 ? MAP_FAILED
                        : ::mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_PRIVATE, fd, 0);
  ::close(fd);
  if (map == MAP_FAILED) return nullptr;
  const char* cache = static_cast<const char*>(map);
  size_t start = 0;
  // An older table may stand before: 11 bytes of magic, a count, 12 bytes for each entry.
  if (size > 16 && ::memcmp(cache, "ld.so-1.7.0", 11) == 0) {
    uint32_t count = 0;
    ::memcpy(&count, cache + 12, sizeof(count));
    start = (16 + static_cast<size_t>(count) * 12 + 7) & ~size_t{7};
  }
  void* handle = nullptr;
  if (start < static_cast<size_t>(size)) {
    handle = TryEntries(search, cache + start, static_cast<size_t>(size) - start);
  }
  ::munmap(map, static_cast<size_t>(size));
  return handle;
}

}  // namespace

void* OpenReal(const char* soname, const char* path, const char* own) {
  Search search = {soname, own, {}};
  OwnPath(search.self, sizeof(search.self));
  if (path != nullptr && *path != '\0') {
    if (void* handle = Try(search, path)) return handle;
    Log("%s of the grant is not there or ours; searching", path);
  }
  if (void* handle = TryList(search, ::secure_getenv("LD_LIBRARY_PATH"))) return handle;
  if (void* handle = TryCache(search)) return handle;
  void* handle = TryList(
      search,
      "/lib/" ALIQUOT_MULTIARCH ":/usr/lib/" ALIQUOT_MULTIARCH
      ":/lib64:/usr/lib64:/lib:/usr/lib:"
      "/usr/local/nvidia/lib64:/usr/local/nvidia/lib:/usr/lib/wsl/lib:/run/opengl-driver/lib");
  if (handle == nullptr) Log("no %s but ours", soname);
  return handle;
}

}  // namespace aliquot::interposer
