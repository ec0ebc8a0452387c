#!/bin/bash
# Puts the files of a run directory in place and submits its jobs, each exactly once however often this is repeated.
#
# Before sbatch is called, a directory <job>/.submitted/<attempt> is made: the claim (mkdir is atomic, on NFS too). Once
# sbatch has answered, the job id is written into it: the marker. A marker answers every repeat. A claim without a
# marker means that an earlier try may have reached slurmctld: then squeue and sacct are asked for the attempt's unique
# name, and only when both answered without it, and the claim is old enough for an sbatch on its way to have arrived,
# is sbatch called again.
#
# A task whose checkpoints have one of the fingerprints in NEL_TASK_REUSE is not submitted: the scores of an equal job stand
# for its own. Its claim, with the fingerprint in it, keeps any other try from calling sbatch.

# A cut connection must not stop this between sbatch and the marker.
trap '' HUP PIPE
set -o pipefail

claim_grace_s=60
lock_wait_s=20
sbatch_s=300   # longer than it tries to reach slurmctld by itself
said_max=65536 # bytes of an output of sbatch
user=$(id -un)
host=$(uname -n)
results=()       # per task: the rest of its record
accepted_ids=()  # per task, when accepted
accepted_at=()
accepted_limits=() # seconds, where they are known
accepted_whys=()   # how they were chosen (execution.walltime: auto)
stopped=         # why no further sbatch is called in this run
stopped_outcome= # and what that means for the tasks it was not called for
unpacked=        # where the files came into being
fingerprint=unknown # of the checkpoints; "unknown" until it is taken
questions_asked= # squeue and sacct have been asked for names
declare -A found_ids=() found_at=()

# fail() with the kind that fits what a file command said.
fail_files() {
    case $2 in
    *'No space left'* | *'quota exceeded'*) fail busy "$1: $2" ;;
    esac
    ! is_away "$2" || fail remote "$1: $2"
    fail invalid "$1: $2"
}

at_exit() {
    end_guard
    [[ -z $unpacked ]] || rm -rf -- "$unpacked"
}

