# rewarded.awk -- what one run on prompts came to: its row of results.csv, or (-v header=1) the header of that file.
#
#     awk -v folder= -v name= -v label= -v seed= -v options= -v known= -f dev/sweep/rewarded.awk config.txt eval.csv log.csv
#
# reward: of the test prompts, at the end, after a sixth of the steps, at its best, before training; right: the share of test prompts whose
# reward is full. sampled_reward: what training is rewarded for, the mean of the last ten steps; target_reward: of the target's responses.

BEGIN {
    FS = ","
    if (header) print "name,label,method,group,options,seed,lr,steps,reward,right,early_reward,best_reward,best_step,base_reward,base_right,sampled_reward,target_reward,known_accuracy,folder,chosen"
}
FNR == 1 { file++ }
file == 1 { value = $0; sub(/^[^ ]* /, "", value); sub(/ .*/, "", $1); config[$1] = value; next }
FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
file == 2 && $2 == "val" {
    if (first == "") { first = $1; best = $1 }
    reward[$1] = $3; right[$1] = $4; last = $1
    if ($1 + 0 <= config["steps"] / 6) early = $1
    if ($3 + 0 > reward[best] + 0) best = $1
}
file == 3 && $(column["reward"]) != "" { sampled[++samples] = $(column["reward"]) }
file == 3 && $(column["target_reward"]) != "" { aimed[++aims] = $(column["target_reward"]) }
function mean_of_last(list, count,    i, n, sum) {
    for (i = count; i > 0 && n < 10; i--) { sum += list[i]; n++ }
    return n ? sprintf("%.6g", sum / n) : ""
}
END {
    if (header) exit
    method = config["method"]; plain = method ~ /^(target|full|mix)$/
    printf "%s,%s,%s,%s,%s,%s,%s,%s,", name, label, method, plain ? "" : config["group"], options, seed, config["lr"], config["steps"]
    printf "%s,%s,%s,%s,%s,%s,%s,", reward[last], right[last], reward[early], reward[best], best, reward[first], right[first]
    printf "%s,%s,%s,%s,1\n", mean_of_last(sampled, samples), mean_of_last(aimed, aims), known, folder
}
