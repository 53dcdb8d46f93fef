// Calls of the system that its headers do not show to Swift.
#ifndef CSYSTEM_H
#define CSYSTEM_H

#include <stddef.h>
#ifdef __linux__
// What libraries and programs look like.
#include <elf.h>
#endif

// The descriptor of a new file in memory, without a name; negative where the system has none.
int csystem_memory_file(void);

// What has been freed, up to 256 MiB, stays with the process for what it needs next. Toy models come and go by the
// hundred each second, and memory that comes anew from the system each time is a tenth of what they take.
void csystem_keep_freed_memory(void);

// Gives the system back what has been freed and lies between what has not.
void csystem_return_freed_memory(void);

// What is allocated next, about so many bytes and less than 32 MiB, is in huge pages, each of which the system gives in
// the time of a few dozen pages. Only where freed memory is kept.
void csystem_use_huge_pages(size_t size);

// Writes what standard output still holds. The error, now or at any time before, of what could not be written; 0: all
// was.
int csystem_flush_output(void);

// A file that goes with this process, where that exits or a signal ends it that can be caught and has no handler. A
// number for `csystem_keep_at_end`; negative where there are too many.
int csystem_remove_at_end(const char *path);

// The file stays, or is gone already. With a negative number, nothing happens.
void csystem_keep_at_end(int file);

// As `fork`, and the child ends with its parent; negative where there is none, or where libraries do not survive it.
// `end` is a descriptor for the parent that hangs up when the child has ended.
int csystem_fork(int *end);

// From now on, when this process crashes, it first says where: one frame `S` of the worker protocol to the descriptor,
// with the stack of the thread, innermost first, by files and offsets. It then dies as it would have. Call it on the
// thread whose stack may be used up: on others, that is not told. On systems other than Linux, it does nothing.
void csystem_report_crashes(int descriptor);

#ifdef __linux__
// Of Swift's runtime: the name of a symbol of Swift or C++, as people write it, which the caller frees where there is
// no `buffer`; null where it is no such symbol.
char *_swift_backtrace_demangle(const char *symbol, size_t length, char *buffer, size_t *size);
#endif

#endif
