# ---- The attempt: who runs it, and for how long ----

# Two Slurm jobs must never work on one attempt (a submission whose reply was lost may have been repeated). The claim
# appears with its content, and once only, on network file systems too, because it is a hard link.
claim_attempt() {
    local claim=$attempt_dir/job owner=
    : "${SLURM_JOB_ID:?run.sub is started by sbatch}"
    mkdir -p "$attempt_dir" || fail "cannot write to $attempt_dir"
    mend_artifacts
    check_directories
    printf '%s\n' "$SLURM_JOB_ID" | put "$claim.$SLURM_JOB_ID" || fail "cannot write to $attempt_dir"
    ln "$claim.$SLURM_JOB_ID" "$claim" 2>/dev/null
    rm -f "$claim.$SLURM_JOB_ID"
    peek "$claim" | read -r owner _ || fail "cannot claim $attempt_dir"
    if [[ $owner != "$SLURM_JOB_ID" ]]; then
        say "attempt $NEL_ATTEMPT belongs to Slurm job $owner; this job, $SLURM_JOB_ID, has nothing to do"
        exit 3
    fi
}

count_lines() { # FILE
    peek "$1" | wc -l
}

# Stamps say how long the attempt ran where Slurm keeps no accounting: line n of `started` ("epoch") belongs to line n
# of `ended` ("epoch exit_code"). A start that was killed before it wrote its end lasted until `alive` was last touched;
# the next start, when Slurm requeues the job, writes that end with the exit code -1.
stamp_start() {
    if ((`count_lines "$attempt_dir/started"` > `count_lines "$attempt_dir/ended"`)); then
        unended=1
        printf '%s -1\n' "`stat -c %Y "$attempt_dir/alive"`" | add "$attempt_dir/ended"
    fi
    rm -f "$attempt_dir/fate" "$attempt_dir/results" # of an earlier start
    printf 'x' | put "$attempt_dir/alive"
    started_at=$((`now_s` - `ran_s || printf 0`))
    printf '%d\n' "$started_at" | add "$attempt_dir/started" || fail "cannot write to $attempt_dir"
    start_line=`count_lines "$attempt_dir/started"`
    ((${#NEL_SERVER_NAME[@]} == 0)) || printf '%d 0\n' "$start_line" | add "$attempt_dir/ready"
}

# What came before, from the start that `started` has in that line, was the servers' start-up. One that has servers and
# never gets here has the epoch 0 there.
stamp_ready() {
    ((${#NEL_SERVER_NAME[@]} == 0)) || printf '%d %d\n' "$start_line" "`now_s`" | add "$attempt_dir/ready"
}

now_s() {
    printf '%(%s)T' -1
}

# How long this job has run as Slurm counts: from before this script began, and without the time that it was suspended.
ran_s() {
    local text
    text=`timeout 5 scontrol --oneliner show job "$SLURM_JOB_ID" 2>/dev/null`
    if [[ $text =~ \ RunTime=([0-9:-]+) ]]; then
        seconds_of "${BASH_REMATCH[1]}"
    elif [[ ${SLURM_JOB_START_TIME-} =~ ^[0-9]{10,12}$ && -z $started_at ]]; then
        printf '%d' $((`now_s` - SLURM_JOB_START_TIME))
    else
        return 1
    fi
}
