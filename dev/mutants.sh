#!/bin/sh
# mutants.sh [TEXT] -- break one line at a time and see that a test notices; only the mutants whose line contains TEXT.
#
# A line of the list below is: file ~ sed expression ~ test program, and names of its tests if not all ~ what it breaks.
# SURVIVED: no test noticed, so one is missing. STALE: the expression no longer changes the file. BROKEN: it no longer
# compiles. Run from the repository root; works on a copy, in which only what a mutant touches is built again.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
CFLAGS="-O1 -march=native -w" OMP_WAIT_POLICY=passive # waiting threads would only be in the way of one another
export CFLAGS OMP_WAIT_POLICY
list=$tmp/list
sed '1,/^exit/d; /^#/d; /^$/d' "$0" | grep -F -e "${1-}" >"$list" || { echo "no mutant contains '$1'"; exit 1; }

build() { # FOLDER PROGRAM...
    folder=$1; shift
    (cd "$folder" && for p; do echo "build/test/$p"; done | xargs make -s) >"$tmp/log" 2>&1 </dev/null
}
passes() { # FOLDER PROGRAM TESTS...
    (cd "$1" && shift && p=$1 && shift && timeout 60 "build/test/$p" "$@" || exit 1) >"$tmp/log" 2>&1 </dev/null
}

mkdir "$tmp/whole"
cp -a Makefile llmc drpt test train_gpt2_drpt.c "$tmp/whole"
programs=$(cut -d'~' -f3 "$list" | cut -d' ' -f1 | sort -u)
build "$tmp/whole" $programs || { cat "$tmp/log"; exit 1; }
for p in $programs; do
    passes "$tmp/whole" "$p" || { grep -v "ok$" "$tmp/log"; echo "$p fails without a mutant"; exit 1; }
done

killed=0 others=0
while IFS='~' read -r file edit tests what; do
    set -- $tests
    rm -rf "$tmp/mutant" && cp -a "$tmp/whole" "$tmp/mutant"
    sed -i "$edit" "$tmp/mutant/$file"
    if cmp -s "$tmp/whole/$file" "$tmp/mutant/$file"; then verdict=STALE
    elif ! build "$tmp/mutant" "$1"; then verdict=BROKEN
    elif passes "$tmp/mutant" "$@"; then verdict=SURVIVED
    else verdict=killed; fi
    printf '%-8s %s: %s\n' "$verdict" "$file" "$what"
    if [ $verdict = killed ]; then killed=$((killed + 1)); else others=$((others + 1)); fi
done <"$list"
echo "$killed killed, $others not"
[ $others -eq 0 ]
exit

