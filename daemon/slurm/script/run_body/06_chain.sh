# ---- The chain: with auto_resume.mode in_job, an attempt queues the next one itself ----

# The successor is queued at the start, for there may be no time for it at the end. It waits until this job has failed
# (afternotok) and then decides, as the daemon would, whether the chain goes on. Its claim and its name are those under
# which the daemon submits, so whoever comes second finds it.
#
# What is known of an attempt's end stands in its file `fate`: "<Slurm's state> <seconds>". WITHDRAWN is that of a
# successor that was cancelled because nothing was left for it to do.

resumes_after() { # STATE
    [[ " ${NEL_RESUME_ON[*]} " == *" $1 "* ]] || { [[ $1 == IDLE ]] && ((`count_idle` == 1)); }
}

# How many attempts were ended because nothing was done: another follows the first of them.
count_idle() {
    local n state count=0
    for ((n = NEL_BUDGET_FROM; n <= NEL_ATTEMPT; n++)); do
        peek "$NEL_JOB_DIR/.attempts/$n/fate" | read -r state _
        [[ ${state-} != IDLE ]] || ((++count))
        state=
    done
    printf '%d' "$count"
}

seconds_of() { # [DAYS-]HH:MM:SS
    local days=0 clock=$1 h m s
    [[ $clock != *-* ]] || days=${clock%%-*} clock=${clock#*-}
    IFS=: read -r h m s <<<"$clock"
    printf '%d' $((10#$days * 86400 + 10#$h * 3600 + 10#$m * 60 + 10#$s))
}

# Prints "<state> <seconds>" of an ended attempt: as slurmctld has it, or accounting, or, when neither knows any more,
# its stamps. Without an end of its own it was killed with its node. What the script itself has written counts where it
# knew better: it had finished before Slurm ended it, or ended itself because Slurm, or the budget, was about to.
find_fate() { # ATTEMPT
    local id state seconds own='' end='' dir=$NEL_JOB_DIR/.attempts/$1
    peek "$dir/job" | read -r id _ || return
    peek "$dir/fate" | read -r own _
    peek "$dir/ended" | tail -n 1 | read -r _ end
    ((`count_lines "$dir/started"` <= `count_lines "$dir/ended"`)) || end=
    ask_fate "$id" "$NEL_NAME_STEM.$1" | read -r state seconds
    if [[ -z $state ]]; then
        state=${own:-${end:+ENDED}} seconds=`stamped_s "$1"`
    fi
    case $state in
    TIMEOUT | PREEMPTED | NODE_FAIL | BOOT_FAIL | CANCELLED) [[ $end != 0 ]] || state=COMPLETED ;;
    FAILED) [[ $own != TIMEOUT && $own != PREEMPTED && $own != IDLE ]] || state=$own ;;
    ENDED) [[ $end == 0 ]] && state=COMPLETED || state=FAILED ;;
    esac
    printf '%s %d\n' "${state:-NODE_FAIL}" "$seconds"
}

# Prints what slurmctld, or accounting, says of a job's end: state and seconds. Fails when neither knows.
ask_fate() { # SLURM-ID NAME
    local text tries state ran
    for ((tries = 0; tries < 5; tries++)); do
        text=`scontrol --oneliner show job "$1" 2>/dev/null`
        if [[ $text != *" JobName=$2 "* || ! $text =~ \ JobState=([A-Z_]+).*\ RunTime=([0-9:-]+) ]]; then
            break
        fi
        state=${BASH_REMATCH[1]} ran=${BASH_REMATCH[2]}
        if [[ $state =~ ^($slurm_ends)$ ]]; then
            printf '%s %d\n' "$state" "`seconds_of "$ran"`"
            return
        fi
        sleep "$probe_interval_s"
    done
    # One line for each time that Slurm started it; the last one says how it ended.
    timeout 20 sacct --allocations --duplicates --noheader --parsable2 --jobs="$1" --format=JobName,State,ElapsedRaw \
        2>/dev/null | awk -F '|' -v name="$2" -v ends="^($slurm_ends)\$" '$1 == name { split($2, word, " "); sum += $3 } END {
            if (word[1] !~ ends) exit 1
            print word[1], sum }'
}

