// Dies in the way that its argument names, in a function of that name, and says where.
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

extern "C" void csystem_report_crashes(int descriptor);

#define PLANTED extern "C" __attribute__((noinline))

// What the compiler knows nothing of.
static void *volatile nowhere = nullptr;
static volatile int zero = 0;

PLANTED void helper_that_aborts() { abort(); }
PLANTED void assertion() { helper_that_aborts(); zero = 1; }
PLANTED void null_pointer() { *static_cast<volatile int *>(nowhere) = 1; }
PLANTED void call_of_null() { reinterpret_cast<void (*)()>(nowhere)(); zero = 1; }
PLANTED int recursion(int depth) {
    volatile char frame[256];
    frame[depth & 255] = 1;
    return recursion(depth + 1) + frame[0];
}
PLANTED void exception() { throw std::runtime_error("thrown"); }
PLANTED void other_thread() { std::thread([] { null_pointer(); zero = 1; }).join(); }
PLANTED void damaged_heap() {
    // What is free follows what is not, whose end is overrun.
    volatile char *block = static_cast<char *>(malloc(3000));
    void *volatile next = malloc(3000);
    void *volatile last = malloc(10);
    free(next);
    for (int index = 0; index < 6100; index++) block[index] = 0x41;
    // What is free is sorted by its size, and then looked through.
    free(malloc(200000));
    for (size_t size = 2000; size < 4000; size += 16) last = malloc(size);
    zero = last != nullptr;
}
PLANTED void damaged_stack() {
    // Where the callers are, nobody knows any more.
    void **frame = static_cast<void **>(__builtin_frame_address(0));
    for (int word = 0; word < 64; word++) frame[word] = const_cast<void *>(nowhere);
    null_pointer();
    zero = 1;
}
PLANTED void illegal_instruction() { __builtin_trap(); }

namespace engine {
namespace {
template <typename Element>
struct Block {
    __attribute__((noinline)) Element operator()(Element element) const { null_pointer(); return element + zero; }
};
}
struct Model {
    __attribute__((noinline)) int decode(const std::string &text, int count);
};
int Model::decode(const std::string &text, int count) { return Block<int>()(count) + static_cast<int>(text.size()); }
}

int main(int, char **arguments) {
    csystem_report_crashes(1);
    const std::string name = arguments[1];
    if (name == "assertion") assertion();
    if (name == "null_pointer") null_pointer();
    if (name == "call_of_null") call_of_null();
    if (name == "recursion") recursion(0);
    if (name == "exception") exception();
    if (name == "other_thread") other_thread();
    if (name == "damaged_heap") damaged_heap();
    if (name == "damaged_stack") damaged_stack();
    if (name == "illegal_instruction") illegal_instruction();
    if (name == "method") engine::Model().decode(name, 1);
    return 0;
}
