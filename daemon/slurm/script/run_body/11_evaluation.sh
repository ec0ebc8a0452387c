# ---- Evaluation ----

# The evaluator's config with what is known only now: the addresses of the auxiliaries in place of ${JUDGE_CHAT_URL}, and
# the ports. Only those names are replaced.
write_evaluator_config() {
    local text variable
    text=`peek "$NEL_JOB_DIR/config_ef.yaml"` || fail "cannot read $NEL_JOB_DIR/config_ef.yaml"
    for variable in "${evaluation_env[@]}"; do
        text=${text//"\${${variable%%=*}}"/"${variable#*=}"}
    done
    fill_in "$text"
    (enter "$artifacts" && printf '%s\n' "$filled" | put config_ef.yaml) || fail "cannot write to $artifacts"
}

has_variable() { # CONSUMER NAME
    local i
    for ((i = 0; i < ${#NEL_ENVIRONMENT[@]}; i += 4)); do
        [[ ${NEL_ENVIRONMENT[i]} != "$1" || ${NEL_ENVIRONMENT[i + 1]} != "$2" ]] || return 0
    done
    return 1
}

run_evaluation() { # returns the exit code of the evaluation
    local options status pre_command evaluation_pid absence what=evaluation
    ! is_conversion || what=conversion
    rm -rf "$interrupted_marker" "$export_dir" "$artifacts/export.tsv" # of an earlier attempt
    if is_conversion; then
        ! is_converted || return 0
        begin_conversion
    else
        write_evaluator_config
    fi
    if [[ -n $NEL_GPU_VISIBLE ]]; then
        evaluation_env+=("NVIDIA_VISIBLE_DEVICES=$NEL_GPU_VISIBLE")
    elif ! has_variable evaluation NVIDIA_VISIBLE_DEVICES; then
        evaluation_env+=(NVIDIA_VISIBLE_DEVICES=void) # the GPUs are the servers'
    fi
    options=(--nodelist="$PRIMARY_NODE" --nodes=1 --ntasks=1 --container-image="$NEL_EVALUATION_IMAGE"
        --container-mounts="$NEL_EVALUATION_MOUNTS")
    [[ $NEL_EVALUATION_MOUNT_HOME == yes ]] || options+=(--no-container-mount-home)
    fill_in "$NEL_PRE_CMD"
    pre_command=$filled
    fill_in "$NEL_POST_CMD"
    if is_conversion; then
        in_container convert "$pre_command"
    else
        in_container evaluate "$pre_command" "$filled"
    fi
    ((!terminated)) || return 143
    check_mounts "$NEL_EVALUATION_MOUNTS"
    say "starting the $what (logs/client-$SLURM_JOB_ID.log)"
    start_step evaluation client-%A.log evaluation "${#evaluation_env[@]}" "${evaluation_env[@]}" \
        "${options[@]}" "${container_command[@]}"
    evaluation_pid=$!
    rm -f "$attempt_dir/away" # of an earlier start
    watch_evaluation </dev/null >/dev/null 2>&1 &
    watch_pid=$!
    wait_for_evaluation "$evaluation_pid"
    status=$?
    stop_watching
    note_total
    if has_finished_unseen; then
        say "the $what ended with an exit code that bash has lost, and its scores are there"
        status=0
    else
        say "the $what ended with exit code $status"
    fi
    ((status == 0 || terminated)) || tell_dead_servers
    if ((status == 0)) && ! has_finished || [[ -e $interrupted_marker ]]; then
        say "it was interrupted and is not finished"
        status=143
    fi
    ! is_overtaken || return 143
    if ((status == 0)) && absence=`find_absence` && [[ -n $absence ]]; then
        ((!terminated)) || return 143 # they have been told to end as well
        fail "a server was away while the evaluation ran, so its scores do not count: $absence"
    fi
    if ((status == 0)) && is_conversion; then
        keep_converted
    elif ((status == 0)); then
        seal_results
    fi
    return "$status"
}

# How many requests the evaluator has to make, as the bar of its progress says, in the attempt's file `total`. Bars are
# tqdm's: lm-evaluation-harness's "Requesting API:  40%|####      | 400/1000 [01:00<01:30, 6.7it/s]"; nemo-evaluator's own
# loop logs "Evaluation progress ... total=1000". A bar without a name may be of anything, and counts where there is no
# other. slurmstepd hands on whole lines, or a KiB, so the first bar takes a while.
note_total() {
    local found='' log=$NEL_JOB_DIR/logs/client-$SLURM_JOB_ID.log
    local bar='[0-9]+%\|[^|]*\| *[0-9]+/([0-9]{1,12}) \[.*'
    [[ -f $log && ! -L $log ]] || return 0
    tail -c "$total_bytes" -- "$log" 2>/dev/null | tr '\r' '\n' | LC_ALL=C sed -n -E \
        -e 's/\x1b\[[0-9;]*m//g' -e "s#^ *$bar#1 \\1#p" \
        -e "s#^.*(Requesting API|Running [a-z_]+ requests|Chat completions|Completions|Embeddings): +$bar#2 \\2#p" \
        -e 's#^.*Evaluation progress.*[ {"]total"?[=:] ?([0-9]{1,12})([^0-9].*)?$#2 \1#p' | sort -s -n -k 1,1 | tail -n 1 |
        read -r found
    [[ -n $found && $found != "$noted_total" && ${found%% *} -ge ${noted_total%% *} ]] || return 0
    noted_total=$found
    printf '%s\n' "${found#* }" | put "$attempt_dir/total"
}

# srun ends with 0, too, when Slurm has lost its node, and what ran there runs on (seen with Slurm 22.05). One that was told to
# stop has finished nevertheless when its scores are there.
has_finished() {
    local text
    if ((!terminated)); then
        text=`timeout 5 scontrol --oneliner show job "$SLURM_JOB_ID" 2>/dev/null`
        [[ $text == *' JobState='* && $text != *' JobState=RUNNING '* ]] || return 0
        note_why
    fi
    ((!ended_by_slurm)) || [[ $fate == TIMEOUT || $fate == PREEMPTED ]] || return 1
    [[ $artifacts/results.yml -nt $attempt_dir/started ]]
}

# One whose exit code is lost (reap()), and which was not killed, has finished when it came to write its scores.
has_finished_unseen() {
    ! is_conversion && ((code_lost && !killing && !overtaken)) && [[ $artifacts/results.yml -nt $attempt_dir/started ]]
}

# What the finished evaluation left as its scores, in the attempt's file `results`: "<sha256> <bytes> <modified, epoch>",
# or "none 0 0". No attempt that failed has one. Scores that were written by somebody else, or later, differ from it.
seal_results() {
    local hash='' size=0 modified=0
    (
        enter "$artifacts" && [[ -f results.yml && ! -L results.yml ]] &&
            hash=`dd if=results.yml iflag=nofollow,nonblock bs=1M count="$sealed_mib_max" status=none | sha256sum` &&
            stat -c "${hash%% *} %s %Y" results.yml
    ) | read -r hash size modified
    printf '%s %d %d\n' "${hash:-none}" "$size" "$modified" | put "$attempt_dir/results" ||
        say "warning: cannot write to $attempt_dir"
}

# `wait` returns early, with the number of a signal, when a trap has run.
wait_for_evaluation() { # PID
    local status
    while :; do
        ((!terminated || forwarded)) || forward_term
        ((!killing && !overtaken)) || kill_evaluation "$1"
        wait "$1"
        status=$?
        kill -0 "$1" 2>/dev/null || break
    done
    reap "$1" "$status"
}

# The exit code of a child that is there no more. When a trap runs in the very instant in which a child ends, bash (5.2) loses
# its exit code, has it listed as running, and a `wait` for it would never return: then it is 143, for it was being stopped.
reap() { # PID [EXIT-CODE THAT `wait` GAVE]
    local code tries
    code_lost=0
    if jobs -rp | grep -qx -- "$1"; then
        code_lost=1
        return 143
    fi
    for ((tries = 0; tries < 20; tries++)); do
        code=0
        wait "$1" 2>/dev/null || code=$?
        ((code == 138 || code == 140 || code == 142)) || break # a trap has run just now: USR1, USR2 or ALRM
    done
    ((code != 127)) || code=${2-143} # bash has forgotten it
    return "$code"
}

on_term() {
    terminated=1
    say "SIGTERM"
    note_why
}

# When Slurm ends a job (time limit, preemption, scancel) it signals all processes of all steps, the heartbeat too, and
# the evaluation saves its state. A SIGTERM for this shell alone (--signal=B:TERM@60, scancel --batch) is passed on, and
# so is the end of the budget. Not to srun, which would kill the step at once (seen with Slurm 22.05).
forward_term() {
    forwarded=1
    sleep 1
    ! kill -0 "$heartbeat_pid" 2>/dev/null || signal_evaluation TERM
}

signal_evaluation() { # SIGNAL
    local id name
    timeout 5 squeue --noheader --steps --jobs="$SLURM_JOB_ID" --format='%i %j' | while read -r id name; do
        [[ $name != evaluation ]] || timeout 5 scancel --signal="$1" "$id"
    done
}

kill_evaluation() { # PID
    say "the evaluation is killed"
    signal_evaluation KILL
    kill -KILL "$1" 2>/dev/null
}

# Inside the container of the evaluation. pre_cmd, the evaluator and post_cmd share a shell, so that what pre_cmd exports
# counts. post_cmd runs whatever happens before it, even if pre_cmd calls exit or sets an EXIT trap of its own.
evaluate() { # PRE-COMMAND POST-COMMAND
    local evaluator=eval-factory config=config_ef.yaml
    nel_post_command=$2
    # shellcheck disable=SC2317 # called by a trap
    nel_finish() {
        local status=$?
        set +e
        # shellcheck source=/dev/null
        source <(printf '%s\n' "$nel_post_command")
        exit "$status"
    }
    trap : TERM # Slurm signals every process of a step: this shell has to outlive the evaluator
    trap nel_finish EXIT
    # In the working directory, as the launcher puts it, pre_cmd may change it. An image whose root is read-only has none;
    # without commands nobody looks there, and two evaluations may share a directory that is mounted over it.
    [[ -n $1$2 ]] && cp -f /results/config_ef.yaml "$config" 2>/dev/null || config=/results/config_ef.yaml
    # shellcheck source=/dev/null
    source <(printf '%s\n' "$1") || exit
    [[ `trap -p EXIT` != *nel_finish* ]] || trap - EXIT
    ! command -v nemo-evaluator >/dev/null 2>&1 || evaluator=nemo-evaluator
    (
        trap : TERM
        trap nel_finish EXIT
        "$evaluator" run_eval --run_config "$config"
        exit
    )
}
