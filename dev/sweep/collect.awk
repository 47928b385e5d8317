# collect.awk -- from the lines of run.awk, one of the files that tell of all runs. Read twice: which learning rate of each name, m and
# seed has the lowest loss on val.bin must be known first. Curves and compositions are those of the chosen runs.
#
#     awk -v want=results|curves|composition|times -f dev/sweep/collect.awk LINES LINES

BEGIN {
    FS = ","
    header["results"] = "name,label,method,group,options,m,seed,lr,steps,tokens,test_loss,accuracy,exact,best_test_loss,best_step,best_accuracy,best_exact," \
        "best_general_loss,general_loss,general_accuracy,target_loss,choice_loss,base_test_loss,base_accuracy,base_exact,base_general_loss,folder,chosen"
    header["curves"] = "name,m,seed,step,test_loss,general_loss,target_loss,tokens"
    header["composition"] = "name,m,seed,step,domain,mass"
    header["times"] = "folder,fastest_step_ms,seconds"
}
NR == FNR && $1 == "results" {
    key = $3 "," $8 "," $9; loss = $24 ~ /^[0-9]/ ? $24 + 0 : 1e30 # nan
    if (!(key in best) || loss < lowest[key]) { best[key] = $2; lowest[key] = loss }
}
NR == FNR { if ($1 == want) some = 1; next }
FNR == 1 { for (key in best) chosen[best[key]]; if (some) print header[want] }
$1 != want { next }
{ folder = $2; row = substr($0, length($1) + length($2) + 3) }
want == "results" { print row "," (folder in chosen ? 1 : 0); next }
want == "times" || folder in chosen { print row }
