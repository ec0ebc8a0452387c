# ---- Several jobs on one deployment: each in a shell of its own, after the one before it or beside others ----

# In the main shell NEL_JOB_DIR is the directory of the chain, shared.<k>. It has a record of each job in .jobs/<job>,
# where <job> is the name of the job's directory ("mmlu.0"):
#   .attempts/<n>/started, ended   a line each time that its evaluation begins and ends, as of an attempt
#   .attempts/<n>/results          the seal of its scores
#   end                            "<exit code> <started> <ended> <attempt> <ended or cancelled>"
#   cancel                         the daemon's: the job is to be ended, or never to be begun
# A job that has an end is not evaluated again in this chain.

readonly chain_dir=$NEL_JOB_DIR chain_attempt_dir=$attempt_dir
declare -A job_pids=() # of those that are being evaluated: their shells
declare -A asked_at=() # when they were asked to stop
job=                   # which one this shell evaluates; '' in the main shell
stop_asked=0           # the main shell wants its evaluation stopped
lost=                  # what is amiss with the servers
losses=0

# What a chain of one job does goes on below under the name plain_...
for name in start_step is_overtaken forward_term check_servers; do
    eval "plain_`declare -f "$name"`"
done

start_step() { # STEP-NAME LOG...
    [[ $1 != evaluation ]] || set -- "evaluation-${job##*.}" "${@:2}"
    plain_start_step "$@"
}

# It is the chain that has attempts.
is_overtaken() {
    local NEL_JOB_DIR=$chain_dir attempt_dir=$chain_attempt_dir
    plain_is_overtaken
}

# Slurm's SIGTERM has reached the steps when it has reached all; else the main shell passes it on.
forward_term() {
    if [[ -z $job ]]; then
        plain_forward_term
    else
        forwarded=1
        ((!stop_asked)) || signal_evaluation TERM
    fi
}

# In the main shell: all evaluations, by way of their shells.
signal_evaluation() { # SIGNAL
    local id name
    if [[ -z $job ]]; then
        for name in "${!job_pids[@]}"; do
            ask_to_stop "$name" "$1"
        done
        return
    fi
    timeout 5 squeue --noheader --steps --jobs="$SLURM_JOB_ID" --format='%i %j' | while read -r id name; do
        [[ $name != "evaluation-${job##*.}" ]] || timeout 5 scancel --signal="$1" "$id"
    done
}

ask_to_stop() { # JOB SIGNAL
    if [[ $2 == KILL ]]; then
        kill -ALRM "${job_pids[$1]}" 2>/dev/null
    elif [[ -z ${asked_at[$1]-} ]]; then
        asked_at[$1]=$SECONDS
        kill -USR1 "${job_pids[$1]}" 2>/dev/null
    elif ((SECONDS - asked_at[$1] > stop_grace_s)); then
        kill -ALRM "${job_pids[$1]}" 2>/dev/null
    fi
}

# Nobody waits for a server when the last job has been cancelled.
check_servers() {
    plain_check_servers
    end_if_nothing_is_left
}

end_if_nothing_is_left() {
    take_cancels
    ! is_anything_left || return 0
    say "nothing is left to do"
    exit 0
}

has_end() { # JOB
    [[ -f $chain_dir/.jobs/$1/end ]]
}

is_anything_left() {
    local name
    for name in "${NEL_JOBS[@]}"; do
        has_end "$name" || return 0
    done
    return 1
}

# Makes the records, and mends what an earlier start left that was killed.
prepare_jobs() {
    local name record
    for name in "${NEL_JOBS[@]}"; do
        record=$chain_dir/.jobs/$name/.attempts/$NEL_ATTEMPT
        mkdir -p "$record" || fail "cannot write to $chain_dir"
        forget_end "$name"
        if ((`count_lines "$record/started"` > `count_lines "$record/ended"`)); then
            printf '%s -1\n' "`peek "$chain_attempt_dir/ended" | tail -n 1 | cut -d ' ' -f 1`" | add "$record/ended"
        fi
        mend_job "$name"
    done
}

