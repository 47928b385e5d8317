#!/bin/sh
# mutants.sh [--every N] [TEXT] -- break one line at a time and see that a test notices; only the mutants whose line contains TEXT, or every Nth.
# A line of the list below: file ~ sed expression ~ test program, and names of its tests if not all ~ what it breaks (see mutate.sh). Run from the
# repository's root.
set -eu
export CFLAGS="-O1 -march=native -w" OMP_WAIT_POLICY=passive # waiting threads would only be in the way of one another
files="Makefile llmc drpt test train_gpt2_drpt.c dev/world dev/text dev/sums.c dev/letters.c"
command_of() { echo "build/test/$*"; }
. dev/mutate.sh
exit

# ---- the gradient of a site
drpt/site.c~s/scaled\[k\] = w \* dout/scaled[k] = dout/~test_site~rows not scaled
drpt/site.c~s/\* s->rows + o;$/* s->rows;/~test_site~always the first columns
drpt/site.c~s/stop < end \&\& (weight/stop < end \&\& 1 || (weight/~test_site~rows of weight 0 are read
drpt/site.c~s/if (weight_of(weight, b) == 0.0f) { continue; }//~test_site~NaN times 0
drpt/site.c~s/s->inp + (size_t)b \* T \* s->cols, (stop/s->inp, (stop/~test_site~the input of the first row for all
drpt/site.c~s/ (stop - b) \* T, s->cols/ T, s->cols/~test_site~one row of a run
drpt/site.c~s/(inp\[c\] - s->mean\[at\])/inp[c]/~test_site~layernorm: mean not subtracted
drpt/site.c~s/ \* s->rstd\[at\];/;/~test_site~layernorm: not divided by the deviation
drpt/site.c~s/if (dbias) { dbias/if (0) { dbias/~test_site~layernorm: no bias
drpt/site.c~s/weight_of(weight, (int)(at \/ (size_t)T))/weight_of(weight, first)/~test_site~the weight of the first row for all
drpt/site.c~s/(at + (size_t)o) \* s->cols/at * s->cols/~test_site~position: slab from the start
drpt/site.c~s/to\[c\] += w \* d/to[c] = w * d/~test_site~lookup: a word's last occurrence alone
drpt/site.c~s/tokens\[at\] - o;/tokens[at];/~test_site~lookup: into the wrong slab
drpt/site.c~s/|| row >= count/|| row > count/~test_site~lookup: one row too many
drpt/site.c~s/rows < SLAB_MIN_ROWS ? SLAB_MIN_ROWS : //~test_site~slabs without a least size

# ---- gradients formed, a slab at a time
drpt/site.h~s/\* ((size_t)s->cols + (s->dbias != NULL))/* (size_t)s->cols/~test_gather gather/kept_gradients_give_the_update~kept gradients without room for the bias
drpt/site.c~s/((size_t)b \* T + t) \* s->stride + o/((size_t)b * T + t) * s->rows + o/~test_gather gather/1_7_11_routes gather/3_sketch_is_projected_gradients~dout of a part read as if it were whole
drpt/direct.c~s/s->rows - o < slab ? s->rows - o : slab/slab < s->rows ? slab : s->rows - 1/~test_site~last row left out
drpt/direct.c~s/NEEDS_ROWS ? i + 1 : g->n + g->m;/NEEDS_ROWS ? i + 1 : i + 1;/~test_gather gather/1_7_11_routes~first target row alone
drpt/direct.c~s/i < g->n || g->needs \& NEEDS_ROWS ? i + 1/i < g->n ? i + 1/~test_gather gather/1_7_11_routes~all target rows where they are wanted singly
drpt/direct.c~s/^        memset(weights, 0.*//~test_gather gather/1_7_11_routes~gradients of the slab before kept
drpt/direct.c~s/^        if (bias) { memset(bias.*//~test_gather gather/1_7_11_routes~bias of the slab before kept
drpt/direct.c~s/^    memset(st->partial.*//~test_gather gather/1_7_11_routes~products of the call before kept
drpt/direct.c~s/o < s->rows; o += threads \* slab/o < s->rows; o += slab/~test_gather gather/1_7_11_routes~slabs counted by several threads
drpt/direct.c~s/^    if (p->bias) { gram_add.*//~test_gather gather/1_7_11_routes~bias left out of the inner products
drpt/direct.c~s/T \* most((size_t)m, 1);/T;/~test_gather gather/1_7_11_routes~scratch too small for several target rows
drpt/direct.c~s/, g->n + (g->needs \& NEEDS_ROWS ? g->m : 1)/, g->n + 1/;s/return g->n + (g->needs \& NEEDS_ROWS ? g->m : 1)/return g->n + 1/~test_gather gather/1_7_11_routes~no target rows singly
drpt/direct.c~s/sqrtf(v\[k\] \* correction) + eps/sqrtf(v[k]) + eps/~test_gather gather/metric~second moment not corrected
drpt/direct.c~s/sqrtf(v\[k\] \* correction) + eps/sqrtf(v[k] * correction)/~test_gather gather/metric~no eps
drpt/direct.c~s/s->vweight + (size_t)k.o \* s->cols + k.c/s->vweight + k.c/~test_gather gather/metric~second moments of the first slab
drpt/direct.c~s/s->vweight + (size_t)k.o \* s->cols + k.c/s->vweight + (size_t)k.o * s->cols/~test_gather gather/metric~second moments of the first columns
drpt/direct.c~s/s->vbias + k.o/s->vbias/~test_gather gather/metric~second moments of the first biases
drpt/direct.c~s/s->dbias \&\& k.c == 0 ? /s->dbias ? /~test_gather gather/1_7_11_routes~a bias for each block of columns
drpt/direct.c~s/s->inp + (size_t)at \* s->cols + c, /s->inp + (size_t)at * s->cols, /~test_gather gather/1_7_11_routes~the first columns for all blocks
drpt/direct.c~s/s->dlookup + at \* s->cols + k.c/s->dlookup + at * s->cols/~test_gather gather/1_7_11_routes~lookup: the first columns for all blocks
drpt/direct.c~s/\* s->cols + k.c;/* s->cols;/~test_gather gather/1_7_11_routes~position: the first columns for all blocks
drpt/direct.c~s/(at + (size_t)(k.o + r)) \* s->cols/(at + (size_t)r) * s->cols/~test_gather gather/1_7_11_routes~position: the first slab for all
drpt/direct.c~s/at \* s->stride + k.o, sizeof/at * s->rows + k.o, sizeof/~test_gather gather/1_7_11_routes~dout of a part read as if it were whole
drpt/direct.c~s/ + (size_t)(n + m) \* T \* least((size_t)widest, SITE_BLOCK)//~test_gather gather/1_7_11_routes~no room for a block of the input

# ---- tables of inner products
drpt/gram.c~s/int j = i > from ? i : from;/int j = i > from ? i : from + 1;/~test_gather gather/1_7_11_routes~first product of a row left out
drpt/gram.c~s/c += x\[k\] \* y2/c += x[k] * y1/~test_gather gather/1_7_11_routes~one vector twice
drpt/gram.c~s/at += PIECE) {$/at += PIECE + 1) {/~test_gather gather/1_7_11_routes gather/metric~numbers between pieces left out
drpt/gram.c~s/tables + (i < j ? /tables + (1 ? /~test_gather gather/1_7_11_routes~the empty half of the table read
drpt/gram.c~s/st->K\[(size_t)i \* n + j\] +=/st->K[(size_t)i * n + j] =/~test_gather gather/1_7_11_routes~K overwritten
drpt/gram.c~s/st->s\[i\] +=/st->s[i] =/~test_gather gather/1_7_11_routes~s overwritten
drpt/gram.c~s/st->q +=/st->q =/~test_gather gather/1_7_11_routes~q overwritten
drpt/gram.c~s/(size_t)i \* targets + j - n/(size_t)i * targets/~test_gather gather/1_7_11_routes~S: all in the first column
drpt/gram.c~s/thread < threads; thread++) { sum/thread < 1; thread++) { sum/~test_gather gather/1_7_11_routes~the first thread alone
drpt/gram.h~s/return g->needs ? 0 : g->n;/return g->n;/~test_gather gather/1_7_11_routes~no scores

# ---- pairs of positions
drpt/pairs.c~s/2 \* room(N) + 2/room(N) + 2/~test_gather gather/1_7_11_routes~room for one product
drpt/pairs.c~s/x\[k\] \*= y\[k\] + c/x[k] *= y[k]/~test_gather gather/1_7_11_routes~no bias
drpt/pairs.c~s/token\[a\] == target\[b\] ?/1 ?/~test_gather gather/1_7_11_routes~lookups of any two words multiplied
drpt/pairs.c~s/+= dout\[target\[b\]\] \*/+= 0.0f */~test_gather gather/1_7_11_routes~no cross term of head and the other one s lookup
drpt/pairs.c~s/+= dout\[(size_t)b \* s->stride\] \*/+= 0.0f */~test_gather gather/1_7_11_routes~no cross term of lookup and the other one s head
drpt/pairs.c~s/i == j \&\& !within ? 2.0 \* sum : sum/sum/~test_gather gather/1_7_11_routes~pairs of one row in different panels counted once
drpt/pairs.c~s/within ? least(panel, end) : end/end/~test_gather gather/1_7_11_routes~a row that ends in another panel counted as within
drpt/pairs.c~s/least(N - k.b, least(width, PRODUCTS/least(N - k.b, least(N, 2 * PRODUCTS/~test_gather gather/1_7_11_routes~blocks that do not fit
drpt/pairs.c~s/ + 2 \* copy_room(N, (size_t)widest)/ + copy_room(N, (size_t)widest)/~test_gather gather/1_7_11_routes~room for one copy

# ---- tokens
drpt/tokens.c~s/1 + POSITIONS + (size_t)m \* T)/1 + POSITIONS)/~test_gather gather/1_7_11_routes~no room for the target's factor
drpt/tokens.c~s/p->t, p->bias, N, s->cols/p->t, NULL, N, s->cols/~test_gather gather/1_7_11_routes~no bias
drpt/tokens.c~s/at \* s->stride + o,/at * s->stride,/~test_gather gather/1_7_11_routes~dout of the first slab
drpt/tokens.c~s/    if (s->kind == SITE_TOKEN) { add_lookup.*//~test_gather gather/1_7_11_routes~no lookup
drpt/tokens.c~s/from < end; from += POSITIONS/from < end; from += end/~test_gather gather/1_7_11_routes~the first positions alone
drpt/tokens.c~s/^    memset(p->t, 0.*//~test_gather gather/1_7_11_routes~t of the slab before kept
drpt/tokens.c~s/s->vweight + (size_t)o \* s->cols/s->vweight/~test_gather gather/metric~second moments of the first slab
drpt/tokens.c~s/g->metric ? st->score : st->s/st->s/~test_gather gather/metric~scores of the metric taken for s
drpt/tokens.c~s/ + gram_dot(p->bias, p->bias, (size_t)count)//~test_gather gather/1_7_11_routes~q without bias

# ---- sketches
drpt/sketch.c~s/sqrt(1.0 \/ store->k)/1.0/~test_gather gather/4_sketch_is_unbiased~variance 1
drpt/sketch.c~s/sqrt(1.0 \/ store->k)/sqrt(1.2 \/ store->k)/~test_gather gather/4_sketch_is_unbiased~variance a fifth too large
drpt/sketch.c~s/2 \* (uint64_t)index + (uint64_t)side, 0/(uint64_t)index + (uint64_t)side, 0/~test_gather gather/streams~a side shares a stream with the next site
drpt/sketch.c~s/2 \* (uint64_t)index + (uint64_t)side, 0/2 * (uint64_t)index, 0/~test_gather gather/4_sketch_is_unbiased~both sides share a stream
drpt/sketch.c~s/rng_seed(store->seed, /rng_seed(7, /~test_gather gather/streams~the seed does not count
drpt/sketch.c~s/{ store->site\[i\].fresh = 0; }/{ }/~test_gather gather/streams~not refreshed
drpt/sketch_gather.c~s/for (int c = 0; factor \&\& bias \&\& c < width; c++)/for (int c = 0; c < 0; c++)/~test_gather gather/3_sketch_is_projected_gradients~no bias
drpt/sketch_gather.c~s/if (!factor \&\& bias) { row/if (0) { row/~test_gather gather/2_wide_sketch_is_exact~no bias of a side left as it is
drpt/sketch_gather.c~s/^    if (s->kind == SITE_TOKEN) {$/    if (0) {/~test_gather gather/3_sketch_is_projected_gradients~no lookup
drpt/sketch_gather.c~s/memset(store->vector, 0, .*//~test_gather gather/3_sketch_is_projected_gradients~projections of the call before kept
drpt/sketch_gather.c~s/\? 1 : g->n + g->m - i;/? 1 : 1;/~test_gather gather/3_sketch_is_projected_gradients~first target row alone
drpt/sketch_gather.c~s/side\[0\] + from \* k->width\[0\], site_dout(g->scratch, s, from/side[0] + from * k->width[0], site_dout(g->scratch, s, begin/~test_gather gather/3_sketch_is_projected_gradients~the first piece of dout for all
drpt/sketch_gather.c~s/to\[s->tokens\[at\]\] = 1.0f/to[0] = 1.0f/~test_gather gather/2_wide_sketch_is_exact~all tokens the first

# ---- choosing a route
drpt/gather.c~s/!(g->needs \& (NEEDS_K | NEEDS_ROWS))/!(g->needs \& NEEDS_K)/~test_gather gather/a_route_that_cannot_gives_way~no target rows from tokens
drpt/gather.c~s/ \&\& !(g->needs \& (NEEDS_K | NEEDS_ROWS))//~test_gather gather/1_7_11_routes~no K from tokens
drpt/gather.c~s/case ROUTE_pairs:  return !g->metric;/case ROUTE_pairs:  return 1;/~test_gather gather/metric~pairs asked for the metric
drpt/gather.c~s/if (!site_is_product(s)) { return 0; }//~test_gather gather/a_route_that_cannot_gives_way~a layer normalisation as a product
drpt/gather.c~s/r <= ROUTE_tokens; r++/r <= ROUTE_sketch; r++/~test_gather gather/auto~a sketch by itself
drpt/cost.c~s/^    if (gather_keeps(s, g)) {$/    if (0) {/~test_gather gather/auto~kept gradients are no cheaper
drpt/gather.c~s/ \&\& !(g->needs \& NEEDS_ROWS) \&\& / \&\& /~test_gather gather/what_is_kept~single target rows kept
drpt/gather.c~s/<= g->kept_size;/<= g->kept_size + 1;/~test_gather gather/what_is_kept~one float too many kept
drpt/gather.c~s/return g->keep_gradients \&\& /return /~test_gather gather/what_is_kept~kept without being asked

drpt/kept.c~s/^    for (size_t at = 0; at < all; at += 1 << 16).*//~test_gather gather/kept_gradients_give_the_update~kept gradients added to the ones before
drpt/kept.c~s/\&rest, g->scratch, i, end, g->T/\&rest, g->scratch, i, i + 1, g->T/~test_gather gather/kept_gradients_give_the_update~kept: lookups of one target row
drpt/kept.c~s/if (s->kind == SITE_LINEAR) { continue; }/if (site_is_product(s)) { continue; }/~test_gather gather/kept_gradients_give_the_update~no lookup in kept gradients
drpt/kept.c~s/dout + (size_t)k \* s->stride/dout + (size_t)k * count/~test_gather gather/kept_gradients_give_the_update~kept: a part as if it were whole
drpt/kept.c~s/bias ? bias + o : NULL/bias/~test_gather gather/kept_gradients_give_the_update~kept: bias of a later slab in the first one's place
drpt/kept.c~s/int end = i < g->n ? i + 1 : g->n + g->m;/int end = i + 1;/~test_gather gather/kept_gradients_give_the_update~kept: t from one target row
drpt/kept.c~s/middle = least(weights, end);/middle = end;/~test_gather gather/metric~kept: moments of the weights for the bias
drpt/kept.c~s/v + (at - begin), count/v, count/~test_gather gather/metric~kept: the first moments for all
drpt/kept.c~s/table, g->kept + begin, size, end - begin, V/table, g->kept, size, end, V/~test_gather gather/kept_gradients_give_the_update~kept: products of a thread twice
drpt/gather.c~s/g->keep_gradients \&\& g->needs \&\&/g->keep_gradients \&\&/~test_gather gather/what_is_kept~kept for q alone
# ---- the update from kept gradients
drpt/assemble.c~s/if (w == 0.0f) { continue; }//~test_gather gather/kept_gradients_give_the_update~NaN times 0
drpt/assemble.c~s/i <= n; i++/i < n; i++/~test_gather gather/kept_gradients_give_the_update~no beta
drpt/assemble.c~s/^    if (site->dbias) { add_kept.*//~test_gather gather/kept_gradients_give_the_update~no bias
drpt/assemble.c~s/ \&\& site->stride == site->rows//~test_site~a part of a fused projection as if it were whole

# ---- solve
drpt/solve.h~s/(int)(keep \* n + 1e-9)/(int)(keep * n)/~test_solve~0.29 of 100 is 28
drpt/solve.h~s/(int)(keep \* n + 1e-9)/(int)(keep * n + 0.5)/~test_solve~k rounded
drpt/solve.h~s/k = k < 1 ? 1 : k;//~test_solve~no row kept
drpt/solve.h~s/return k > n ? n : k;.*/return k;/~test_solve~a row kept of none
drpt/solve.h~s/score\[i\] == score\[best\] \&\& place\[i\] < place\[best\]/score[i] == score[best] \&\& place[i] > place[best]/~test_solve~ties to the last row
drpt/solve.h~s/place, n)\] = 1.0 \/ k/place, n)] = 1.0 \/ n/~test_solve~weights do not add up to 1
drpt/solve.h~s/k += score\[i\] >= 0.0/k += score[i] > 0.0/~test_solve~filter: scores of 0 not counted
drpt/solve.h~s/alpha\[i\] = score\[i\] >= 0.0 ?/alpha[i] = score[i] > 0.0 ?/~test_solve~filter: scores of 0 left out
drpt/solve.h~s/uint64_t z = seed + (i + 1)/uint64_t z = (i + 1)/~test_solve~random: no seed
drpt/solve.h~s/(0x94d049bb133111ebu;)/(1;)/;s/^    z = (z ^ (z >> .*//~test_solve~random: no mixing
drpt/solve.h~s/return ridge \* trace \/ n/return ridge * trace/~test_solve~ridge in units of the trace
drpt/solve.h~s/K\[i\*n + i\] + mu > 0.0 ? sqrt(tau \* K\[i\*n + i\] + mu)/K[i*n + i] > 0.0 ? sqrt(tau * K[i*n + i])/~test_solve~no ridge
drpt/solve.h~s/b\[i\] = d\[i\] > 0.0 ? s\[i\] \/ d\[i\] : 0.0/b[i] = s[i]/~test_solve~scores not scaled
drpt/solve.h~s/define SOLVE_RESOLUTION 1e-6/define SOLVE_RESOLUTION 1e-13/~test_solve~noise of single precision inverted
drpt/solve.h~s/c->p - 1, c->p, c->n, SOLVE_RESOLUTION/c->p - 1, c->p, c->n, 1e-12/~test_solve~cone: noise of single precision inverted
drpt/solve.h~s/define SOLVE_RESOLUTION 1e-6/define SOLVE_RESOLUTION 1e-2/~test_solve~span: directions lost
drpt/solve.h~s/else { solve_pseudo_inverse(alpha, M, V, b, n); }//~test_solve~span: no way out of dependent rows
drpt/solve.h~s/sweep < 60/sweep < 1/~test_solve~span: one sweep of rotations
drpt/solve.h~s/x\[i\] += V\[i\*n + k\] \* along \/ A\[k\*n + k\]/x[i] += V[i*n + k] * along/~test_solve~span: eigenvalues not inverted
drpt/solve.h~s/if (k == hit || c->x\[i\] <= 0.0) {/if (0) {/~test_solve~cone: no row is bound again
drpt/solve.h~s/k < first ? k : first; }/first; }/~test_solve~cone: factor not made anew
drpt/solve.h~s/if (slope > steepest) {/if (slope > steepest \&\& best < 0 \&\& c->p < 3) {/~test_solve~cone: three rows at most
drpt/solve.h~s/while (cone_has_negative(&c)) { cone_retreat(&c); }//~test_solve~cone: negative weights
drpt/solve.h~s/pass < 5 \* n + 10/pass < n \/ 4 + 1/~test_solve~cone: stops early
drpt/solve.h~s/solve_fill(alpha, n, (1.0 - knobs.mix) \/ n)/solve_fill(alpha, n, 1.0 \/ n)/~test_solve~mix: general rows in full
drpt/solve.h~s/\*beta = knobs.mix;/*beta = 1.0 - knobs.mix;/~test_solve~mix: the other way round
drpt/solve.h~s/int finite = isfinite(\*st->q);/int finite = 1;/~test_solve~a target with NaN is followed
drpt/solve.h~s/verdict.dropped += rows.usable\[i\] && !finite;/verdict.dropped += !finite;/~test_solve~unusable rows counted as broken
drpt/solve.h~s/if (rows.usable\[i\] && finite)/if (finite)/~test_solve~unusable rows used
drpt/solve.h~s/if (rows.usable\[i\] && finite)/if (rows.usable[i])/~test_solve~broken rows used
drpt/solve.h~s/st->K\[from \* rows.n + row/st->K[from * p->n + row/~test_solve~K of the wrong rows
drpt/solve.h~s/alpha\[row\[p.place\[i\]\]\] = scale/alpha[p.place[i]] = scale/~test_solve~weights to the wrong rows
drpt/solve.h~s/!any || \*st->q == 0.0/!any/~test_solve~no target gradient goes unsaid
drpt/solve.h~s/(needs & NEEDS_K) || isfinite(st->K\[i\*n + i\])/(needs \& NEEDS_K) || 1/~test_solve~Inf on K's diagonal alone
drpt/solve.h~s/return 4 \* rows \* rows/return 3 * rows * rows/~test_solve~too little memory
drpt/solve.h~s/(score\[i\] == score\[best\] && place\[i\] < place\[best\])/(score[i] == score[best] \&\& i < best \&\& 0)/~test_family~ties by where the solver has the rows
drpt/solve.h~s/(uint64_t)place\[i\]); }/(uint64_t)i); }/~test_family~random: drawn by rank
drpt/solve.h~s/p->K\[i\*n + i\] \/ (2.0 \* k)/p->K[i*n + i] \/ k/~test_family~a row's own length counted twice
drpt/solve.h~s/tau \* (along\[i\] + p->K/0.0 * tau + (along[i] - along[i]) - tau * (p->K/~test_family~the rows before forgotten
drpt/solve.h~s/gain\[i\] = p->s\[i\] - tau \*/gain[i] = p->s[i] -/~test_family~no tau
drpt/solve.h~s/along\[i\] += p->K\[i\*n + best\] \/ k/along[i] += p->K[i*n + best]/~test_family~rows before at full weight
drpt/solve.h~s/i != j ? tau \* K\[i\*n + j\]/i != j ? K[i*n + j]/~test_family~tau on the diagonal alone
drpt/solve.h~s/double z = h->row\[k\];/double z = 0.5 * h->row[k];/~test_family~free rows follow half
drpt/solve.h~s/h->move\[h->P\[0\]\] = -sum;/h->move[h->P[0]] = 0.0;/~test_family~the sum drifts
drpt/solve.h~s/if (reached) { step = gain \/ curvature; }//~test_family~always to the bound
drpt/solve.h~s/if (room < step) { step = room; hit = k; }//~test_family~free rows pass their bounds
drpt/solve.h~s/h->rest\[i\] \* (h->slope\[b\] - h->slope\[i\])/(h->slope[i] - h->slope[b])/~test_family~rows never leave the ceiling
drpt/solve.h~s/hull_rest(h, h->P\[k\], h->move\[h->P\[k\]\] < 0.0 ? -1 : 1);/hull_rest(h, h->P[k], -1);/~test_family~rows at the ceiling put to 0
drpt/solve.h~s/if (shortest > 0) {/if (0) {/~test_family~the first free row stays first
drpt/solve.h~s/^        from = 0;$//~test_family~factor of another first row kept
drpt/solve.h~s/h->ceiling - h->x\[i\]) \/ move/1.0 - h->x[i]) \/ move/~test_family~no ceiling
drpt/solve.h~s/return curvature > hull_rounding(h, i) ? curvature : 0.0;/return 0.0;/~test_family~no curvature
drpt/solve.h~s/define HULL_ROUNDING 1e-13/define HULL_ROUNDING 1e-7/~test_family~stops seven digits early
drpt/solve.h~s/pass < 20 \* n + 50/pass < n \/ 2/~test_family~stops early
drpt/solve.h~s/solve_count(method == METHOD_simplex ? 0.0 : knobs.keep, n)/solve_count(knobs.keep, n)/~test_family~simplex: with a ceiling
drpt/solve.h~s/    if (tau == 0.0 && mu == 0.0) .*//~test_family~ties of the linear part by length
drpt/solve.h~s/H\[i\] = tau \* p->K\[i\] + (i % (n + 1) == 0 ? mu : 0.0)/H[i] = tau * p->K[i]/~test_family~hull: no ridge
drpt/solve.h~s/square > SOLVE_RESOLUTION \* n \* trace ?/square > 0.0 ?/~test_family~a mean of noise
drpt/solve.h~s/dot < 0.0 && square > 0.0 ? -dot \/ square \/ p->n/square > 0.0 ? -dot \/ square \/ p->n/~test_family~agem: without a conflict too
drpt/solve.h~s/-dot \/ square \/ p->n/-dot \/ square/~test_family~agem: n times the mean
drpt/solve.h~s/dot < 0.0 && p->q > 0.0 ? -dot \/ p->q/p->q > 0.0 ? -dot \/ p->q/~test_family~mirror: without a conflict too
drpt/solve.h~s/radius \* sqrt(solve_mean_square(p) \/ p->q)/radius * sqrt(solve_mean_square(p))/~test_family~trust: t not of length 1
drpt/solve.h~s/SOLVE_RESOLUTION \* trace\[a\] \/ k->size\[a\]/0.0/~test_family~tasks of noise
drpt/solve.h~s/trace\[a\] \/ k->size\[a\]/trace[a] * 1e6/~test_family~domains not told from nothing
drpt/solve.h~s/p->s\[i\] \/ k.size\[a\]/p->s[i]/~test_family~domains by their sums
drpt/solve.h~s/alpha\[i\] = k->weight\[a\] \/ k->size\[a\]/alpha[i] = k->weight[a]/~test_family~a domain's weight for each of its rows
drpt/solve.h~s/s\[a\] = -k->G\[a + 1\]/s[a] = k->G[a + 1]/~test_family~gem: domains for, not against
drpt/solve.h~s/^    k->weight\[0\] = 1.0;//~test_family~gem: no target
drpt/solve.h~s/b != a && dot < 0.0 &&/b != a \&\&/~test_family~pcgrad: without a conflict too
drpt/solve.h~s/double dot = solve_sum(v, &k->G\[b \* count\], count);/double dot = k->G[b * count + a];/~test_family~pcgrad: of the original, not of what is left
drpt/solve.h~s/before = last < 0 ? -1.0 : solve_hash(seed, (uint64_t)a \* (uint64_t)count + (uint64_t)last)/before = last < 0 ? -1.0 : solve_hash(seed, (uint64_t)last)/;s/hash = solve_hash(seed, (uint64_t)a \* (uint64_t)count + (uint64_t)b)/hash = solve_hash(seed, (uint64_t)b)/~test_family~pcgrad: one order for all tasks
drpt/solve.h~s/solve_hash(seed, (uint64_t)a \*/solve_hash(0, (uint64_t)a */~test_family~pcgrad: no seed
drpt/solve.h~s/k->weight\[b\] += work\[b\] \/ k->count/k->weight[b] += work[b]/~test_family~pcgrad: the sum
drpt/solve.h~s/H\[a\] = r \* k->G\[a\]/H[a] = k->G[a]/~test_family~cagrad: another problem
drpt/solve.h~s/halving < 64/halving < 12/~test_family~cagrad: stops early
drpt/solve.h~s/double r = radius \* sqrt(fmax(0.0, square))/double r = radius * longest/~test_family~cagrad: radius of the longest task
drpt/solve.h~s/k->weight\[a\] = 1.0 \/ count + (r/k->weight[a] = (a == 0) + (r/~test_family~cagrad: around t
drpt/solve.h~s/{ low = l; } else { high = l; }/{ high = l; } else { low = l; }/~test_family~cagrad: halves the wrong way
drpt/solve.h~s/r > 0.0 && k->G\[a\*count + a\] > 0.0 ? r/r > 0.0 ? r/~test_family~cagrad: a zero task magnified
drpt/solve.h~s/s\[i\] = m \* p->S\[i\*m + j\]/s[i] = p->S[i*m + j]/~test_family~auto: target rows as their shares
drpt/solve.h~s/(double)m \* m \* p->Q/(double)m * p->Q/~test_family~auto: lengths of target rows
drpt/solve.h~s/(m \* square - squares \/ m) \/ (m - 1)/square/~test_family~auto: noise taken for signal
drpt/solve.h~s/double b = U > 0.0 && square > 0.0 ? fmin(1.0, U \/ square) : 0.0;/double b = square > 0.0 ? fmin(1.0, U \/ square) : 0.0;/~test_family~auto: away from the residual
drpt/solve.h~s/alpha\[i\] \*= 1.0 - b/alpha[i] -= b * mean[i]/~test_family~auto: the mean of the residuals
drpt/solve.h~s/\*beta = 1.0 - knobs.strength + knobs.strength \* \*beta;/*beta = knobs.strength * *beta;/~test_family~strength: shrinks, without t
drpt/solve.h~s/found\[i\] \*= knobs.strength/found[i] *= 1.0/~test_family~strength: general rows in full
drpt/solve.h~s/2.0 \* beta \* solve_sum(alpha, p->s, p->n)/beta * solve_sum(alpha, p->s, p->n)/~test_family~half the cross term
drpt/solve.h~s/return fmax(0.0, dot) \/ square;/return dot \/ square;/~test_family~ray: turned round
drpt/solve.h~s/return fmin(1.0, knobs.radius \*/return (knobs.radius */~test_family~cap: stretches too
drpt/solve.h~s/square = fmax(square, SOLVE_RESOLUTION \* parts \* parts);//~test_family~a length of noise
drpt/solve.h~s/    \*beta \*= scale;//~test_family~t not rescaled
drpt/solve.h~s/    solve_sort(p.place, .*/    for (int i = 0; i < p.n; i++) { p.place[i] = i; }/~test_family~sums in the order of the batch
drpt/solve.h~s/return (needs & NEEDS_K) && st->K\[i\*n + i\] < st->K\[j\*n + j\]/return 0/~test_family~rows of one score in the order of the batch
drpt/solve.h~s/isfinite(st->s\[i\]) && isfinite(st->score\[i\])/isfinite(st->s[i])/~test_family~a score of NaN ranked
drpt/solve.h~s/p->score\[i\] = needs & NEEDS_S ? st->score\[from\]/p->score[i] = needs \& NEEDS_S ? st->s[from]/~test_family~another score not looked at
drpt/solve.h~s/finite = finite && isfinite(st->S\[i\*m + j\])/finite = finite/~test_family~NaN against one target row
drpt/solve.h~s/finite = finite && isfinite(st->Q\[j\*m + j\])/finite = finite/~test_family~Inf in one target row
drpt/solve.h~s/rows.domain ? rows.domain\[from\] : 0/rows.domain ? rows.domain[i] : 0/~test_family~domains of other rows
drpt/solve.h~s/all |= NEEDS_S | NEEDS_K | NEEDS_ROWS; }/all |= NEEDS_S | NEEDS_K; }/~test_family~auto: target rows not asked for

# ---- assemble
drpt/assemble.c~s/if (!weight \&\& site_is_product/if (site_is_product/~test_site~weights taken for ones
drpt/assemble.c~s/if (site->kind == SITE_LINEAR) { return; }/return;/~test_site~lookup left out of plain training
drpt/assemble.c~s/rest.kind = SITE_LOOKUP;//~test_site~head twice in plain training
drpt/assemble.c~s/(size_t)o \* site->cols/(size_t)o/~test_site~slabs in the wrong place
drpt/assemble.c~s/site->dbias + o : NULL/site->dbias : NULL/~test_site~biases in the wrong place
drpt/assemble.c~s/\&rest, weight, 0, B/\&rest, weight, 0, B - 1/~test_site~last row left out

# ---- the orchestration
drpt/drpt.c~s/if (d->group > complete || /if (complete != DRPT_GLOBAL || /~test_drpt~always at the end
drpt/drpt.c~s/if (d->group > complete || /if (/~test_drpt~always at once
drpt/drpt.c~s/if (d->group > complete || /if (d->group >= complete || /~test_drpt~one boundary late
drpt/drpt.c~s/d->group <= DRPT_LAYER ? 1 : d->num_sites/d->num_sites/~test_drpt~layers share
drpt/drpt.c~s/d->group <= DRPT_LAYER ? 1 : d->num_sites/1/~test_drpt~nothing shares
drpt/drpt.c~s/^    d->num_sites = 0;$//~test_drpt~sites recorded for ever
drpt/group_memory.c~s/sizeof(double) \* g->apart/sizeof(double) * (1 + (size_t)g->n)/~test_drpt~K of the group before kept
drpt/group_memory.c~s/device_zero(g->statistics.q, sizeof(double) \* g->apart/device_zero(g->statistics.K, sizeof(double) * (size_t)(g->n * g->n)/~test_drpt~s of the group before kept
drpt/group_memory.c~s/device_zero(g->statistics.q, sizeof(double) \* g->apart/device_zero(g->statistics.q + 1, sizeof(double) * (g->apart - 1)/~test_drpt~q of the group before kept
drpt/group.h~s/weight\[n + j\] = (float)result->beta/weight[n + j] = 0.0f/~test_drpt~no target in the update
drpt/solve.h~s/0x2545f4914f6cdd1du \* step/0/~test_drpt~random: every step the same
drpt/solve.h~s/0x5851f42d4c957f2du \* group/0/~test_drpt~random: every group the same
drpt/drpt.c~s/.plain = c.method == METHOD_full \&\& m == 0/.plain = c.method == METHOD_full/~test_drpt~target rows in plain training
drpt/drpt.c~s/d->num_groups = d->num_sites = d->next_index = 0;/d->num_sites = d->next_index = 0;/~test_drpt~groups counted for ever
drpt/drpt.c~s/^    d->rows_dropped = d->groups_skipped = 0;//~test_drpt~what was left out before is counted again
drpt/group.h~s/double dot = beta \* \*st->q;/double dot = 0.0;/~test_drpt~angle without the target's part
drpt/group.h~s/sum += 2.0 \* beta/sum += beta/~test_drpt~length without half the cross term
drpt/drpt.c~s/d->rows_dropped += r->verdict.dropped;//~test_drpt~dropped rows go unsaid
drpt/drpt.c~s/d->groups_skipped += r->verdict.skipped;//~test_drpt~skipped groups go unsaid
drpt/drpt.c~s/isfinite(r->q) ? r->q : 0.0/r->q/~test_drpt~NaN in the log
drpt/drpt.c~s/    hash = hash_words(hash, s->mean.*//~test_drpt~a layernorm's mean not watched
drpt/drpt.c~s/return hash_words(hash, s->tokens, .*/return hash;/~test_drpt~tokens not watched
drpt/drpt.c~s/d->verify ? checksum(d, &s) : 0/checksum(d, \&s) * 0/~test_drpt~nothing is remembered of a buffer
drpt/drpt.c~s/i < d->num_sites; i++) {$/i < 0; i++) {/~test_drpt~nothing is watched
drpt/drpt.c~s/ | log | / | /~test_drpt~no scores where a method asks for none
drpt/drpt.c~s/check(i < count, .*//~test_drpt~unknown names accepted
drpt/drpt.c~s/check(method == METHOD_full || m > 0, .*//~test_drpt~no target rows needed
drpt/drpt.c~s/check(method == METHOD_target || n > 0, .*//~test_drpt~no general rows needed
drpt/drpt.c~s/check(d->num_sites < DRPT_MAX_SITES, .*//~test_drpt~sites beyond the table
drpt/drpt.c~s/!d->plain && d->group == DRPT_GLOBAL/d->group == DRPT_GLOBAL/~test_drpt~plain training keeps the blocks
drpt/drpt.c~s/if (s->block >= 0)/if (s->block > 3)/~test_drpt~geometry: no block

# ---- the orchestration: what is needed, scores, parts, kept gradients, sketches, bases
drpt/drpt.c~s/(d->geometry \&\& !d->gather.metric ? NEEDS_S | NEEDS_K : 0)/0/~test_drpt drpt/geometry~geometry: lengths without K
drpt/drpt.c~s/^    d->needs = needs_of(d);//~test_drpt drpt/geometry~geometry: asked for too late
drpt/drpt.c~s/if (d->normalise) { device_copy(d->groups.before.*//~test_drpt drpt/normalised_scores~scores of all sites so far by one site's magnitude
drpt/drpt.c~s/if (!d->normalise) { continue; }/continue;/~test_drpt drpt/normalised_scores~no normalised scores
drpt/group.c~s/sum += fabs(added); count++;/sum += fabs(added); count = 1;/~test_drpt drpt/normalised_scores~scores by the sum of magnitudes
drpt/group.c~s/usable\[i\] \&\& isfinite(added)/isfinite(added)/~test_drpt drpt/normalised_scores_of_some_rows~rows that are not used in the mean
drpt/group.c~s/usable\[i\] \&\& isfinite(added)/usable[i]/~test_drpt drpt/normalised_scores_of_some_rows~NaN in the mean
drpt/group_memory.c~s/sizeof(double) \* g->apart/sizeof(double) * (1 + (size_t)(g->n + g->n * g->n))/~test_drpt drpt/normalised_scores_of_some_rows~scores of the group before kept
drpt/drpt.c~s/d->v + (s.dweight - d->grads)/d->v/~test_drpt drpt/adams_metric~second moments of the first weights
drpt/drpt.c~s/d->v + (s.dbias - d->grads)/d->v/~test_drpt drpt/adams_metric~second moments of the first weights for biases
drpt/drpt.c~s/pow(d->beta2, \*d->updates)/pow(d->beta2, *d->updates + 1.0)/~test_drpt drpt/adams_metric~second moments corrected for a step to come
drpt/drpt.c~s/pow(d->beta2, \*d->updates)/pow(d->beta2, (double)step)/~test_drpt drpt/adams_metric~second moments corrected for steps without an update
drpt/drpt.c~s/d->basis || d->gather.metric ? NAN : 0.0/d->basis ? NAN : 0.0/~test_drpt drpt/adams_metric~an angle that nothing measured
drpt/drpt.c~s/if (d->plain || d->group != DRPT_MATRIX)/if (1)/~test_update every_method~queries, keys and values share
drpt/drpt.c~s/.dweight = dweight + at \* (size_t)C,/.dweight = dweight,/~test_update every_method~parts: all into the first weights
drpt/drpt.c~s/.dbias = dbias + at,/.dbias = dbias,/~test_update every_method~parts: all into the first biases
drpt/drpt.c~s/.dout = device_reals(dout, (ptrdiff_t)at), .inp/.dout = dout, .inp/~test_update every_method~parts: all the queries' gradient
drpt/drpt.c~s/s->name\[s->part\]/s->name[0]/~test_update logs~geometry: all parts are the first
drpt/drpt.c~s/keep_gradients = d->group <= DRPT_LAYER/keep_gradients = 1/;s/count == 1 \&\& d->label/d->label/~test_update every_method~kept gradients of a group's last site for all
drpt/drpt.c~s/^    d->gather.kept_size = roomy.kept_size;/    d->gather.kept_size = 0;/~test_counts 56_steps~no room to keep the largest site's gradients
drpt/drpt.c~s/count == 1 \&\& d->label\[first + k\].gathered.kept/0/~test_counts 56_steps~kept gradients formed again
drpt/drpt.c~s/d->sketch_age != step \/ (uint64_t)d->refresh + 1/d->sketch_age == 0/~test_invariants age_of_a_sketch~a sketch for ever
drpt/drpt.c~s/0x9e3779b97f4a7c15u \* d->sketch_age/0 * d->sketch_age/~test_invariants age_of_a_sketch~a new sketch is the old one
drpt/drpt.c~s/step \/ (uint64_t)d->refresh + 1/step + 1/g~test_invariants age_of_a_sketch~a sketch a step
drpt/drpt.c~s/step % (uint64_t)d->refresh == 0/step == 0/~test_invariants steps_without_general_rows~a basis for ever
drpt/drpt.c~s/int first = d->with_general ? d->n : 0;/int first = d->n;/~test_invariants steps_without_general_rows~target rows looked for behind general ones
drpt/drpt.c~s/d->with_general = drpt_wants_general(d, step);/d->with_general = 1;/~test_invariants steps_without_general_rows~a basis of target rows
drpt/drpt.c~s/d->rows_dropped += r->report.dropped;//~test_drpt drpt/a_basis_drops_rows~rows that a basis drops go unsaid
drpt/drpt.c~s/d->groups_skipped += !isfinite(r->norm2).*//~test_invariants 29_no_rows~an empty basis goes unsaid
drpt/drpt.c~s/(d->method == METHOD_inside ? basis_inside/(d->method == METHOD_outside ? basis_inside/~test_invariants 29_no_rows~inside for outside
drpt/drpt.c~s/s.index = d->next_index++/s.index = 0/~test_invariants steps_without_general_rows~one basis for all sites
drpt/drpt.c~s/cell(d->geometry, cosine \* cosine);/cell(d->geometry, cosine);/~test_drpt drpt/geometry~retained: the cosine
drpt/drpt.c~s/sum \* sum \/ squares/sum \/ squares/~test_drpt drpt/geometry~effective: for weights that add up to one
drpt/drpt.c~s/negative += score\[i\] < 0.0/negative += alpha[i] < 0.0/~test_drpt drpt/geometry~negative: weights
drpt/drpt.c~s/(by_score \&\& k.strength == 1.0 \&\& k.rescale == RESCALE_none)/by_score/~test_drpt drpt/adams_metric_alone~lengths in Adam's metric
drpt/drpt.c~s/check(!o->normalise || (by_score/check(1 || (by_score/~test_drpt drpt/knobs_that_make_no_sense~scores normalised that nobody ranks
drpt/drpt.c~s/"rescale"), .seed = seed }/"rescale"), .seed = 0 }/~test_drpt drpt/random_differs~one seed for all runs
drpt/drpt.c~s/o->forget, seed, d.threads/0.5, seed, d.threads/~test_invariants options_of_a_basis~--forget not heeded
drpt/drpt.c~s/(Sides)position(sides_names, NUM_SIDES, o->sides, "sides")/SIDES_both/~test_drpt drpt/geometry_of_bases~--sides not heeded
drpt/drpt.c~s/basis_create(o->rank,/basis_create(2,/~test_drpt drpt/geometry_of_bases~--rank not heeded
drpt/drpt.c~s/if (d->basis) { fprintf(file, .*//~test_drpt drpt/geometry_of_bases~geometry of bases: the header of others
drpt/drpt.c~s/if (d->geometry) { log_basis.*//~test_drpt drpt/geometry_of_bases~geometry of bases: nothing
drpt/drpt.c~s/cell(d->geometry, r->verdict.strength);/cell(d->geometry, NAN);/~test_drpt drpt/strength_auto~geometry: no strength
drpt/drpt.c~s/d->domain\[i\] == k ? fabs/d->domain[i] != k ? fabs/~test_drpt drpt/geometry_of_domains~geometry: mass of the other domains
drpt/drpt.c~s/== k ? fabs(alpha\[i\])/== k ? alpha[i]/~test_drpt drpt/geometry_of_domains~geometry: mass of negative weights
drpt/drpt.c~s/route_names\[label->gathered.route\]/route_names[0]/~test_drpt drpt/geometry~geometry: the route that was asked for
drpt/drpt.c~s/"..%s", label->last/"..%s", label->first.name/~test_drpt drpt/geometry~geometry: a group of one name

# ---- target rows that are the general rows
drpt/solve.h~s/return rows.own_rows ? st->S/return 0 ? st->S/~test_own_rows~own rows: nothing left out
drpt/solve.h~s/rows.own_rows ? st->S\[i\*rows.m + i\]/rows.own_rows ? st->S[i]/~test_own_rows~own rows: the part of the first row
drpt/solve.h~s/st->s\[from\] - solve_own(st, rows, from)/st->s[from] - solve_own(st, rows, i)/~test_own_rows~own rows: the part of the row that stands there when sorted
drpt/solve.h~s/st->s\[from\] - solve_own(st, rows, from)/st->s[from]/~test_own_rows~own rows: selections alone leave them out
drpt/solve.h~s/st->score\[from\] - solve_own(st, rows, from)/st->score[from]/~test_own_rows~own rows: selections do not leave them out
drpt/solve.h~s/^        rows.own_rows = 0;$//~test_own_rows~own rows: lengths of less than t
drpt/solve.h~s/if (rows.own_rows \&\& knobs.rescale != RESCALE_none)/if (0)/~test_own_rows~own rows: lengths of less than t
drpt/group.h~s/score\[i\] = st->score\[i\] - solve_own(st, task->rows, i)/score[i] = st->score[i]/~test_drpt drpt/own_rows~own rows: the scores in the log are whole
drpt/group.h~s/result->dot_ut = group_dot(alpha, result->beta, st, n);/result->dot_ut = 0.9 * group_dot(alpha, result->beta, st, n);/~test_drpt drpt/own_rows~own rows: another <u,t>
drpt/drpt.c~s/ | (d->rows.own_rows ? NEEDS_ROWS : 0)//~test_drpt drpt/own_rows~own rows: target rows not formed singly
drpt/drpt.c~s/o->own_rows \&\& solve_needs(d.method, d.knobs) \& NEEDS_S/o->own_rows/~test_drpt drpt/own_rows~own rows: formed for methods that read no scores
drpt/drpt.c~s/o->own_rows \&\& solve_needs(d.method, d.knobs) \& NEEDS_S/0/~test_drpt drpt/own_rows~own rows: not heeded
drpt/drpt.c~s/if (o->own_rows) { check_own_rows/if (0) { check_own_rows/~test_drpt drpt/own_rows_that_make_no_sense~own rows: everything allowed
drpt/drpt.c~s/^    check(n == m, "%d target rows are not.*//~test_drpt drpt/own_rows_that_make_no_sense~own rows: other rows allowed

# ---- rows that are only scored
drpt/direct.c~s/if (g->given) { memcpy/if (0) { memcpy/~test_gather gather/7_given~scores only: the given vector taken for moments
drpt/gather.c~s/(g->m > 0 || g->given)/g->m > 0/~test_gather gather/7_given~scores only: no products with positions
drpt/drpt.c~s/s.vbias = s.dbias;/s.vbias = s.dweight;/~test_drpt drpt/scores_only~scores only: weights for biases
drpt/drpt.c~s/k < groups \&\& !d->scores_only/k < groups/~test_drpt drpt/scores_only~scores only: an update formed all the same
drpt/drpt.c~s/if (!o->scores_only) { check_rows/if (1) { check_rows/~test_drpt drpt/scores_only~scores only: target rows asked for
drpt/drpt.c~s/.given = o->scores_only/.given = 0/~test_drpt drpt/scores_only~scores only: in Adam s metric

# ---- influence filtering
drpt/iif.c~s/own ? most \/ 2 : most/most/~test_iif iif/scores~iif: more rows than the model has memory for
drpt/iif.c~s/scores.own_rows = own;/scores.own_rows = 0;/~test_iif iif/scores~iif: rows score themselves
drpt/iif.c~s/run->round->own_target \&\& run->round_options.leave_one_out/run->round->own_target/~test_iif iif/scores~iif: --leave-one-out not heeded
drpt/iif.c~s/d.places = run->T;/d.places = run->T \/ 2;/~test_iif iif/scores~iif: positions counted anew in the middle
drpt/iif.c~s/^        memset(b->mask + to \* T, 0, T);$//~test_iif iif/scores~iif: rows of before learnt from where there are no more
drpt/round_step.c~s/of->advantage + n/of->advantage/~test_iif iif/scores~iif: the target's first advantages for all
drpt/round_step.c~s/logp : of->old + n/logp : of->old/~test_iif iif/scores~iif: the target's first old probabilities for all
drpt/round_step.c~s/of->reference + n/of->reference/~test_iif iif/scores~iif: the reference of the first rows for all
drpt/round_step.c~s/? 0.0 : r->kl;/? 0.0 : 0.0;/~test_iif iif/scores~iif: no divergence in the target
drpt/round_step.c~s/int plain = part == 1 \&\& r->target_objective != TARGET_objective/int plain = 0/~test_iif iif/scores~iif: the whole objective for every target
drpt/iif.c~s/logp + to, logp + to, NULL, rows->advantage + to + (size_t)first \* (size_t)b->T/logp + to, logp + to, NULL, rows->advantage + to/~test_iif iif/scores~iif: the first advantages for all
drpt/iif.c~s/1.0 \/ fmax(1.0, batch_trained(b, (size_t)i))/1.0/~test_iif iif/scores~iif: long responses count more
drpt/iif.c~s/first < target->rows; first += rows/first < rows; first += rows/~test_iif iif/scores~iif: the first pass of the target alone
drpt/iif.c~s/^    if (f->values) { round_weigh_values.*//~test_iif iif/scores~iif: no values in the target
drpt/iif.c~s/^    memset(f->dvalue, 0, .*//~test_iif iif/scores~iif: values of the pass before
drpt/iif.c~s/, (size_t)first, f->values + to/, 0, f->values + to/~test_iif iif/scores~iif: the first old values for all
drpt/iif.c~s/b->weight, f->values ? \&head : NULL/b->weight, NULL/~test_iif iif/scores~iif: no gradient of values
drpt/iif.c~s/^        if (!rows.usable\[i\]) { memset(f->dvalue.*//~test_iif iif/broken_target_rows~iif: values of target rows that are left out
drpt/iif.c~s/k < f->scorer.num_groups; k++/k < 1; k++/~test_iif iif/scores~iif: the first group alone
drpt/iif.c~s/f->batch.usable\[i\] ? sum : NAN/sum/~test_iif iif/scores~iif: scores of rows that are not usable
drpt/iif.c~s/f->score\[first + i\] = /f->score[i] = /~test_iif iif/scores~iif: scores of one pass
drpt/iif.c~s/trained_tokens(round_responses(\&r->target))/1/~test_iif iif/scores~iif: the target as a sum
drpt/iif.c~s/^    device_zero(a.grads, .*//~test_iif iif/scores~iif: gradients left behind
drpt/iif.c~s/usable\[i\] = r->iif->score\[i\] >= 0.0;/usable[i] = !(r->iif->score[i] < 0.0);/~test_iif iif/broken_rows~iif: NaN is kept
drpt/iif.c~s/score\[i\] >= 0.0/score[i] > 0.0/~test_iif iif/target_without_gradient~iif: a score of 0 is not kept
drpt/round.c~s/run->round_options.iif \&\& most < 2 ? 2 : most/most/~test_iif iif/scores~iif: room for one row
drpt/run.c~s/^    if (run->round_options.iif) { run->options.method.*//~test_iif iif/method~iif: another method than full by default
drpt/round.c~s/^    check(!o->iif || !method .*//~test_iif iif/what_makes_no_sense~iif: before any method
drpt/round.c~s/^    check(!o->iif || run->config.general.*//~test_iif iif/what_makes_no_sense~iif: without general rows
drpt/round_step.c~s/if (ended \&\& r->iif) { iif_filter(run); }//~test_iif iif/rounds_are_filtered~iif: no round is filtered
drpt/round_step.c~s/if (ended \&\& r->iif)/if (r->iif)/~test_iif iif/rounds_are_filtered~iif: every step filters
drpt/round_step.c~s/r->kept >= 0 ? r->kept : NAN/NAN/~test_iif iif/steps_learn_from_the_kept~iif: not logged

# ---- the trainer: layers
train_gpt2_drpt.c~s/wpe + (size_t)(n % T) \* C/wpe + (size_t)(n \/ T) * C/~test_parity logits~a row's place for a token's
llmc/softmax.h~s/p = p \* r + 1.0f\/120;//~test_gpt2 fast_exp~a term of the polynomial
llmc/softmax.h~s/x > 87.0f ? 87.0f : x/x/~test_gpt2 fast_exp~no upper end
train_gpt2_drpt.c~s/squares \/ C + 1e-5f/squares \/ C/~test_parity logits~layernorm without its epsilon
train_gpt2_drpt.c~s/(x\[c\] - m) \* (x\[c\] - m)/x[c] * x[c] - m * m/~test_gpt2 layernorm~variance by cancellation
train_gpt2_drpt.c~s/weight\[c\] - average - (x/weight[c] - (x/~test_gradient layernorm~backward without the average
train_gpt2_drpt.c~s/(past ? past\[c\] : 0.0f) + r/r/~test_gradient layernorm~the stream's gradient overwritten
train_gpt2_drpt.c~s/(size_t)3\*C, scale, a.queries/(size_t)3*C, 1.0f, a.queries/~test_gpt2 attention~scores not scaled
train_gpt2_drpt.c~s/a.out, width, scale, a.queries/a.out, width, 1.0f, a.queries/~test_gradient attention~queries' gradient not scaled
train_gpt2_drpt.c~s/S\[i\] = u <= first + i + a->ahead ? p : 0.0f/S[i] = p/~test_gpt2 attention~the future is seen
train_gpt2_drpt.c~s/u <= first + i + a->ahead \&\& S\[i\] > top/S[i] > top/~test_gpt2 attention_online~the largest score may be of the future
train_gpt2_drpt.c~s/dS\[t\] = u <= t + a->ahead ? d : 0.0f/dS[t] = d/~test_gradient attention~gradients of the future kept
train_gpt2_drpt.c~s/    memset(a.dk, 0.*//~test_gradient attention~keys' gradient not begun at zero
train_gpt2_drpt.c~s/p \* (dS\[t\] - along\[t\])/p * dS[t]/~test_gradient attention~softmax backward without its row sum
train_gpt2_drpt.c~s/factor\[i\], 1, hs); }/1.0f, 1, hs); }/~test_gpt2 attention~blocks of before not scaled down
train_gpt2_drpt.c~s/sum\[t\] \* factor\[t\] + added/sum[t] + added/~test_gpt2 attention~the sum of before not scaled down
train_gpt2_drpt.c~s/            largest\[t\] = top\[i\];//~test_gpt2 attention~the largest score forgotten
train_gpt2_drpt.c~s/a.v + u \* width, u > 0/a.v + u * width, 0/~test_gpt2 attention~the last block of keys alone
train_gpt2_drpt.c~s/a->queries - t, 1)/a->queries - t, 0)/~test_gpt2 attention~the last block of queries alone
train_gpt2_drpt.c~s/least(a->keys, t + TILE_ROWS + a->ahead)/least(a->keys, t + 1 + a->ahead)/~test_gpt2 attention~a tile's last queries without their own keys
train_gpt2_drpt.c~s/tiles(most(0, u - a->ahead), a->queries/tiles(most(0, u - a->ahead) + LANES, a->queries/~test_gpt2 attention~a diagonal tile without its scores
train_gpt2_drpt.c~s/seen = least(a->keys, first + LANES + a->ahead)/seen = least(a->keys, first + LANES)/~test_gpt2 attention~every block on the diagonal
train_gpt2_drpt.c~s/a.keys = least(BLOCK, T - u)/a.keys = BLOCK/~test_gpt2 attention~keys beyond the last
train_gpt2_drpt.c~s/y\[BLOCK\/2\] = LOW(ca, db)/y[BLOCK\/2] = LOW(ca, bd)/~test_gpt2 attention~not a transpose
llmc/softmax.h~s/return largest + logf(sum)/return logf(sum)/~test_gpt2 cross_entropy~log sum exp without the largest
train_gpt2_drpt.c~s/0.044715f/0.0447f/~test_gpt2 gelu~another gelu
train_gpt2_drpt.c~s/1.0f + 3.0f \* GELU_B/1.0f + GELU_B/~test_gradient gelu~the cube's derivative
train_gpt2_drpt.c~s/out\[i\] += inp\[i\]/out[i] = inp[i]/~test_gradient residual~the branch alone
train_gpt2_drpt.c~s/x\[targets\[n\]\] -= w;/x[targets[n]] -= 1.0f;/~test_gradient cross_entropy~weights are all one
train_gpt2_drpt.c~s/        if (weight\[n\] == 0.0f) { memset.*//~test_gpt2 cross_entropy~positions that are not trained on looked at
train_gpt2_drpt.c~s/if (x\[v\] > x\[best\])/if (x[v] >= x[best])/~test_gpt2 cross_entropy~ties to the last token

# ---- the trainer: block and model
llmc/gpt2_tensors.h~s/+ (size_t)l \* tensor\[TENSOR_##name\].rows/+ 0 * tensor[TENSOR_##name].rows/~test_parity logits~all blocks are the first
train_gpt2_drpt.c~s/(dx, d->attproj, d->ln1,/(dx, d->fcproj, d->ln1,/~test_gradient plain_model~the stream without what attention's block did
train_gpt2_drpt.c~s/if (l % 2 == 1) { d->fcproj/if (0) { d->fcproj/~test_update every_method~the stream's gradient moves on in place
train_gpt2_drpt.c~s/if (l == 0 || keep_blocks)/if (l == 0)/~test_gradient mixed_model~blocks overwrite each other's gradients
train_gpt2_drpt.c~s/    drpt_project(drpt, DRPT_SUBLAYER);//~test_update every_method~sublayers share
train_gpt2_drpt.c~0,/    drpt_project(drpt, DRPT_BLOCK);/s///~test_update every_method~blocks share
train_gpt2_drpt.c~s/drpt->block = l;/drpt->block = 0;/~test_update logs~geometry: all blocks are the first
llmc/gpt2_init.c~s/rng_seed((uint64_t)seed, (uint64_t)i + 1, l)/rng_seed((uint64_t)seed, 1, l)/~test_gpt2 init~tensors alike
llmc/gpt2_init.c~s/i == TENSOR_wte ? size - unused : size/size/~test_gpt2 init~padded rows are random
llmc/gpt2_init.c~s/sqrtf(2.0f \* (float)g->config.layers)/sqrtf((float)g->config.layers)/~test_gpt2 init~residual projections too wide

# ---- the trainer: generation, evaluation, steps
drpt/generate.c~s/(maxT + 1) \/ 2/maxT \/ 2/~test_gpt2 generate~the window shorter than said
drpt/generate.c~s/count < maxT ? count : maxT);/count);/~test_gpt2 generate~a prompt beyond the context
drpt/run.c~s/most < data->rows ? most : data->rows/data->rows/~test_gpt2 evaluate~--val-batches not heeded
drpt/run.c~s/trained > 0 \&\& hits == trained/hits > 0/~test_gpt2 evaluate~a row is exact with one hit
drpt/run.c~s/drpt->plain ? 1.0 : (double)usable.rows/1.0/~test_update every_method~general rows divided by n twice
drpt/run.c~s/as_one = (c->target || own) \&\& c->accumulate > 1/as_one = 0/~test_invariants 32_34_accumulated_and_recomputed~each micro-batch a feasible set of its own
train_gpt2_drpt.c~s/model->num_params, c->clip)/model->num_params, 0.0)/~test_parity training~no clipping
drpt/run.c~s/row.lr, ++run->updates)/row.lr, ++run->updates + 1)/~test_parity training~AdamW's updates counted from 2
drpt/run.c~s/row.lr, ++run->updates)/row.lr, step + 1)/~test_grpo grpo/idle_rounds~moments corrected for rounds without an update
drpt/run.c~s/step - was.skipped/step/~test_grpo grpo/idle_rounds~rounds without an update forgotten
llmc/gpt2_file.c~s/, s->skipped }/ }/~test_grpo grpo/idle_rounds~rounds without an update not saved
train_gpt2_drpt.c~s/t->rows > 1 ? (float)c->weight_decay : 0.0f/(float)c->weight_decay/~test_gpt2 decay~vectors are decayed
drpt/run.c~s/row->update_ratio = t > 0.0 || isnan(t) ? u \/ t/row->update_ratio = t > 0.0 || isnan(t) ? t \/ u/~test_update logs~the ratio upside down
drpt/run.c~s/for (int step = run->first_step;/for (int step = 0;/~test_gpt2 resume~begins anew with the weights of a checkpoint
drpt/run.c~s/{ reader_seek(&run->target_reader.*/{ }/~test_gpt2 resume~the target's place forgotten

# ---- the trainer: recomputing, micro-batches, steps without general rows, state
train_gpt2_drpt.c~s/if (model->recompute \&\& l < L - 1) {/if (0) {/~test_invariants 32_34_accumulated_and_recomputed~activations of another block
train_gpt2_drpt.c~s/if (model->recompute \&\& l < L - 1) {/if (model->recompute \&\& l < L - 2) {/~test_invariants 32_34_accumulated_and_recomputed~the last block but one not computed again
train_gpt2_drpt.c~s/if (model->recompute \&\& l < L - 1) {/if (model->recompute) {/~test_counts 56_steps~the last block computed twice
train_gpt2_drpt.c~s/            a->residual3 = residual3;//~test_invariants 32_34_accumulated_and_recomputed~outputs of all blocks in one place
train_gpt2_drpt.c~s/if (l == 0 || !model->recompute) {/if (1) {/~test_invariants 32_34_accumulated_and_recomputed~recomputing saves no memory
drpt/run.c~s/(c->recompute || as_one) \&\& !keep_blocks/c->recompute \&\& !keep_blocks/~test_invariants 32_34_accumulated_and_recomputed~micro-batches keep everything
drpt/run.c~s/run->T, as_one ? 1 : c->accumulate/run->T, c->accumulate/~test_invariants 32_34_accumulated_and_recomputed~a union for each micro-batch
drpt/run.c~s/c->target ? per \* times \* c->target_batch/c->target ? per * c->target_batch/~test_invariants 32_34_accumulated_and_recomputed~target rows of one micro-batch
drpt/run.c~s/(int)run->general.num_files, (uint64_t)c->seed/1, (uint64_t)c->seed/~test_invariants domains~one domain
drpt/run.c~s/b->usable, b->domain);/b->usable, NULL);/~test_invariants domains~rows of the first domain all
drpt/run.c~s/(run->model).v, \&run->updates/(run->model).m, \&run->updates/~test_invariants scores_in_adams_metric~the first moments' metric
drpt/run.c~s/\&run->updates, c->beta2, c->eps/\&run->updates, c->beta1, c->eps/~test_invariants scores_in_adams_metric~second moments corrected by the first's beta
drpt/run.c~s/first = with_general ? 0 : b->n;/first = 0;/~test_invariants steps_without_general_rows~general rows computed all the same
drpt/run.c~s/\&run->target_reader, with_general,/\&run->target_reader, 1,/~test_invariants steps_without_general_rows~general rows read that nobody looks at
drpt/run.c~s/b->weight + at, 0, b->n - first)/b->weight + at, 0, b->n)/~test_invariants steps_without_general_rows~target rows in the general loss
drpt/run.c~s/b->weight + at, b->n - first, rows - first)/b->weight + at, b->n, rows)/~test_invariants steps_without_general_rows~no target loss
drpt/run.c~s/b->accumulate \* (rows - first) \* b->T/b->accumulate * rows * b->T/~test_invariants steps_without_general_rows~tokens that were not computed
drpt/run.c~s/^        drpt_save(\&run->drpt, path);//~test_gpt2 resume~bases not saved
drpt/run.c~s/^        drpt_load(\&run->drpt, path);//~test_gpt2 resume~bases forgotten
drpt/run.c~s/size_t step_rows = (size_t)(per \* c->accumulate) \* (size_t)c->batch/size_t step_rows = (size_t)per * (size_t)c->batch/~test_gpt2 default_steps~micro-batches not counted
drpt/run.c~s/{ step_rows = (size_t)(per \* c->accumulate) \* (size_t)c->target_batch; }/{ step_rows = (size_t)(per * c->accumulate) * (size_t)c->batch; }/~test_gpt2 default_steps~target rows counted as general ones
drpt/run.c~s/if (isfinite(sum)) { mean->sum/if (1) { mean->sum/~test_gpt2 add_losses~a loss of NaN in the mean
drpt/run.c~s/.accumulate = c->accumulate,$/.accumulate = 1,/~test_gpt2 resume~goes on with another --accumulate
drpt/run.c~s/(uint64_t)c->seed + 1, 1); }/(uint64_t)c->seed, 1); }/~test_invariants order_of_drawing~target rows in the order of the general ones

# ---- batches
llmc/batch.c~s/(double)all.rows \* batch_trained(b, row)/(double)all.rows * b->T/~test_gpt2 batch_weigh~a row's token mean over all its places
llmc/batch.c~s/? (float)share : 0.0f/? (float)share : (float)share/~test_gpt2 batch_weigh~all tokens trained on
llmc/batch.c~s/total \/ (double)all.tokens/total \/ (double)all.rows/~test_gpt2 batch_weigh~tokens divided by rows
llmc/batch.c~s/b->domain\[row\] = dataset_domain(data, from)/b->domain[row] = 0/~test_invariants domains~no domains
llmc/batch.c~s/b->usable\[row\] = batch_trained(b, row) > 0;/b->usable[row] = 1;/~test_update every_method~rows without a trained token used
llmc/batch.c~s/with_general \&\& i < b->n; i++) { batch_row/i < b->n; i++) { batch_row/~test_invariants steps_without_general_rows~general rows read whether they are wanted or not
llmc/batch.c~s/first = row + (size_t)b->n;/first = row;/~test_invariants 21_order_of_the_rows~target rows in the place of general ones
llmc/batch.c~s/c.rows += b->usable\[row\];/c.rows += 1;/~test_gpt2 batch_weigh~rows without a trained token counted
llmc/dataset.c~s/row >= d->file\[file\].rows) { row -=/row > d->file[file].rows) { row -=/~test_invariants domains~a file's first row in the file before
llmc/dataset.c~s/row -= d->file\[file++\].rows; }/row = row - d->file[file++].rows + 1; }/~test_invariants domains~a row too many for each file
llmc/records.c~s/ != NULL; at++) { behind = at + 4; }/ != NULL; at = end) { behind = at + 4; }/~test_records prompt_rows~the first #### of an answer
llmc/records.c~s/    while (behind < end \&\& is_space(end\[-1\])) { end--; }//~test_records prompt_rows~blanks behind an answer
llmc/records.c~s/    if (e->count == 0) { add_token(.*//~test_records prompt_rows~a prompt without tokens
llmc/records.c~s/add_message(e, r, m, 0); }/add_message(e, r, m, 1); }/~test_records conversations_as_prompts~an earlier message is the answer
llmc/records.c~/add_conversation(RecordEncoder/,/^}/s/    add_words.*//~test_records conversations_as_prompts~no heading for the response

# ---- optimizer
llmc/optimizer.c~s/(1.0f - a.beta2) \* g \* g/(1.0f - a.beta1) * g * g/~test_gpt2 adamw~the wrong beta
llmc/optimizer.c~s/sqrtf(v_new \* v_unbiased) + a.eps/sqrtf(v_new * v_unbiased + a.eps)/~test_gpt2 adamw_eps~eps under the root
llmc/optimizer.c~s/v_unbiased = (float)(1.0 \/ (1.0 - pow(a.beta2, step)))/v_unbiased = 1.0f/~test_gpt2 adamw~second moment biased
llmc/optimizer.c~s/ + a.weight_decay \* params\[i\]//~test_gpt2 adamw~AdamW without decay
llmc/optimizer.c~s/float g = scale \* grads\[i\]/float g = grads[i]/~test_gpt2 adamw~AdamW not clipped
llmc/optimizer.c~s/        grads\[i\] = 0.0f;//~test_gpt2 adamw~gradients kept
llmc/optimizer.c~s/scale \* grads\[i\] + weight_decay/scale * grads[i] - weight_decay/~test_gpt2 sgd~SGD decays the other way
llmc/optimizer.c~s/    if (scale == 0.0f) { return; }//~test_gpt2 not_finite~a gradient that is not finite is used
llmc/optimizer.c~s/norm > longest ? longest \/ norm : 1.0/norm > longest ? norm \/ longest : 1.0/~test_gpt2 gradient_clip~a gradient made longer
llmc/optimizer.c~s/p == PARTS - 1 ? n : begin/begin/~test_gpt2 gradient_clip~the rest of a division left out
llmc/schedule.c~s/lr \* (step + 1) \/ warmup/lr * step \/ warmup/~test_gpt2 schedules~a first step of rate 0
llmc/schedule.c~s/0.8 \* steps/0.9 * steps/~test_gpt2 schedules~wsd decays late
llmc/schedule.c~s/0.5 \* (1.0 + cos/(cos/~test_gpt2 schedules~another cosine
llmc/schedule.c~s/final + (1.0 - final) \* left/final + left/~test_gpt2 schedules~final added on top

# ---- objectives
llmc/objective.c~s/mask\[t\] \&\& !isfinite(x\[t\])/!isfinite(x[t])/~test_objective~what is not trained on is read
llmc/objective.c~s/if (trained_in(r.mask + row, r.T) == 0) {/if (0) {/~test_objective~empty rows take part
llmc/objective.c~s/leave_out(\&stats->empty, r, b)/leave_out(\&stats->broken, r, b)/~test_objective~empty rows counted as broken
llmc/objective.c~s/    if (number \&\& !isfinite.*//~test_objective~a score that is no number
llmc/objective.c~s/i < 4; i++/i < 3; i++/~test_objective~the fourth input not looked at
llmc/objective.c~s/^    r.usable\[b\] = 0;//~test_objective~rows left out are still usable
llmc/objective.c~s/    if (!r.usable\[b\]) { return 0; }//~test_objective~rows that are not usable take part
llmc/objective.c~s/if (r.usable\[b\]) { count += trained_in/if (1) { count += trained_in/~test_objective~tokens of rows left out counted
llmc/objective.c~s/    r.usable\[b\] = r.usable\[b + 1\] = 0;//~test_objective~half a pair is usable
llmc/objective.c~s/if (better \&\& worse)/if (better || worse)/~test_objective~half a pair
llmc/objective.c~s/exp(-fabs(margin))/exp(-margin)/~test_objective~exp of a huge margin
llmc/objective.c~s/log1p(e)/log(1.0 + e)/~test_objective~a small loss is 0
llmc/objective.c~s/ + fmax(-margin, 0.0)//~test_objective~no loss for a wrong order
llmc/objective.c~s/margin == 0.0 ? 0.5/margin == 0.0 ? 0.0/~test_objective~a tie is wrong
llmc/objective.c~s/(margin > 0.0 ? e : 1.0) \/ (1.0 + e)/(margin > 0.0 ? 1.0 : e) \/ (1.0 + e)/~test_objective~sigmoid of the margin, not of its negative
llmc/objective.c~s/sum += (double)logp\[n\] - reference\[n\]/sum += (double)logp[n]/~test_objective~no reference
llmc/objective.c~s/double slope = beta \* add_pair/double slope = add_pair/~test_objective~no beta in the weights
llmc/objective.c~s/fill_trained(weight, r, b + 1, -slope)/fill_trained(weight, r, b + 1, slope)/~test_objective~the worse row learned as well
llmc/objective.c~s/dscore\[b\] = (float)-slope/dscore[b] = (float)slope/~test_objective~the better score goes down
llmc/objective.c~s/(float)(-beta \* /(float)(beta * /~test_objective~a reward for divergence
llmc/objective.c~s/reward\[last\] += score\[b\]/reward[first + (size_t)r.T - 1] += score[b]/~test_objective~the score at the end of the row
llmc/objective.c~s/stats->kl_penalty += log_ratio/stats->kl_penalty = log_ratio/~test_objective~the last row's penalty alone
llmc/objective.c~s/next_value = after\[b\], next_advantage/next_value = 0.0, next_advantage/~test_objective~cut responses have ended
llmc/objective.c~s/delta + gamma \* lambda \* next_advantage/delta + lambda * next_advantage/~test_objective~advantages not discounted
llmc/objective.c~s/reward\[n\] + gamma \* next_value/reward[n] + next_value/~test_objective~values not discounted
llmc/objective.c~s/(float)(next_advantage + value\[n\])/(float)next_advantage/~test_objective~returns are advantages
llmc/objective.c~s/            if (!r.mask\[n\]) { continue; }//~test_objective~no mask
llmc/objective.c~s/return r.mask\[n\] \&\& r.usable\[n \/ (size_t)r.T\];/return r.mask[n];/~test_objective~whitened over rows left out
llmc/objective.c~s/squares \/ (count - 1.0) + 1e-8/squares \/ count + 1e-8/~test_objective~variance by n
llmc/objective.c~s/(count - 1.0) + 1e-8)/(count - 1.0))/~test_objective~no 1e-8
llmc/objective.c~s/count > 1.0 ? 1.0/1 ? 1.0/~test_objective~the variance of one token
llmc/objective.c~s/if (r.usable\[b\]) { count += 1.0; sum/if (1) { count += 1.0; sum/~test_objective~a group's mean over rows left out
llmc/objective.c~s/sqrt(squares \/ (count - 1.0)) }/sqrt(squares \/ count) }/~test_objective~a group's variance by n
llmc/objective.c~s/(g.deviation + 1e-6)/g.deviation/~test_objective~no 1e-6
llmc/objective.c~s/stats->degenerate += g.squares == 0.0/stats->degenerate += g.deviation == 0.0/~test_objective~a group of one counted as one with differences
llmc/objective.c~s/b < first + group \&\& g.squares > 0.0/b < first + group/~test_objective~advantages in a group of one
llmc/objective.c~s/measure_group(r, reward, first, first + group)/measure_group(r, reward, 0, r.B)/~test_objective~one group of all
llmc/objective.c~s/return expm1(d) - d;/return expm1(d);/~test_objective~a divergence that may be negative
llmc/objective.c~s/(double)reference\[n\] - logp\[n\] : 0.0/(double)logp[n] - reference[n] : 0.0/~test_objective~divergence the other way
llmc/objective.c~s/bound = A > 0.0 ? 1.0 + clip : 1.0 - clip/bound = A > 0.0 ? 1.0 + clip : 1.0 + clip/~test_objective~no lower bound
llmc/objective.c~s/A < 0.0 \&\& ratio < bound/ratio < bound/~test_objective~clipped without advantage
llmc/objective.c~s/(flat ? 0.0 : ratio \* A)/ratio * A/~test_objective~the gradient is not clipped
llmc/objective.c~s/(flat ? 0.0 : ratio \* A)/(flat ? 0.0 : A)/~test_objective~no ratio in the gradient
llmc/objective.c~s/ - (flat ? bound : ratio) \* A/ - ratio * A/~test_objective~the loss is not clipped
llmc/objective.c~s/ + kl \* expm1(d)));/));/~test_objective~no divergence in the gradient
llmc/objective.c~s/stats->kl_old += k3(moved)/stats->kl_old += k3(-moved)/~test_objective~the old policy's divergence the other way
llmc/objective.c~s/finite_where(r.mask + (size_t)b \* (size_t)r.T, x/finite_where(r.mask, x/~test_objective~the first row's mask for what comes out
llmc/objective.c~s/if (!comes_out(stats, r, b, weight)) { continue; }//~test_objective~weights that are no numbers
llmc/objective.c~s/if (!comes_out(stats, r, b, dvalue)) { continue; }//~test_objective~a value's gradient that is no number
llmc/objective.c~s/    memset(x, 0, sizeof(float) \* (size_t)r.T);//~test_objective~the rest of a row that came out broken
llmc/objective.c~s/stats->tokens > 0.0 \&\& //~test_objective~no token is near enough
llmc/objective.c~s/!(stats->tokens > 0.0 \&\& stats->kl_old <= limit \* stats->tokens)/stats->tokens <= 0.0 || stats->kl_old > limit * stats->tokens/~test_objective~NaN is near enough
llmc/objective.c~s/kl_old <= limit \* stats->tokens/kl_old <= limit/~test_objective~a limit on the sum
llmc/objective.c~s/fmin(fmax(value\[n\], old\[n\] - clip), old\[n\] + clip)/fmin(value[n], old[n] + clip)/~test_objective~values held on one side
llmc/objective.c~s/fabs(near) > fabs(error)/fabs(near) < fabs(error)/~test_objective~the smaller of the value losses
llmc/objective.c~s/flat ? 0.0f : (float)(share \* error)/(float)(share * error)/~test_objective~the value's gradient is not clipped
llmc/objective.c~s/flat ? near \* near : /0 ? near * near : /~test_objective~the value's loss is not clipped
llmc/objective.c~s/    if (!isfinite(kl)) { return beta; }.*//~test_objective~a coefficient from nothing
llmc/objective.c~s/fmax(kl \/ target - 1.0, -0.2)/fmax(kl \/ target, -0.2)/~test_objective~grows at its aim
llmc/objective.c~s/fmin(responses \/ horizon, 1.0)/responses \/ horizon/~test_objective~a large round turns the coefficient round
llmc/objective.c~s/    clear(weight, r);//~test_objective~weights of rows left out are what was there

# ---- files
llmc/gpt2_file.c~s/0x7fff + (word >> 16 & 1)/0x8000/~test_gpt2 bf16_model~of two bfloat16 as near the odd one
llmc/gpt2_file.c~s/(word + 0x7fff + (word >> 16 & 1)) >> 16/word >> 16/~test_gpt2 bf16_model~weights cut off, not rounded
llmc/gpt2_file.c~s/MODEL_BF16 ? sizeof(uint16_t)/MODEL_BF16 ? sizeof(float)/~test_gpt2 bf16_model~a bf16 model as long as one in fp32
llmc/gpt2_file.c~s/        size_t n = piece(begin, count);/        size_t n = count < PIECE ? count : PIECE;/~test_gpt2 bf16_model~whole pieces at the end
llmc/gpt2_file.c~s/f.version == MODEL_FP32 || f.version == MODEL_BF16, /f.version != 0, /~test_gpt2 broken_bf16_model~any version read
train_gpt2_drpt.c~s/        memset(x + V, 0, .*//~test_gpt2 cross_entropy~padding of the logits kept for a gradient
train_gpt2_drpt.c~s/logits + (size_t)n \* stride/logits + (size_t)n * V/~test_gpt2 cross_entropy~padded rows of logits taken for dense ones
llmc/gpt2_file.c~s/put64(header, GENERAL_POSITION, .*//~test_gpt2 resume~the general place not written
llmc/gpt2_file.c~s/put64(header, OURS + 2, .*//~test_gpt2 resume~the target's epoch not written
llmc/gpt2_file.c~s/input_read(f, path, v, /input_read(f, path, m, /~test_gpt2 resume~moments mixed up
llmc/gpt2_file.c~s/check(isfinite(params\[i\]), /check(1 || isfinite(params[i]), /~test_gpt2 broken_model~NaN in a model
llmc/gpt2_file.c~s/i < num_params; i++) { check(isfinite/i + 1 < num_params; i++) { check(isfinite/~test_gpt2 broken_model~its last weight not looked at

# ---- gradients between thin matrices
drpt/factor.c~s/if (s->stride == s->rows) { return s->dout; }/return s->dout;/~test_basis between~parts of a fused projection taken for whole
drpt/factor.c~s/of_dout = s->kind == SITE_POSITION ? s->cols : s->stride/of_dout = s->stride/~test_basis between~position: rows of another size
drpt/factor.c~s/t->token\[n\] : (t->place + n) % t->places/t->token[n] : n % t->places/~test_basis between~position: every piece begins at place 0
drpt/factor.c~s/term\[1\] = lookup; return 2;/return 1;/~test_basis between~token: no lookup
drpt/factor.c~s/t->bias ? right_bias : NULL/NULL/~test_basis between~no bias on the right
drpt/factor.c~s/term\[i\].bias ? out_bias : NULL/NULL/~test_basis left_and_right~no bias on the left
drpt/factor.c~s/(int)(stop - at) : most, room);/most : most, room);/~test_basis between~beyond the last row
drpt/factor.c~s/    memset(M, 0, .*//~test_basis between~M not begun at zero
drpt/factor.c~s/out\[(size_t)j \* rows + word(t, n)\] += Q/out[(size_t)j * rows + word(t, n)] = Q/~test_basis left_and_right~a word's last occurrence alone
drpt/factor.c~s/\.x = \&zero, \.N = 1/.x = \&one, .N = 1/~test_basis between~layernorm: the bias counted in the weight
drpt/factor.c~s/    while (N > 1 \&\& site_room.*//~test_basis between~more positions than there is room for
drpt/factor.c~s/    if (s.kind == SITE_TOKEN) { s.kind = SITE_LOOKUP; }//~test_basis whole_gradients~token: no lookup in the whole gradient
drpt/factor.c~s/site->dbias ? (size_t)count : 0/0/~test_basis whole_gradients~the norm without the bias

# ---- bases
drpt/subspace.c~0,/        remove_part(x, along, y, kept);/s///~test_basis~Gram and Schmidt once
drpt/subspace.c~s/if (!(after > 1e-7 \* before)) { continue; }//~test_basis~rounding errors made directions
drpt/subspace.c~s/x\[cols\] -= along\[j\] \* q.bias\[j\]/(void)x/~test_basis projections~the bias left as it was
drpt/subspace.c~s/out\[i\*l + j\] += a.bias/out[i*l + j] += 0.0f * a.bias/~test_basis captured_energy~products without the bias
drpt/subspace.c~s/if (out.bias) { matmul_backward_params(out.bias/if (0) { matmul_backward_params(out.bias/~test_basis projections~bases turned without the bias
drpt/basis_refresh.c~s/OVERSAMPLING = 8/OVERSAMPLING = 0/~test_basis effective_rank~nothing new is found
drpt/basis_refresh.c~s/RESOLUTION 1e-6/RESOLUTION 0.0/~test_basis effective_rank~directions of rounding errors kept
drpt/basis_refresh.c~s/RESOLUTION 1e-6/RESOLUTION 0.5/~test_basis captured_energy~half of the directions dropped
drpt/basis_refresh.c~s/< w->H\[i \* (k + 1)\]; at--/> w->H[i * (k + 1)]; at--/~test_basis captured_energy~the smallest eigenvalues kept
drpt/basis_refresh.c~s/(float)w->E\[a\*k + order\[q\]\]/(float)w->E[a*k + q]/~test_basis captured_energy~eigenvectors in any order
drpt/basis_refresh.c~s/through(w->y, w, i, w->across, k, !w->side)/through(w->y, w, i, w->across, k, w->side)/~test_basis captured_energy~power step to the wrong side
drpt/basis_refresh.c~s/    if (rank > 0) { block_add_turned(w->y.*//~test_basis past_alone~power step without the past
drpt/basis_refresh.c~s/double value = w->forget \* w->old->value/double value = w->old->value/~test_basis forgetting~the past counts in full
drpt/basis_refresh.c~s/w->forget > 0.0 ? \*w->old->rank : 0/0/~test_basis forgetting~everything is forgotten
drpt/basis_refresh.c~s/fresh + b->forget \* \*total/fresh/~test_basis past_alone~trace without the past
drpt/basis_refresh.c~s/        if (!w->use\[i\]) { continue; }//~test_basis rows_left_out~rows that do not count are read
drpt/basis_refresh.c~s/use\[i\] = isfinite(g2) != 0/use[i] = 1/~test_basis rows_left_out~NaN in a basis
drpt/basis_refresh.c~s/\*dropped += !use\[i\];//~test_basis rows_left_out~rows left out go unsaid
drpt/basis_refresh.c~s/if (st->found->total == 0.0) { .* }//~test_basis zero_general_gradient~all directions of a zero
drpt/basis_refresh.c~s/(float)(1.0 \/ w->unit)/1.0f/~test_basis scale~C in no unit
drpt/basis_refresh.c~s/inside \/ fresh : NAN/inside \/ *total : NAN/~test_basis effective_rank~energy of the past
drpt/basis_refresh.c~s/2 \* (uint64_t)w->site->index + /2 * 0 + /~test_basis streams~all sites begin alike
drpt/basis_refresh.c~s/int old = \*w->old->rank;$/int old = 0;/~test_basis captured_energy~every refresh begins with random directions
drpt/basis_refresh.c~s/    st->refreshes++;//~test_basis damaged_files resume~refreshes not counted
drpt/basis_state.c~s/s->dim <= b->rank) { continue; }/s->dim < b->rank) { continue; }/~test_basis full_rank~all directions, but computed
drpt/basis.c~s/if (!isfinite(\*norm2) || is_nothing(st)) { return; }/if (is_nothing(st)) { return; }/~test_basis target_not_finite~NaN inside
drpt/basis.c~s/if (!isfinite(\*norm2) || is_everything(st)) { return; }/if (is_everything(st)) { return; }/~test_basis target_not_finite~NaN outside
drpt/basis.c~s/\*norm2 = 0.0 \* site_norm2.*; }/*norm2 = 0.0; }/~test_basis zero_general_gradient~NaN outside of nothing
drpt/basis.c~s/    block_scale(x->m, x->k, sign);//~test_basis projections~outside adds the inside
drpt/basis.c~s/    block_clear(x->m, x->k);//~test_basis projections~the projection before not cleared
drpt/basis.c~s/if (s->dbias) { matmul_backward_params(s->dbias/if (0) { matmul_backward_params(s->dbias/~test_basis projections~no bias in the update
drpt/basis_state.c~s/(b->sides == SIDES_left) == (side == LEFT)/(b->sides == SIDES_left) != (side == LEFT)/~test_basis captured_energy~left for right
drpt/basis.c~s/check(st != NULL, .*//~test_basis bases_of_other_layers~no basis yet
drpt/basis_state.c~s/st->rows == s->rows \&\& //~test_basis bases_of_other_layers~a basis of a layer of other size
drpt/basis_file.c~s/check(in.left == 0, .*//~test_basis damaged_files~more than a file should have
drpt/basis_file.c~s/    in->left -= bytes;//~test_basis resume~bytes that are read not counted
drpt/basis_file.c~s/    check(forget == b->forget, .*//~test_basis damaged_files~another forgetting factor
drpt/basis_file.c~s/    check(seed == b->seed, .*//~test_basis damaged_files~another seed
drpt/basis_file.c~s/r->index > after \&\& //~test_basis damaged_files~a site twice
drpt/basis_file.c~s/rank >= 0 \&\& rank <= most/rank >= 0/~test_basis damaged_files~more directions than room
drpt/basis_file.c~s/check(fabs(squares - 1.0) < 1e-3, .*//~test_basis damaged_files~directions of any length
drpt/basis_file.c~s/    check(found.total >= 0.0.*//~test_basis damaged_files~a negative trace
drpt/basis_file.c~s/st->refreshes = r.refreshes;//~test_basis resume~refreshes counted anew
drpt/basis_file.c~s/    input_take(in, \&found.total, sizeof(found.total));/    double skipped; input_take(in, \&skipped, sizeof(skipped));/~test_basis resume~trace forgotten

# ---- the probe
drpt/probe_vectors.c~s/float\* x = to + at % f.width;/float* x = to;/~test_probe probe/folding~folded to 64 floats
drpt/probe_vectors.c~s/sign >> k \& 1 ? -from/0 ? -from/~test_probe probe/folding~folded without signs
drpt/probe.c~s/floats <= most \/ vectors/floats <= most/~test_probe probe/folding~room for one vector
drpt/probe.c~s/add_reference(p, at, \*s, 1)/add_reference(p, at, *s, 0)/~test_probe probe/family_with_halves~both halves of the reference in one
drpt/probe.c~s/at->half\[half\] = zeros(at->size/at->half[half] = zeros(1/;s/if (!at->half\[half\]) {/if (1) {/~test_probe probe/family_with_halves~the last pass of a reference alone
drpt/probe.c~s/p->layer += s->part == 0;/p->layer++;/~test_probe probe/every_kind_of_site~Q, K and V are layers
drpt/probe.c~s/at->group\[DRPT_SUBLAYER\] = p->sublayer;/at->group[DRPT_SUBLAYER] = p->block;/~test_probe probe/every_kind_of_site~sublayers as large as blocks
drpt/probe.c~s/at->group\[DRPT_BLOCK\] = p->block;/at->group[DRPT_BLOCK] = 0;/~test_probe probe/family~one block
drpt/probe.c~s/p->block += complete >= DRPT_BLOCK;/p->block++;/~test_probe probe/every_kind_of_site~blocks as small as sublayers
drpt/probe.c~s/^    device_read(to->q, .*/    *to->q = 1.0;/~test_probe probe/family~the target's length forgotten
drpt/probe_vectors.c~s/i < n ? i + 1 : n + m, T, raw/i + 1, T, raw/~test_probe probe/family~the first target row alone
drpt/probe_vectors.c~s/^    memset(to, 0, sizeof(float) \* (size_t)(n + 1).*//~test_probe probe/family~gradients of the pass before kept
drpt/probe.c~s/^    device_zero(p->updates + .*//~test_probe probe/family~updates of the pass before kept
drpt/probe.c~s/r->choice.method == METHOD_inside ? basis_inside/r->choice.method != METHOD_inside ? basis_inside/~test_probe probe/family~inside for outside
drpt/probe.c~s/if (!by_part \&\& s->part < s->parts - 1) { return; }//~test_probe probe/every_kind_of_site~a basis of a layer before it is complete
drpt/probe.c~s/drpt_begin(d, (uint64_t)p->passes, /drpt_begin(d, 0, /~test_probe probe/family~the same random rows in every pass
drpt/probe.c~s/d->step, (uint64_t)group)/d->step, 0)/~test_probe probe/family~the same random rows in every group
drpt/probe.c~s/sum_group(p, first, end, r->choice.normalise)/sum_group(p, first, end, 0)/~test_probe probe/family~scores not normalised
drpt/probe.c~s/for (next = i; next < end .*; next++)/for (next = i; next <= i; next++)/~test_probe probe/every_kind_of_site~scores of Q, K and V normalised apart
drpt/probe.c~s/add_to(g->Q, s->Q, m \* m)/(void)0/~test_probe probe/family~how target rows agree forgotten
drpt/probe.c~s/sqrt(p->group.K\[i \* n + i\])/1.0/~test_probe probe/files~mass of weights, whatever they weigh
drpt/probe.c~s/r->mass\[k\] += p->mass\[k\] \/ all/r->mass[k] += p->mass[k]/~test_probe probe/files~mass is not a share
drpt/probe.c~s/^        vectors_fold(sum, /if (p->b == p->batches - 1) vectors_fold(sum, /~test_probe probe/family~the last batch alone
drpt/probe.c~s/along = 0.5 \* (x/along = (x/~test_probe probe/family~both halves count in full
drpt/probe.c~s/for (int c = 0; c <= p->a; c++) { r->gram/for (int c = 0; c < p->a; c++) { r->gram/~test_probe probe/family~a draw has no length
drpt/probe.c~s/sum, 0, p->reference\[half\]/sum, 0, p->reference[0]/~test_probe probe/family_with_halves~a half of the reference used twice
drpt/probe.c~s/if (p->b == p->batches - 1) { end_draw/if (p->b == 0) { end_draw/~test_probe probe/family~a draw ends with its first batch
drpt/probe.c~s/weights, biases);/0, biases);/~test_probe probe/every_kind_of_site~a bias added to the weights
drpt/probe.c~s/whole + (size_t)part \* weights, 0, 1/whole, 0, 1/~test_probe probe/every_kind_of_site~Q for K and V in a basis of the layer
drpt/probe.c~s/-(ptrdiff_t)(parts - 1) \* s->rows/0/~test_probe probe/every_kind_of_site~a layer's basis of V and what stands behind it
drpt/probe.c~s/x\[2 \* variants + v\] + x\[3 \* variants + v\]/x[v] + x[3 * variants + v]/~test_probe probe/family~<u,u> taken for <u,t*>
drpt/probe.c~s/product\[0\] - 2.0 \* product\[1\]/product[0] - product[1]/~test_probe probe/files~the error of the reference has part of its length
drpt/probe.c~s/^    device_close(weights, .*, 1);/    device_zero(p->weights, weights_size(p));/~test_probe probe/family~weights that never reach the device
drpt/probe_vectors.c~s/out\[i\] += dot/out[i] = dot/~test_probe probe/family~the last site's products alone
drpt/probe.c~s/^    check(p->passes == a \* .*//~test_probe probe/faults_of_use~draws in any order
drpt/probe.c~s/^    check(p->next == p->num_sites, .*//~test_probe probe/faults_of_use~a pass without sites
drpt/run_probe.c~s/share\[2\] = { 1.0, total \/ pairs }/share[2] = { 1.0, total }/~test_run_probe run_probe/pairs~target pairs add up to their number
drpt/run_probe.c~s/share\[2\] = { 1.0, /share[2] = { 0.5, /~test_run_probe run_probe/pairs~a general pair is half a pair
drpt/run_probe.c~s/b, 0, rows, general, share/b, 0, rows, 0, share/~test_run_probe run_probe/pairs~general pairs weighed as the target's
drpt/run_probe.c~s/general, by_tokens, (double)batch_count(b, 0, general).rows/general, by_tokens, 1.0/~test_run_probe run_probe/examples~general rows weighed as a mean
drpt/run_probe.c~s/ \/ all;$/;/~test_run_probe run_probe/examples~the reference is a sum
drpt/run_probe.c~s/rows \/ per \/ 2 \* per/rows \/ 2/~test_run_probe run_probe/pairs~a pair torn apart by the halves
drpt/run_probe.c~s/run->per_item == 2 ? policy_head(\(.*\)) : NULL/NULL/~test_run_probe run_probe/scores~nothing of what the scores want
drpt/run_probe.c~s/^    probe_recorder(probe)->places = run->T;//~test_run_probe run_probe/pairs~the positions of a pair's second row are others
drpt/run_probe.c~s/of_pairs ? run->policy.domain : b->domain/b->domain/~test_run_probe run_probe/pairs~the sources of rows for those of pairs
drpt/run_probe.c~s/(uint64_t)c->seed + 1 + (uint64_t)a, 1/(uint64_t)c->seed + 1, 1/~test_run_probe run_probe/examples~all draws of a population are the same
drpt/run_probe.c~s/rows\[j\] = reader_next(.*); }/rows[j] = (size_t)j; }/~test_run_probe run_probe/examples~the same target rows in every draw
drpt/run_probe_round.c~s/^    round_compare_target(run, \&all);//~test_run_probe run_probe/responses~the reference without advantages of its own
drpt/run_probe_round.c~s/REFERENCE + ((uint64_t)half << 32)/REFERENCE/~test_run_probe run_probe/responses~the same random numbers for both halves
drpt/run_probe_round.c~s/reader, REFERENCE + \(.*\), number);/reader, REFERENCE + \1, 0);/~test_run_probe run_probe/responses~the same random numbers for all of a half
drpt/run_probe_round.c~s/reader_seek(\&reader, 0, first);//~test_run_probe run_probe/responses~the first prompts for both halves
drpt/run_probe_round.c~s/refresh > 0 \&\& batch % refresh == 0/0/~test_run_probe run_probe/responses~no new responses to a draw's prompts
drpt/run_probe_round.c~s/batch == 0 || (refresh > 0/1 || (refresh > 0/~test_run_probe run_probe/responses~new responses with every batch
drpt/run_probe_round.c~s/^        reader_seek(\&run->target_reader, epoch, position);//~test_run_probe run_probe/responses~other prompts with a draw's new responses
drpt/run_probe_round.c~s/^    round_begin(run, 0);//~test_run_probe run_probe/responses~no general responses
drpt/run_probe.c~s/is_population ? rows : half);/half);/~test_run_probe run_probe/responses~half of a population's prompts
drpt/probe_list.c~s/end\[-1\] == '.r' || //~test_probe probe/files~the end of a line of Windows
drpt/probe_list.c~s/ \&\& \*line != '#'//~test_probe probe/family~comments are variants
drpt/probe_list.c~s/ \&\& !strchr(line, ',')//~test_probe probe/faults_of_a_list~a label with a comma
drpt/probe_list.c~s/^    check(strcmp(o->metric, .*//~test_probe probe/faults_of_a_list~scores in a metric that the probe does not know
drpt/probe_result.c~s/(R \* Q)) \/ (R - 1.0), /(R * Q)) \/ R, /;s/(R \* Q)) \/ (R - 1.0);/(R * Q)) \/ R;/~test_probe probe/family~variance of draws by R
drpt/probe_result.c~s/(R \* (Q - 1.0))/(R * Q)/~test_probe probe/family~variance of batches by Q
drpt/probe_result.c~s/(s.all - s.own) \/ (Q/s.all \/ (Q/~test_probe probe/family~a draw meets itself
drpt/probe_result.c~s/(between - within) \/ Q/between \/ Q/~test_probe probe/family~variance of batches counts as that of draws
drpt/probe_result.c~s/ - s.crossed) / ) /~test_probe probe/family~rho with the noise of a draw twice
drpt/probe_result.c~s/copysign(1.0, tu) \* (s.along/(s.along/~test_probe probe/family~rho without the sign of <u, t*>
drpt/probe_result.c~s/row : own - 2.0 \* row/row : -2.0 * row/~test_probe probe/family~a draw that goes is counted twice
drpt/probe_result.c~s/sqrt((R - 1.0) \/ R \* squares)/sqrt(squares \/ R)/~test_probe probe/family~errors of the replicates, not of the estimate
drpt/probe_result.c~s/halves_apart2 \/ 4.0/halves_apart2 \/ 2.0/~test_probe probe/files~error of half a reference
drpt/probe_result.c~s/pass % p->batches, p->site/pass, p->site/~test_probe probe/files~batches counted through
dev/world/net.c~s/dinp\[i\] \*= (1.0f - fabsf(out\[i\])) \* /dinp[i] *= /~test_probe probe/exact_gradient~another slope
dev/world/net.c~s/(float)(world->often\[source\]\[i\] \* /(float)(/~test_probe probe/exact_gradient~all contexts as often
dev/world/rows.c~s/(i < target ? r->T : r->m \* r->T)/r->T/~test_probe probe/rows_are_of_the_world~target rows add up to more than their mean
dev/world/world.c~s/at = at % VOCAB \* VOCAB + next/at = at \/ VOCAB * VOCAB + next/~test_probe probe/rows_are_of_the_world~the wrong token forgotten

# ---- sampling
llmc/sampler.c~s/            if (wanted <= 0.0) { c->weight\[v\] = 0.0f; }//~test_sampler sampler/weights~all that are equal to the last kept
llmc/sampler.c~s/wanted -= count ? 1.0 : (double)c->weight\[v\];/wanted -= 1.0;/~test_sampler sampler/weights~top-p counts tokens at the bound
llmc/sampler.c~s/how.top_p \* all/how.top_p/~test_sampler sampler/weights~top-p of weights that do not add up to one
llmc/sampler.c~s/fmax(1.0 \/ temperature, 1e-30)/fmax(1.0, 1e-30)/~test_sampler sampler/weights~no temperature
llmc/sampler.c~s/rng_uniform(rng) \* all/rng_uniform(rng)/~test_sampler sampler/frequencies~a coin of one
llmc/sampler.c~s/    if (!isfinite(all)) { return -1; }//~test_sampler sampler/no_probabilities~NaN is sampled from
llmc/sampler.c~s/ - log_all);/ - log(all));/~test_sampler sampler/weights~the log-probability of the truncated distribution
llmc/sampler.c~s/measure(at_low, count) > wanted/measure(at_low, count) > 2 * wanted/~test_sampler sampler/weights~a bound that leaves too much
llmc/sampler.c~s/at_low.count - at_high.count > 1/at_low.count - at_high.count > 2/~test_sampler sampler/weights~two tokens where one would do
llmc/sampler.c~s/if (high - (int64_t)low == 1) { keep_first.*//~test_sampler sampler/weights~all of those that are equal
llmc/sampler.c~s/, (double)largest - 88.0 \* temperature)/, (double)largest - 88.0)/~test_sampler sampler/hot~the same least at all temperatures
llmc/sampler.c~s/        c->sum\[p\] = sum;$/        c->sum[p] += 0.0f * sum;/~test_sampler sampler/weights~the weight of a piece before tokens were left out
llmc/sampler.c~s/top > c->largest ? top : c->largest/top/~test_sampler sampler/weights~the last piece's largest logit
llmc/sampler.c~s/(V \/ (MOST_PIECES \* UNIT) + 1) \* UNIT/UNIT/~test_sampler sampler/large~more pieces than there is room for
drpt/rollout.c~s/first + (uint64_t)i)/first)/~test_rollout rollout/without_cache~the same random numbers for all rows
drpt/rollout.c~s/    r->waiting -= admitted;/    r->waiting = 0;/~test_rollout rollout/without_cache~rows that wait forgotten
drpt/rollout.c~s/        r->place\[last\] = place;//~test_rollout rollout/without_cache~a place of the decoder given away twice
drpt/rollout.c~s/ || r->length\[row\] - r->prompt\[row\] >= r->most//~test_rollout rollout/without_cache~no bound to what is sampled
drpt/rollout.c~s/r->ended\[row\] = r->tokens\[at\] == r->end;//~test_rollout rollout/without_cache~end of text passed over
drpt/rollout.c~s/t < r->length\[row\] - 1; t++, N++/t < r->length[row] - 2; t++, N++/~test_rollout rollout/without_cache~the last but one token of a prompt not in the cache
drpt/rollout.c~s/r->length\[r->row\[i\]\] >= count \&\& memcmp/memcmp/~test_rollout rollout/groups~a prompt longer than what another row has
drpt/rollout.c~s/\&\& memcmp(other, prompt, .*) == 0) { return i; }/\&\& *other == *prompt) { return i; }/~test_rollout rollout/prompt_once~a prompt with another's first token and length is it
drpt/rollout.c~s/    for (int i = 0; i < at; i++) {/    for (int i = 0; i < 0; i++) {/~test_rollout rollout/prompt_once~every prompt through the model
drpt/rollout.c~s/    decoder_copy(r->decoder.*//~test_rollout rollout/groups~no copy of the prompt
train_gpt2_drpt.c~s/(first + (size_t)to\[n\]) \* row;/(size_t)to[n] * row;/~test_rollout rollout/groups~all blocks' keys into the first's
train_gpt2_drpt.c~s/(size_t)whole_vectors(places\[n\]) \* C);/(size_t)places[n] \/ LANES * LANES * C);/~test_rollout rollout/groups~the keys of whole vectors alone are copied
train_gpt2_drpt.c~s/    for (; k < K; k++) { sum\[0\] += .*//~test_rollout rollout/without_cache~the rest behind fours left out
train_gpt2_drpt.c~s/    for (int u = count; u < whole; u++) { s\[u\] = -INFINITY; }//~test_rollout rollout/without_cache~places that are not there yet have a share
train_gpt2_drpt.c~s/\* C + places\[n\] % LANES;/* C;/~test_rollout rollout/without_cache~all keys of a vector in its first lane
drpt/rollout.c~s/^        check(r->tokens\[at\] >= 0, .*//~test_rollout rollout/faults~a model that has diverged goes on
train_gpt2_drpt.c~s/(size_t)places\[n\] \* C;/(size_t)n * C;/~test_rollout rollout/without_cache~all rows at places of the first
train_gpt2_drpt.c~/^static void attention_decode/,/^}/s/row = (size_t)rows\[n\] \*/row = 0 */~test_rollout rollout/without_cache~all look into the first row of the cache
train_gpt2_drpt.c~s/n += d->room/n += N/~test_rollout rollout/long_prompts~the first piece of a prompt alone
llmc/matmul.c~/^void matmul_forward_rows/,/^}/s/by_columns/by_dots/~test_rollout rollout/same_bits~few rows are added up in another order
llmc/matmul.c~/ columns(int rows, /,/^}/s/ceil_div(p->K, DEPTH)/1/~test_matmul matmul/rows_alone~few rows are not added up block by block
llmc/matmul.c~/ columns(int rows, /,/^}/s/min(LANES, k1 - k);/LANES;/~test_matmul matmul/block_edges~the rest of a block goes into two
llmc/matmul.c~/ columns(int rows, /,/^}/s/x\[k - first + l\]/x[l]/~test_matmul matmul/tile_edges~the last vector from its own beginning
llmc/matmul.c~/ columns(int rows, /,/^}/s/d > 0 ? out : p->bias/p->bias/~test_matmul matmul/block_edges~the last block alone
# ---- rewards by a rule
llmc/reward.c~s/ \&\& answer.bytes > 0 ? RIGHT/ ? RIGHT/~test_reward exact~nothing answers nothing
llmc/reward.c~s/^    while (t.bytes > 0 \&\& is_space(\*t.text)).*//~test_reward exact~space in front is not trimmed
llmc/reward.c~s/int same = response.bytes == answer.bytes \&\&/int same = response.bytes >= answer.bytes \&\&/~test_reward exact~what begins with the answer is it
llmc/reward.c~s/v == WRONG ? form : 0.0/v == WRONG ? 0.0 : form/~test_reward numbers~reward of the form for what has none
llmc/reward_number.c~s/is_digit(at\[3\]) \&\& !(end - at > 4 \&\& is_digit(at\[4\]))/is_digit(at[3])/~test_reward numbers~groups of four digits
llmc/reward_number.c~s/return end - at >= 4 \&\& at\[0\]/return at[0]/~test_reward numbers random_texts~a group read past the end
llmc/reward_number.c~s/at > first \&\& at - first <= 3/at > first/~test_reward numbers~a first group of any length
llmc/reward_number.c~s/d->exponent -= is_fraction;/d->exponent -= 0;/~test_reward numbers~zeros behind the point forgotten
llmc/reward_number.c~s/d->cut = 1; } else/} else/~test_reward numbers~digits beyond the fortieth forgotten
llmc/reward_number.c~s/; d->zeros--) { d->digit/; d->zeros--) { if (0) d->digit/~test_reward numbers~zeros within a number forgotten
llmc/reward_number.c~s/power = power < most ? 10 \* power + (\*at - '0') : power;/power = 10 * power + (*at - '0');/~test_reward numbers~an exponent that wraps around
llmc/reward_number.c~s/d->exponent += negative ? -power : power;/d->exponent += power;/~test_reward numbers~1e-3 is a thousand
llmc/reward_number.c~s/if (d->count == 0) { d->exponent = 0; }//~test_reward numbers~0.0 is not 0
llmc/reward_number.c~s/bytes > 0 \&\& (at == begin .*/bytes > 0;/~test_reward numbers~7-5 is 7 and -5
llmc/reward_number.c~s/ || at\[-1\] == ')'));/));/~test_reward numbers~(7)-5 is 7 and -5
llmc/reward_number.c~s/^    at -= bytes;$//~test_reward numbers~what is before the sign is looked for behind it
llmc/reward_number.c~s/ + ends_with(begin, at, "\\xe2\\x88\\x92")//~test_reward numbers~the typesetters' minus is none
llmc/reward_number.c~s/ || at\[-1\] == '.'));/));/~test_reward numbers~...5 is a half
llmc/reward_number.c~s/d->negative = d->count > 0 \&\& has_minus/d->negative = has_minus/~test_reward numbers~minus zero is not zero
llmc/reward_number.c~s/if (ends_with(t.text, at, "####")) .*//~test_reward numbers~the answer's last number, whatever stands behind ####
llmc/reward_number.c~s/^    if (whole) .*//~test_reward numbers~large whole numbers equal within the tolerance
llmc/reward_number.c~s/if (whole) { return shift == 0 \&\& /if (whole) { return /~test_reward numbers~1 is 10
llmc/reward_number.c~s/shift == 1 ? 10.0 : shift == -1 ? 0.1 : 1.0/1.0/~test_reward numbers~9.9999999999 is far from 10
llmc/reward_number.c~s/tolerance = 1e-9/tolerance = 1e-6/~test_reward numbers~a larger tolerance
llmc/reward_number.c~s/tolerance = 1e-9/tolerance = 1e-17/~test_reward numbers~a smaller tolerance
llmc/reward_expression.c~s/x.num \/ g, y.num \/ h, \&r.num/x.num, y.num, \&r.num/;s/x.den \/ h, y.den \/ g, \&r.den/x.den, y.den, \&r.den/~test_reward expressions~products not in lowest terms
llmc/reward_expression.c~s/if (overflow) { return no_value; }//~test_reward expressions~sums that wrap around
llmc/reward_expression.c~s/return overflow ? no_value : r;/(void)overflow; return r;/~test_reward expressions~products that wrap around
llmc/reward_expression.c~s/return (Fraction){ num \/ g, den \/ g };/return (Fraction){ num, den };/~test_reward expressions random_expressions~sums not in lowest terms
llmc/reward_expression.c~s/^    r.num = -x.den;//~test_reward expressions random_expressions~1/-2 is 1/2
llmc/reward_expression.c~s/add(r, parse_product(p), sign == '-')/add(r, parse_product(p), 0)/~test_reward expressions~minus adds
llmc/reward_expression.c~s/^        r = add(r, parse_product(p)/        r = add(r, parse_sum(p)/~test_reward expressions~8-3-2 is 8-(3-2)
llmc/reward_expression.c~s/if (overflow || .*at == first/if (at == first/;s/return at == first || overflow ? NULL/return at == first ? NULL/~test_reward expressions~numbers that wrap around
llmc/reward_expression.c~s/ || p->used >> i \& 1) { continue/) { continue/~test_reward expressions~a number used twice
llmc/reward_expression.c~s/ || p.used != (1u << task.count) - 1//~test_reward expressions~numbers left over
llmc/reward_expression.c~s/if (p.fault || p.at < p.end ||/if (p.fault ||/~test_reward expressions~anything behind the expression
llmc/reward_expression.c~s/if (p->fault || next_sign(p) != ')')/if (p->fault)/~test_reward expressions long_texts~a parenthesis that nobody closes
llmc/reward_expression.c~s/^    if (p->depth == MAX_DEPTH) .*//~test_reward depth long_texts~parentheses without bound
llmc/reward_expression.c~s/^    p->depth--;//~test_reward expressions random_expressions depth~parentheses counted, not their depth
llmc/reward_expression.c~s/r.den == 1 \&\& r.num/r.num/~test_reward expressions random_expressions~7/2 is 7
llmc/reward_expression.c~s/^        if (task->count == MAX_NUMBERS) .*//~test_reward expressions~a task of seventeen numbers
llmc/reward_expression.c~s/return at == end || \*at == ':' || is_space(\*at);/return 1;/~test_reward expressions~a value of 3.5 is 3
llmc/reward_expression.c~s/^    if (is_digit(\*at) \&\& at > begin .*//~test_reward expressions~0.3 is 3
llmc/reward_expression.c~s/last == begin || !is_digit(last\[-1\]))) {$/last == begin)) {/~test_reward expressions~the last mark, whatever it is
llmc/reward_expression.c~s/if (negative) { task->target = -task->target; }//~test_reward expressions~no value below zero

# ---- rewards by a program
llmc/reward_command.c~s/if (ends\[1\].revents) { send_some(c, \&sent); }/while (sent < c->bytes \&\& c->to >= 0) { send_some(c, \&sent); }/~test_reward large_batches~all is written before anything is read
llmc/reward_command.c~s/^    pthread_sigmask(SIG_BLOCK, .*//~test_reward too_few~SIGPIPE ends the run
llmc/reward_command.c~s/^    if (written < 0 \&\& error == EPIPE) .*//~test_reward too_few~SIGPIPE comes when the signals are as before
llmc/reward_command.c~s/if (wait == 0) { return LATE; }/if (wait == 0) { deadline = seconds_now() + c->seconds; }/~test_reward too_few~no deadline
llmc/reward_command.c~s/^        if (poll(ends, 2, \(.*\)) <= 0) { continue; }/        if (poll(ends, 2, \1) < 0) { continue; }\n        deadline = seconds_now() + c->seconds;/~test_reward slow~a deadline for each answer
llmc/reward_command.c~s/wait < HEARING_MS ? wait : HEARING_MS/wait/~test_reward stopped~a stop is heard when the wait is over
llmc/reward_command.c~s/^        if (outcome == STOPPED) .*//~test_reward stopped~a program that was stopped is started anew
llmc/reward_command.c~s/is_open = c->group > 0;/is_open = 1;/~test_reward stopped~waits for a program that is no more
llmc/reward_command.c~s/^    for (\*answered = 0; \*answered < count || sent < c->bytes;)/    for (*answered = 0; *answered < count;)/~test_reward too_few~answers to what was not read
llmc/reward_command.c~s/for (\*answered = 0; \*answered < count/for (; *answered < count/;s/    size_t answered;$/    size_t answered = 0;/~test_reward restarts~answers of a program that died count
llmc/reward_command.c~s/if (\*answered == count) { give_up.*/if (*answered == count) { break; }/~test_reward garbage~answers beyond the last are no fault
llmc/reward_command.c~s/if (c->pending > 0) { give_up.*//~test_reward garbage~half a line too many
llmc/reward_command.c~s/^    write_request(c, cases, count);$/&\n    c->pending = 0; char drop[64]; while (read(c->from, drop, 64) > 0) {}/~test_reward late_answer~answers between batches are dropped
llmc/reward_command.c~s/if (c->pending == MAX_LINE) .*//~test_reward garbage~a line without end
llmc/reward_command.c~s/if (n == 0 || end != text + n)/if (end != text + n)/~test_reward garbage~an empty line is 0
llmc/reward_command.c~s/ || end != text + n) {/) {/~test_reward garbage~a number with something behind it
llmc/reward_command.c~s/if (!isfinite(value)) .*//~test_reward garbage~nan and inf
llmc/reward_command.c~s/(" .t.r", line\[n - 1\])/("", line[n - 1])/~test_reward numbers_of_a_program~lines that end as Windows ends them
llmc/reward_command.c~s/if (again > c->restarts)/if (again > c->restarts + 1)/~test_reward restarts_end~one restart more
llmc/reward_command.c~s/if (again > c->restarts)/if (again >= c->restarts)/~test_reward restarts~one restart less
llmc/reward_command.c~s/( read -r _ <\&3; kill -9 0 )/( : )/~test_reward nothing_is_left_of_a_killed_run~no watcher
llmc/reward_command.c~s/"( ( read/"( read/;s/>.dev.null \& ); exec/>\/dev\/null \& exec/~test_reward watcher_is_no_child~the watcher is a child of the program
llmc/reward_command.c~s/^    close(c->life);//~test_reward batches~files left open
llmc/reward_command.c~s/^    if (c->to >= 0) { close(c->to); }$//~test_reward batches restarts~its input left open
llmc/reward_command.c~s/^    while (waitpid(c->group, .*//~test_reward batches~children left unreaped
llmc/reward_command.c~s/int ended = has_ended(c);/int ended = 0;/~test_reward nothing_is_left~the end waits for who holds the output
llmc/reward_command.c~s/"..ufffd", 6/"?", 1/~test_reward json one_long_response~what is not UTF-8 is a question mark
llmc/reward_command.c~s/c < ' ' || c == '"' ||/c < ' ' ||/~test_reward json~quotes not escaped
llmc/reward_command.c~s/c < ' ' || c == '"'/c == '"'/~test_reward json~control characters not escaped
llmc/reward_command.c~s/if (c->bytes > c->room) {/if (c->room == 0) {/~test_reward batches large_batches~room for the first batch only

# ---- rows that are pairs: their places, their order, their shares
drpt/site.c~s/at < (size_t)end \* T; at += (size_t)s->rows) {/at < (size_t)end * T; at += (size_t)T) {/~test_site~a pair's first sequence alone
drpt/direct.c~s/at += (size_t)s->rows) {/at += (size_t)T) {/~test_gather gather/1_7_11_routes~formed: a pair's first sequence alone
drpt/factor.c~s/.place = (int)(at % (size_t)s.rows)/.place = 0/~test_basis between~every piece begins at place 0
drpt/drpt.c~s/.rows = d->places, .cols = C/.rows = d->T, .cols = C/~test_drpt drpt/rows_that_are_pairs~the second sequence has places of its own
llmc/dataset.c~s/d->kind == KIND_PAIRS ? 2 : 1/1/~test_policy policy/a_reader_keeps_pairs_together~rows shuffled one by one
llmc/dataset.c~s/ \* together + row % together : row/ * together : row/~test_policy policy/a_reader_keeps_pairs_together~the better row twice
llmc/dataset.c~s/rng_shuffle(\&rng, r->order, count)/rng_shuffle(\&rng, r->order, count - 1)/~test_dataset reader_order_is_the_stream~the last pair always last
drpt/policy.c~s/p->reference_logp + row \* T, p->beta/p->logp + row * T, p->beta/~test_policy policy/evaluation~the model its own reference
drpt/policy.c~s/logp\[n\] = -logp\[n\]/logp[n] = logp[n]/~test_gradient pairs~losses for log-probabilities
drpt/policy.c~s/b->mask\[n\] ? 1.0f : 0.0f/b->mask[n] ? 0.0f : 1.0f/~test_gradient pairs~log-probabilities of what is not trained on
drpt/policy.c~s/p->beta, share\[part\]/1.0, share[part]/~test_gradient pairs~beta not heeded
drpt/policy.c~s/, share\[part\])/, share[0])/~test_gradient pairs~target pairs count as general ones
drpt/policy.c~s/b->usable + (size_t)first + row/b->usable + row/~test_policy policy/evaluation~the general rows' flags for the target
drpt/policy.c~s/p->domain\[i\] = b->domain\[2 \* i\]/p->domain[i] = b->domain[i]/~test_policy policy/items~domains of rows, not of pairs
drpt/policy.c~s/p->usable\[i\] = b->usable\[2 \* i\]/p->usable[i] = 1/~test_policy policy/items~a broken pair takes part
drpt/run.c~s/drpt->plain ? 1.0 \/ (pairs \* b->n) : 1.0/drpt->plain ? 1.0 \/ b->n : 1.0/~test_policy policy/shares~a share of its micro-batch, and of rows
drpt/run.c~s/: 1.0, 1.0 \/ (pairs \* b->m) }/: 1.0, 1.0 }/~test_policy policy/shares~the target's pairs add up to m times t
drpt/run.c~s/run->drpt.places = run->T;/run->drpt.places = per * run->T;/~test_policy policy/shares~a pair is one long sequence
drpt/run.c~s/drpt_create(\&run->options, n \/ per, m \/ per, per \* run->T/drpt_create(\&run->options, n, m, run->T/~test_policy policy/shares~a weight for each row of a pair
drpt/run.c~s/loss = s.broken > 0.0 ? NAN/loss = s.broken > 1e9 ? NAN/~test_policy policy/broken_evaluation~an evaluation without its broken pairs
drpt/run.c~s/c->reference ? c->reference : c->init/c->init/~test_policy policy/evaluation~--reference not heeded

# ---- the scalar head, and reward models
train_gpt2_drpt.c~s/^        value_backward_input(model->dlnf, head->dvalue.*//~test_gradient head~nothing flows through the head
train_gpt2_drpt.c~s/float d = share\[n . T\] \* dvalue\[n\];/float d = dvalue[n];/~test_gradient head~the head's shares not heeded
train_gpt2_drpt.c~s/float d = share\[n . T\]/float d = share[0]/~test_gradient head~the first row's share for the whole head
train_gpt2_drpt.c~s/^        dbias\[0\] += d;//~test_gradient head~the head's bias has no gradient
train_gpt2_drpt.c~s/c < C \&\& dvalue\[n\] != 0.0f/c < C/~test_gpt2 head_is_no_site~a head that nobody asks is read
train_gpt2_drpt.c~s/(size_t)n \* C, C) + bias\[0\]/(size_t)n * C, C)/~test_gradient head~values without the head's bias
llmc/gpt2_init.c~s/^        for (size_t k = g->given; .*//~test_gpt2 head_file~a new head of what was there
llmc/gpt2_init.c~s/if (with_head) { g.config.head = 1; }/g.config.head = with_head;/~test_gpt2 head_file~a file's own head thrown away
llmc/gpt2_file.c~s/^    check(c->head == 0 .*//~test_gpt2 head_file~any number of heads
llmc/gpt2_tensors.h~s/X(headw,      head, /X(headw,      1,    /~test_gpt2 tensors head_file~a head in every model
drpt/policy.c~s/^        if (last >= 0) { b->inputs.*//~test_policy policy/scores~a score before the last token
drpt/policy.c~s/p->values\[i \* b->T + last + 1\]/p->values[i * b->T + last]/~test_policy policy/scores~the score of the last token but one
drpt/policy.c~s/p->dvalue\[i \* b->T + last + 1\]/p->dvalue[i * b->T + last]/~test_gradient pairs~the score's gradient at another token
drpt/policy.c~s/^    memset(p->dvalue.*//~test_policy policy/scores~the last batch's scores have gradients still
drpt/policy.c~s/^        memset(b->weight + at.*//~test_policy policy/scores~a reward model learns the tokens as well as the scores
drpt/policy.c~s/d->plain || from_target ? 1.0 :/d->plain ? 1.0 :/~test_policy policy/reward_shares~the target's head scaled twice
drpt/policy.c~s/ || d->method == METHOD_target;/;/~test_policy policy/reward_shares~the head of general pairs where the target's train
drpt/policy.c~s/items += usable\[i\] != 0/items++/~test_policy policy/broken_scores~the head's mean over pairs left out
drpt/policy.c~s/(i >= general) == from_target ? (float)mean : 0.0f/(float)mean/~test_policy policy/reward_shares~the head learns from general and target pairs
drpt/run.c~s/^        if (T > 0) { T += scored; }//~test_policy policy/scores~no place for the token that is scored

# ---- rounds of PPO
drpt/policy.c~s/ || objective == OBJECTIVE_ppo; }/; }/~test_ppo ppo/first_step~PPO without a head
drpt/reward_model.c~s/length\[first + i\] - 1\]/length[first + i] - 2 + (length[first + i] < 2)]/~test_policy policy/reward_model~scored one token too early
drpt/reward_model.c~s/tokens + (size_t)first \* (size_t)r->T/tokens/~test_policy policy/reward_model~the first rows for all
drpt/reward_model.c~s/rewards\[first + i\] =/rewards[i] =/~test_policy policy/reward_model~rewards of later rows over those of the first
drpt/round.c~s/is_ppo(run) ? 1 : 8/8/~test_ppo ppo/first_step~PPO in groups of 8
drpt/round.c~s/^    check(run->round_options.kl_target == 0.0.*//~test_ppo ppo/refused~PPO: a target for a KL that does not count
drpt/round_draw.c~s/rows->old, r->kl);/rows->old, 0.0);/~test_ppo ppo/advantages~PPO: rewards without the KL
drpt/round_draw.c~s/^    whiten_advantages(.*//~test_ppo ppo/advantages~PPO: advantages as they are
drpt/round_draw.c~s/r->after, o->gamma, o->lambda/r->after, o->lambda, o->gamma/~test_ppo ppo/advantages~PPO: gamma for lambda
drpt/round_draw.c~s/rows->value + (size_t)first \* (size_t)b->T/rows->value/~test_ppo ppo/advantages~PPO: every batch the first batch's values
drpt/round_draw.c~s/^    if (rows != \&r->general .*//~test_ppo ppo/adaptive_kl~PPO: the KL follows the target's responses
drpt/round_draw.c~s/o->kl_target, r->responses,/o->kl_target, 1e9,/~test_ppo ppo/adaptive_kl~PPO: the KL adapted at once, however few responses
drpt/round_draw.c~s/^    if (o->kl_target > 0.0) {.*//~test_ppo ppo/adaptive_kl~PPO: a KL that stays
drpt/round_step.c~s/double kl = plain || r->objective == OBJECTIVE_ppo ?/double kl = plain ?/~test_ppo ppo/first_step~PPO: the KL twice, in rewards and loss
drpt/round_step.c~s/^    for (size_t k = 0; k < N; k++) { dvalue\[k\] .*//~test_ppo ppo/first_step~PPO: --value-weight not heeded
drpt/round_step.c~s/{ memset(dvalue, 0, sizeof(float) \* N); return; }/{ return; }/~test_ppo ppo/shares~PPO: the last pass' values
drpt/round_step.c~s/^    if (part == 1 \&\& run->round->target_objective != TARGET_objective) { memset.*//~test_ppo ppo/shares~PPO: values in every target's gradient
drpt/round_step.c~s/^            weigh_values(run, w, 1, .*//~test_ppo ppo/shares~PPO: a target's objective without values
drpt/round_step.c~s/return rows_broken(w) > 0 ? BROKEN : WHOLE;/return WHOLE;/~test_ppo ppo/broken_values~PPO: no step without the responses that are left out
drpt/round_step.c~s/^    for (row->rows_left_out = 0; ; ) {/    Count usable[2] = { count_usable(b, first, b->n), count_usable(b, b->n, b->n + b->m) };\n    for (row->rows_left_out = 0; ; ) {/;s/^        Count usable.*//~test_grpo grpo/tokens_of_broken_rows~the tokens of broken rows are part of the mean
drpt/round_step.c~s/^        row->rows_left_out += .*//~test_grpo grpo/broken_rows~rows left out go unsaid
drpt/round_step.c~s/c->value_loss = each(s\[0\].value_loss, .*/c->value_loss = s[0].value_loss; }/~test_ppo ppo/shares~PPO: the value's loss of rows added up
drpt/round_step.c~s/of->value + n, of->returns + n/of->returns + n, of->value + n/~test_ppo ppo/first_step~PPO: values held near what they are to learn
drpt/round_step.c~s/if (a == b->accumulate - 1 \&\& too_far(run, w)) { return TOO_FAR; }//~test_ppo ppo/kl_stop~PPO: a step of a policy that has moved too far
drpt/round_file.c~s/^    r->divergence = numbers.*//~test_ppo ppo/resume~PPO: the divergence of the round forgotten
drpt/round_file.c~s/^    r->responses = numbers.*//~test_ppo ppo/resume~PPO: the responses of the round forgotten

# ---- rounds: prompts and their texts; what is drawn and when; which rows a step has, and their weights; the file
drpt/prompts.c~s/if (tokens\[i\] == p->end) { continue; }//~test_grpo grpo/texts~the end of a text is a text
drpt/prompts.c~s/shown++ ? " " : ""/""/~test_grpo grpo/prompts_without_an_answer~numbers without blanks
drpt/prompts.c~s/} else if (tokens\[i\] >= tokenizer_vocab_size(p->tokenizer)) {/} else if (0) {/~test_grpo grpo/texts~tokens that the tokenizer does not have
drpt/prompts.c~s/first < T ? first + 1 : T + 1/first < T ? first : T + 1/~test_grpo grpo/texts~the last token of a prompt is missing
drpt/prompts.c~s/while (first == T \&\& count > 1 .*//~test_grpo grpo/prompts_without_an_answer~a prompt with what fills up its row
drpt/prompts.c~s/while (first == T \&\& count > 1/while (first == T/~test_grpo grpo/prompts_without_an_answer~a prompt of nothing
drpt/prompts.c~s/p->bytes = p->count = 0/p->count = 0/~test_grpo grpo/texts~texts are never forgotten
drpt/prompts.c~s/check(prompt.count < T,/check(prompt.count <= T,/~test_grpo grpo/prompts_without_an_answer~a prompt that fills its row
drpt/prompts.c~s/(RewardCase){ part\[0\], part\[1\], part\[2\] }/(RewardCase){ part[0], part[2], part[1] }/~test_grpo grpo/texts~the answer judged instead of the response
drpt/round_draw.c~s/memcpy(to->mask + at, drawn->mask + at + 1, T - 1);/memcpy(to->mask + at, drawn->mask + at, T - 1);/~test_grpo grpo/rows~a mask on tokens, not on targets
drpt/round_draw.c~s/memcpy(to->old + at, drawn->log_prob + at + 1,/memcpy(to->old + at, drawn->log_prob + at,/~test_grpo grpo/rows~log-probabilities of the token before
drpt/round_draw.c~s/rollouts_prompt(\&r->rollouts, i, p.tokens, p.count)/rollouts_prompt(\&r->rollouts, i, p.tokens, p.count - 1)/~test_grpo grpo/rows~a prompt without its last token
drpt/round_draw.c~s/drawn->tokens + (size_t)i \* (size_t)drawn->T + drawn->prompt\[i\]/drawn->tokens + (size_t)i * (size_t)drawn->T/~test_grpo grpo/rows~the prompt judged with the response
drpt/round_draw.c~s/log_probabilities(logp + (size_t)first \* T,/log_probabilities(logp,/~test_grpo grpo/rows~every batch the first batch's reference
drpt/round_draw.c~s/memset(rows->usable + first, 0, (size_t)group);//~test_grpo grpo/degenerate~degenerate groups are part of the mean
drpt/round_draw.c~s/round_compare(rows, rows->rows); }/round_compare(rows, r->group); }/~test_grpo grpo/target_weights~the mean reward within groups
drpt/round_draw.c~s/(uint64_t)number \* (uint64_t)to->rows/0/~test_grpo grpo/random_numbers~the same random numbers each round
drpt/round_draw.c~s/TARGET = (uint64_t)2/TARGET = (uint64_t)1/~test_grpo grpo/random_numbers~the target has the random numbers of the general responses
drpt/round_step.c~s/(uint64_t)r->number, (uint64_t)epoch/(uint64_t)r->number, 0/~test_grpo grpo/epochs~the same order each epoch
drpt/round_step.c~s/first = r->done % of_an_epoch \* n/first = 0/~test_grpo grpo/epochs~the first responses each step
drpt/round_step.c~s/first + a \* b->n + i\]/first + i]/~test_grpo grpo/epochs~the same responses in every micro-batch
drpt/round_step.c~s/r->own_target ? (int)r->order\[first + a \* b->n + j\] : a \* b->m + j/a * b->m + j/~test_grpo grpo/own_target~other responses than the step's are its target
drpt/round_step.c~s/if (!b->usable\[row\]) { continue; }//~test_grpo grpo/degenerate~tokens of rows that do not take part
drpt/round_step.c~s/(drpt->plain ? 1.0 : (double)usable\[0\].rows)/1.0/~test_grpo grpo/shares~a row is a share of the mean, not itself
drpt/round_step.c~s/int plain = part == 1 .*REINFORCE.*/int plain = 0;/~test_grpo grpo/target_off_the_policy~ratios in the mean reward
drpt/round_step.c~s/int plain = part == 1 .*REINFORCE.*/int plain = part == 1;/~test_grpo grpo/target_off_the_policy~the objective itself without its ratios
drpt/round_step.c~s/run->round->done > 0 \&\& //~test_grpo grpo/kl_stop~a round that never begins
drpt/round_step.c~s/s->tokens + s->broken > 0.0 \&\& /s->tokens > 0.0 \&\& /~test_grpo grpo/broken_rows~a round goes on with rows that are all broken
drpt/round_step.c~s/^        forget_gradients(run);//~test_grpo grpo/kl_stop~gradients of a round that was ended
drpt/round_step.c~s/^    r->target_age++;//~test_grpo grpo/target_off_the_policy~the target's responses never age
drpt/round_step.c~s/r->target_age >= o->target_refresh/r->target_age > o->target_refresh/~test_grpo grpo/file~the target's responses a step too old
drpt/round_file.c~s/^    r->target_age = h\[8\];//~test_grpo grpo/file~the age of the target's responses forgotten
drpt/round_file.c~s/^    r->target_draws = h\[9\];//~test_grpo grpo/file~how often there were responses to the target forgotten
drpt/round_file.c~s/r->tokens\[n\] >= 0 \&\& //~test_grpo grpo/file~tokens below 0
drpt/round_file.c~s/ \&\& (size_t)r->domain\[i\] < prompts->num_files//~test_grpo grpo/file~files that are not there
drpt/round_file.c~s/^    check(bytes == want,.*//~test_grpo grpo/file~a file that was cut
drpt/run.c~s/run->options.own_rows = own \&\& run->round_options.leave_one_out/run->options.own_rows = own/~test_grpo grpo/own_target~--leave-one-out not heeded
drpt/round_draw.c~s/VAL = (uint64_t)3/VAL = (uint64_t)1/~test_grpo grpo/random_numbers~an evaluation has the random numbers of the general responses
drpt/round_draw.c~s/VAL_GENERAL = (uint64_t)4/VAL_GENERAL = (uint64_t)3/~test_grpo grpo/random_numbers~both evaluations have the same random numbers
drpt/round_draw.c~s/roll_out(run, data, rows, 1, stream, first);/roll_out(run, data, rows, 1, stream, 0);/~test_grpo grpo/random_numbers~the same random numbers for all batches of an evaluation
drpt/reward_model.c~s/length\[first + i\] - 1/r->T - 1/~test_policy policy/reward_model~what stands behind a response is scored
train_gpt2_drpt.c~s/any(weight, N) ? model->logits : NULL/model->logits/~test_counts 56_without_the_classifier~nothing goes back through the classifier, at its full price
train_gpt2_drpt.c~s/^        device_zero(model->losses, .*//~test_gpt2 values_alone~losses of a pass before
train_gpt2_drpt.c~s/^        device_zero(model->dlnf, .*//~test_gpt2 values_alone~the values' gradient added to that of a pass before
train_gpt2_drpt.c~s/weight\[n\] == 0.0f) { n++; }/weight[n] <= 0.0f) { n++; }/~test_gpt2 values_alone~tokens that are only unlearnt left out
drpt/drpt.c~s/dout ? SITE_TOKEN : SITE_LOOKUP/SITE_TOKEN/~test_gpt2 values_alone~a classifier without a gradient has one
drpt/direct.c~s/^        else if (s->kind == SITE_LOOKUP) .*//~test_gather gather/1_7_11_routes~lookup alone: all columns for those of a tile
drpt/reward_model.c~s/gpt2_hidden/gpt2_forward/~test_counts 56_without_the_classifier~a reward model has logits
drpt/round_draw.c~s/gpt2_hidden/gpt2_forward/~test_counts 56_without_the_classifier~values of states with logits
drpt/policy.c~s/gpt2_hidden/gpt2_forward/~test_counts 56_without_the_classifier~scores of pairs with logits
drpt/reward_model.c~s/^    check(c->vocab_size ==.*//~test_policy policy/reward_model~a judge of another vocabulary
drpt/reward_model.c~s/^    check(T <= c->max_seq_len.*//~test_policy policy/reward_model~a judge whose context is too short
drpt/round_step.c~s/b->domain\[at\] = rows->domain\[row\];/b->domain[at] = 0;/~test_grpo grpo/shares~every response of the first file
drpt/round_step.c~s/c->kl_reference = each(s\[0\].kl_reference, s\[0\].tokens)/c->kl_reference = s[0].kl_reference/~test_grpo grpo/shares~the divergence of all tokens added up
drpt/round_file.c~s/^    r->degenerate = h\[10\];//~test_grpo grpo/file~how many groups were degenerate forgotten
drpt/round_draw.c~s/r->number != s->number ? r->steps : s->done/s->done/~test_grpo grpo/recall~a round that had ended goes on with the next one's responses
drpt/round_draw.c~s/^    r->target_draws = s->target_draws;//~test_grpo grpo/recall~other responses of the target after a step that was given up
drpt/round_draw.c~s/^    run_seek(run, s->position);//~test_grpo grpo/recall~other prompts after a step that was given up
drpt/round_draw.c~s/^    r->number = s->number;//~test_grpo grpo/recall~other general responses after a step that was given up
drpt/round.c~s/i < r->steps; i++) { if (drpt_wants/i < 1; i++) { if (drpt_wants/~test_grpo grpo/rounds_without_general~no general responses for bases renewed in the middle of a round
drpt/round.c~s/r->general.rows == 0 || r->own_target/r->general.rows == 0/~test_grpo grpo/rounds_without_general~no responses that are their own target
drpt/round_draw.c~s/^    if (wants_general) { round_draw/    if (r->general.rows > 0) { round_draw/~test_grpo grpo/rounds_without_general~general responses that nobody looks at
drpt/round_draw.c~s/{ r->divergence = NAN; return; }/{ return; }/~test_ppo ppo/kl_without_general~PPO: the coefficient of the KL moves on without being measured
drpt/round_step.c~s/round_wants_general(run, step - r->done)/round_wants_general(run, step)/~test_grpo grpo/rounds_without_general~a round without general responses from its middle on
drpt/round_file.c~s/^    check_same(run, path.*//~test_grpo grpo/file~goes on with other options of a round
drpt/round_file.c~s/ \&\& was\[0\] != 0//~test_grpo grpo/file~an older file is refused
drpt/round_file.c~s/^    r->kept = h\[11\];//~test_grpo grpo/file~how many responses were kept forgotten
drpt/round_draw.c~s/prompts_row(\&r->prompts, data, r->source\[i \/ group\]), response/prompts_row(\&r->prompts, data, r->source[0]), response/~test_grpo grpo/judged~every response judged by the first prompt
drpt/round_draw.c~s/dataset_domain(data, r->source\[i \/ r->group\])/dataset_domain(data, r->source[0])/~test_grpo grpo/judged~every response of the first one's file
drpt/round_draw.c~s/^        check(isfinite(to->reward\[i\]).*//~test_grpo grpo/judged~rewards that are not finite
drpt/round_draw.c~s/^        dropped++;//~test_grpo grpo/log~degenerate groups not counted
drpt/round_draw.c~s/r->degenerate = round_compare/round_compare/~test_grpo grpo/degenerate~degenerate groups of a round not told
drpt/round_draw.c~s/^        r->target_age = 0;//~test_grpo grpo/own_target~self-reference: the target's responses grow older than the round
drpt/round_draw.c~s/^    r->target_age = 0;//~test_grpo grpo/file~the target's responses are drawn and as old as before
drpt/round_draw.c~s/^        round_compare_target(run, \&r->target);//~test_grpo grpo/own_target~self-reference: no advantages
drpt/round_draw.c~s/^    else { round_compare(rows, r->group); }/    else { round_compare(rows, rows->rows); }/~test_grpo grpo/target_off_the_policy~the objective's advantages over all responses
drpt/round_draw.c~s/GENERAL, r->number);/GENERAL, 0);/~test_grpo grpo/random_numbers~the same random numbers each round, for the general responses
drpt/round_draw.c~s/TARGET, r->target_draws++)/TARGET, 0); r->target_draws++/~test_grpo grpo/random_numbers~the same random numbers each round, for the target
drpt/round_draw.c~s/(size_t)c->val_batches \* (size_t)c->batch/(size_t)c->val_batches/~test_grpo grpo/evaluations~batches of one prompt
drpt/round_draw.c~s/c->val_batches < 0 ? data->rows/c->val_batches < 0 ? 4/~test_grpo grpo/evaluations~an evaluation of all prompts ends early
drpt/round_draw.c~s/r->source\[i\] = first + (size_t)i/r->source[i] = (size_t)i/~test_grpo grpo/evaluations~every batch of an evaluation the first prompts
drpt/round_draw.c~s/r->rewards\[i\] >= 1.0/r->rewards[i] > 1.0/~test_grpo grpo/evaluations~a reward of 1 is not right
drpt/round_draw.c~s/sum.right \/ n/sum.right/~test_grpo grpo/evaluations~how many are right, not which share
drpt/round_draw.c~s/r->rollouts.length\[i\] - r->rollouts.prompt\[i\];/r->rollouts.length[i];/~test_grpo grpo/evaluations~the length with the prompt
drpt/round_step.c~s/each(s\[0\].loss, w->share\[0\] \* /each(s[0].loss, /~test_grpo grpo/log~the loss is a share of itself
drpt/round_step.c~s/each(s\[1\].loss, w->share\[1\] \* /each(s[1].loss, /~test_grpo grpo/log~the target's loss is a share of itself
drpt/round_step.c~s/each(s\[1\].loss, /each(s[0].loss, /~test_grpo grpo/log~the general loss for the target's
drpt/round_step.c~s/c->kl_old = each(s\[0\].kl_old, s\[0\].tokens)/c->kl_old = s[0].kl_old/~test_grpo grpo/log~the divergence from the old policy added up
drpt/round_step.c~s/c->clipped = each(s\[0\].clipped, s\[0\].tokens)/c->clipped = s[0].clipped/~test_grpo grpo/log~clipped tokens, not their share
drpt/round_step.c~s/w->stats\[0\].broken + w->stats\[1\].broken/w->stats[0].broken/~test_grpo grpo/broken_rows~broken rows of the target not told
drpt/round_step.c~s/count_usable(b, b->n, b->n + b->m)/count_usable(b, first, b->n + b->m)/~test_grpo grpo/log~the target's mean over all rows
drpt/round_step.c~s/1.0 \/ fmax(1.0, (double)usable\[1\].tokens)/1.0 \/ fmax(1.0, (double)usable[1].rows)/~test_grpo grpo/target_weights~the target's mean over rows
drpt/round_step.c~s/w->stats\[run->batch.n == 0\]/w->stats[0]/~test_grpo grpo/kl_stop~without general rows no round ends early
drpt/round_step.c~s/^        row->round_ended = 1;//~test_grpo grpo/kl_stop~a round that was ended is not told
drpt/round_step.c~s/ : ended);/ : 0);/~test_grpo grpo/random_numbers~the first responses to the target for good
drpt/round_step.c~s/? \&r->general : \&r->target);/? \&r->general : \&r->general);/~test_grpo grpo/sizes~without general rows there is no length
drpt/round_step.c~s/c->kept = r->kept >= 0 ? r->kept : NAN/c->kept = r->kept/~test_grpo grpo/log~kept responses where nothing is filtered
drpt/round_step.c~s/(b->n + b->m - first) \* b->T/(b->n - first) * b->T/~test_grpo grpo/log~the target's tokens not counted
drpt/round_step.c~s/b->usable\[at\] = rows->usable\[row\]/b->usable[at] = 1/~test_grpo grpo/degenerate~degenerate groups are rows as any other
drpt/round_step.c~s/for (int i = 0; i < r->rows; i++) { sum += r->reward\[i\]; }/for (int i = 1; i < r->rows; i++) { sum += r->reward[i]; }/~test_grpo grpo/log~the mean reward without the first response
drpt/round_file.c~s/ \&\& h\[4\] == run->T//~test_grpo grpo/file~rows of another length
drpt/round_file.c~s/ \&\& h\[5\] == r->group,/,/~test_grpo grpo/file~groups of another size
drpt/round_file.c~s/ \&\& h\[3\] == r->target.rows//~test_grpo grpo/file~another number of target responses
drpt/round_file.c~s/h\[0\] == MAGIC \&\& //~test_grpo grpo/file~any magic
drpt/round_file.c~s/ \&\& h\[1\] == VERSION//~test_grpo grpo/file~any version
drpt/round_file.c~s/i < 11; i++) { check/i < 10; i++) { check/~test_grpo grpo/file~any number of degenerate groups
drpt/round_file.c~s/ \&\& h\[i\] < INT32_MAX \/ 2//~test_grpo grpo/file~counts that are about to overflow
drpt/round_file.c~s/check(h\[7\] <= r->steps/check(h[7] < r->steps/~test_grpo grpo/file~a round that has come to its end is refused
drpt/round_file.c~s/^    check(h\[7\] <= r->steps.*//~test_grpo grpo/file~more steps than a round has
drpt/round_file.c~s/^    if (run->round_options.kl_target > 0.0) { r->kl/    if (1) { r->kl/~test_grpo grpo/file~the file's coefficient where --kl says another
drpt/round_file.c~s/^    if (run->round_options.kl_target > 0.0) { r->kl/    if (0) { r->kl/~test_ppo ppo/resume~PPO: the coefficient begins anew
drpt/round_file.c~s/numbers\[0\] >= 0.0 \&\& isfinite(numbers\[0\]) \&\& //~test_grpo grpo/file~any coefficient
drpt/round_file.c~s/ \&\& numbers\[2\] >= 0.0 \&\& isfinite(numbers\[2\])//~test_grpo grpo/file~any number of measured responses
drpt/round_file.c~s/r->own_target ? \&run->general : \&run->target/\&run->target/~test_grpo grpo/file_of_domains~self-reference: prompts of the target's files
drpt/round_file.c~s/r->own_target ? \&run->general : \&run->target/\&run->general/~test_grpo grpo/file_of_domains~the target's prompts are of the general files
drpt/round_file.c~s/check(r->mask\[n\] <= 1,/check(1,/~test_grpo grpo/file~any mask
drpt/round_file.c~s/check(r->length\[i\] >= 0 \&\& /check(/~test_grpo grpo/file~lengths below 0
drpt/round_file.c~s/ \&\& r->length\[i\] <= r->T//~test_grpo grpo/file~responses longer than their row
drpt/round_file.c~s/ \&\& r->usable\[i\] <= 1//~test_grpo grpo/file~flags that are none
drpt/round_file.c~s/ \&\& r->tokens\[n\] < vocab_size//~test_grpo grpo/file~tokens beyond the vocabulary
drpt/round_file.c~s/{ r->returns, sizeof(float) \* T }/{ r->value, sizeof(float) * T }/~test_ppo ppo/first_step~PPO: returns are not copied
drpt/round_file.c~s/(size_t)row \* b\[i\].bytes/(size_t)at * b[i].bytes/~test_grpo grpo/shares~numbers of other rows than the batch has
drpt/round.c~s/run->round_options.rollouts > 0 ? run->round_options.rollouts : step_rows(run)/step_rows(run)/~test_grpo grpo/sizes~a round is one step
drpt/round.c~s/return run->config.batch \* run->config.accumulate;/return run->config.batch;/~test_grpo grpo/sizes~a step is a micro-batch
drpt/round.c~s/return run->config.target_batch \* run->config.accumulate;/return run->config.target_batch;/~test_grpo grpo/sizes~the target of one micro-batch
drpt/round.c~s/return run->round_options.epochs \* (/return (/~test_grpo grpo/sizes~one epoch
drpt/round.c~s/ \/ group_size(run));/);/~test_grpo grpo/sizes~a prompt for each response
drpt/round.c~s/prompts > of_a_round ? prompts \/ of_a_round : 1/prompts \/ of_a_round/~test_grpo grpo/sizes~no step where a round asks more than there is
drpt/round.c~s/size_t prompts = run->config.general ? run->general.rows : run->target.rows/size_t prompts = run->general.rows + 100 * (run->config.general == NULL)/~test_grpo grpo/sizes~a pass over other prompts than the target's
drpt/round.c~s/ \&\& strcmp(method, "full") != 0;/;/~test_grpo grpo/sizes~ordinary training refers to itself
drpt/round.c~s/^    return round_is_own_target(run) || .*/    return round_is_own_target(run);/~test_grpo grpo/sizes~nothing to filter by without a target
drpt/round.c~s/(int)widest + 1 < context ? (int)widest + 1 : context/context/~test_grpo grpo/sizes~rows as long as the context
drpt/round.c~s/return c->seq > 0 ? c->seq : /return /~test_grpo grpo/sizes~--seq not heeded
drpt/round.c~s/, .kept = -1 }/ }/~test_grpo grpo/sizes~no responses kept where nothing is filtered

# ---- the data of the demos of rewards
dev/sums.c~s/(a + b + carry + 1 + (int)rng_below/(a + b + carry + (int)rng_below/~test_sums table~wrong digits that are right
dev/sums.c~s/ = t.digit\[carry\]\[b\]\[a\] = / = /~test_sums table~wrong digits for one order of the two
dev/sums.c~s/s.a\[i\] + s.b\[i\] + carry >= 10/s.a[i] + s.b[i] + carry > 10/~test_sums prompts pretrain~ten does not carry
dev/sums.c~s/^        s.carry\[i\] = carry;/        s.carry[i] = 0;/~test_sums pretrain~sums without carries
dev/sums.c~s/(s.a\[i\] + s.b\[i\] + s.carry\[i\]) % 10/(s.a[i] + s.b[i]) % 10/~test_sums pretrain~the carry forgotten
dev/sums.c~s/wrong->digit\[s.carry\[i\]\]/wrong->digit[0]/~test_sums pretrain~wrong digits whatever is carried
dev/sums.c~s/wrong->digit\[s.carry\[i\]\]\[s.a\[i\]\]\[s.b\[i\]\]/wrong->digit[s.carry[i]][s.a[i]][0]/~test_sums pretrain~wrong digits of another sum
dev/sums.c~s/rng_uniform(rng) < right_digits/rng_uniform(rng) > right_digits/~test_sums pretrain~right digits 55 times in a hundred
dev/sums.c~s/rng_uniform(rng) < carries/rng_uniform(rng) >= carries/~test_sums prompts~nine of ten general prompts carry
dev/sums.c~s/wrong_share > 0.0 \&\& rng_uniform(rng) < wrong_share/wrong_share > 0.0/~test_sums prompts~all general answers wrong
dev/sums.c~s/wrong_share > 0.0 \&\& rng_uniform(rng)/rng_uniform(rng) + 0.2/~test_sums prompts~one in ten general answers wrong
dev/sums.c~s/answer\[i\] = is_wrong ? /answer[i] = is_wrong \&\& i == 0 ? /~test_sums prompts~answers half wrong
dev/sums.c~s/text_rows_add(rows, prompt, answer, 0);/text_rows_add(rows, prompt, answer, 1);/~test_sums pretrain~the base never learns to end
dev/sums.c~s/"val.bin",      4/"val.bin",      5/~test_sums files_differ~chosen by what is judged by
dev/sums.c~s/"target.bin",   3/"target.bin",   4/~test_sums files_differ~the target is chosen by
dev/sums.c~s/Table wrong = draw_wrong((uint64_t)c.seed);/Table wrong = draw_wrong(0);/~test_sums pretrain~the same wrong table for every seed
dev/sums.c~s/Rng rng = rng_seed((uint64_t)c->seed, (uint64_t)stream, 0);/Rng rng = rng_seed(0, (uint64_t)stream, 0);/~test_sums seeds~the same sums for every seed
dev/sums.c~s/KIND_PROMPTS, corrupted, c.carries/KIND_PROMPTS, 0.0, c.carries/~test_sums prompts~general prompts with the right answers
dev/letters.c~s/return letter >= SMALL;/return letter > SMALL;/~test_letters pretrain~one capital is a small letter
dev/letters.c~s/is_capital(letter) ? after_capital : after_small/is_capital(letter) ? after_small : after_capital/~test_letters pretrain~capitals mostly after small letters
dev/letters.c~s/rng_uniform(rng) < unlikely/rng_uniform(rng) > unlikely/~test_letters language~mostly letters that the language does not like
dev/letters.c~s/rng_uniform(rng) < unlikely/0/~test_letters language~never a letter that the language does not like
dev/letters.c~s/\[rng_below(rng, LIKELY)\]/[rng_below(rng, 1)]/~test_letters language~one letter after each
dev/letters.c~s/before < 0 ? (int)rng_below(rng, LETTERS) : before/(int)rng_below(rng, LETTERS)/~test_letters language~a text does not go on from its prompt
dev/letters.c~s/^        letter = draw_next(l, rng, letter);/        draw_next(l, rng, letter);/~test_letters language~one letter for ever
dev/letters.c~s/rng_seed(seed, 0, 0)/rng_seed(0, 0, 0)/~test_letters language~the same language for every seed
dev/letters.c~s/\*text == 'A' ? liked : \*text >= 'a'/*text >= 'a'/~test_letters pairs~nobody likes the A
dev/letters.c~s/\*text == 'A' ? liked/*text == 'B' ? liked/~test_letters pairs~another capital is liked
dev/letters.c~s/worth(text\[1\], liked) > worth(text\[0\], liked);/worth(text[1], liked) < worth(text[0], liked);/~test_letters pairs~the worse one first
dev/letters.c~s/while (worth(text\[0\], liked) == worth(text\[1\], liked));/while (0);/~test_letters pairs~pairs in which neither is better
dev/letters.c~s/{ better = !better; }/{ better = 1; }/~test_letters pairs~three of ten at random
dev/letters.c~s/text_rows_add(\&rows, prompt, text\[!better\], 0)/text_rows_add(\&rows, prompt, text[better], 0)/~test_letters pairs~the better one twice
dev/letters.c~s/"held_out.bin", 3, c.held_out, 0, 0.0/"held_out.bin", 3, c.held_out, 3, 0.0/~test_letters pairs~held-out pairs by whoever likes the A
dev/letters.c~s/"held_out.bin", 3,/"held_out.bin", 2,/~test_letters files_differ~held-out pairs are those to learn from
dev/letters.c~s/"test.bin", 7/"test.bin", 6/~test_letters files_differ~chosen by what is judged by
dev/letters.c~s/text_rows_add(\&rows, prompt, "", 1)/text_rows_add(\&rows, prompt, "", 0)/~test_letters prompts~prompts with an answer, the end
dev/letters.c~s/return (double)small \/ LENGTH;/return (double)small;/~test_letters judge~small letters counted, not their share
dev/letters.c~s/if (\*at == '..' \&\& at\[1\]) {.*$//~test_letters judge~what is escaped is letters
dev/letters.c~s/ \&\& at\[1\]) {/) {/~test_letters judge~reading on behind the end
dev/letters.c~s/at\[1\] == 'u' ? strnlen(at + 1, 5) : 1/1/~test_letters judge~the digits of a code are letters
dev/letters.c~s/at += sizeof(before) - 1/at += 0/~test_letters judge~the name of the field is judged
dev/text/rows.c~s/size_t t = before - 1; t < n/size_t t = before; t < n/~test_sums pretrain~the first letter of an answer not trained on
dev/text/rows.c~s/n - (asked ? 1 : 0)/n/~test_sums prompts~the end of an answer is compared too
dev/text/rows.c~s/before > 0 \&\& n <= r->T/before > 0 \&\& n < r->T/~test_sums pretrain~rows without room for their end
dev/text/rows.c~s/: END_OF_TEXT;/: 0;/~test_letters pretrain~rows that do not end

# ---- bases of a pass without a trained token
drpt/basis_state.c~s/return s->kind == SITE_LOOKUP ? SITE_TOKEN : (int)s->kind;/return (int)s->kind;/~test_grpo grpo/degenerate_bases~a run ends in a step that has nothing to learn from
