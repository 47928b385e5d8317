// kept.cu -- kept gradients are a route of the CPU: see kept.h.
#include "kept.h"
#include "../llmc/check.h"

void gather_kept(Statistics*, const Site* s, const Gather*) {
    check(0, "%s: no gradients are kept on the GPU", s->name);
}