# ---- the gradient of a site
drpt/site.c~s/scaled\[k\] = weight\[b\] \* dout/scaled[k] = dout/~test_site~rows not scaled
drpt/site.c~s/\* s->rows + o;$/* s->rows;/~test_site~always the first columns
drpt/site.c~s/stop < end \&\& (weight/stop < end \&\& 1 || (weight/~test_site~rows of weight 0 are read
drpt/site.c~s/if (weight\[b\] == 0.0f) { continue; }//~test_site~NaN times 0
drpt/site.c~s/s->inp + (size_t)b \* T \* s->cols, (stop/s->inp, (stop/~test_site~the input of the first row for all
drpt/site.c~s/ (stop - b) \* T, s->cols/ T, s->cols/~test_site~one row of a run
drpt/site.c~s/(inp\[c\] - s->mean\[at\])/inp[c]/~test_site~layernorm: mean not subtracted
drpt/site.c~s/ \* s->rstd\[at\];/;/~test_site~layernorm: not divided by the deviation
drpt/site.c~s/if (dbias) { dbias/if (0) { dbias/~test_site~layernorm: no bias
drpt/site.c~s/weight\[at \/ (size_t)T\]/weight[first]/~test_site~the weight of the first row for all
drpt/site.c~s/(size_t)b \* T + o) \* s->cols/(size_t)b * T) * s->cols/~test_site~position: slab from the start
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
drpt/direct.c~s/s->rows \* s->cols + k.o/s->rows * s->cols/~test_gather gather/kept_gradients_give_the_update~kept biases all in the same place
drpt/direct.c~s/keep || g->metric ? 0 : gram_first(g)/gram_first(g)/~test_gather gather/kept_gradients_give_the_update~only t kept where only q is asked for
drpt/direct.c~s/s->dbias \&\& k.c == 0 ? p.bias/s->dbias ? p.bias/~test_gather gather/1_7_11_routes~a bias for each block of columns
drpt/direct.c~s/s->inp + (size_t)at \* s->cols + c, /s->inp + (size_t)at * s->cols, /~test_gather gather/1_7_11_routes~the first columns for all blocks
drpt/direct.c~s/s->dlookup + at \* s->cols + k.c/s->dlookup + at * s->cols/~test_gather gather/1_7_11_routes~lookup: the first columns for all blocks
drpt/direct.c~s/\* s->cols + k.c;/* s->cols;/~test_gather gather/1_7_11_routes~position: the first columns for all blocks
drpt/direct.c~s/ + k.o + r) \* s->cols/ + r) * s->cols/~test_gather gather/1_7_11_routes~position: the first slab for all
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
drpt/sketch.c~s/for (int c = 0; factor \&\& bias \&\& c < width; c++)/for (int c = 0; c < 0; c++)/~test_gather gather/3_sketch_is_projected_gradients~no bias
drpt/sketch.c~s/if (!factor \&\& bias) { row/if (0) { row/~test_gather gather/2_wide_sketch_is_exact~no bias of a side left as it is
drpt/sketch.c~s/^    if (s->kind == SITE_TOKEN) {$/    if (0) {/~test_gather gather/3_sketch_is_projected_gradients~no lookup
drpt/sketch.c~s/memset(store->vector, 0, .*//~test_gather gather/3_sketch_is_projected_gradients~projections of the call before kept
drpt/sketch.c~s/\? 1 : g->n + g->m - i;/? 1 : 1;/~test_gather gather/3_sketch_is_projected_gradients~first target row alone
drpt/sketch.c~s/side\[0\] + from \* k->width\[0\], site_dout(g->scratch, s, from/side[0] + from * k->width[0], site_dout(g->scratch, s, begin/~test_gather gather/3_sketch_is_projected_gradients~the first piece of dout for all
drpt/sketch.c~s/to\[s->tokens\[at\]\] = 1.0f/to[0] = 1.0f/~test_gather gather/2_wide_sketch_is_exact~all tokens the first

# ---- choosing a route
drpt/gather.c~s/g->m > 0 \&\& !(g->needs \& (NEEDS_K | NEEDS_ROWS))/g->m > 0 \&\& !(g->needs \& NEEDS_K)/~test_gather gather/a_route_that_cannot_gives_way~no target rows from tokens
drpt/gather.c~s/g->m > 0 \&\& !(g->needs \& (NEEDS_K | NEEDS_ROWS))/g->m > 0/~test_gather gather/1_7_11_routes~no K from tokens
drpt/gather.c~s/case ROUTE_pairs:  return !g->metric;/case ROUTE_pairs:  return 1;/~test_gather gather/metric~pairs asked for the metric
drpt/gather.c~s/if (!site_is_product(s)) { return 0; }//~test_gather gather/a_route_that_cannot_gives_way~a layer normalisation as a product
drpt/gather.c~s/r <= ROUTE_tokens; r++/r <= ROUTE_sketch; r++/~test_gather gather/auto~a sketch by itself
drpt/gather.c~s/if (!gather_keeps(s, g)) {/if (1) {/~test_gather gather/auto~kept gradients are no cheaper
drpt/gather.c~s/ \&\& !(g->needs \& NEEDS_ROWS) \&\& / \&\& /~test_gather gather/what_is_kept~single target rows kept
drpt/gather.c~s/<= g->kept_size;/<= g->kept_size + 1;/~test_gather gather/what_is_kept~one float too many kept
drpt/gather.c~s/return g->keep_gradients \&\& /return /~test_gather gather/what_is_kept~kept without being asked

# ---- the update from kept gradients
drpt/assemble.c~s/if (w == 0.0f) { continue; }//~test_gather gather/kept_gradients_give_the_update~NaN times 0
drpt/assemble.c~s/i < n ? alpha\[i\] : beta/alpha[i]/~test_gather gather/kept_gradients_give_the_update~no beta
drpt/assemble.c~s/^    if (site->dbias) { add_kept.*//~test_gather gather/kept_gradients_give_the_update~no bias
drpt/assemble.c~s/ \&\& site->stride == site->rows//~test_gather gather/kept_gradients_give_the_update~a part of a fused projection as if it were whole

# ---- solve
drpt/solve.h~s/(int)(keep \* n + 1e-9)/(int)(keep * n)/~test_solve~0.29 of 100 is 28
drpt/solve.h~s/(int)(keep \* n + 1e-9)/(int)(keep * n + 0.5)/~test_solve~k rounded
drpt/solve.h~s/k = k < 1 ? 1 : k;//~test_solve~no row kept
drpt/solve.h~s/k = k > n ? n : k;.*//~test_solve~a row kept of none
drpt/solve.h~s/s\[i\] > s\[best\]/s[i] >= s[best]/~test_solve~ties to the last row
drpt/solve.h~s/alpha\[best\] = 1.0 \/ k/alpha[best] = 1.0 \/ n/~test_solve~weights do not add up to 1
drpt/solve.h~s/k += s\[i\] >= 0.0/k += s[i] > 0.0/~test_solve~filter: scores of 0 not counted
drpt/solve.h~s/alpha\[i\] = s\[i\] >= 0.0 ?/alpha[i] = s[i] > 0.0 ?/~test_solve~filter: scores of 0 left out
drpt/solve.h~s/uint64_t z = seed + (i + 1)/uint64_t z = (i + 1)/~test_solve~random: no seed
drpt/solve.h~s/(0x94d049bb133111ebu;)/(1;)/;s/^    z = (z ^ (z >> .*//~test_solve~random: no mixing
drpt/solve.h~s/return ridge \* trace \/ n/return ridge * trace/~test_solve~ridge in units of the trace
drpt/solve.h~s/K\[i\*n + i\] + mu > 0.0 ? sqrt(K\[i\*n + i\] + mu)/K[i*n + i] > 0.0 ? sqrt(K[i*n + i])/~test_solve~no ridge
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
drpt/solve.h~s/alpha\[i\] = (1.0 - knobs.mix) \/ n/alpha[i] = 1.0 \/ n/~test_solve~mix: general rows in full
drpt/solve.h~s/\*beta = knobs.mix;/*beta = 1.0 - knobs.mix;/~test_solve~mix: the other way round
drpt/solve.h~s/if (!isfinite(st->q)) .*//~test_solve~a target with NaN is followed
drpt/solve.h~s/verdict.dropped += usable\[i\] && !finite;/verdict.dropped += !finite;/~test_solve~unusable rows counted as broken
drpt/solve.h~s/if (usable\[i\] && finite)/if (finite)/~test_solve~unusable rows used
drpt/solve.h~s/if (usable\[i\] && finite)/if (usable[i])/~test_solve~broken rows used
drpt/solve.h~s/st->K\[row\[i\]\*n + row\[j\]\]/st->K[row[i]*kept + row[j]]/~test_solve~K of the wrong rows
drpt/solve.h~s/alpha\[row\[i\]\] = found/alpha[i] = found/~test_solve~weights to the wrong rows
drpt/solve.h~s/!any || st->q == 0.0/!any/~test_solve~no target gradient goes unsaid
drpt/solve.h~s/(needs & NEEDS_K) || isfinite(st->K\[i\*n + i\])/(needs \& NEEDS_K) || 1/~test_solve~Inf on K's diagonal alone
drpt/solve.h~s/return 4 \* (size_t)n \* n + 12/return 2 * (size_t)n * n + 12/~test_solve~too little memory

# ---- assemble
drpt/assemble.c~s/weight\[b\] == 1.0f/weight[b] != 0.0f/~test_site~weights taken for ones
drpt/assemble.c~s/return b == B;/return b > 0;/~test_site~the first weight for all
drpt/assemble.c~s/if (site->kind == SITE_LINEAR) { return; }/return;/~test_site~lookup left out of plain training
drpt/assemble.c~s/rest.kind = SITE_LOOKUP;//~test_site~head twice in plain training
drpt/assemble.c~s/(size_t)o \* site->cols/(size_t)o/~test_site~slabs in the wrong place
drpt/assemble.c~s/site->dbias + o : NULL/site->dbias : NULL/~test_site~biases in the wrong place
drpt/assemble.c~s/\&rest, weight, 0, B/\&rest, weight, 0, B - 1/~test_site~last row left out

# ---- the orchestration
drpt/drpt.c~s/if (d->group > complete) { return; }/if (complete != DRPT_GLOBAL) { return; }/~test_drpt~always at the end
drpt/drpt.c~s/if (d->group > complete) { return; }//~test_drpt~always at once
drpt/drpt.c~s/if (d->group > complete) { return; }/if (d->group >= complete) { return; }/~test_drpt~one boundary late
drpt/drpt.c~s/d->group == DRPT_LAYER ? 1 : d->num_sites/d->num_sites/~test_drpt~layers share
drpt/drpt.c~s/d->group == DRPT_LAYER ? 1 : d->num_sites/1/~test_drpt~nothing shares
drpt/drpt.c~s/^    d->num_sites = 0;$//~test_drpt~sites recorded for ever
drpt/drpt.c~s/    memset(s->K, 0.*//~test_drpt~K of the group before kept
drpt/drpt.c~s/    memset(s->s, 0.*//~test_drpt~s of the group before kept
drpt/drpt.c~s/    s->q = 0.0;//~test_drpt~q of the group before kept
drpt/drpt.c~s/d->alpha\[i\] \*= d->share/d->alpha[i]/~test_drpt~no share
drpt/drpt.c~s/d->weight\[d->n + j\] = (float)d->beta/d->weight[d->n + j] = 0.0f/~test_drpt~no target in the update
drpt/drpt.c~s/0x2545f4914f6cdd1du \* d->step/0/~test_drpt~random: every step the same
drpt/drpt.c~s/0x5851f42d4c957f2du \* (uint64_t)d->num_groups++/0 * d->num_groups++/~test_drpt~random: every group the same
drpt/drpt.c~s/d.plain = d.method == METHOD_full && m == 0/d.plain = d.method == METHOD_full/~test_drpt~target rows in plain training
drpt/drpt.c~s/    if (first) {/    if (0) {/~test_drpt~the log of the step before kept
drpt/drpt.c~s/    if (first) {/    if (1) {/~test_drpt~the log forgets micro-batches
drpt/drpt.c~s/double dot = d->beta \* d->statistics.q;/double dot = 0.0;/~test_drpt~angle without the target's part
drpt/drpt.c~s/sum += 2.0 \* d->beta/sum += d->beta/~test_drpt~length without half the cross term
drpt/drpt.c~s/d->rows_dropped += v.dropped;//~test_drpt~dropped rows go unsaid
drpt/drpt.c~s/d->groups_skipped += v.skipped;//~test_drpt~skipped groups go unsaid
drpt/drpt.c~s/isfinite(d->statistics.q) ? d->statistics.q : 0.0/d->statistics.q/~test_drpt~NaN in the log
drpt/drpt.c~s/    hash = hash_words(hash, s->mean.*//~test_drpt~a layernorm's mean not watched
drpt/drpt.c~s/return hash_words(hash, s->tokens, positions);/return hash;/~test_drpt~tokens not watched
drpt/drpt.c~s/d->verify ? checksum(d, &s) : 0/checksum(d, \&s) * 0/~test_drpt~nothing is remembered of a buffer
drpt/drpt.c~s/i < d->num_sites; i++) {$/i < 0; i++) {/~test_drpt~nothing is watched
drpt/drpt.c~s/ | log | / | /~test_drpt~no scores where a method asks for none
drpt/drpt.c~s/check(i < count, .*//~test_drpt~unknown names accepted
drpt/drpt.c~s/check(d.method == METHOD_full || m > 0, .*//~test_drpt~no target rows needed
drpt/drpt.c~s/check(d.method == METHOD_target || n > 0, .*//~test_drpt~no general rows needed
drpt/drpt.c~s/check(d->num_sites < DRPT_MAX_SITES, .*//~test_drpt~sites beyond the table
drpt/drpt.c~s/!d->plain && d->group == DRPT_GLOBAL/d->group == DRPT_GLOBAL/~test_drpt~plain training keeps the blocks
drpt/drpt.c~s/if (first->block >= 0)/if (first->block > 3)/~test_drpt~geometry: no block

# ---- the trainer: layers
train_gpt2_drpt.c~s/wpe + (size_t)(n % T) \* C/wpe + (size_t)(n \/ T) * C/~test_parity logits~a row's place for a token's
train_gpt2_drpt.c~s/p = p \* r + 1.0f\/120;//~test_gpt2 fast_exp~a term of the polynomial
train_gpt2_drpt.c~s/x > 87.0f ? 87.0f : x/x/~test_gpt2 fast_exp~no upper end
train_gpt2_drpt.c~s/squares \/ C + 1e-5f/squares \/ C/~test_parity logits~layernorm without its epsilon
train_gpt2_drpt.c~s/(x\[c\] - m) \* (x\[c\] - m)/x[c] * x[c] - m * m/~test_gpt2 layernorm~variance by cancellation
train_gpt2_drpt.c~s/weight\[c\] - average - (x/weight[c] - (x/~test_gradient layernorm~backward without the average
train_gpt2_drpt.c~s/dx\[c\] += r \*/dx[c] = r */~test_gradient layernorm~the stream's gradient overwritten
train_gpt2_drpt.c~s/head_take(a.q, x, scale/head_take(a.q, x, 1.0f/~test_gpt2 attention~scores not scaled
train_gpt2_drpt.c~s/head_put(dx, a.dq, scale/head_put(dx, a.dq, 1.0f/~test_gradient attention~queries' gradient not scaled
train_gpt2_drpt.c~s/(size_t)i \* keys, t + i + 1, keys); }/(size_t)i * keys, keys, keys); }/~test_gpt2 attention~the future is seen
train_gpt2_drpt.c~s/^    for (int u = seen; u < keys; u++) { S\[u\] = 0.0f; }//~test_gpt2 attention~scores of the future kept
train_gpt2_drpt.c~s/{ S\[u\] = dS\[u\] = 0.0f; }/{ S[u] = 0.0f; }/~test_gradient attention~gradients of the future kept
train_gpt2_drpt.c~s/    memset(a.dk, 0.*//~test_gradient attention~keys' gradient not begun at zero
train_gpt2_drpt.c~s/dS\[u\] = S\[u\] \* (dS\[u\] - along)/dS[u] = S[u] * dS[u]/~test_gradient attention~softmax backward without its row sum
train_gpt2_drpt.c~s/return largest + logf(sum)/return logf(sum)/~test_gpt2 cross_entropy~log sum exp without the largest
train_gpt2_drpt.c~s/0.044715f/0.0447f/~test_gpt2 gelu~another gelu
train_gpt2_drpt.c~s/1.0f + 3.0f \* GELU_B/1.0f + GELU_B/~test_gradient gelu~the cube's derivative
train_gpt2_drpt.c~s/out\[i\] += inp\[i\]/out[i] = inp[i]/~test_gradient residual~the branch alone
train_gpt2_drpt.c~s/x\[targets\[n\]\] -= w;/x[targets[n]] -= 1.0f;/~test_gradient cross_entropy~weights are all one
train_gpt2_drpt.c~s/        if (weight\[n\] == 0.0f) { memset.*//~test_gpt2 cross_entropy~positions that are not trained on looked at
train_gpt2_drpt.c~s/if (x\[v\] > x\[best\])/if (x[v] >= x[best])/~test_gpt2 cross_entropy~ties to the last token

# ---- the trainer: block and model
train_gpt2_drpt.c~s/+ l \* tensor\[TENSOR_##name\].rows/+ 0 * tensor[TENSOR_##name].rows/~test_parity logits~all blocks are the first
train_gpt2_drpt.c~s/    residual_backward(d->attproj, dx, NC);//~test_gradient plain_model~attention's branch without a gradient
train_gpt2_drpt.c~s/    memset(model->dx, 0.*//~test_gradient gradients_add_up~the last pass's gradient kept
train_gpt2_drpt.c~s/if (l == 0 || keep_blocks)/if (l == 0)/~test_gradient mixed_model~blocks overwrite each other's gradients
train_gpt2_drpt.c~s/    drpt_project(drpt, DRPT_SUBLAYER);//~test_update every_method~sublayers share
train_gpt2_drpt.c~0,/    drpt_project(drpt, DRPT_BLOCK);/s///~test_update every_method~blocks share
train_gpt2_drpt.c~s/drpt->block = l;/drpt->block = 0;/~test_update logs~geometry: all blocks are the first
train_gpt2_drpt.c~s/rng_seed((uint64_t)seed, (uint64_t)i + 1, l)/rng_seed((uint64_t)seed, 1, l)/~test_gpt2 init~tensors alike
train_gpt2_drpt.c~s/i == TENSOR_wte ? size - unused : size/size/~test_gpt2 init~padded rows are random
train_gpt2_drpt.c~s/sqrtf(2.0f \* (float)model->config.layers)/sqrtf((float)model->config.layers)/~test_gpt2 init~residual projections too wide

# ---- the trainer: generation, evaluation, steps
train_gpt2_drpt.c~s/memcpy(values + (size_t)t \* C, a->qkv + 2\*C/memcpy(values + (size_t)t * C, a->qkv + C/~test_gpt2 decode_is_forward~keys cached for values
train_gpt2_drpt.c~s/(maxT + 1) \/ 2/maxT \/ 2/~test_gpt2 generate~the window shorter than said
train_gpt2_drpt.c~s/count > maxT ? count - maxT : 0/0/~test_gpt2 generate~a prompt beyond the context
train_gpt2_drpt.c~s/most < data->rows ? most : data->rows/data->rows/~test_gpt2 evaluate~--val-batches not heeded
train_gpt2_drpt.c~s/trained > 0 \&\& hits == trained/hits > 0/~test_gpt2 evaluate~a row is exact with one hit
train_gpt2_drpt.c~s/drpt->plain ? 1.0 : (double)usable.rows/1.0/~test_update every_method~general rows divided by n twice
train_gpt2_drpt.c~s/(double)micro_rows \/ (double)usable.rows/1.0/~test_update plain_and_accumulated~micro-batches each count in full
train_gpt2_drpt.c~s/c->clip \/ row.grad_norm : 1.0/1.0 : 1.0/~test_parity training~no clipping
train_gpt2_drpt.c~s/row.lr, scale, step + 1)/row.lr, scale, step + 2)/~test_parity training~AdamW's step counted from 2
train_gpt2_drpt.c~s/t->rows > 1 ? (float)c->weight_decay : 0.0f/(float)c->weight_decay/~test_gpt2 decay~vectors are decayed
train_gpt2_drpt.c~s/row->update_ratio = t > 0.0 ? u \/ t/row->update_ratio = t > 0.0 ? t \/ u/~test_update logs~the ratio upside down
train_gpt2_drpt.c~s/for (int step = run->first_step;/for (int step = 0;/~test_gpt2 resume~begins anew with the weights of a checkpoint
train_gpt2_drpt.c~s/{ reader_seek(&run->target_reader.*/{ }/~test_gpt2 resume~the target's place forgotten

# ---- batches
llmc/batch.c~s/(double)all.rows \* batch_trained(b, row)/(double)all.rows * b->T/~test_gpt2 batch_weigh~a row's token mean over all its places
llmc/batch.c~s/? (float)share : 0.0f/? (float)share : (float)share/~test_gpt2 batch_weigh~all tokens trained on
llmc/batch.c~s/total \/ (double)all.tokens/total \/ (double)all.rows/~test_gpt2 batch_weigh~tokens divided by rows

# ---- optimizer
llmc/optimizer.c~s/(1.0f - a.beta2) \* g \* g/(1.0f - a.beta1) * g * g/~test_gpt2 adamw~the wrong beta
llmc/optimizer.c~s/sqrtf(v_new \* v_unbiased) + a.eps/sqrtf(v_new * v_unbiased + a.eps)/~test_gpt2 adamw_eps~eps under the root
llmc/optimizer.c~s/v_unbiased = (float)(1.0 \/ (1.0 - pow(a.beta2, step)))/v_unbiased = 1.0f/~test_gpt2 adamw~second moment biased
llmc/optimizer.c~s/ + a.weight_decay \* params\[i\]//~test_gpt2 adamw~AdamW without decay
llmc/optimizer.c~s/float g = scale \* grads\[i\]/float g = grads[i]/~test_gpt2 adamw~AdamW not clipped
llmc/optimizer.c~s/        grads\[i\] = 0.0f;//~test_gpt2 adamw~gradients kept
llmc/optimizer.c~s/scale \* grads\[i\] + weight_decay/scale * grads[i] - weight_decay/~test_gpt2 sgd~SGD decays the other way
llmc/optimizer.c~s/p == PARTS - 1 ? n : begin/begin/~test_gpt2 squared_norm~the rest of a division left out
llmc/optimizer.c~s/lr \* (step + 1) \/ warmup/lr * step \/ warmup/~test_gpt2 schedules~a first step of rate 0
llmc/optimizer.c~s/0.8 \* steps/0.9 * steps/~test_gpt2 schedules~wsd decays late
llmc/optimizer.c~s/0.5 \* (1.0 + cos/(cos/~test_gpt2 schedules~another cosine
llmc/optimizer.c~s/final + (1.0 - final) \* left/final + left/~test_gpt2 schedules~final added on top

# ---- files
llmc/gpt2_file.c~s/put64(header, GENERAL_POSITION, .*//~test_gpt2 resume~the general place not written
llmc/gpt2_file.c~s/put64(header, OURS + 2, .*//~test_gpt2 resume~the target's epoch not written
llmc/gpt2_file.c~s/input_read(f, path, v, /input_read(f, path, m, /~test_gpt2 resume~moments mixed up
llmc/gpt2_file.c~s/check(isfinite(params\[i\]), /check(1 || isfinite(params[i]), /~test_gpt2 broken_model~NaN in a model
llmc/gpt2_file.c~s/i < num_params; i++) { check(isfinite/i + 1 < num_params; i++) { check(isfinite/~test_gpt2 broken_model~its last weight not looked at
