#include "CSystem.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// As many as are ever written at once.
enum { most_files = 64 };
static _Atomic(char *) files[most_files];

// Those that end a process and can be caught; what ends it by a fault of its own, too.
static const int endings[] = {
    SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU,
    SIGXFSZ, SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,  SIGABRT, SIGTRAP, SIGSYS,
};
enum { ending_count = sizeof endings / sizeof endings[0] };

static void remove_files(void) {
    for (int i = 0; i < most_files; ++i) {
        // Nobody else frees what is taken here, and the process ends.
        char *path = atomic_exchange(&files[i], NULL);
        if (path != NULL) unlink(path);
    }
}

static void end(int number) {
    remove_files();
    signal(number, SIG_DFL);
    raise(number);
}

// What somebody else does about a signal stays as it is.
static void watch_endings(void) {
    static atomic_flag is_watched = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&is_watched)) atexit(remove_files);
    for (int i = 0; i < ending_count; ++i) {
        struct sigaction action;
        if (sigaction(endings[i], NULL, &action) != 0) continue;
        if ((action.sa_flags & SA_SIGINFO) != 0 || action.sa_handler != SIG_DFL) continue;
        memset(&action, 0, sizeof action);
        action.sa_handler = end;
        sigemptyset(&action.sa_mask);
        sigaction(endings[i], &action, NULL);
    }
}

int csystem_remove_at_end(const char *path) {
    watch_endings();
    char *copy = strdup(path);
    for (int i = 0; copy != NULL && i < most_files; ++i) {
        char *none = NULL;
        if (atomic_compare_exchange_strong(&files[i], &none, copy)) return i;
    }
    free(copy);
    return -1;
}

void csystem_keep_at_end(int file) {
    if (file >= 0 && file < most_files) free(atomic_exchange(&files[file], NULL));
}
