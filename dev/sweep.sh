#!/bin/sh
# sweep.sh -- a plan of methods, knobs, numbers of target rows and seeds: runs what is missing of it, and collects what came out as CSV.
#
#   sh dev/sweep.sh PLAN [--out FOLDER] [--jobs N] [--seeds "0 1"] [--list] [--slurm]
#
# PLAN       a file, or the name of one in dev/plans; dev/sweep/plan.awk says how they are written
# --out      where everything goes [sweep/ and the plan's name]
# --jobs     runs side by side [as many as the cores there are allow]
# --seeds    instead of the plan's
# --list     only prints the runs, each with its commands
# --slurm    only prints them as the job array of a cluster: sweep.sh PLAN --slurm >sweep.sbatch; its first lines say how to go on
# --prepare  only what other runs wait for: data, base models, trajectories (a job array's first job)
# --only     only this run, by its folder (a job array's other jobs)
# --steps, --base-steps, --first-rate: other steps than the plan's; only the first learning rate of each run
#
# From the repository root, after make. It can be stopped at any moment, and the same command goes on from there: what was finished
# is not repeated, unless the programs or the plan's options for it are no longer the same.
set -u
# shellcheck source=dev/sweep/runs.sh
. dev/sweep/runs.sh

what=run only=''
while [ $# -gt 0 ]; do
    case $1 in
        --out)   out=${2:?--out needs a folder}; shift ;;
        --jobs)  jobs=${2:?--jobs needs a number}; shift ;;
        --seeds) seeds=${2:?--seeds needs numbers}; shift ;;
        --steps) steps=${2:?--steps needs a number}; shift ;;
        --base-steps) base_steps=${2:?--base-steps needs a number}; shift ;;
        --first-rate) first_rate=1 ;;
        --list | --slurm | --prepare) what=${1#--} ;;
        --only)  what=only only=${2:?--only needs the folder of a run}; shift ;;
        --help)  sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*)      die "$1: no such option; --help lists them" ;;
        *)       [ -z "$plan" ] || die "one plan, please: $plan or $1"; plan=$1 ;;
    esac
    shift
done
[ -n "$plan" ] || die "which plan? sh dev/sweep.sh PLAN; these ship: $(cd dev/plans && echo *.plan | sed 's/\.plan//g')"
[ -f "$plan" ] || plan=dev/plans/${plan%.plan}.plan
title=${plan##*/} title=${title%.plan}
[ -n "$out" ] || out=sweep/$title

# ---------------------------------------------------------------------------------------------

print_list() {
    awk -F'|' -v OFS=': ' '{ total += $8; print $2, $NF } END { printf "# %d jobs, about %d core minutes\n", NR, total / 60 + 1 }' "$list"
}

# The task 0 of a job array makes these; all others are a task each.
is_prepared='^(data|base|reward|trajectory)[|]'

print_slurm() {
    runs=$(grep -cvE "$is_prepared" "$list")
    arguments=$(quoted "$plan" --out "$out")
    [ -z "$seeds" ] || arguments="$arguments--seeds '$seeds' "
    cat <<EOF
#!/bin/sh
# The runs of $plan, as a job array. Submit it twice from the repository root, and collect when all is done:
#     first=\$(sbatch --parsable --array=0 $title.sbatch)
#     sbatch --dependency=afterok:\$first $title.sbatch
#     sh dev/sweep.sh $arguments
# Task 0 makes the data and the base models; a task that was finished before ends at once.
#SBATCH --job-name=$title
#SBATCH --array=1-$runs
#SBATCH --cpus-per-task=$threads
$(from_plan slurm | cut -d '|' -f 2 | tr ' ' '\n' | sed -n 's/^-/#SBATCH -/p')
set -u
sweep() { exec sh dev/sweep.sh $arguments--jobs 1 "\$@"; }
case \$SLURM_ARRAY_TASK_ID in
    0) sweep --prepare ;;
$(grep -vE "$is_prepared" "$list" | awk -F'|' '{ print "    " NR ") sweep --only " $2 " ;;" }')
esac
EOF
}

# Its needs must be there: this is one task of many, and the others are done elsewhere.
# shellcheck disable=SC2034 # all fields have names
run_only() {
    open_folder
    grep -F "|$only|" "$list" >"$state/one" || die "$only: no run of $plan; --list shows them"
    IFS='|' read -r kind folder seed m name label lr cost job_steps needs commands <"$state/one"
    for need in $needs; do [ -f "$out/$need" ] || die "$only needs $out/${need%/finished}: run sh dev/sweep.sh $plan --prepare first"; done
    is_finished "$folder" "$kind" "$needs" "$commands" && { echo "$folder: finished before"; return; }
    run_job "$folder" "$kind" "$needs" "$commands" || die "$out/$folder did not finish: $(why "$folder")"
    echo "$folder$(said "$out/$folder")"
}

run_plan() {
    open_folder
    make_data
    do_jobs base reward trajectory ngram probe run
    collect
    for file in results probe ngram_curves; do [ ! -f "$out/$file.csv" ] || break; done
    printf '%s: %s/%s.csv\n' "$took" "$out" "$file"
    echo "now: make report PLAN=$title"
}

# ---------------------------------------------------------------------------------------------

read_plan
case $what in
    list)    print_list ;;
    slurm)   print_slurm ;;
    prepare) open_folder; make_data; do_jobs base reward trajectory ;;
    only)    run_only ;;
    run)     run_plan ;;
esac
