# rewarded.awk -- what one run on prompts came to: lines that begin with the file they belong to, or (-v header=1) the headers of these files.
#
#     awk -v folder= -v name= -v label= -v seed= -v options= -v known= -f dev/sweep/rewarded.awk config.txt eval.csv log.csv
#
# reward: of the test prompts, at the end, after a sixth of the steps, at its best, before training; right: the share of test prompts whose
# reward is full. sampled_reward: what training is rewarded for, the mean of the last ten steps; target_reward: of the target's responses. In
# curves these two are means over the steps since the evaluation before.

BEGIN {
    FS = ","
    if (header) print "results,name,label,method,group,options,seed,lr,steps,reward,right,early_reward,best_reward,best_step,base_reward,base_right,sampled_reward,target_reward,known_accuracy,folder,chosen"
    if (header) print "curves,name,seed,step,reward,right,sampled_reward,target_reward"
}
FNR == 1 { file++ }
file == 1 { value = $0; sub(/^[^ ]* /, "", value); sub(/ .*/, "", $1); config[$1] = value; next }
FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
file == 2 && $2 == "val" {
    if (first == "") { first = $1; best = $1 }
    reward[$1] = $3; right[$1] = $4; last = $1; evaluated[++evaluations] = $1
    if ($1 + 0 <= config["steps"] / 6) early = $1
    if ($3 + 0 > reward[best] + 0) best = $1
}
file == 3 { while (now <= evaluations && (now == 0 || $1 + 0 >= evaluated[now] + 0)) now++ }
file == 3 && $(column["reward"]) != "" { sampled[++samples] = $(column["reward"]); since[now, 1] += $(column["reward"]); count[now, 1]++ }
file == 3 && $(column["target_reward"]) != "" { aimed[++aims] = $(column["target_reward"]); since[now, 2] += $(column["target_reward"]); count[now, 2]++ }
function mean_since(k, which) { return count[k, which] ? sprintf("%.6g", since[k, which] / count[k, which]) : "" }
function mean_of_last(list, count,    i, n, sum) {
    for (i = count; i > 0 && n < 10; i--) { sum += list[i]; n++ }
    return n ? sprintf("%.6g", sum / n) : ""
}
END {
    if (header) exit
    method = config["method"]; plain = method ~ /^(target|full|mix)$/
    printf "results,%s,%s,%s,%s,%s,%s,%s,%s,", name, label, method, plain ? "" : config["group"], options, seed, config["lr"], config["steps"]
    printf "%s,%s,%s,%s,%s,%s,%s,", reward[last], right[last], reward[early], reward[best], best, reward[first], right[first]
    printf "%s,%s,%s,%s,1\n", mean_of_last(sampled, samples), mean_of_last(aimed, aims), known, folder
    for (i = 1; i <= evaluations; i++) {
        printf "curves,%s,%s,%s,%s,%s,%s,%s\n", name, seed, evaluated[i], reward[evaluated[i]], right[evaluated[i]], mean_since(i, 1), mean_since(i, 2)
    }
}