# The directories above are the account's usual ones; the run directory is its own alone. Its name has been told, and
# whoever may write to the directory above can have made something of that name: a script of his would run as this
# account. So one that is there has to be what an earlier try has made. From here on it is the working directory, whatever
# its name comes to mean.
make_rundir() {
    local message owner mode parent=${NEL_RUNDIR%/*}
    message=$( (umask "$NEL_UMASK" && mkdir -p -- "${parent:-/}") 2>&1) ||
        fail_files "cannot make the output directory $parent on $host as $user" "${message##*: }"
    message=$(mkdir -- "$NEL_RUNDIR" 2>&1) || [[ -d $NEL_RUNDIR ]] ||
        fail_files "cannot make a directory in $parent on $host as $user" "${message##*: }"
    cd -P -- "$NEL_RUNDIR" 2>/dev/null || refuse_rundir "$user cannot enter it"
    [[ $(readlink /proc/self/cwd) == */"${NEL_RUNDIR##*/}" ]] || refuse_rundir 'it is a symbolic link'
    read -r owner mode < <(stat -c '%u %a' .)
    [[ $owner == "$UID" ]] || refuse_rundir "its owner is not $user"
    ((!(8#$mode & 8#22))) || refuse_rundir 'others may write to it'
    is_ours || make_ours || is_ours || refuse_rundir 'it is not the one that was made for this evaluation'
    message=$({ : >>.lock; } 2>&1) || fail_files "cannot write to $NEL_RUNDIR on $host as $user" "${message##*: }"
    exec 9>>.lock
}

refuse_rundir() { # WHY
    fail invalid "the run directory $NEL_RUNDIR on $host is there already, and is not used: $1"
}

# The claim in the run directory is its own name, which no other directory of the account's can have within.
is_ours() {
    local claim=''
    [[ -f .claim && ! -L .claim ]] && read -r -n 400 claim <.claim
    [[ $claim == "${NEL_RUNDIR##*/}" ]]
}

# A try that ended right after mkdir has left it empty.
make_ours() {
    local message
    [[ -z $(find . -mindepth 1 ! -name '.claim.??????' -print -quit) ]] || return 1
    message=$({
        new=$(mktemp .claim.XXXXXX) && printf '%s\n' "${NEL_RUNDIR##*/}" >"$new" && mv -f -T -- "$new" .claim
    } 2>&1) || fail_files "cannot write to $NEL_RUNDIR on $host as $user" "${message##*: }"
}

# Where the file system has no locks, the claims alone decide. sbatch inherits the lock: it is held until the last
# sbatch has ended, even when this script was killed.
take_lock() {
    flock -w "$lock_wait_s" -E 75 9 2>/dev/null
    if (($? == 75)); then
        fail busy "an earlier submission of $NEL_RUNDIR is still at work"
    fi
}

# The files come into being aside and are then renamed into place: an earlier try's job may be reading them, and a full
# disk must not take away what is there.
unpack() {
    local message rest new what="cannot write the files of $NEL_RUNDIR on $host as $user"
    find . -maxdepth 1 -name '.unpack.*' -mmin +10 -exec rm -rf {} + 2>/dev/null
    new=$(mktemp -d ./.unpack.XXXXXX 2>&1) || fail_files "$what" "${new##*: }"
    unpacked=$new
    message=$(
        head -c "$NEL_TAR_SIZE" 2>/dev/null | tar -x -p -m --no-same-owner -f - -C "$new" 2>&1
        exit "${PIPESTATUS[1]}"
    ) || {
        [[ $message =~ (No space left on device|[Qq]uota exceeded) ]] && message=${BASH_REMATCH[1]}
        fail_files "$what" "$message"
    }
    rest=$(tail -c 11)
    [[ $rest == $'\n.complete' ]] || fail remote 'the run directory arrived incomplete'
    for rest in "$new"/*; do
        mv -T -f -- "$rest" "./${rest##*/}" 2>/dev/null && continue
        message=$(merge "$rest" "./${rest##*/}" 2>&1) || fail_files "$what" "${message##*: }"
    done
}

# Moves the files of a directory into one that is there already.
merge() { # FROM TO
    local path
    (cd -- "$1" && find . -type d -print0) | (cd -- "$2" && xargs -0 mkdir -p --) || return 1
    while IFS= read -r -d '' path; do
        mv -T -f -- "$1/$path" "$2/$path" || return 1
    done < <(cd -- "$1" && find . -type f -print0)
}

# result TASK OUTCOME TEXT
result() {
    results[$1]="$2|$(one_line "$3")"
}

accept() { # TASK ID EPOCH
    accepted_ids[$1]=$2
    accepted_at[$1]=$3
    read_chosen "$1"
}

# Reads "<id> <epoch>" from a file into id and at.
read_id() {
    id='' at=''
    [[ -f $1 && -s $1 ]] || return 1
    read -r -n 64 id at _ <"$1"
    [[ $id =~ ^[0-9]{1,20}$ ]] || return 1
    [[ $at =~ ^[0-9]{1,12}$ ]] || at=0
}

# Written whole or not at all. Without it (a full disk) the claim stands, and a repeat finds the job by its name.
write_marker() { # CLAIM ID EPOCH
    {
        printf '%s %s\n' "$2" "$3" >"$1/id.new" && sync "$1/id.new"
        mv -f -- "$1/id.new" "$1/id"
    } 2>/dev/null
}

# What was chosen for an attempt before sbatch was called for it.
read_chosen() { # TASK
    local minutes='' why=''
    [[ -n ${NEL_TASK_WALLTIMES[$1]} ]] || return 0
    IFS='|' read -r -n 1000 minutes why <"./${NEL_TASK_DIRS[$1]}/.submitted/${NEL_TASK_NUMBERS[$1]}/walltime"
    [[ $minutes =~ ^[0-9]{1,6}$ ]] || return 0
    accepted_limits[$1]=$((minutes * 60)) accepted_whys[$1]=$why
} 2>/dev/null

# Asks squeue and sacct once for all names of this run. 0: both answered, or there is no accounting to ask.
ask_by_name() {
    if [[ -z $questions_asked ]]; then
        questions_asked=failed
        local rows names=()
        rows=$(ask squeue --noheader --states=all --user="$user" --format='q|%i|%V|%j') || return 1
        note_rows "$rows" q
        # A name with a comma cannot be asked for; then the answer has all of the account's jobs.
        [[ ${NEL_TASK_NAMES[*]} == *,* ]] || names=(--name="$(IFS=, && printf '%s' "${NEL_TASK_NAMES[*]}")")
        if rows=$(ask sacct --allocations --duplicates --noheader --parsable2 --user="$user" ${names[@]+"${names[@]}"} \
            --starttime=now-30days --format=JobID,Submit,JobName); then
            note_rows "$rows" ''
        elif [[ $rows != *'accounting storage is disabled'* ]]; then
            return 1
        fi
        questions_asked=answered
    fi
    [[ $questions_asked == answered ]]
}

# Notes rows of id|submit time|name under their names; of several the latest.
note_rows() { # ROWS PREFIX
    local line id at name
    while IFS= read -r line; do
        [[ -z $2 ]] || [[ $line == "$2|"* ]] || continue
        line=${line#"${2:+$2|}"}
        id=${line%%|*} line=${line#*|}
        at=${line%%|*} name=${line#*|}
        id=${id%%[!0-9]*}
        [[ -n $id && $at =~ ^[0-9]{1,12}$ ]] || continue
        if ((at >= ${found_at[$name]:-0})); then
            found_ids[$name]=$id found_at[$name]=$at
        fi
    done < <(printf '%s\n' "$1")
}

# Has this attempt been submitted already, as far as its files and Slurm can say? 0: yes, and it is accepted.
adopt() { # TASK
    local dir=./${NEL_TASK_DIRS[$1]} number=${NEL_TASK_NUMBERS[$1]} name=${NEL_TASK_NAMES[$1]}
    local id at
    if ! read_id "$dir/.attempts/$number/job"; then
        ask_by_name
        [[ -n ${found_ids[$name]-} ]] || return 1
        id=${found_ids[$name]} at=${found_at[$name]}
    fi
    mkdir -p -- "$dir/.submitted/$number" 2>/dev/null && write_marker "$dir/.submitted/$number" "$id" "$at"
    accept "$1" "$id" "$at"
}

# Takes the fingerprint, once: it takes a while.
know_fingerprint() {
    [[ $fingerprint != unknown ]] || take_fingerprint
}

# May the scores of an equal job stand for the task's?
may_reuse() { # TASK FINGERPRINT
    [[ -n $2 && " ${NEL_TASK_REUSE[$1]} " == *" $2 "* ]]
}

# The task was answered with the scores of an equal job before. 1: it is to be submitted now.
repeat_reuse() { # TASK CLAIM
    local before=
    read -r -n 100 before <"$2/reused"
    if ((!NEL_TASK_ADOPT_ONLY[$1])) && may_reuse "$1" "$before"; then
        answer_reused "$1" "$before"
        return
    fi
    rm -rf -- "$2" # that job is gone, or nothing is wanted any more
    return 1
}

# Nothing of the task goes to Slurm, so that nothing needs its secrets.
answer_reused() { # TASK FINGERPRINT
    local dirs=("./${NEL_TASK_DIRS[$1]}")
    ((!NEL_SHARE)) || dirs=(./*/)
    result "$1" reused "$2"
    rm -f -- "${dirs[@]/%//.secrets.env}" "${dirs[@]/%//.secrets.sealed}"
}

reuse() { # TASK CLAIM
    if { printf '%s\n' "$fingerprint" >"$2/reused.new" && mv -f -- "$2/reused.new" "$2/reused"; } 2>/dev/null; then
        answer_reused "$1" "$fingerprint"
    else
        rm -rf -- "$2"
        result "$1" retry "cannot write to $2 on $host"
    fi
}

# A claim without a marker. 0: sbatch may be called.
resolve_claim() { # TASK CLAIM
    local now made retries
    adopt "$1" && return 1
    if [[ $questions_asked != answered ]]; then
        result "$1" in_doubt 'an earlier try may have reached Slurm, and Slurm does not answer'
        return 1
    fi
    # Where there are no locks, one of several repeats goes on: the one that makes the next retry directory. That also
    # makes the claim young again, so the count is taken before the age. Both times are the file server's.
    retries=("$2"/retry.*)
    touch -- .lock 2>/dev/null
    now=$(stat -c %Y -- .lock 2>/dev/null) && made=$(stat -c %Y -- "$2" 2>/dev/null) || made=$now
    if ((now - made < claim_grace_s)); then
        result "$1" in_doubt 'an earlier try may have reached Slurm a moment ago'
        return 1
    fi
    if ! mkdir -- "$2/retry.${#retries[@]}" 2>/dev/null; then
        result "$1" in_doubt 'another try is at work'
        return 1
    fi
    ((!NEL_TASK_ADOPT_ONLY[$1])) && return 0
    rm -rf -- "$2"
    result "$1" refused 'cancelled; nothing of it had reached Slurm'
    return 1
}

# Makes the claim. 0: sbatch may be called.
claim() { # TASK CLAIM
    local message
    if [[ -d $2 ]]; then
        resolve_claim "$1" "$2"
        return
    fi
    if ((NEL_TASK_ADOPT_ONLY[$1])); then
        # The chain is being cancelled. Without a claim no sbatch was ever called for this attempt, but the attempt before
        # may have queued it.
        adopt "$1" && return 1
        if [[ $questions_asked == answered ]]; then
            result "$1" refused 'cancelled before it was sent'
        else
            result "$1" retry 'Slurm does not answer'
        fi
        return 1
    fi
    check_sources "$1" || return 1
    if ((NEL_IN_JOB)) || [[ -e ${2%/.submitted/*}/.attempts/${2##*/}/job ]]; then
        # The attempt before may have queued this one itself.
        adopt "$1" && return 1
        if [[ $questions_asked != answered ]]; then
            result "$1" retry 'Slurm does not answer'
            return 1
        fi
    fi
    check_cluster "$1" || return 1
    message=$(mkdir -p -- "${2%/*}" 2>&1) && message=$(mkdir -- "$2" 2>&1) && return 0
    if [[ -d $2 ]]; then
        result "$1" in_doubt 'another try is at work'
    else
        result "$1" retry "$message"
    fi
    return 1
}

check_sources() { # TASK
    local i why message missing=''
    for i in "${!NEL_SOURCE_PATHS[@]}"; do
        ((NEL_SOURCE_TASKS[i] == $1 || NEL_SOURCE_TASKS[i] < 0)) || continue
        if [[ ! -e ${NEL_SOURCE_PATHS[i]} ]]; then
            missing+=", ${NEL_SOURCE_PATHS[i]}"
            if message=$(stat -L -- "${NEL_SOURCE_PATHS[i]}" 2>&1 >/dev/null) || is_away "$message"; then
                result "$1" passing "${NEL_SOURCE_PATHS[i]} cannot be seen on $host: ${message##*: }"
                return 1
            fi
        fi
        if ((NEL_SHARED)) && why=$(refuse_source "${NEL_SOURCE_PATHS[i]}" "${NEL_RUNDIR%/*}"); then
            result "$1" refused "${NEL_SOURCE_PATHS[i]} is not mounted for people who share the account $user: $why"
            return 1
        fi
    done
    [[ -z $missing ]] && return 0
    result "$1" refused "not on $host, or not readable by $user: ${missing#, }"
    return 1
}

# sbatch's --clusters may name this cluster (which keeps the job here, of a federation) and no other: nobody would follow the
# job there.
check_cluster() { # TASK
    local named own
    named=$(sed -n 's/^#SBATCH --clusters=//p' "./${NEL_TASK_DIRS[$1]}/run.sub" 2>/dev/null)
    [[ -n $named ]] || return 0
    own=$(ask scontrol show config | sed -n 's/^ClusterName *= *//p')
    if [[ -z $own ]]; then
        result "$1" retry 'Slurm does not say the name of its cluster, which sbatch_extra_flags.clusters has to be'
        return 1
    fi
    [[ ${named,,} == "${own,,}" ]] && return 0
    result "$1" refused "sbatch_extra_flags.clusters is $named, and jobs are followed on the cluster $own alone: send the evaluation to that cluster of this service"
    return 1
}

# Is this the last line of an sbatch that does not take an option? It ends with exit(-1) (seen with Slurm 22.05), and has asked
# nobody. ssh, of a site's wrapper, ends so, too, when its connection is lost, whatever sbatch has said before.
does_not_take() { # LINE
    case $1 in
    'Try "sbatch --help"'* | 'sbatch: error: Invalid --'* | 'sbatch: error: unrecognized --'* | \
        'sbatch: error: '*' is not a valid '*) return 0 ;;
    esac
    return 1
}

# What a failed sbatch means: refused, passing (it may be taken later: a partition that is drained, a reservation that has
# not begun, an sbatch that cannot be run just now), retry, in_doubt, limit (of the number of jobs: there will be room) or untold (for a
# limit, and it does not say which). slurmctld's own answers come as "Batch job submission failed".
classify() { # STATUS MESSAGE
    case $2 in
    *MaxSubmitJob* | *GrpSubmitJob* | *MaxJobCount* | *'unable to accept job'* | *'job queue full'*) printf limit ;;
    *'send failure'* | *'receive failure'* | *'shutdown failure'* | *'Unexpected message'* | *'missing socket'* | \
        *'nsane message length'* | *'zero length message'* | *'message length < 0'* | *'entire message'* | \
        *'Header lengths are longer'* | *'Socket timed out'* | *'Zero Bytes'* | *'ing file descriptor'* | *' would block'* | \
        *'Connection reset'* | *'Connection rejected'* | *'forced closed'* | *'timed out writing'* | *'timed out reading'* | \
        *'delayed socket error'* | *'shutting down and closing'* | *'roken pipe'* | *'connection abort'* | \
        *[Tt]'ransport endpoint'* | *'nterrupted system call'*) printf in_doubt ;;
    *'timed out establishing'*) printf retry ;;
    *'Connection timed out'*) printf in_doubt ;;
    *'artition not available'* | *'artition configuration not available now'* | *'in DOWN state'* | *'nodes are busy'* | \
        *'node not available'* | *'No available nodes'* | *'lack available resources'* | *'nsufficient resources in topology'* | \
        *'powered up nodes reached'* | *'in held state'* | *'presently disabled'* | *'submissions disabled'* | \
        *[Mm]aintenance* | *'PrologSlurmctld is still'* | *'usage threshold'* | *'urrently not available'* | \
        *'urrently unavailable'* | *'aiting for burst buffer'* | *'Slurm internal error'* | *'connect to database'* | \
        *'Database connection'* | *'another sibling'* | *'No eligible clusters'* | *'ncompatible versions'* | \
        *'rotocol version'* | *'ncompatible Slurm plugin'* | *'ncompatible plugin'* | *'version mismatch'* | *'Plugin '[a-z]* | \
        *'plugin type not loaded'* | *'of plugin file'* | *'Lua function execution'* | *'TLS missing'* | *'shared librar'* | \
        *'shared object file'* | *'Unable to open file'*) printf passing ;;
    *[Rr]'eservation'*)
        [[ $2 == *'ccess denied'* ]] && printf refused || printf passing
        ;;
    *'accounting/QOS policy'* | *'job submit limit'*)
        # One text for limits of the number of jobs, of their size and of their time. Slurm 22.05 and others put the name
        # of the limit on a line of its own before it (job_state_reason_string() in src/common/slurm_protocol_defs.c).
        if [[ $'\n'$2$'\n' =~ $'\n'(sbatch: )?(error: )?(QOS|Assoc|Max|Grp|Partition|Invalid)[A-Za-z]+$'\n' ]]; then
            printf refused
        else
            printf untold
        fi
        ;;
    *'Rejecting authentication'*) printf refused ;;
    *'Unable to contact'* | *'onnection refused'* | *'onnection failure'* | *'connect failure'* | *'find an address'* | \
        *'Network is unreachable'* | *'emporary failure'* | *'temporarily'* | *'try again'* | *'Rate limit exceeded'* | \
        *'dependency problem'* | *'standby mode'* | *[Aa]'uthentication'* | *[Cc]'redential'* | *'Token Generation'* | \
        *[Mm]'unge'* | *'emory management'* | *'Cannot allocate memory'* | *'Too many open files'* | *'No space left'* | \
        *'quota exceeded'* | *'I/O error writing script'* | *'Unable to resolve'* | *'configuration source'* | \
        *'configuration file'*) printf retry ;;
    *)
        if (($1 == 126 || $1 == 127)) || is_away "$2"; then
            printf passing # sbatch itself could not be run
        elif (($1 == 255)) && does_not_take "${2##*$'\n'}"; then
            printf refused
        elif (($1 > 128)) || [[ -z $2 ]]; then
            printf in_doubt
        else
            printf refused
        fi
        ;;
    esac
}

