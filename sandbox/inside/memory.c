/* The zygote's memory in huge pages: fork copies one entry for 2 MiB instead of 512, and a child's
 * end gives as few back. Copying and giving back page tables was a quarter of what a run costs.
 *
 * Python's arenas and the C heap are laid out in whole aligned 2 MiB pieces from the start; when
 * all is loaded, seedcoder_settle has the kernel put them into huge pages. A child that writes to one gets
 * 4 KiB copies as ever, in its own page table; the zygote itself must not write while a child
 * lives, or its own is taken apart (seedcoder_collapse mends that). Where the kernel has no huge pages to
 * give, nothing changes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define VERSION 2
#define HUGE (2ul << 20)
#define ROOM (32ul << 20) /* of addresses; a zygote fills 6 MiB */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

/* PyObjectArenaAllocator of Python's C API. */
struct allocator {
    void *context;
    void *(*allocate)(void *, size_t);
    void (*release)(void *, void *, size_t);
};

static char *first, *next, *end; /* of the arenas */
static char *heap, *heap_end;

int seedcoder_version(void) { return VERSION; }

static char *up(char *place) { return (char *)(((uintptr_t)place + HUGE - 1) & ~(HUGE - 1)); }

static void *allocate(void *context, size_t size) {
    (void)context;
    if (next + size <= end) {
        char *place = next;
        next += size;
        return place;
    }
    void *place = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return place == MAP_FAILED ? NULL : place;
}

static void release(void *context, void *place, size_t size) {
    (void)context;
    munmap(place, size);
}

/* Take over where Python's arenas and the heap grow. The library is preloaded, so that this comes
 * before the interpreter takes its first memory. */
__attribute__((constructor)) static void claim(void) {
    void (*set)(struct allocator *) =
        (void (*)(struct allocator *))dlsym(RTLD_DEFAULT, "PyObject_SetArenaAllocator");
    struct allocator ours = {NULL, allocate, release};
    char *room = mmap(NULL, ROOM + HUGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!set || room == MAP_FAILED)
        return;
    first = next = up(room);
    end = first + ROOM;
    set(&ours);
    char *top = sbrk(0);
    if (top != (char *)-1 && sbrk(up(top) - top) == top)
        heap = up(top);
}

/* Put what was claimed into huge pages. Returns how many bytes are, or -1. */
long seedcoder_collapse(void) {
    long done = 0;
    if (next > first && !madvise(first, next - first, MADV_COLLAPSE))
        done += next - first;
    if (heap && heap_end > heap && !madvise(heap, heap_end - heap, MADV_COLLAPSE))
        done += heap_end - heap;
    return done ? done : -1;
}

/* All is loaded: what comes from now on lies elsewhere. */
long seedcoder_settle(void) {
    if (!first)
        return -1;
    next = up(next);
    if (next < end)
        munmap(next, end - next);
    end = next;
    if (heap) {
        char *top = sbrk(0);
        heap_end = up(top);
        if (heap_end > top && sbrk(heap_end - top) != top)
            heap = NULL;
    }
    return seedcoder_collapse();
}
