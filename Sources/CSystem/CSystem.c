#define _GNU_SOURCE
#include "CSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/mman.h>
#include <sys/prctl.h>
#endif
#ifdef __GLIBC__
#include <malloc.h>
#endif

int csystem_memory_file(void) {
#ifdef __linux__
    return memfd_create("gguf-fuzz", MFD_CLOEXEC);
#else
    return -1;
#endif
}

void csystem_keep_freed_memory(void) {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
}

void csystem_return_freed_memory(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void csystem_use_huge_pages(size_t size) {
#if defined(__GLIBC__) && defined(MADV_HUGEPAGE)
    // The heap grows for the block at its end, which has no page yet: no byte of it is touched. It begins with a huge
    // page, since what lies before that, up to the C library's own words, is left to nobody.
    static void *volatile nobodys;
    const uintptr_t huge = 2 << 20;
    void *block = malloc(size);
    uintptr_t gap = -(uintptr_t)block & (huge - 1);
    free(block);
    if (gap > 64) nobodys = malloc(gap - 32);
    block = malloc(size);
    uintptr_t start = ((uintptr_t)block + huge - 1) & -huge, end = ((uintptr_t)block + size) & -huge;
    if (block != NULL && start < end) madvise((void *)start, end - start, MADV_HUGEPAGE);
    free(block);
#else
    (void)size;
#endif
}

int csystem_flush_output(void) {
    // What was lost once is not in what is written next.
    static atomic_int failure;
    errno = 0;
    int error = fflush(stdout) != 0 ? errno : 0;
    if (error == 0 && ferror(stdout)) error = EIO;
    int none = 0;
    if (error != 0) atomic_compare_exchange_strong(&failure, &none, error);
    return atomic_load(&failure);
}

int csystem_fork(int *end) {
#ifdef __linux__
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
        return 0;
    }
    close(ends[1]);
    if (child < 0) close(ends[0]);
    *end = ends[0];
    return child;
#else
    (void)end;
    return -1;
#endif
}