# Of a job that a person has resumed what was before does not count. The daemon asks again for a cancellation since.
forget_end() { # JOB
    local attempt record=$chain_dir/.jobs/$1 resumed_for=${NEL_RESUMED_FOR[$1]-0}
    ((resumed_for > 0)) || return 0
    peek "$record/end" | read -r _ _ _ attempt _
    ((${attempt:-0} >= resumed_for)) || rm -f "$record/end"
    ((NEL_ATTEMPT != resumed_for)) || [[ -e $record/end ]] || rm -f "$record/cancel"
}

mend_job() { # JOB
    local NEL_JOB_DIR=$chain_dir/.jobs/$1 artifacts=${chain_dir%/*}/$1/artifacts
    mend_artifacts
}

# Evaluations of an earlier attempt that may live on keep the artifacts that they have mounted.
part_jobs_from_the_past() {
    local name artifacts attempt_dir
    for name in "${NEL_JOBS[@]}"; do
        ! has_end "$name" || continue
        artifacts=${chain_dir%/*}/$name/artifacts attempt_dir=$chain_dir/.jobs/$name/.attempts/$NEL_ATTEMPT
        part_from_the_past
    done
}

# Returns when all jobs have ended, or no more can be done in this attempt.
run_jobs() {
    while :; do
        end_jobs
        take_cancels
        ((terminated)) || find_lost_servers
        if ((terminated)); then
            ((forwarded)) || forward_term
            ((!killing && !overtaken)) || signal_evaluation KILL
        elif [[ -n $lost ]]; then
            recover_servers
        else
            start_jobs
        fi
        ((${#job_pids[@]} > 0)) || ((!terminated)) || break
        is_anything_left || ((${#job_pids[@]} > 0)) || break
        nap
    done
    ! is_anything_left || return 143
}

nap() {
    sleep "$probe_interval_s" &
    wait $!
}

start_jobs() {
    local name
    for name in "${NEL_JOBS[@]}"; do
        ((${#job_pids[@]} < NEL_AT_ONCE)) || break
        [[ -z ${job_pids[$name]-} ]] || continue
        ! has_end "$name" || continue
        say "starting $name ($name/logs/slurm-$SLURM_JOB_ID.log)"
        run_job "$name" </dev/null >>"${chain_dir%/*}/$name/logs/slurm-$SLURM_JOB_ID.log" 2>&1 &
        job_pids[$name]=$!
        unset -v "asked_at[$name]"
    done
}

# The shells that have ended.
end_jobs() {
    local name status
    for name in "${!job_pids[@]}"; do
        ! kill -0 "${job_pids[$name]}" 2>/dev/null || continue
        reap "${job_pids[$name]}"
        status=$?
        ((!code_lost)) || ! is_sealed "$name" || status=0
        unset -v "job_pids[$name]"
        say "$name ended with exit code $status"
        is_overtaken || end_job "$name" "$status"
    done
}

# Only a job that ends with 0 has this, and each start removes it.
is_sealed() { # JOB
    [[ -s $chain_dir/.jobs/$1/.attempts/$NEL_ATTEMPT/results ]]
}

# Has the job ended, or was it its attempt that ended, or a server of its?
end_job() { # JOB EXIT-CODE
    local attempt_dir=$chain_dir/.jobs/$1/.attempts/$NEL_ATTEMPT absence
    printf '%(%s)T %d\n' -1 "$2" | add "$attempt_dir/ended"
    if (($2 == 0)); then
        note_end "$1" 0 ended
    elif [[ -e $chain_dir/.jobs/$1/cancel ]]; then
        note_end "$1" "$2" cancelled
    elif ((!terminated)) && [[ -z $lost ]] && ! is_being_ended; then
        absence=`find_absence`
        if [[ -n $absence ]]; then
            lost=$absence
        else
            note_end "$1" "$2" ended
        fi
    fi
}

note_end() { # JOB EXIT-CODE WHY
    local started record=$chain_dir/.jobs/$1 now
    now=`now_s`
    peek "$record/.attempts/$NEL_ATTEMPT/started" | tail -n 1 | read -r started
    printf '%d %d %d %d %s\n' "$2" "${started:-$now}" "$now" "$NEL_ATTEMPT" "$3" | put "$record/end" ||
        fail "cannot write to $record"
}

# Slurm may end the steps before this script hears of it.
is_being_ended() {
    local text
    text=`timeout 5 scontrol --oneliner show job "$SLURM_JOB_ID" 2>/dev/null`
    [[ $text =~ \ PreemptTime=[0-9] || ($text == *' JobState='* && $text != *' JobState=RUNNING '*) ]] || return
    terminated=1
    note_why
}

take_cancels() {
    local name
    for name in "${NEL_JOBS[@]}"; do
        [[ -e $chain_dir/.jobs/$name/cancel ]] || continue
        ! has_end "$name" || continue
        if [[ -n ${job_pids[$name]-} ]]; then
            ask_to_stop "$name" TERM
        else
            say "$name is cancelled"
            note_end "$name" 143 cancelled
        fi
    done
}

find_lost_servers() {
    local i
    [[ -z $lost ]] || return 0
    for i in "${!server_pids[@]}"; do
        if ! kill -0 "${server_pids[i]}" 2>/dev/null && ! is_being_ended; then
            lost="${server_logs[i]} ends with: `last_words "${server_logs[i]}"`"
            return
        fi
    done
}

# Once in an attempt: all servers are started again, and the jobs go on where they were.
recover_servers() {
    ((++losses == 1)) && say "a server is lost, and all are started again: $lost"
    while ((${#job_pids[@]} > 0)); do
        signal_evaluation TERM
        nap
        end_jobs
    done
    ((!terminated)) || return 0
    ((losses == 1)) || fail "a server was lost for the second time: $lost"
    stop_watching_use
    stop_servers
    lost=
    ! is_anything_left || start_servers
}

# The shell of a job.
run_job() { # JOB
    local status directory
    job=$1
    trap leave_job EXIT
    trap on_term TERM
    trap 'terminated=1 killing=1' ALRM
    trap 'terminated=1 stop_asked=1 forwarded=0' USR1
    "take_data_${job##*.}"
    artifacts=$NEL_JOB_DIR/artifacts logs=${NEL_JOB_DIR//%/%%}/logs export_dir=$NEL_JOB_DIR/.export
    interrupted_marker=$artifacts/.nemo_evaluator_interrupted
    attempt_dir=$chain_dir/.jobs/$job/.attempts/$NEL_ATTEMPT
    for directory in "$NEL_JOB_DIR" "$artifacts" "$NEL_JOB_DIR/logs"; do
        (enter "$directory") || fail "$directory is no directory of this job's: it is missing, or reached by a symbolic link"
    done
    printf '%(%s)T\n' -1 | add "$attempt_dir/started" || fail "cannot write to $attempt_dir"
    rm -f "$attempt_dir/results" # of an earlier start
    say "evaluation $NEL_EVALUATION, job $NEL_JOB_INDEX ($NEL_TASK), attempt $NEL_ATTEMPT, Slurm job $SLURM_JOB_ID"
    check_runtime_variables
    choose_adapter_port
    run_evaluation
    status=$?
    ((status != 0)) || submit_due_export
    exit "$status"
}

leave_job() {
    local status=$?
    ((BASHPID != $$)) || return "$status"
    trap '' TERM USR1 ALRM
    stop_watching
    say "ended with exit code $status"
    [[ -z $failure ]] || say "gave up: $failure" # remote_collect.sh looks for this last line
    exit "$status"
}