# Calls sbatch; sets said (its standard output), output (its standard error) and status. While slurmctld has as many jobs
# as it takes (MaxJobCount), sbatch tries again by itself for two minutes, after 1, 2, 3... s. That room can be hours away,
# and others wait for this session: it is ended in its first pause. doubtful: an sbatch that was ended may have had a try
# under way.
run_sbatch() { # CLAIM OPTION...
    local line part='' rc=0 sbatch_pid='' paused='' answers errors begun_s=$SECONDS began
    said='' output='' status=254 doubtful='' # until it is known: nothing that sbatch says
    exec {answers}<> <(:) # a pipe, so that both outputs stay apart
    began=$(date +%s%N)
    exec {errors}< <(
        exec 2>&1
        lift_limits
        be_the_account
        cd -- "${1%/.submitted/*}" || exit
        sbatch --parsable "${@:2}" run.sub >&"$answers" </dev/null &
        exec 2>/dev/null
        printf 'nel-pid %d\n' "$!"
        wait "$!"
        printf '\nnel-status %d\n' "$?"
        printf '\0' >&"$answers"
    )
    while ((rc == 0 || rc > 128)); do
        IFS= read -r -t 2 -u "$errors" line
        rc=$?
        part+=$line
        if ((rc == 0)); then
            case $part in
            'nel-pid '*) sbatch_pid=${part#nel-pid } ;;
            'nel-status '*) status=${part#nel-status } rc=1 ;;
            '') ;;
            *) ((${#output} > said_max)) || output+=${output:+$'\n'}${part:0:said_max} ;;
            esac
            part=
        fi
        if [[ -n $sbatch_pid && -z $paused && $output == *[' ,']'sleeping and retrying'* ]]; then
            paused=1
            kill -KILL "$sbatch_pid" 2>/dev/null
            (($(date +%s%N) - began < 950000000)) || doubtful=1
        elif ((SECONDS - begun_s > sbatch_s)); then
            # Its request may still arrive: the claim becomes young again.
            doubtful=1 rc=1
            touch -- "$1"
            [[ -z $sbatch_pid ]] || kill -KILL "$sbatch_pid"
            output+=${output:+$'\n'}"sbatch did not answer within $sbatch_s s"
        fi 2>/dev/null
    done
    IFS= read -r -d '' -n "$said_max" -t 1 -u "$answers" said
    exec {errors}<&- {answers}<&-
}

# Is what sbatch printed the id of a job, in Slurm's own form (sbatch(1), --parsable) and nothing else? Sites add notes,
# budgets, prices, in front and behind: any other number could be anything.
is_certain() {
    [[ $said =~ ^([0-9]{1,20})(\;[^$'\n']*)?$'\n'?$ ]]
}

# sbatch says that it took the job, and not as which: Slurm is asked for the attempt's unique name.
find_submitted() { # TASK CLAIM
    local name=${NEL_TASK_NAMES[$1]}
    questions_asked=''
    ask_by_name
    [[ -n ${found_ids[$name]-} ]] || return 1
    write_marker "$2" "${found_ids[$name]}" "${found_at[$name]}"
    accept "$1" "${found_ids[$name]}" "${found_at[$name]}"
}

# Job ids begin anew at some sites, and the next one can be that of the attempt before, which this one is to follow: "Job
# dependency problem". That attempt ended long ago then. Is nothing of this chain left in Slurm?
follows_nothing() { # TASK
    local rows stem=${NEL_TASK_NAMES[$1]%.*}.
    rows=$(ask squeue --noheader --user="$user" --format='q|%j') && [[ $'\n'$rows != *$'\n'"q|$stem"* ]]
}

submit() { # TASK CLAIM
    local said output status doubtful outcome at tidied named='' options=()
    [[ -z $fingerprint ]] || { printf '%s\n' "$fingerprint" >"$2/fingerprint"; } 2>/dev/null
    if [[ -n $minutes ]]; then
        printf '%s|%s\n' "$minutes" "$why" >"$2/walltime"
        options=(--time="$minutes")
    fi
    end_guard # nothing may stop this between sbatch and the marker
    at=$(date +%s)
    run_sbatch "$2" ${options[@]+"${options[@]}"}
    if [[ $status != 0 && -z $doubtful && $output$said == *'dependency problem'* ]] && follows_nothing "$1"; then
        run_sbatch "$2" ${options[@]+"${options[@]}"} --dependency=0
    fi
    if ((status == 0)) && is_certain; then
        write_marker "$2" "${BASH_REMATCH[1]}" "$at"
        accept "$1" "${BASH_REMATCH[1]}" "$at"
        guard
        return
    fi
    guard
    [[ $'\n'$said$'\n' =~ $'\n'[0-9]+(\;[^$'\n']*)?$'\n' ]] && named=1
    if ((status == 0)); then
        ! find_submitted "$1" "$2" || return 0
        outcome=in_doubt
        output="sbatch succeeded, but printed other than a job's id: $said $output"
    elif [[ -n $doubtful || (-n $named && $output != *'Batch job submission failed'*) ]]; then
        outcome=in_doubt # a wrapper may have failed after sbatch
    else
        outcome=$(classify "$status" "$output$said")
    fi
    tidy sbatch "$output"
    output=$tidied
    ((status != 126 && status != 127)) || output="sbatch cannot be run (exit status $status): $output"
    result "$1" "$outcome" "$output"
    if [[ $outcome != in_doubt ]]; then
        rm -rf -- "$2"
    fi
    if [[ $outcome != refused ]]; then
        stopped=$output
        stopped_outcome=${outcome/in_doubt/retry}
    fi
}

submit_task() { # TASK
    local marker=./${NEL_TASK_DIRS[$1]}/.submitted/${NEL_TASK_NUMBERS[$1]} id at minutes='' why=''
    if read_id "$marker/id"; then
        accept "$1" "$id" "$at"
        return
    fi
    [[ ! -f $marker/reused ]] || ! repeat_reuse "$1" "$marker" || return 0
    ((NEL_TASK_ADOPT_ONLY[$1])) || know_fingerprint
    if [[ -n $stopped && ! -d $marker ]] && ! may_reuse "$1" "$fingerprint"; then
        result "$1" "$stopped_outcome" "$stopped"
    else
        # Before the claim: it takes a while, and a claim without a marker is a doubt.
        [[ -d $marker ]] || ((NEL_TASK_ADOPT_ONLY[$1])) || may_reuse "$1" "$fingerprint" || choose_walltime "$1"
        claim "$1" "$marker" || return 0
        if may_reuse "$1" "$fingerprint"; then
            reuse "$1" "$marker"
        else
            [[ -n $minutes ]] || choose_walltime "$1"
            submit "$1" "$marker"
        fi
    fi
}

# The submit times as Slurm has them, by id and name: the clock here need not agree with slurmctld's. And the time limits
# that were chosen: of a job that was found again another try may have chosen, and a site's plugin has the last word.
correct_times() {
    local rows line id at limit name task
    declare -A times=() limits=()
    ((${#accepted_ids[@]} > 0)) || return
    rows=$(ask squeue --noheader --states=all --jobs="$(IFS=, && printf '%s' "${accepted_ids[*]}")" \
        --format='q|%i|%V|%l|%j')
    while IFS='|' read -r line id at limit name; do
        [[ $line == q && $at =~ ^[0-9]{1,12}$ ]] && times[${id%%[!0-9]*}|$name]=$at
        [[ $line == q ]] && limit=$(minutes_of "$limit") && limits[${id%%[!0-9]*}|$name]=$((limit * 60))
    done < <(printf '%s\n' "$rows")
    for task in "${!accepted_ids[@]}"; do
        at=${times[${accepted_ids[$task]}|${NEL_TASK_NAMES[$task]}]:-0}
        ((at == 0)) || accepted_at[task]=$at
        [[ -n ${NEL_TASK_WALLTIMES[task]} ]] || continue
        accepted_limits[task]=${limits[${accepted_ids[$task]}|${NEL_TASK_NAMES[$task]}]:-${accepted_limits[task]:-0}}
    done
}

# Of what was submitted, the checkpoints as they were before.
print_fingerprint() { # TASK
    local file=./${NEL_TASK_DIRS[$1]}/.submitted/${NEL_TASK_NUMBERS[$1]}/fingerprint text=
    [[ -f $file ]] && read -r -n 100 text <"$file" && [[ $text =~ ^[0-9a-f]{64}$ ]] || return 0
    printf 'fingerprint|%d|%s\n' "$1" "$text"
}

shopt -s dotglob nullglob
command -v sbatch >/dev/null || fail remote "there is no sbatch on the path of $user on $host"
make_rundir
take_lock
unpack
if ((NEL_SHARED)); then
    mapfile -t output_dirs <.output_dirs
    note_output_dirs ${output_dirs[@]+"${output_dirs[@]}"}
fi
for task in "${!NEL_TASK_DIRS[@]}"; do
    is_read || exit
    submit_task "$task"
done
correct_times
for task in "${!NEL_TASK_DIRS[@]}"; do
    if [[ -n ${accepted_ids[$task]-} ]]; then
        print_fingerprint "$task"
        printf 'task|%d|accepted|%s|%s|%s|%s\n' "$task" "${accepted_ids[$task]}" "${accepted_at[$task]}" \
            "${accepted_limits[$task]:-0}" "$(one_line "${accepted_whys[$task]-}")"
    else
        printf 'task|%d|%s\n' "$task" "${results[$task]}"
    fi
done
printf 'end\n'
