#define _GNU_SOURCE
#include "CSystem.h"

#include <signal.h>
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

int csystem_fork(void) {
#ifdef __linux__
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(1);
    }
    return child;
#else
    return -1;
#endif
}
