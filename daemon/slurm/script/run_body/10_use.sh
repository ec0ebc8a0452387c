# ---- Use: what the GPUs and the servers do from when they are ready ----

# In the attempt's file `use`: "<samples> <sum of percents> <samples below 10 %> <still, s>". A percent is the mean over this
# job's GPUs on this node. Still is the time in which none of them worked and no server finished a request: where a server
# has no counter of those, the GPUs tell alone, and of several nodes nobody can tell.

start_watching_use() {
    stop_watching_use
    ((${#NEL_SERVER_NAME[@]} > 0)) || return 0
    if ! type -P nvidia-smi >/dev/null; then
        ((idle_limit_s == 0)) || say "warning: there is no nvidia-smi on this node, so execution.idle_limit has no effect"
        return 0
    fi
    watch_use </dev/null >/dev/null 2>&1 &
    use_pid=$!
}

stop_watching_use() {
    if [[ -n $use_pid ]]; then
        disown "$use_pid" 2>/dev/null
        kill -KILL "$use_pid" 2>/dev/null
        use_pid=
    fi
}

# In the background: takes samples, and tells the script when nothing was done for too long.
watch_use() {
    local now last gpus='' counts counts_before still_for_s=0 use=(0 0 0 0)
    peek "$attempt_dir/use" | read -r -a use # of an earlier start
    ((${#use[@]} == 4)) || use=(0 0 0 0)
    last=`now_s` counts_before=`count_finished`
    while kill -0 $$; do
        sleep "$use_interval_s"
        now=`now_s` counts=`count_finished`
        # After a time without a sample, as when Slurm had suspended the job, nobody knows what was.
        if ! gpus=`read_gpus` || ((now - last > 6 * use_interval_s)); then
            still_for_s=0
        else
            ((use[0] += 1, use[1] += ${gpus% *}, use[2] += ${gpus% *} < 10))
            if ((${gpus#* } < 10)) && [[ $counts == "$counts_before" ]] && { ((NEL_TOTAL_NODES == 1)) || [[ $counts != *-* ]]; }; then
                ((use[3] += now - last, still_for_s += now - last))
            else
                still_for_s=0
            fi
            printf '%d %d %d %d\n' "${use[@]}" | put "$attempt_dir/use"
        fi
        last=$now counts_before=$counts
        if ((idle_limit_s > 0 && still_for_s >= idle_limit_s)); then
            kill -USR2 $$
            still_for_s=$((idle_limit_s - stop_grace_s)) # the second time it is killed
        fi
    done
}

# Prints the mean and the greatest utilisation of this job's GPUs here, in percent. Fails when nobody says.
read_gpus() {
    local text row index percent rows=() sum=0 most=0 count=0
    text=`timeout "$probe_timeout_s" nvidia-smi --query-gpu=index,utilization.gpu --format=csv,noheader,nounits 2>/dev/null` || return
    mapfile -t rows <<<"${text//[ $'\r']/}"
    for row in "${rows[@]}"; do
        index=${row%%,*} percent=${row#*,}
        [[ $percent =~ ^[0-9]{1,3}$ ]] || continue # "[N/A]"
        # A node that is shared may show the GPUs of others, too.
        if ((${#rows[@]} > ${SLURM_GPUS_ON_NODE:-${#rows[@]}})) && [[ -n ${SLURM_JOB_GPUS-} ]]; then
            [[ ,$SLURM_JOB_GPUS, == *",$index,"* ]] || continue
        fi
        percent=$((10#$percent > 100 ? 100 : 10#$percent))
        ((++count, sum += percent, most = percent > most ? percent : most))
    done
    ((count > 0)) && printf '%d %d' $((sum / count)) "$most"
}

# Prints how many requests each instance of a server has finished, by vLLM's counter; "-" of one that has none.
count_finished() {
    local i
    for ((i = 0; i < ${#server_doors[@]}; i += 4)); do
        probe "http://${server_doors[i + 1]}:${server_doors[i + 2]}/metrics" | awk '
            /^vllm:request_success_total[{ ]/ && $NF ~ /^[0-9.e+]+$/ { sum += $NF; known = 1 }
            END { printf(known ? "%.0f " : "- ", sum) }'
    done
}

on_idle() { # from watch_use()
    ((!idle)) || killing=1
    ((idle)) || say "neither the GPUs nor the servers have done anything for $idle_limit_s s (execution.idle_limit): the evaluation is stopped"
    idle=1 terminated=1
}