stamped_s() { # ATTEMPT [NUMBER OF ITS STARTS]
    local n start end starts=() ends=() sum=0 dir=$NEL_JOB_DIR/.attempts/$1
    peek "$dir/started" | mapfile -t starts
    peek "$dir/ended" | mapfile -t ends
    for ((n = 0; n < ${#starts[@]} && n < ${2:-1000}; n++)); do
        start=${starts[n]%% *}
        ((n < ${#ends[@]})) && end=${ends[n]%% *} || end=`stat -c %Y "$dir/alive"`
        ((sum += end - start))
    done
    printf '%d' "$sum"
}

# What the budget counts: all attempts up to this one, and all starts of this one.
used_s() { # [NUMBER OF THIS ATTEMPT'S STARTS]
    local n seconds stamped sum=0
    for ((n = NEL_BUDGET_FROM; n <= NEL_ATTEMPT; n++)); do
        seconds=0
        [[ ! -s $NEL_JOB_DIR/.attempts/$n/fate ]] || peek "$NEL_JOB_DIR/.attempts/$n/fate" | read -r _ seconds
        ((n < NEL_ATTEMPT)) && stamped=`stamped_s "$n"` || stamped=`stamped_s "$n" "$@"`
        ((sum += seconds > stamped ? seconds : stamped))
    done
    printf '%d' "$sum"
}

# How long the next attempt may run; 0: the budget has less than Slurm's shortest limit left. Slurm counts in minutes, and
# what the budget sets is rounded down.
granted_s() {
    local left=$((NEL_BUDGET_S - `used_s`))
    if ((NEL_BUDGET_S < 0 || left >= (NEL_WALLTIME_S + 59) / 60 * 60)); then
        printf '%d' "$NEL_WALLTIME_S"
    else
        printf '%d' $((left < 60 ? 0 : left / 60 * 60))
    fi
}

# What a successor does first. One that has nothing to do says so with exit code 4.
take_over() { # TIME-LIMIT
    local before=$((NEL_ATTEMPT - 1)) state='an unknown state' seconds=0 limit tries
    peek "$NEL_JOB_DIR/.attempts/$before/fate" | read -r state seconds
    resumes_after "$state" || stand_down "attempt $before ended with $state"
    limit=`granted_s`
    ((limit > 0)) || stand_down "the walltime budget has less than 60 s left"
    say "attempt $before ended with $state after $seconds s; this one may run $limit s"
    ((limit < $1)) || return 0
    for ((tries = 0; tries < 5; tries++)); do
        ! scontrol update JobId="$SLURM_JOB_ID" TimeLimit="$((limit / 60))" || return 0
        sleep "$probe_interval_s"
    done
    stand_down "its time limit cannot be lowered to $limit s"
}

stand_down() { # WHY
    say "nothing to do: $1"
    exit 4
}

# How many seconds the successor waits at least: attempts that the infrastructure ended within two minutes, several in a
# row, come slower and slower.
back_off_s() {
    local n state seconds delay=0
    for ((n = NEL_ATTEMPT - 1; n > 0; n--)); do
        peek "$NEL_JOB_DIR/.attempts/$n/fate" | read -r state seconds || break
        [[ $state != TIMEOUT && $state != WITHDRAWN && $seconds -lt 120 ]] || break
        delay=$((delay == 0 ? 30 : delay < 900 ? 2 * delay : 1800))
    done
    printf '%d' "$delay"
}

# A claim that is there already is the daemon's, or of an earlier start of this attempt. One whose sbatch failed stays:
# the daemon finds out what became of it.
queue_successor() {
    local next=$((NEL_ATTEMPT + 1)) limit delay answer claim
    claim=$NEL_JOB_DIR/.submitted/$next
    limit=`granted_s`
    ((limit > 0 && (NEL_MAX_ATTEMPTS == 0 || next <= NEL_MAX_ATTEMPTS))) || return 0
    successor_queued=1
    mkdir -p "${claim%/*}" && mkdir "$claim" 2>/dev/null || return 0
    delay=`back_off_s`
    if ! answer=`send_successor "$next" "$limit" "$delay"`; then
        say "warning: attempt $next could not be queued; the daemon will see to it. $answer"
    elif [[ $answer =~ ^([0-9]{1,20})(\;[^$'\n']*)?$ ]]; then
        printf '%s %(%s)T\n' "${BASH_REMATCH[1]}" -1 >"$claim/id.new" && sync "$claim/id.new" &&
            mv -f "$claim/id.new" "$claim/id"
        say "queued attempt $next as Slurm job ${BASH_REMATCH[1]}"
    else
        # Notes and numbers of a site's: none of them is certain to be the id. Slurm has it under its name.
        say "queued attempt $next; sbatch printed other than a job's id: $answer"
    fi
}

send_successor() { # ATTEMPT TIME-LIMIT DELAY
    local name options=()
    (($3 == 0)) || options=(--begin="now+$3")
    options+=(--dependency="afternotok:$SLURM_JOB_ID" --kill-on-invalid-dep=yes --job-name="$NEL_NAME_STEM.$1"
        --time="$(($2 / 60)):$(($2 % 60))")
    # It must not take this job's shape for its own.
    for name in "${!SLURM_@}" "${!SBATCH_@}"; do
        [[ $name == SLURM_CONF ]] || unset "$name"
    done
    cd "$NEL_JOB_DIR" && timeout -k 5 "$sbatch_timeout_s" sbatch --parsable "${options[@]}" run.sub "$1" "$2" </dev/null
}

# Does Slurm end the job, and why? It says so before it signals anybody, and whom it signals first is not known: steps may
# die before this script hears of it. Whether it is by somebody's scancel or for a dead node does not show before the job
# has ended, so the successor finds that out. When Slurm does not answer, the successor sees to that, too.
note_why() {
    local text
    text=`timeout 5 scontrol --oneliner show job "$SLURM_JOB_ID" 2>/dev/null`
    if [[ $text =~ \ PreemptTime=[0-9] ]]; then # in its time of grace it is still RUNNING
        note_fate PREEMPTED
    elif [[ $text == *' JobState=RUNNING '* ]]; then
        return 0
    elif [[ $text == *' Reason=TimeLimit '* ]]; then
        note_fate TIMEOUT
    elif [[ $text == *' JobState=NODE_FAIL '* ]]; then
        note_fate NODE_FAIL
    fi
    ended_by_slurm=1
    touch -h "$attempt_dir/alive"
}

note_fate() { # STATE
    fate=$1
    printf '%s %d\n' "$1" "`stamped_s "$NEL_ATTEMPT"`" | put "$attempt_dir/fate"
}

# At the end. When this attempt has ended by itself, or the budget is spent, nothing follows.
settle_chain() { # EXIT-CODE
    ((successor_queued)) || return 0
    touch -h "$attempt_dir/alive"
    if (($1 != 0)) && may_go_on && ((`granted_s` > 0)); then
        return 0
    fi
    withdraw_successor
}

may_go_on() {
    if ((idle && !ended_by_slurm && !out_of_time)); then
        resumes_after IDLE
    elif ((!ended_by_slurm && !out_of_time)) && ! resumes_after FAILED && ! resumes_after OUT_OF_MEMORY; then
        note_why
        ((ended_by_slurm))
    fi
}

# So that it never takes the nodes just to learn that there is nothing to do.
withdraw_successor() {
    local next=$((NEL_ATTEMPT + 1))
    mkdir -p "$NEL_JOB_DIR/.attempts/$next" && printf 'WITHDRAWN 0\n' | put "$NEL_JOB_DIR/.attempts/$next/fate"
    if timeout 20 scancel --user="`id -un`" --name="$NEL_NAME_STEM.$next"; then
        say "withdrew attempt $next"
    fi
}

# The chain's part of an attempt's start.
continue_chain() { # nothing, or as a successor: ATTEMPT TIME-LIMIT
    local fate dir=$NEL_JOB_DIR/.attempts/$((NEL_ATTEMPT - 1))
    [[ $NEL_RESUME_MODE == in_job ]] || return 0
    if [[ -d $dir ]] && fate=`find_fate "$((NEL_ATTEMPT - 1))"` && [[ -n $fate ]]; then
        printf '%s\n' "$fate" | put "$dir/fate"
    fi
    (($# < 2)) || take_over "$2"
    queue_successor
}
