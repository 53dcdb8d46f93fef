#define _GNU_SOURCE
#include "CSystem.h"

#ifdef __linux__

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

// What a crash needs is here beforehand, since the heap may be damaged and the stack used up; until then, no page of it
// is there.
enum { most_frames = 64, longest_path = 512 };

static struct {
    // Of an instruction, not the one after a call.
    uintptr_t address;
    // Where it is in which file; no path where it is in none.
    uint64_t offset;
    const char *path;
    size_t path_length;
} frames[most_frames];
static int frame_count;
static char paths[most_frames * longest_path];
static char text[1 << 14];
static unsigned char message[9 + 8 + most_frames * (8 + longest_path + 1 + 8)];
static unsigned char alternate_stack[1 << 16];

static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
enum { crash_count = sizeof crashes / sizeof crashes[0] };

static int report;
// The signal that the process shall die by, and the thread that it came to.
static int first_signal;
static atomic_int reporter;
static atomic_flag has_written = ATOMIC_FLAG_INIT;

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *unused) {
    (void)unused;
    int is_interrupted = 0;
    uintptr_t address = _Unwind_GetIPInfo(context, &is_interrupted);
    // What came before it are the handler's own.
    if (is_interrupted) frame_count = 0;
    frames[frame_count++].address = is_interrupted ? address : address - 1;
    return frame_count < most_frames ? _URC_NO_REASON : _URC_END_OF_STACK;
}

// Unwinding ends where there is no code: a call that led there is taken back.
static void leave_nowhere(const siginfo_t *info, ucontext_t *context) {
#if defined(__x86_64__)
    greg_t *registers = context->uc_mcontext.gregs;
    if ((greg_t)(uintptr_t)info->si_addr != registers[REG_RIP]) return;
    registers[REG_RIP] = *(greg_t *)(uintptr_t)registers[REG_RSP] - 1;
    registers[REG_RSP] += sizeof(greg_t);
#elif defined(__aarch64__)
    if ((uintptr_t)info->si_addr != context->uc_mcontext.pc) return;
    context->uc_mcontext.pc = context->uc_mcontext.regs[30] - 1;
#else
    (void)info, (void)context;
#endif
}

static const char *read_hexadecimal(const char *at, uint64_t *number) {
    *number = 0;
    for (;; at++) {
        int digit = *at >= '0' && *at <= '9' ? *at - '0' : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10 : -1;
        if (digit < 0) return at;
        *number = *number << 4 | (uint64_t)digit;
    }
}

// A line of the process's mappings: `start-end permissions offset device inode path`.
static char *locate_frames(const char *line, size_t length, char *path_end) {
    uint64_t start, end, offset;
    const char *at = read_hexadecimal(line, &start);
    at = read_hexadecimal(at + 1, &end);
    read_hexadecimal(at + 6, &offset);
    const char *path = memchr(line, '/', length);
    if (path == NULL) return path_end;
    size_t path_length = (size_t)(line + length - path);
    if (path_length > longest_path) return path_end;
    bool is_used = false;
    for (int index = 0; index < frame_count; index++) {
        if (frames[index].address < start || frames[index].address >= end) continue;
        frames[index].offset = frames[index].address - start + offset;
        frames[index].path = path_end;
        frames[index].path_length = path_length;
        is_used = true;
    }
    if (!is_used) return path_end;
    memcpy(path_end, path, path_length);
    return path_end + path_length;
}

// Asks the system, not the dynamic linker, whose tables are in the heap and may be locked.
static void locate_all_frames(void) {
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    char *path_end = paths;
    size_t length = 0;
    ssize_t count;
    while ((count = read(file, text + length, sizeof text - length)) > 0) {
        length += (size_t)count;
        char *line = text, *end;
        while ((end = memchr(line, '\n', length)) != NULL) {
            path_end = locate_frames(line, (size_t)(end - line), path_end);
            length -= (size_t)(end + 1 - line);
            line = end + 1;
        }
        memmove(text, line, length);
    }
    close(file);
}

static unsigned char *put(unsigned char *at, uint64_t number) {
    for (int byte = 0; byte < 8; byte++) *at++ = (unsigned char)(number >> (8 * byte));
    return at;
}

// `S` of the worker protocol.
static void write_report(void) {
    locate_all_frames();
    uint64_t count = 0;
    unsigned char *end = message + 9 + 8;
    for (int index = 0; index < frame_count; index++) {
        if (frames[index].path == NULL) continue;
        count++;
        end = put(end, frames[index].path_length);
        memcpy(end, frames[index].path, frames[index].path_length);
        end += frames[index].path_length;
        *end++ = 1;
        end = put(end, frames[index].offset);
    }
    message[0] = 'S';
    put(message + 1, (uint64_t)(end - message) - 9);
    put(message + 9, count);
    for (unsigned char *at = message; at < end;) {
        ssize_t written = write(report, at, (size_t)(end - at));
        if (written <= 0) return;
        at += written;
    }
}

// Reports the frames that have been found, once, and dies of what it was going to die of.
static _Noreturn void finish(void) {
    if (!atomic_flag_test_and_set(&has_written)) write_report();
    signal(first_signal, SIG_DFL);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), first_signal);
    _exit(1);
}

static void handle(int number, siginfo_t *info, void *context);

static void handle_signals(const int *numbers, int count) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    for (int index = 0; index < count; index++) sigaction(numbers[index], &action, NULL);
}

static void handle(int number, siginfo_t *info, void *context) {
    // The report itself may crash, and what is blocked then ends the process without more ado.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    for (int index = 0; index < crash_count; index++) sigaddset(&set, crashes[index]);
    sigprocmask(SIG_UNBLOCK, &set, NULL);

    int thread = (int)syscall(SYS_gettid), owner = 0;
    if (!atomic_compare_exchange_strong(&reporter, &owner, thread)) {
        // The report has crashed, or takes for ever: what is known by now is all.
        if (owner == thread || number == SIGALRM) finish();
        // Another thread has crashed meanwhile; the process ends soon.
        while (true) pause();
    }
    first_signal = number;
    handle_signals((const int[]){SIGALRM}, 1);
    alarm(5);
    if (number == SIGSEGV || number == SIGBUS) leave_nowhere(info, context);
    _Unwind_Backtrace(add_frame, NULL);
    finish();
}

void csystem_report_crashes(int descriptor) {
    report = descriptor;
    // What it loads and allocates when it is first used is there then.
    _Unwind_Backtrace(add_frame, NULL);
    frame_count = 0;
    const stack_t stack = {.ss_sp = alternate_stack, .ss_size = sizeof alternate_stack};
    sigaltstack(&stack, NULL);
    handle_signals(crashes, crash_count);
}

#else

void csystem_report_crashes(int descriptor) { (void)descriptor; }

#endif
