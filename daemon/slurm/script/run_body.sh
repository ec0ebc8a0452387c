# shellcheck shell=bash

# The fixed part of run.sub (the data is above): starts the model servers, waits until they answer, runs the
# evaluation, stops the servers. Needs bash 4.4 or newer on the node, and Pyxis for srun's --container-* options. It is
# one long file because it is one on the cluster.
#
# There is no `set -e`: a server that has exited by itself or an export job that is refused must not fail a finished
# evaluation. What must work is checked where it happens.
set -u -o pipefail

attempt_dir=$NEL_JOB_DIR/.attempts/$NEL_ATTEMPT
artifacts=$NEL_JOB_DIR/artifacts
logs=${NEL_JOB_DIR//%/%%}/logs # as srun reads a file name: % begins a pattern
interrupted_marker=$artifacts/.nemo_evaluator_interrupted
export_dir=$NEL_JOB_DIR/.export # what is known of the export job: remote_collect.sh reads it
srun=$(type -P srun)

readonly heartbeat_s=30 probe_interval_s=2 probe_timeout_s=5 stop_grace_s=30 last_words_max=250 sbatch_timeout_s=300
readonly probe_max=1000000 watch_interval_s=10
readonly ports_first=25000 ports_count=7700 # below what the kernel takes for connections by default (32768 and up)
readonly ports_spare=16 ports_timeout_s=120
readonly sealed_mib_max=64 # of results.yml
readonly stop_room_s=55    # before the end of the budget, and at most a quarter of it: less than an attempt can use
readonly exit_out_of_time=124

nodes=()          # the allocation, in Slurm's order; the model's come first, then each auxiliary's
addresses=()      # the IPv4 address of each
declare -A chosen_ports=() # by the reference that stands for them in the data, such as nel-port(deployment:8000)
server_ports=()   # of each server, and of its proxy
proxy_ports=()
server_pids=()    # the sruns of all servers and proxies
server_logs=()    # the log of each
server_doors=()   # where each instance of a server listens: its name, host, port, health path
evaluation_env=() # NAME=value that the evaluation gets besides its own: where the auxiliaries are
container_command=() # of the next step, made by in_container
step=()              # the arguments of become_step for the next step, made by make_step
heartbeat_pid=
ports_pid=
watch_pid=
failure=     # why this script gave up
successor_queued=0
terminated=0     # SIGTERM has come, or this script ends its evaluation itself
ended_by_slurm=0 # Slurm ends the whole job
forwarded=0      # the evaluation has been told
started_at=      # when Slurm started the job, by this node's clock
stop_at=0        # when the budget ends the evaluation; 0: never
kill_at=0        # and when it kills what is left
end_at=0         # and this script
out_of_time=0    # the first has come
killing=0        # the second has come
fate=            # as what this attempt ends, when it is not by itself
overtaken=0      # a newer attempt, or start, has this job
start_line=0     # this start's line in the attempt's file `started`
unended=0        # an earlier start of this attempt left no end

say() {
    printf '%(%Y-%m-%d %H:%M:%S)T %s\n' -1 "$*"
}

fail() {
    failure=$*
    say "error: $failure"
    exit 1
}

join() { # SEPARATOR WORD...
    local IFS=$1
    shift
    printf '%s' "$*"
}

# ---- Files: the container of the evaluation writes to artifacts/, that of an export to all of the run directory ----

# Prints the beginning of a file, unless it is a link or anything else that is not a file; never waits for a FIFO.
peek() { # FILE
    [[ -f $1 && ! -L $1 ]] && dd if="$1" iflag=nofollow,nonblock bs=4M count=1 status=none 2>/dev/null
}

# Standard input becomes a file, in place of whatever has its name.
put() { # FILE
    local new
    new=$(mktemp "$1.XXXXXX") || return
    if ! dd of="$new" oflag=nofollow bs=64K status=none || ! mv -f -T "$new" "$1"; then
        rm -f "$new"
        return 1
    fi
}

# Appends standard input to a file; not through a link.
add() { # FILE
    dd of="$1" oflag=append,nofollow,nonblock conv=notrunc bs=64K status=none
}

# Enters a directory to write in it. Links may lead to the run directory, and none from there on.
enter() { # DIRECTORY
    cd -P "$1" && [[ $(readlink /proc/self/cwd) == *"${NEL_JOB_DIR#"${NEL_JOB_DIR%/*/*}"}${1#"$NEL_JOB_DIR"}" ]]
}

check_directories() {
    local directory
    for directory in "$NEL_JOB_DIR" "$artifacts" "$NEL_JOB_DIR/logs" "$attempt_dir"; do
        (enter "$directory") || fail "$directory is no directory of this job's: it is missing, or reached by a symbolic link"
    done
}

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
    read -r owner _ < <(peek "$claim") || fail "cannot claim $attempt_dir"
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
    if (($(count_lines "$attempt_dir/started") > $(count_lines "$attempt_dir/ended"))); then
        unended=1
        printf '%s -1\n' "$(stat -c %Y "$attempt_dir/alive")" | add "$attempt_dir/ended"
    fi
    rm -f "$attempt_dir/fate" "$attempt_dir/results" # of an earlier start
    printf 'x' | put "$attempt_dir/alive"
    started_at=$(($(now_s) - $(ran_s || printf 0)))
    printf '%d\n' "$started_at" | add "$attempt_dir/started" || fail "cannot write to $attempt_dir"
    start_line=$(count_lines "$attempt_dir/started")
}

now_s() {
    printf '%(%s)T' -1
}

# How long this job has run as Slurm counts: from before this script began, and without the time that it was suspended.
ran_s() {
    local text
    text=$(timeout 5 scontrol --oneliner show job "$SLURM_JOB_ID" 2>/dev/null)
    if [[ $text =~ \ RunTime=([0-9:-]+) ]]; then
        seconds_of "${BASH_REMATCH[1]}"
    elif [[ ${SLURM_JOB_START_TIME-} =~ ^[0-9]{10,12}$ && -z $started_at ]]; then
        printf '%d' $(($(now_s) - SLURM_JOB_START_TIME))
    else
        return 1
    fi
}

# ---- The budget is kept by this script: Slurm ends a job up to a minute after its limit ----

# What the budget leaves to this start of this attempt; negative: there is none.
budget_left_s() {
    local earlier=$((start_line - 1)) limit used
    if [[ $NEL_RESUME_MODE == in_job ]]; then
        limit=$NEL_BUDGET_S used=$(used_s "$earlier")
    else
        limit=$NEL_BUDGET_LEFT_S used=$(stamped_s "$NEL_ATTEMPT" "$earlier")
    fi
    printf '%d' $((limit < 0 ? -1 : limit > used ? limit - used : 0))
}

set_deadline() {
    local room left
    left=$(budget_left_s)
    ((left >= 0)) || return 0
    room=$((left / 4 < stop_room_s ? left / 4 : stop_room_s))
    stop_at=$((started_at + left - room))
    kill_at=$((started_at + left - room * 3 / 5))
    end_at=$((started_at + left - room / 5))
}

start_watch() {
    watch </dev/null >/dev/null 2>&1 &
    heartbeat_pid=$!
}

# In the background: touches `alive`, and wakes the script when its time has come or another has taken its place.
watch() {
    local nap='' now at pause
    trap 'kill "$nap" 2>/dev/null; exit' TERM
    while kill -0 $$; do
        now=$(now_s)
        if is_overtaken; then
            kill -ALRM $$
        else
            touch -h "$attempt_dir/alive"
            ((end_at == 0 || now < stop_at)) || kill -ALRM $$
            if ((end_at > 0 && now >= end_at)); then # it hangs
                note_fate TIMEOUT
                kill -KILL $$
            fi
        fi
        pause=$heartbeat_s
        for at in "$stop_at" "$kill_at" "$end_at"; do
            ((at <= now || at - now >= pause)) || pause=$((at - now))
        done
        sleep "$pause" &
        nap=$!
        wait "$nap"
    done
}

on_alarm() { # from watch()
    local now ran
    now=$(now_s)
    if is_overtaken; then
        ((overtaken)) || say "another attempt has begun; this one has nothing more to do here"
        overtaken=1 terminated=1
    elif ((end_at > 0 && now >= stop_at)); then
        # A suspended job has more time than the clock says.
        if ((!out_of_time)) && ran=$(ran_s) && ((ran + 5 < now - started_at)); then
            started_at=$((now - ran))
            set_deadline
            kill "$heartbeat_pid"
            start_watch
            return
        fi
        ((out_of_time)) || say "the walltime budget is all but spent: the evaluation is stopped"
        out_of_time=1 terminated=1
        ((now < kill_at)) || killing=1
    fi
}

# ---- One attempt at a time ----

# A node that Slurm had lost may come back with an earlier attempt alive on it. What such a one does must not count.
is_overtaken() {
    local claim number
    for claim in "$NEL_JOB_DIR"/.attempts/*/job; do
        number=${claim%/job}
        number=${number##*/}
        [[ $number == *[!0-9]* ]] || ((10#$number <= NEL_ATTEMPT)) || return 0
    done
    ((start_line > 0 && $(count_lines "$attempt_dir/started") > start_line))
}

# The newest attempt before this one that has begun.
attempt_before() {
    local number
    for ((number = NEL_ATTEMPT - 1; number > 0; number--)); do
        [[ ! -f $NEL_JOB_DIR/.attempts/$number/job ]] || break
    done
    printf '%d' "$number"
}

# May processes of an earlier attempt live on? When Slurm has lost its node they may, even if its script wrote an end.
may_live_on() { # ATTEMPT
    (($1 > 0)) || return 1
    case $(find_fate "$1") in
    NODE_FAIL' '* | BOOT_FAIL' '*) return 0 ;;
    esac
    return 1
}

# Those keep the directory that they have mounted, and this attempt goes on in a copy of it.
part_from_the_past() {
    local before copy=$attempt_dir/artifacts
    before=$(attempt_before)
    ((unended)) || may_live_on "$before" || return 0
    say "an earlier attempt may still be at work: this one goes on in a copy of artifacts"
    rm -rf "$NEL_JOB_DIR"/.attempts/*/artifacts "$copy.new" "$artifacts.old"
    if ! mkdir "$copy.new" || ! copy_directory "$artifacts" "$copy.new" || ! mv -T "$copy.new" "$copy" ||
        ! mv -T "$artifacts" "$artifacts.old" || ! mv -T "$copy" "$artifacts"; then
        rm -rf "$copy.new"
        fail "cannot copy $artifacts"
    fi
    rm -rf "$artifacts.old"
}

# Through no link; files may be changing.
copy_directory() { # FROM TO
    tar -C "$1" -cf - . 2>/dev/null | tar -C "$2" -xpf -
    ((PIPESTATUS[0] <= 1 && PIPESTATUS[1] == 0))
}

# What an attempt left that was killed while it took the copy into use.
mend_artifacts() {
    local copy
    [[ ! -e $artifacts ]] || return 0
    for copy in "$NEL_JOB_DIR"/.attempts/*/artifacts "$artifacts.old"; do
        [[ -d $copy && ! -L $copy ]] && mv -T "$copy" "$artifacts" && return 0
    done
}

# However the script ends.
leave() {
    local status=$?
    # A child that is ended before bash has reset its traps comes here, too.
    ((BASHPID == $$)) || return "$status"
    trap '' TERM
    if ((out_of_time && status != 0)); then
        status=$exit_out_of_time
        note_fate TIMEOUT
    fi
    is_overtaken || settle_chain "$status"
    stop_watching
    stop_servers
    if [[ -n $ports_pid ]]; then
        kill "$ports_pid" 2>/dev/null
    fi
    if [[ -n $heartbeat_pid ]]; then
        disown "$heartbeat_pid" # bash would tell of its death
        kill -KILL "$heartbeat_pid" 2>/dev/null
    fi
    is_overtaken || printf '%(%s)T %d\n' -1 "$status" | add "$attempt_dir/ended"
    say "ended with exit code $status"
    [[ -z $failure ]] || say "gave up: $failure" # remote_collect.sh looks for this last line
    exit "$status"
}

# ---- The chain: with auto_resume.mode in_job, an attempt queues the next one itself ----

# The successor is queued at the start, for there may be no time for it at the end. It waits until this job has failed
# (afternotok) and then decides, as the daemon would, whether the chain goes on. Its claim and its name are those under
# which the daemon submits, so whoever comes second finds it.
#
# What is known of an attempt's end stands in its file `fate`: "<Slurm's state> <seconds>". WITHDRAWN is that of a
# successor that was cancelled because nothing was left for it to do.

resumes_after() { # STATE
    [[ " ${NEL_RESUME_ON[*]} " == *" $1 "* ]]
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
    read -r id _ < <(peek "$dir/job") || return
    read -r own _ < <(peek "$dir/fate")
    read -r _ end < <(peek "$dir/ended" | tail -n 1)
    (($(count_lines "$dir/started") <= $(count_lines "$dir/ended"))) || end=
    if ! read -r state seconds < <(ask_fate "$id" "$NEL_NAME_STEM.$1"); then
        state=${own:-${end:+ENDED}} seconds=$(stamped_s "$1")
    fi
    case $state in
    TIMEOUT | PREEMPTED | NODE_FAIL | BOOT_FAIL | CANCELLED) [[ $end != 0 ]] || state=COMPLETED ;;
    FAILED) [[ $own != TIMEOUT && $own != PREEMPTED ]] || state=$own ;;
    ENDED) [[ $end == 0 ]] && state=COMPLETED || state=FAILED ;;
    esac
    printf '%s %d\n' "${state:-NODE_FAIL}" "$seconds"
}

# Prints what slurmctld, or accounting, says of a job's end: state and seconds. Fails when neither knows.
ask_fate() { # SLURM-ID NAME
    local text tries
    for ((tries = 0; tries < 5; tries++)); do
        text=$(scontrol --oneliner show job "$1" 2>/dev/null)
        if [[ $text != *" JobName=$2 "* || ! $text =~ \ JobState=([A-Z_]+).*\ RunTime=([0-9:-]+) ]]; then
            break
        elif [[ ${BASH_REMATCH[1]} != COMPLETING && ${BASH_REMATCH[1]} != RUNNING ]]; then
            printf '%s %d\n' "${BASH_REMATCH[1]}" "$(seconds_of "${BASH_REMATCH[2]}")"
            return
        fi
        sleep "$probe_interval_s"
    done
    # One line for each time that Slurm started it; the last one says how it ended.
    timeout 20 sacct --allocations --duplicates --noheader --parsable2 --jobs="$1" --format=JobName,State,ElapsedRaw \
        2>/dev/null | awk -F '|' -v name="$2" '$1 == name { split($2, word, " "); sum += $3 } END {
            if (word[1] == "" || word[1] ~ /RUNNING|PENDING/) exit 1
            print word[1], sum }'
}

stamped_s() { # ATTEMPT [NUMBER OF ITS STARTS]
    local start end n=0 sum=0 dir=$NEL_JOB_DIR/.attempts/$1
    if [[ -e $dir/started ]]; then
        while ((n++ < ${2:-1000})) && read -r start _ <&3; do
            read -r end _ <&4 || end=$(stat -c %Y "$dir/alive")
            ((sum += end - start))
        done 3< <(peek "$dir/started") 4< <(peek "$dir/ended")
    fi
    printf '%d' "$sum"
}

# What the budget counts: all attempts up to this one, and all starts of this one.
used_s() { # [NUMBER OF THIS ATTEMPT'S STARTS]
    local n seconds stamped sum=0
    for ((n = NEL_BUDGET_FROM; n <= NEL_ATTEMPT; n++)); do
        seconds=0
        [[ ! -s $NEL_JOB_DIR/.attempts/$n/fate ]] || read -r _ seconds < <(peek "$NEL_JOB_DIR/.attempts/$n/fate")
        ((n < NEL_ATTEMPT)) && stamped=$(stamped_s "$n") || stamped=$(stamped_s "$n" "$@")
        ((sum += seconds > stamped ? seconds : stamped))
    done
    printf '%d' "$sum"
}

# How long the next attempt may run after so many seconds; 0: the budget has less than Slurm's shortest limit. Slurm
# counts in minutes, and what the budget sets is rounded down.
granted_s() { # USED
    local left=$((NEL_BUDGET_S - $1))
    if ((NEL_BUDGET_S < 0 || left >= (NEL_WALLTIME_S + 59) / 60 * 60)); then
        printf '%d' "$NEL_WALLTIME_S"
    else
        printf '%d' $((left < 60 ? 0 : left / 60 * 60))
    fi
}

# What a successor does first. One that has nothing to do says so with exit code 4.
take_over() { # TIME-LIMIT
    local before=$((NEL_ATTEMPT - 1)) state='an unknown state' seconds=0 limit tries
    read -r state seconds < <(peek "$NEL_JOB_DIR/.attempts/$before/fate")
    resumes_after "$state" || stand_down "attempt $before ended with $state"
    limit=$(granted_s "$(used_s)")
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
        read -r state seconds < <(peek "$NEL_JOB_DIR/.attempts/$n/fate") || break
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
    limit=$(granted_s "$(used_s)")
    ((limit > 0 && (NEL_MAX_ATTEMPTS == 0 || next <= NEL_MAX_ATTEMPTS))) || return 0
    successor_queued=1
    mkdir -p "${claim%/*}" && mkdir "$claim" 2>/dev/null || return 0
    delay=$(back_off_s)
    if ! answer=$(send_successor "$next" "$limit" "$delay"); then
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
    text=$(timeout 5 scontrol --oneliner show job "$SLURM_JOB_ID" 2>/dev/null)
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
    printf '%s %d\n' "$1" "$(stamped_s "$NEL_ATTEMPT")" | put "$attempt_dir/fate"
}

# At the end. When this attempt has ended by itself, or the budget is spent, nothing follows.
settle_chain() { # EXIT-CODE
    ((successor_queued)) || return 0
    touch -h "$attempt_dir/alive"
    if (($1 != 0)) && may_go_on && (($(granted_s "$(used_s)") > 0)); then
        return 0
    fi
    withdraw_successor
}

may_go_on() {
    if ((ended_by_slurm || out_of_time)) || resumes_after FAILED || resumes_after OUT_OF_MEMORY; then
        return 0
    fi
    note_why
    ((ended_by_slurm))
}

# So that it never takes the nodes just to learn that there is nothing to do.
withdraw_successor() {
    local next=$((NEL_ATTEMPT + 1))
    mkdir -p "$NEL_JOB_DIR/.attempts/$next" && printf 'WITHDRAWN 0\n' | put "$NEL_JOB_DIR/.attempts/$next/fate"
    if timeout 20 scancel --user="$(id -un)" --name="$NEL_NAME_STEM.$next"; then
        say "withdrew attempt $next"
    fi
}

# The chain's part of an attempt's start.
continue_chain() { # nothing, or as a successor: ATTEMPT TIME-LIMIT
    local fate dir=$NEL_JOB_DIR/.attempts/$((NEL_ATTEMPT - 1))
    [[ $NEL_RESUME_MODE == in_job ]] || return 0
    if [[ -d $dir ]] && fate=$(find_fate "$((NEL_ATTEMPT - 1))") && [[ -n $fate ]]; then
        printf '%s\n' "$fate" | put "$dir/fate"
    fi
    (($# < 2)) || take_over "$2"
    queue_successor
}

# ---- Nodes ----

find_nodes() {
    local i
    mapfile -t nodes < <(scontrol show hostnames "${SLURM_JOB_NODELIST:-${SLURM_NODELIST:-}}")
    ((${#nodes[@]} >= NEL_TOTAL_NODES)) ||
        fail "needs $NEL_TOTAL_NODES nodes, but the allocation has ${#nodes[@]}: ${nodes[*]}"
    export PRIMARY_NODE=${nodes[0]}
    say "nodes: ${nodes[*]}"
    ((${#NEL_SERVER_NAME[@]} > 0)) || return 0
    for i in "${!nodes[@]}"; do
        addresses[i]=$(address_of "${nodes[i]}") || fail "node ${nodes[i]} has no IPv4 address"
    done
    say "addresses: ${addresses[*]}"
}

# Prints one address of a node. Names of a host often lead to its loopback address on the host itself (Debian's
# 127.0.1.1), which is of no use to the other nodes, so that is the last resort.
address_of() { # NODE
    local configured address
    address=$(lookup "$1")
    if [[ -z $address || $address == 127.* ]]; then
        configured=$(scontrol show node "$1" 2>/dev/null | sed -n 's/^.*NodeAddr=\([^ ]*\).*$/\1/p')
        if [[ $configured =~ ^[0-9]+(\.[0-9]+){3}$ ]]; then
            address=$configured
        elif [[ -n $configured && $configured != "$1" ]]; then
            address=$(lookup "$configured")
        fi
    fi
    if [[ $address == 127.* && $address != "${configured-}" && $1 == "${SLURMD_NODENAME-}" ]]; then
        configured=$(hostname -I 2>/dev/null)
        address=${configured%% *}
    fi
    [[ -n $address ]] && printf '%s\n' "$address"
}

lookup() { # HOST
    local address found=
    while read -r address _; do
        found=$address
        [[ $address == 127.* ]] || break
    done < <(getent ahostsv4 "$1")
    printf '%s' "$found"
}

# ---- Ports: where others may share the nodes, those that the config does not set are chosen here ----

# Chooses a port for each reference that is free on all nodes, and takes care that no other job of the account chooses it
# as long as this one runs: of two servers that listen on one port (vLLM binds with SO_REUSEPORT) each would get some of
# the requests for both. Jobs of other accounts begin to look elsewhere.
choose_ports() {
    local s reference start i word port wanted=0 ended=0 candidates=() launcher=()
    local -A count=()
    for reference in ${NEL_SERVER_PORT[@]+"${NEL_SERVER_PORT[@]}" "${NEL_SERVER_PROXY_PORT[@]}"}; do
        [[ $reference != 'nel-port('* ]] || chosen_ports[$reference]=
    done
    wanted=${#chosen_ports[@]}
    if ((wanted > 0)); then
        start=$(cksum <<<"${SLURM_CLUSTER_NAME-}")
        start=$(((${start%% *} + SLURM_JOB_ID * (wanted + ports_spare)) % ports_count))
        for ((i = 0; i < wanted + ports_spare; i++)); do
            candidates+=($((ports_first + (start + i) % ports_count)))
        done
        ((${#nodes[@]} == 1)) || launcher=("$srun" --overlap --mpi=none --job-name=ports --nodes="${#nodes[@]}"
            --ntasks="${#nodes[@]}" --kill-on-bad-exit=1)
        exec {i}< <(exec "${launcher[@]}" "$BASH" -c "$(declare -f hold_ports); hold_ports \"\$@\"" hold_ports \
            "${candidates[@]}" </dev/null)
        ports_pid=$!
        while ((ended < ${#nodes[@]})) && read -r -t "$ports_timeout_s" -u "$i" word port; do
            case $word in
            port) count[$port]=$((${count[$port]-0} + 1)) ;;
            end) ((ended++)) ;;
            esac
        done
        exec {i}<&-
        ((ended == ${#nodes[@]})) || fail "the nodes did not say which ports are free"
        for port in "${candidates[@]}"; do
            ((${count[$port]-0} == ${#nodes[@]})) || unset -v "count[$port]"
        done
        for reference in "${!chosen_ports[@]}"; do
            for port in "${candidates[@]}"; do
                [[ -v count[$port] ]] || continue
                chosen_ports[$reference]=$port
                unset -v "count[$port]"
                say "port $port: $reference"
                continue 2
            done
            fail "none of the ports ${candidates[0]} to ${candidates[-1]} is free on ${nodes[*]}"
        done
    fi
    for s in "${!NEL_SERVER_NAME[@]}"; do
        fill_in "${NEL_SERVER_PORT[s]}"
        server_ports[s]=$filled
        fill_in "${NEL_SERVER_PROXY_PORT[s]}"
        proxy_ports[s]=$filled
    done
}

# On each node, until the job ends: holds a lock for each of the ports that is free, and prints them.
hold_ports() { # PORT...
    local port lock hex directory=/tmp/nel-slurmd-ports.$UID
    mkdir -m 700 "$directory" 2>/dev/null
    # When it is somebody else's there are no locks. Several nodes may be one machine.
    [[ -d $directory && ! -L $directory && -O $directory ]] || directory=
    for port in "$@"; do
        if [[ -n $directory ]] && exec {lock}>"$directory/${SLURMD_NODENAME:-node}.$port"; then
            flock --nonblock "$lock" || (($? != 1)) || continue
        fi 2>/dev/null
        printf -v hex '%04X' "$port"
        ! cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q "^ *[0-9]*: [0-9A-F]*:$hex " || continue
        printf 'port %d\n' "$port"
    done
    printf 'end\n'
    exec sleep infinity >/dev/null
}

# Sets filled to a text of the data with the chosen ports in it.
fill_in() { # TEXT
    local reference
    filled=$1
    for reference in "${!chosen_ports[@]}"; do
        filled=${filled//"$reference"/"${chosen_ports[$reference]}"}
    done
}

# ---- Steps: every container is one srun ----

# A variable that a container takes from the node has to be there: better known now than after the model was loaded.
check_runtime_variables() {
    local i
    for ((i = 0; i < ${#NEL_ENVIRONMENT[@]}; i += 4)); do
        if [[ ${NEL_ENVIRONMENT[i + 2]} == runtime && ! -v ${NEL_ENVIRONMENT[i + 3]} ]]; then
            fail "${NEL_ENVIRONMENT[i]}: ${NEL_ENVIRONMENT[i + 1]} wants ${NEL_ENVIRONMENT[i + 3]}, which is not set"
        fi
    done
}

# Makes the arguments of become_step: the variables of a consumer (rows of NEL_ENVIRONMENT), the NAME=value given here,
# and srun's arguments. Pyxis lets an image's own variables win unless they are named in --container-env.
make_step() { # SECRETS-FILE CONSUMER COUNT NAME=VALUE... SRUN-ARGUMENT...
    local i variable secrets='' rows=() names=() options=()
    for ((i = 0; i < ${#NEL_ENVIRONMENT[@]}; i += 4)); do
        [[ ${NEL_ENVIRONMENT[i]} == "$2" ]] || continue
        names+=("${NEL_ENVIRONMENT[i + 1]}")
        if [[ ${NEL_ENVIRONMENT[i + 2]} == secret ]]; then
            secrets=$1
        else
            rows+=("${NEL_ENVIRONMENT[@]:i+1:3}")
        fi
    done
    for ((i = 2; i < ${#rows[@]}; i += 3)); do
        fill_in "${rows[i]}"
        rows[i]=$filled
    done
    for variable in "${@:4:$3}"; do
        names+=("${variable%%=*}")
        rows+=("${variable%%=*}" literal "${variable#*=}")
    done
    if ((${#names[@]} > 0)); then
        options=(--container-env="$(printf '%s\n' "${names[@]}" | LC_ALL=C sort -u | paste -s -d ,)")
    fi
    step=("$secrets" "$2" "$((${#rows[@]} / 3))" "${rows[@]}" "$srun" "${options[@]}" "${@:4+$3}")
}

# Starts an srun beside others in this allocation and in the background; its process id is in $!.
start_step() { # STEP-NAME LOG CONSUMER COUNT NAME=VALUE... SRUN-ARGUMENT...
    local options=(--overlap --job-name="$1" --output="$logs/$2" --open-mode=append)
    [[ -z $NEL_MPI ]] || options+=(--mpi="$NEL_MPI")
    make_step "$NEL_JOB_DIR/.secrets.env" "${@:3:2+$4}" "${options[@]}" "${@:5+$4}"
    "$BASH" -c "$(declare -f become_step); become_step \"\$@\"" become_step "${step[@]}" </dev/null &
}

# Sets the variables of a step and becomes its command. This runs in a bash of its own and uses positional parameters
# only, so that a variable of the user's may have any name. The values of secrets never are arguments of a process.
become_step() { # SECRETS-FILE CONSUMER COUNT (NAME SOURCE VALUE)... COMMAND...
    set +x
    if [[ -n $1 ]]; then
        # shellcheck source=/dev/null
        source "$1" "$2" || exit
    fi
    set -- "$3" "${@:4}"
    while (($1 > 0)); do
        case $3 in
        literal) export "$2=$4" ;;
        runtime) export "$2=${!4}" ;;
        esac
        set -- "$(($1 - 1))" "${@:5}"
    done
    exec "${@:2}"
}

# Makes the command of a container: a function of this script with its arguments, which are data to every shell.
in_container() { # FUNCTION ARGUMENT...
    container_command=(bash -c "$(declare -f take_variables "$1"); take_variables; $1 \"\$@\"" "$@")
}

# Inside a container: what would have acted on srun and what is behind it came under another name.
take_variables() {
    local variable
    for variable in "${!NEL_INSIDE_@}"; do
        export "${variable#NEL_INSIDE_}=${!variable}"
        unset -v "$variable"
    done
}

# ---- Model servers ----

server_consumer() { # SERVER: "deployment", "auxiliary.judge"
    printf '%s' "${NEL_SERVER_ENV_PREFIX[$1]:+auxiliary.}${NEL_SERVER_NAME[$1]}"
}

start_server() { # SERVER
    local s=$1 g log count=$((NEL_SERVER_NODES[$1] / NEL_SERVER_INSTANCES[$1]))
    log=$(server_log "$s" server)
    for ((g = 0; g < NEL_SERVER_INSTANCES[s]; g++)); do
        start_instance "$s" "$((NEL_SERVER_FIRST_NODE[s] + g * count))" "$count" "$log-$g"
    done
}

# Waits for the first node of every instance, and puts a proxy before several.
await_server() { # SERVER
    local s=$1 g host heads=() count=$((NEL_SERVER_NODES[$1] / NEL_SERVER_INSTANCES[$1]))
    for ((g = 0; g < NEL_SERVER_INSTANCES[s]; g++)); do
        heads+=("${addresses[NEL_SERVER_FIRST_NODE[s] + g * count]}")
    done
    # A deployment of one instance may listen on the loopback address only, and is reached there by the evaluation.
    if [[ -z ${NEL_SERVER_ENV_PREFIX[s]} ]] && ((NEL_SERVER_INSTANCES[s] == 1)); then
        heads=(127.0.0.1)
    fi
    wait_until_ready "${NEL_SERVER_NAME[s]}" "${server_ports[s]}" "${NEL_SERVER_HEALTH_PATH[s]}" 200 \
        "${NEL_SERVER_MODEL_ID[s]}" "${heads[@]}"
    for host in "${heads[@]}"; do
        server_doors+=("${NEL_SERVER_NAME[s]}" "$host" "${server_ports[s]}" "${NEL_SERVER_HEALTH_PATH[s]}")
    done
    if ((NEL_SERVER_INSTANCES[s] > 1)); then
        start_proxy "$s" "${heads[@]}"
    fi
}

start_instance() { # SERVER FIRST-NODE NODE-COUNT LOG
    local s=$1 prefix=${NEL_SERVER_ENV_PREFIX[$1]} master=${addresses[$2]} all options variables pre_command
    all=$(join , "${addresses[@]:NEL_SERVER_FIRST_NODE[s]:NEL_SERVER_NODES[s]}")
    variables=("MASTER_IP=$master" "ALL_NODE_IPS=$all")
    if [[ -n $prefix ]]; then
        variables+=("${prefix}_MASTER_IP=$master" "${prefix}_ALL_NODE_IPS=$all")
    fi
    # A server of several tasks is dead when one of them is: srun would wait for the others.
    options=(--nodelist="$(join , "${nodes[@]:$2:$3}")" --nodes="$3" --kill-on-bad-exit=1
        --ntasks="$((NEL_SERVER_TASKS[s] / NEL_SERVER_INSTANCES[s]))" --container-image="${NEL_SERVER_IMAGE[s]}")
    [[ -z ${NEL_SERVER_MOUNTS[s]} ]] || options+=(--container-mounts="${NEL_SERVER_MOUNTS[s]}")
    [[ ${NEL_SERVER_MOUNT_HOME[s]} == yes ]] || options+=(--no-container-mount-home)
    fill_in "${NEL_SERVER_PRE_CMD[s]}"
    pre_command=$filled
    fill_in "${NEL_SERVER_COMMAND[s]}"
    in_container serve "$3" "$pre_command" "$filled"
    start_step "$4" "$4-%A-%t.log" "$(server_consumer "$s")" "${#variables[@]}" "${variables[@]}" \
        "${options[@]}" "${container_command[@]}"
    server_pids+=($!)
    server_logs+=("logs/$4-$SLURM_JOB_ID-*.log")
    say "started ${NEL_SERVER_NAME[s]} on ${nodes[*]:$2:$3} (${server_logs[-1]})"
}

# Inside the container of a server.
serve() { # NODES-PER-INSTANCE PRE-COMMAND COMMAND
    export PROC_ID=${SLURM_PROCID:-0} NODES_PER_INSTANCE=$1
    if [[ -n $2 ]]; then
        # shellcheck source=/dev/null
        source <(printf '%s\n' "$2") || exit
    fi
    exec bash -c "$3"
}

server_log() { # SERVER KIND: "server", "judge-server"
    printf '%s' "${NEL_SERVER_ENV_PREFIX[$1]:+${NEL_SERVER_NAME[$1]}-}$2"
}

# One address for several instances: HAProxy on the primary node.
start_proxy() { # SERVER HEAD-ADDRESS...
    local s=$1 log config
    log=$(server_log "$s" proxy)
    config=$NEL_JOB_DIR/$log.cfg
    write_proxy_config "$@" | put "$config" || fail "cannot write $config"
    start_step "$log" "$log-%A.log" proxy 0 --nodelist="$PRIMARY_NODE" --nodes=1 --ntasks=1 \
        --container-image="$NEL_PROXY_IMAGE" --container-mounts="$config:/usr/local/etc/haproxy/haproxy.cfg:ro" \
        haproxy -f /usr/local/etc/haproxy/haproxy.cfg
    server_pids+=($!)
    server_logs+=("logs/$log-$SLURM_JOB_ID.log")
    wait_until_ready "the proxy of ${NEL_SERVER_NAME[s]}" "${proxy_ports[s]}" \
        "${NEL_SERVER_PROXY_HEALTH_PATH[s]}" "${NEL_SERVER_PROXY_HEALTH_STATUS[s]}" "${NEL_SERVER_MODEL_ID[s]}" \
        127.0.0.1
}

write_proxy_config() { # SERVER HEAD-ADDRESS...
    local s=$1 i
    shift
    printf '%s\n' global '    log stdout format raw local0' '    maxconn 4096' ''
    printf '%s\n' defaults '    mode http' '    log global' '    option httplog' '    timeout connect 10s' \
        '    timeout client 24h' '    timeout server 24h' ''
    printf '%s\n' 'frontend models' "    bind *:${proxy_ports[s]}" '    default_backend instances' ''
    printf '%s\n' 'backend instances' '    balance leastconn' '    option http-server-close' \
        "    option httpchk GET ${NEL_SERVER_PROXY_HEALTH_PATH[s]}" \
        "    http-check expect status ${NEL_SERVER_PROXY_HEALTH_STATUS[s]}"
    for ((i = 0; i < $#; i++)); do
        printf '    server instance%d %s:%s check\n' "$i" "${@:i+1:1}" "${server_ports[s]}"
    done
}

# A port that answers before its server was started is another's: the evaluation would ask that one.
refuse_taken_ports() {
    local s g tries host port count place places=()
    for s in "${!NEL_SERVER_NAME[@]}"; do
        count=$((NEL_SERVER_NODES[s] / NEL_SERVER_INSTANCES[s]))
        for ((g = 0; g < NEL_SERVER_INSTANCES[s]; g++)); do
            places+=("${NEL_SERVER_NAME[s]} ${addresses[NEL_SERVER_FIRST_NODE[s] + g * count]} ${server_ports[s]}")
        done
        ((NEL_SERVER_FIRST_NODE[s] > 0)) || places+=("${NEL_SERVER_NAME[s]} 127.0.0.1 ${server_ports[s]}")
        ((NEL_SERVER_INSTANCES[s] == 1)) ||
            places+=("the proxy of ${NEL_SERVER_NAME[s]} 127.0.0.1 ${proxy_ports[s]}")
    done
    for place in "${places[@]}"; do
        port=${place##* } place=${place% *}
        host=${place##* } place=${place% *}
        # What was killed a moment ago may still be there.
        for ((tries = 1; tries <= 5; tries++)); do
            listens "$host" "$port" / || continue 2
            sleep "$probe_interval_s"
        done
        fail "port $port of $host answers although $place was not started yet: another program uses it;" \
            "set another port, or none on nodes that others may share, where a free one is then chosen"
    done
}

# Ends when every address answers with that status and, where it lists its models, with ours. A server that died, SIGTERM
# and the time limit for it end the job.
wait_until_ready() { # WHAT PORT PATH STATUS MODEL ADDRESS...
    local what=$1 address url state begin=$SECONDS
    for address in "${@:6}"; do
        url=http://$address:$2$3
        say "waiting for $what at $url"
        while state=$(readiness "$url" "$4" "http://$address:$2/v1/models" "$5") && check_servers &&
            [[ $state != ready ]]; do
            ((SECONDS - begin < NEL_READINESS_TIMEOUT_S)) ||
                fail "$what was not ready after $NEL_READINESS_TIMEOUT_S s: $state"
            sleep "$probe_interval_s"
        done
    done
    say "$what is ready"
}

# Prints "ready", or what is missing.
readiness() { # URL STATUS URL-OF-MODELS MODEL
    local answer names
    answer=$(probe "$1")
    answer=${answer##*$'\n'}
    if [[ $answer != "$2" ]]; then
        printf '%s answered %s' "$1" "${answer/#000/nothing}"
        return
    fi
    answer=$(probe "$3")
    case ${answer##*$'\n'} in
    200) ;;
    000 | 50[0234])
        answer=${answer##*$'\n'}
        printf '%s answered %s' "$3" "${answer/#000/nothing}"
        return
        ;;
    *) answer='' ;; # it has no such list, or not for us
    esac
    names=$(grep -aoE '"id"[[:space:]]*:[[:space:]]*"([^"\\]|\\.)*"' <<<"$answer" |
        sed -e 's/^"id"[[:space:]]*:[[:space:]]*"//' -e 's/"$//' -e 's,\\/,/,g' -e '/^modelperm-/d')
    # Names that JSON escapes are not compared.
    if [[ -z $names || -z $4 || $4 == *[!\ -~]* || $4 == *[\"\\]* ]] || grep -Fqx -e "$4" <<<"$names"; then
        printf 'ready'
    else
        names=${names//$'\n'/, }
        printf '%s lists %s, not %s: another server answers, or served_model_name is not its name' "$3" \
            "${names:0:last_words_max}" "$4"
    fi
}

# Prints the beginning of the body and, in a line of its own, the HTTP status; 000 for none.
probe() { # URL
    curl --silent --globoff --noproxy '*' --max-time "$probe_timeout_s" --write-out '\n%{http_code}' "$1" 2>/dev/null |
        {
            head -c "$probe_max" | tr -d '\0'
            printf '\n'
            tail -n 1
        }
}

# Does anything accept connections there, whether it answers or not? 1: they are refused; 2: it cannot be told.
listens() { # HOST PORT PATH
    local connected
    connected=$(curl --silent --output /dev/null --globoff --noproxy '*' --max-time "$probe_timeout_s" \
        --write-out '%{time_connect}' "http://$1:$2$3" 2>/dev/null)
    case $? in
    7) return 1 ;; # curl(1): failed to connect
    28) [[ $connected != 0.000000 ]] || return 2 ;; # nothing came in time
    esac
}

# Asked after the probe too: on a shared node another's server may answer in place of one that found its port taken.
check_servers() {
    local i
    ((!terminated)) || exit 143
    for i in "${!server_pids[@]}"; do
        kill -0 "${server_pids[i]}" 2>/dev/null ||
            fail "a server died before all were ready: ${server_logs[i]} ends with: $(last_words "${server_logs[i]}")"
    done
}

# Prints the last lines of a server, in one. Of several tasks those count that were not ended from outside.
last_words() { # PATTERN OF ITS LOGS
    local file lines words=
    # shellcheck disable=SC2231 # it is a pattern
    for file in "$NEL_JOB_DIR"/$1; do
        [[ -f $file && ! -L $file ]] || continue
        lines=$(tail -n 50 -- "$file" 2>/dev/null | tr -d '\0')
        if [[ -z $words || $lines != *'*** STEP '*' CANCELLED '* ]]; then
            words=$(grep -v -e '^srun: ' -e '\*\*\* STEP ' -e 'spank: required plugin' -e 'spank plugin stack' \
                -e 'pyxis: .*container start' -e "pyxis: couldn't start" -e '^[[:space:]]*$' <<<"$lines" | tail -n 3)
        fi
    done
    words=${words//$'\n'/ | }
    ((${#words} <= last_words_max)) || words=...${words: -last_words_max}
    printf '%s' "$words"
}

# An evaluation that failed may have failed for that. remote_collect.sh looks for these lines.
tell_dead_servers() {
    local i
    for i in "${!server_pids[@]}"; do
        kill -0 "${server_pids[i]}" 2>/dev/null || say "a server died during the evaluation: ${server_logs[i]}"
    done
}

# An evaluator may count requests that nobody answered as wrong answers, so scores count only when every server was there
# from the first to the last.
watch_servers() {
    local i nap=
    trap 'kill "$nap" 2>/dev/null; exit' TERM
    while kill -0 $$; do
        for ((i = 0; i < ${#server_doors[@]}; i += 4)); do
            if is_away "${server_doors[@]:i:4}"; then
                printf '%s at %s:%s refused connections at %(%H:%M:%S)T\n' "${server_doors[@]:i:3}" -1 |
                    put "$attempt_dir/away"
                exit
            fi
        done
        sleep "$watch_interval_s" &
        nap=$!
        wait "$nap"
    done
}

stop_watching() {
    if [[ -n $watch_pid ]]; then
        disown "$watch_pid" 2>/dev/null
        kill -KILL "$watch_pid" 2>/dev/null
        watch_pid=
    fi
}

is_away() { # NAME HOST PORT PATH
    listens "${@:2}"
    (($? == 1))
}

# Prints what was amiss with the servers; nothing when all were there.
find_absence() {
    local i
    for i in "${!server_pids[@]}"; do
        if ! kill -0 "${server_pids[i]}" 2>/dev/null; then
            printf '%s ends with: %s' "${server_logs[i]}" "$(last_words "${server_logs[i]}")"
            return
        fi
    done
    for ((i = 0; i < ${#server_doors[@]}; i += 4)); do
        if is_away "${server_doors[@]:i:4}"; then
            printf '%s at %s:%s refuses connections' "${server_doors[@]:i:3}"
            return
        fi
    done
    peek "$attempt_dir/away"
}

stop_servers() {
    local pid deadline=$((SECONDS + (terminated ? 5 : stop_grace_s))) # those that Slurm ends have heard of it
    ((${#server_pids[@]} > 0)) || return 0
    say "stopping the servers"
    kill "${server_pids[@]}" 2>/dev/null # one that has exited already is no fault
    for pid in "${server_pids[@]}"; do
        while kill -0 "$pid" 2>/dev/null && ((SECONDS < deadline && !killing)); do
            sleep 1
        done
        kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    server_pids=()
}

# Tells the evaluation where an auxiliary server is: JUDGE_CHAT_URL, JUDGE_MODEL_ID.
publish_endpoints() { # SERVER
    local s=$1 i host=${addresses[NEL_SERVER_FIRST_NODE[$1]]} port=${server_ports[$1]}
    [[ -n ${NEL_SERVER_ENV_PREFIX[s]} ]] || return 0
    if ((NEL_SERVER_INSTANCES[s] > 1)); then
        host=127.0.0.1 port=${proxy_ports[s]}
    fi
    for ((i = 0; i < ${#NEL_ENDPOINTS[@]}; i += 3)); do
        if [[ ${NEL_ENDPOINTS[i]} == "$s" ]]; then
            evaluation_env+=("${NEL_ENDPOINTS[i + 1]}=http://$host:$port${NEL_ENDPOINTS[i + 2]}")
        fi
    done
    evaluation_env+=("${NEL_SERVER_ENV_PREFIX[s]}_MODEL_ID=${NEL_SERVER_MODEL_ID[s]}")
}

# ---- Evaluation ----

# The evaluator's config with what is known only now: the addresses of the auxiliaries in place of ${JUDGE_CHAT_URL}, and
# the ports. Only those names are replaced.
write_evaluator_config() {
    local text variable
    text=$(peek "$NEL_JOB_DIR/config_ef.yaml") || fail "cannot read $NEL_JOB_DIR/config_ef.yaml"
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
    local options status pre_command evaluation_pid absence
    rm -rf "$interrupted_marker" "$export_dir" "$artifacts/export.tsv" # of an earlier attempt
    write_evaluator_config
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
    in_container evaluate "$pre_command" "$filled"
    ((!terminated)) || return 143
    say "starting the evaluation (logs/client-$SLURM_JOB_ID.log)"
    start_step evaluation client-%A.log evaluation "${#evaluation_env[@]}" "${evaluation_env[@]}" \
        "${options[@]}" "${container_command[@]}"
    evaluation_pid=$!
    rm -f "$attempt_dir/away" # of an earlier start
    watch_servers </dev/null >/dev/null 2>&1 &
    watch_pid=$!
    wait_for_evaluation "$evaluation_pid"
    status=$?
    stop_watching
    say "the evaluation ended with exit code $status"
    ((status == 0 || terminated)) || tell_dead_servers
    if ((status == 0)) && ! has_finished || [[ -e $interrupted_marker ]]; then
        say "it was interrupted and is not finished"
        status=143
    fi
    ! is_overtaken || return 143
    if ((status == 0)) && absence=$(find_absence) && [[ -n $absence ]]; then
        ((!terminated)) || return 143 # they have been told to end as well
        fail "a server was away while the evaluation ran, so its scores do not count: $absence"
    fi
    ((status != 0)) || seal_results
    return "$status"
}

# srun ends with 0, too, when Slurm has lost its node, and what ran there runs on (seen with Slurm 22.05). One that was told to
# stop has finished nevertheless when its scores are there.
has_finished() {
    local text
    if ((!terminated)); then
        text=$(timeout 5 scontrol --oneliner show job "$SLURM_JOB_ID" 2>/dev/null)
        [[ $text == *' JobState='* && $text != *' JobState=RUNNING '* ]] || return 0
        note_why
    fi
    ((!ended_by_slurm)) || [[ $fate == TIMEOUT || $fate == PREEMPTED ]] || return 1
    [[ $artifacts/results.yml -nt $attempt_dir/started ]]
}

# What the finished evaluation left as its scores, in the attempt's file `results`: "<sha256> <bytes> <modified, epoch>",
# or "none 0 0". No attempt that failed has one. Scores that were written by somebody else, or later, differ from it.
seal_results() {
    local hash='' size=0 modified=0
    read -r hash size modified < <(
        enter "$artifacts" && [[ -f results.yml && ! -L results.yml ]] &&
            hash=$(dd if=results.yml iflag=nofollow,nonblock bs=1M count="$sealed_mib_max" status=none | sha256sum) &&
            printf '%s %s\n' "${hash%% *}" "$(stat -c '%s %Y' results.yml)"
    )
    printf '%s %d %d\n' "${hash:-none}" "$size" "$modified" | put "$attempt_dir/results" ||
        say "warning: cannot write to $attempt_dir"
}

# `wait` returns early, with the number of a signal, when a trap has run.
wait_for_evaluation() { # PID
    local status again
    while :; do
        ((!terminated || forwarded)) || forward_term
        ((!killing && !overtaken)) || kill_evaluation "$1"
        wait "$1"
        status=$?
        kill -0 "$1" 2>/dev/null || break
    done
    wait "$1" # what has ended keeps its exit code
    again=$?
    ((again == 127)) || status=$again
    return "$status"
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
    while read -r id name; do
        [[ $name != evaluation ]] || timeout 5 scancel --signal="$1" "$id"
    done < <(timeout 5 squeue --noheader --steps --jobs="$SLURM_JOB_ID" --format='%i %j')
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
    [[ $(trap -p EXIT) != *nel_finish* ]] || trap - EXIT
    ! command -v nemo-evaluator >/dev/null 2>&1 || evaluator=nemo-evaluator
    (
        trap : TERM
        trap nel_finish EXIT
        "$evaluator" run_eval --run_config "$config"
        exit
    )
}

# ---- Export ----

# A job of its own, without GPUs. That it cannot be sent is a warning: the scores are there.
submit_export() {
    local script=$NEL_JOB_DIR/export.sub secrets=$NEL_JOB_DIR/.export.env answer name status
    # Of the output directory no more than this evaluation, where the exporters look for job directories; and to be written
    # only the artifacts, for scripts of the other jobs lie there.
    local run=${NEL_JOB_DIR%/*}
    local mounts=$run:$run:ro,$artifacts:$artifacts${NEL_EXPORT_MOUNTS:+,$NEL_EXPORT_MOUNTS}
    in_container run_exporters "$NEL_EXPORT_INSTALL_CMD" "$NEL_EVALUATION.$NEL_JOB_INDEX" "$NEL_JOB_DIR" \
        "$NEL_OUTPUT_DIR" "${NEL_EXPORT_DESTINATIONS[@]}"
    make_step "$secrets" export 0 --nodes=1 --ntasks=1 --container-image="$NEL_EXPORT_IMAGE" \
        --container-mounts="$mounts" --no-container-mount-home "${container_command[@]}"
    if ! write_export_secrets "${step[0]}" || ! write_export_script | put "$script"; then
        say "warning: the export job could not be prepared; nothing is exported"
        note_export 'refused it could not be prepared'
        rm -f "$secrets"
        return 0
    fi
    if answer=$(
        # The export job must not take this job's shape for its own.
        for name in "${!SLURM_@}" "${!SBATCH_@}"; do
            [[ $name == SLURM_CONF ]] || unset "$name"
        done
        timeout -k 5 "$sbatch_timeout_s" sbatch --parsable --job-name="nel-export-${NEL_JOB_DIR##*/}" --account="$NEL_EXPORT_ACCOUNT" \
            --partition="$NEL_EXPORT_PARTITION" --nodes=1 --ntasks=1 --time=30 --no-requeue \
            --output="$logs/export-%A.log" "$script" "$export_dir" "${step[@]}" </dev/null 2>&1
        status=$?
        ((status != 124 && status != 137)) || printf 'sbatch did not answer within %d s' "$sbatch_timeout_s"
        exit "$status"
    ) && [[ $'\n'$answer$'\n' =~ $'\n'([0-9]{1,20})(;[^$'\n']*)?$'\n' ]]; then
        say "sent export job ${BASH_REMATCH[1]}"
        note_export "${BASH_REMATCH[1]}"
    else
        say "warning: the export job was refused: $answer"
        note_export "refused $answer"
        rm -f "$secrets"
    fi
}

note_export() { # the Slurm id of the export job, or "refused" and why
    mkdir -p "$export_dir" && (enter "$export_dir" && printf '%s\n' "${1//$'\n'/ }" | put job)
}

# The secrets file is removed when this job has ended; the export job reads, and removes, a copy of its own share.
write_export_secrets() { # FILE, or '' when there are none
    local i names=()
    [[ -n $1 ]] || return 0
    for ((i = 0; i < ${#NEL_ENVIRONMENT[@]}; i += 4)); do
        if [[ ${NEL_ENVIRONMENT[i]} == export && ${NEL_ENVIRONMENT[i + 2]} == secret ]]; then
            names+=("${NEL_ENVIRONMENT[i + 1]}")
        fi
    done
    "$BASH" -c "$(declare -f print_secrets); print_secrets \"\$@\"" print_secrets \
        "$NEL_JOB_DIR/.secrets.env" export "${names[@]}" | put "$1"
}

# In a bash of its own, with positional parameters only, as become_step and for the same reason.
print_secrets() { # SECRETS-FILE CONSUMER NAME...
    set +x
    # shellcheck source=/dev/null
    source "$1" "$2" || exit
    shift 2
    while (($# > 0)); do
        printf 'export %s=%q\n' "$1" "${!1}"
        shift
    done
}

# The job's data are arguments of the script, not part of it.
write_export_script() {
    printf '#!/bin/bash\n# Written by run.sub: exports the scores of a finished evaluation.\n'
    declare -f become_step put enter export_scores
    printf 'export_scores "$@"\n'
}

# The batch script of the export job. Its exit code in the directory's file `end` says that it has ended.
export_scores() { # DIRECTORY, and the arguments of become_step
    local status NEL_JOB_DIR=${1%/*}
    (become_step "${@:2}")
    status=$?
    [[ -z $2 ]] || rm -f "$2"
    (enter "$1" && printf '%d\n' "$status" | put end)
    printf 'the export ended with exit code %d\n' "$status"
    exit "$status"
}

# Inside the container of the export. How it went for each destination is told in artifacts/export.tsv.
run_exporters() { # INSTALL-COMMAND JOB JOB-DIR OUTPUT-DIR DESTINATION...
    local destination status failed=0
    # shellcheck source=/dev/null
    source <(printf '%s\n' "$1") || exit
    cd "$3/artifacts" || exit
    rm -f export.tsv
    for destination in "${@:5}"; do
        printf 'exporting to %s\n' "$destination"
        nemo-evaluator-launcher export "$2" --dest "$destination" --config "$3/artifacts/export_config.yml" \
            --job-dirs "$4"
        status=$?
        ((status == 0)) || failed=1
        printf '%s\t%d\n' "$destination" "$status" >>export.tsv
    done
    exit "$failed"
}

# ---- In order ----

main() {
    local s status
    claim_attempt
    trap leave EXIT
    trap on_term TERM
    trap on_alarm ALRM
    stamp_start
    say "evaluation $NEL_EVALUATION, job $NEL_JOB_INDEX ($NEL_TASK), attempt $NEL_ATTEMPT, Slurm job $SLURM_JOB_ID"
    continue_chain "$@"
    set_deadline
    start_watch
    part_from_the_past
    [[ -n $srun ]] || fail "there is no srun on this node"
    check_runtime_variables
    find_nodes
    choose_ports
    refuse_taken_ports
    for s in "${!NEL_SERVER_NAME[@]}"; do
        start_server "$s" # all at once: models take long to load
    done
    for s in "${!NEL_SERVER_NAME[@]}"; do
        await_server "$s"
        publish_endpoints "$s"
    done
    run_evaluation
    status=$?
    stop_servers
    # One that was cancelled, even now, is not exported.
    if ((status == 0 && ${#NEL_EXPORT_DESTINATIONS[@]} > 0)) && { ((!ended_by_slurm)) || [[ $fate == TIMEOUT || $fate == PREEMPTED ]]; }; then
        submit_export
    fi
    return "$status"
}

main "$@"
