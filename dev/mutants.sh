#!/bin/sh
# mutants.sh [TEXT] -- break one line at a time and see that a test notices; only the mutants whose line contains TEXT.
#
# A line of the list below is: file ~ sed expression ~ test program, and names of its tests if not all ~ what it breaks.
# SURVIVED: no test noticed, so one is missing. STALE: the expression no longer changes the file. BROKEN: it no longer
# compiles. Run from the repository root; works on a copy, in which only what a mutant touches is built again.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
CFLAGS="-O1 -march=native -w"
export CFLAGS
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

# ---- gather
drpt/gather.c~s/(s->cols + (s->dbias != NULL))/s->cols/~test_site~bias left out of the inner products
drpt/gather.c~s/s->rows - o < slab ? s->rows - o : slab/slab < s->rows ? slab : s->rows - 1/~test_site~last row left out
drpt/gather.c~s/int end = i < n ? i + 1 : n + m;/int end = i + 1;/~test_site~first target row alone
drpt/gather.c~s/int first = needs & NEEDS_K ? 0 : n;/int first = n;/~test_site~no K
drpt/gather.c~s/    memset(p->gradient.*//~test_site~gradients of the slab before kept
drpt/gather.c~s/\* (n + 1 - first) \* length);/* (n - first) * length);/~test_site~t of the slab before kept
drpt/gather.c~s/+= \*product++/= *product++/~test_site~last slab alone
drpt/gather.c~s/    memset(statistics->partial.*//~test_site~products of the call before kept
drpt/gather.c~s/statistics->K\[i \* n + j\] +=/statistics->K[i * n + j] =/~test_site~K overwritten
drpt/gather.c~s/statistics->s\[i\] +=/statistics->s[i] =/~test_site~s overwritten
drpt/gather.c~s/statistics->q +=/statistics->q =/~test_site~q overwritten
drpt/gather.c~s/from\[n \* (n + 1) + i\]/from[n * n + i]/~test_site~scores from the wrong row
drpt/gather.c~s/o = thread \* slab; o < s->rows; o += threads \* slab/o = thread * slab; o < s->rows; o += slab/~test_site~slabs counted by several threads
drpt/gather.c~s/T \* most((size_t)m, 1);/T;/~test_site~scratch too small for several target rows

# ---- scores from pairs of positions
drpt/pairs.c~s/(needs & NEEDS_K) ||//~test_site~no K from pairs
drpt/pairs.c~s/return (double)m \* T \* products < .*/return 0;/~test_site pairs~pairs never used
drpt/pairs.c~s/for (int i = first; i < n; i++) { st->s/for (int i = first; i < n - 1; i++) { st->s/~test_site~last general row left out
drpt/pairs.c~s/(size_t)m \* row)/row)/~test_site~q of the first target row
drpt/pairs.c~s/x\[k\] \*= y\[k\] + c/x[k] *= y[k]/~test_site~no bias
drpt/pairs.c~s/token\[a\] == target\[b\] ?/1 ?/~test_site~lookups of any two words multiplied
drpt/pairs.c~s/+= dout\[target\[b\]\] \*/+= 0.0f */~test_site~no cross term of head and target's lookup
drpt/pairs.c~s/+= dout\[(size_t)b \* V\] \*/+= 0.0f */~test_site~no cross term of lookup and target's head
drpt/pairs.c~s/from += most) {/from += most - 1) {/~test_site~blocks of columns overlap
drpt/pairs.c~s/needs & NEEDS_S ? 0 : n; \/\/ row/n; \/\/ row/~test_site~no scores

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
