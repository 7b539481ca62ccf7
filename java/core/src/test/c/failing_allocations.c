/*
 * Preloaded into a JVM: counts what one library allocates and the threads that it makes, and lets
 * one of these requests fail. Those of anybody else pass untouched. Only one thread may arm it at a
 * time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);
extern void __libc_free(void*);

static atomic_uintptr_t begin;
static atomic_uintptr_t end;
static atomic_long requests;
static atomic_long allocations;
static atomic_long releases;
static atomic_long countdown = -1;
static atomic_long failures;

static int is_watched(const void* caller) {
  return (uintptr_t)caller >= begin && (uintptr_t)caller < end;
}

/* Whether this request of the watched library is the one that fails. */
static int is_refused(void) {
  ++requests;
  if (countdown >= 0 && countdown-- == 0) {
    ++failures;
    return 1;
  }
  return 0;
}

static int fails(const void* caller) {
  if (!is_watched(caller)) return 0;
  if (is_refused()) {
    errno = ENOMEM;
    return 1;
  }
  ++allocations;
  return 0;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*),
                   void* argument) {
  static int (*create)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  if (is_watched(__builtin_return_address(0)) && is_refused()) return EAGAIN;
  if (create == NULL) *(void**)&create = dlsym(RTLD_NEXT, "pthread_create");
  return create(thread, attributes, body, argument);
}

void* malloc(size_t size) {
  return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void* calloc(size_t count, size_t size) {
  return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void* aligned_alloc(size_t alignment, size_t size) {
  return fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void** result, size_t alignment, size_t size) {
  if (fails(__builtin_return_address(0))) return ENOMEM;
  *result = __libc_memalign(alignment, size);
  return *result == NULL ? ENOMEM : 0;
}

void free(void* memory) {
  if (memory != NULL && is_watched(__builtin_return_address(0))) ++releases;
  __libc_free(memory);
}

static int watch_segment(struct dl_phdr_info* info, size_t size, void* name) {
  (void)size;
  if (info->dlpi_name == NULL || strstr(info->dlpi_name, name) == NULL) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)* header = &info->dlpi_phdr[i];
    if (header->p_type == PT_LOAD && (header->p_flags & PF_X) != 0) {
      begin = info->dlpi_addr + header->p_vaddr;
      end = begin + header->p_memsz;
      return 1;
    }
  }
  return 0;
}

/* Watches the loaded library whose path holds `name`; 0 if there is none. */
int fa_watch(char* name) { return dl_iterate_phdr(watch_segment, name); }

/* Lets the watched library's request fail that comes after `count` others; negative: none. */
void fa_fail_after(long count) {
  failures = 0;
  countdown = count;
}

long fa_failures(void) { return failures; }

/* Requests of the watched library so far. */
long fa_requests(void) { return requests; }

/* Allocations that are not released. */
long fa_held(void) { return allocations - releases; }
