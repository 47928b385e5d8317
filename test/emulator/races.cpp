// races.cpp -- finds two threads that touch the same memory with nothing between them to say who is first.
//
// Compiled with -fsanitize=thread, a kernel reports every access to functions named __tsan_*. They are ours: for
// each byte of memory we keep who wrote and who read last. A barrier orders the threads of a block,
// __syncwarp those of a warp, nothing those of two blocks. So a race is found whatever the schedule.
#include "emulator.h"

#include <sys/mman.h>

namespace emu {
namespace {

enum { GRAIN = 1, SEVERAL = 255 }; // a byte is the smallest thing that threads write side by side

struct Access { unsigned interval; unsigned short syncs; unsigned char warp, lane; bool atomic; };
struct History { Access write, read; unsigned many_blocks; }; // the launch in which several blocks read it

int atomic_depth;
unsigned began; // what happened before is forgotten: the launch's beginning, of shared memory the block's

Access by_this_thread() {
    int t = running;
    return {now.interval, (unsigned short)now.warp_syncs[t / 32], (unsigned char)(t / 32), (unsigned char)(t % 32), atomic_depth > 0};
}

bool in_other_block(const Access& a) { return a.interval >= began && a.interval < now.block_began; }

// Whether something makes a happen before what this thread does now.
bool ordered(const Access& a, const Access& self) {
    if (a.interval < began || (a.atomic && self.atomic)) { return true; }
    if (in_other_block(a)) { return false; }
    if (a.interval < self.interval) { return true; }
    return a.warp == self.warp && (a.lane == self.lane || a.syncs < self.syncs);
}

// Both have read: keep what they have in common.
Access merged(const Access& a, Access self) {
    if (a.interval != self.interval) { return self; }
    if (a.warp != self.warp) { self.warp = self.lane = SEVERAL; }
    else if (a.lane != self.lane && a.syncs == self.syncs) { self.lane = SEVERAL; }
    return self;
}

[[noreturn]] void fail_race(const char* does, const char* did, const Access& a) {
    char who[64] = "another thread";
    if (in_other_block(a)) { snprintf(who, sizeof(who), "another block"); }
    else if (a.lane != SEVERAL) { snprintf(who, sizeof(who), "thread %d of the block", a.warp * 32 + a.lane); }
    fail("race: this thread %s what %s has %s, and nothing orders them", does, who, did);
}

void note(History& h, bool writes) {
    Access self = by_this_thread();
    if (!ordered(h.write, self)) { fail_race(writes ? "writes" : "reads", "written", h.write); }
    if (!writes) {
        if (in_other_block(h.read)) { h.many_blocks = now.launch_began; }
        h.read = merged(h.read, self);
        return;
    }
    if (h.many_blocks == now.launch_began) { fail("race: this thread writes what another block has read"); }
    if (!ordered(h.read, self)) { fail_race("writes", "read", h.read); }
    h.write = self;
}

History* create_history(size_t bytes) {
    size_t size = (bytes + GRAIN - 1) / GRAIN * sizeof(History);
    return (History*)mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

// The program itself, the host's stack with the launch's arguments, the threads' stacks: what a thread may touch that no other does.
bool is_private(char* p) {
    static const std::vector<Bytes> ranges = private_memory();
    for (const Bytes& b : ranges) { if (p >= b.data && p < b.data + b.size) { return true; } }
    return false;
}

// Of the memory at p, or NULL if it is nothing that threads share.
History* history_of(char* p) {
    static const Bytes statics = static_shared();
    static History *of_statics = create_history(statics.size), *of_dynamic = create_history(256 << 10);
    if (is_private(p)) { return nullptr; }
    began = now.block_began;
    if (p >= statics.data && p < statics.data + statics.size) { return of_statics + (p - statics.data) / GRAIN; }
    Bytes dynamic = dynamic_shared_bytes();
    if (p >= dynamic.data && p < dynamic.data + dynamic.size) { return of_dynamic + (p - dynamic.data) / GRAIN; }
    began = now.launch_began;
    Allocation* a = find(p);
    if (a == nullptr) { fail("touches %p, which is the host's memory", (void*)p); }
    if (p < a->data || p >= a->data + a->bytes) { return nullptr; }
    if (a->history == nullptr) { a->history = create_history(a->bytes); }
    return (History*)a->history + (p - a->data) / GRAIN;
}

void touch(void* p, size_t bytes, bool writes) {
    if (running < 0 || (atomic_depth > 0 && !writes)) { return; }
    History* h = history_of((char*)p);
    for (size_t i = 0; h != nullptr && i < bytes; i += GRAIN) { note(h[i / GRAIN], writes); }
}

} // namespace

Atomic::Atomic() { atomic_depth++; }
Atomic::~Atomic() { atomic_depth--; }

} // namespace emu

// What the compiler calls.
#define ACCESS(bytes)                                                            \
    void __tsan_read##bytes(void* p) { emu::touch(p, bytes, false); }            \
    void __tsan_write##bytes(void* p) { emu::touch(p, bytes, true); }            \
    void __tsan_unaligned_read##bytes(void* p) { emu::touch(p, bytes, false); }  \
    void __tsan_unaligned_write##bytes(void* p) { emu::touch(p, bytes, true); }
extern "C" {
ACCESS(1) ACCESS(2) ACCESS(4) ACCESS(8) ACCESS(16)
void __tsan_read_range(void* p, size_t bytes) { emu::touch(p, bytes, false); }
void __tsan_write_range(void* p, size_t bytes) { emu::touch(p, bytes, true); }
void* __tsan_memcpy(void* d, const void* s, size_t n) { emu::touch((void*)s, n, false); emu::touch(d, n, true); return memcpy(d, s, n); }
void* __tsan_memmove(void* d, const void* s, size_t n) { emu::touch((void*)s, n, false); emu::touch(d, n, true); return memmove(d, s, n); }
void* __tsan_memset(void* d, int byte, size_t n) { emu::touch(d, n, true); return memset(d, byte, n); }
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit(void) {}
void __tsan_init(void) {}
char __tsan_atomic8_load(char* p, int) { return *p; } // the guard of a static local variable of the host's
}
