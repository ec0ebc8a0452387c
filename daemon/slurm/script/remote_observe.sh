#!/bin/bash
# Says what squeue, sacct and the jobs' own directories know of a list of jobs: squeue is asked once for all, sacct once
# for those that squeue lacks or shows as ended, and files are read of those that are not waiting.
#
# The list follows the script, three lines a job: "<index>|<job id>|<attempt>", "name=<name>", "dir=<directory>". Answers:
#   q|<id>|<state>|<submitted>|<start>|<end>|<time used>|<reason>|<name>|<nodes>          a row of squeue
#   a|<id>|<state>|<exit:signal>|<submitted>|<start>|<end>|<elapsed>|<name>|<nodes>|<tres> a row of sacct
#   w|<id>                                                                                sacct is asked about it
#   p                                                                                     what squeue says is complete
#   e|<id>                                                                                slurmctld says it was preempted
#   m|<squeue or sacct>|<text>                                                            it could not be asked
#   f|<index>|<progress/total>|<heartbeat>|<start,start,...>|<end:exit,end:exit,...>|<fate>|<line:ready,...>|<use> the job's files
#   j|<index>|<job>|<start,start,...>|<progress/total>|<exit|start|end|attempt|why>             of each job on a shared deployment
#                                                     that has begun or ended (run_shared/13_jobs.sh); the last: '' or its end
#   n|<nodes>|<free nodes>|<GPUs>|<free GPUs>                                             in service, when NEL_COUNT_NODES is 1
# and last, when NEL_DIRECTORIES has any, what remote_directories.sh tells of watched directories.

squeue_ids_max=1000 # more ids than this: all of the account's jobs are asked for instead
sacct_s=30          # for its answers: the daemon has taken what squeue says meanwhile
sacct_ids_max=8000  # in one call; an argument may have 128 KiB
queue_format='q|%i|%T|%V|%S|%e|%M|%r|%j|%N'
acct_format=JobID,State,ExitCode,Submit,Start,End,ElapsedRaw,JobName,NodeList,AllocTRES
cancelled_max=20    # whose end slurmctld is asked about
stamps_max=64
small_max=2048 # bytes of a file of stamps
files_a_turn=200 # that are open at once
shared_max=4000  # jobs on shared deployments
files_s=20     # to read all of them
sinfo_s=10
directories_s=15 # to look into all of them; one that hangs at the end of it may take answer_s longer
nodes_format=NodeList:64,StateLong:32,Gres:1024,GresUsed:1024

declare -A name_of=() state_of=()
payload=() indexes=() ids=() attempts=() dirs=()

read_orders() {
    local i line
    read_payload
    for ((i = 0; i + 2 < ${#payload[@]}; i += 3)); do
        line=${payload[i]}
        indexes+=("${line%%|*}")
        line=${line#*|}
        ids+=("${line%%|*}")
        attempts+=("${line#*|}")
        dirs+=("${payload[i + 2]#dir=}")
        name_of[${ids[-1]}]=${payload[i + 1]#name=}
    done
}

join_ids() {
    local IFS=,
    printf '%s' "$*"
}

is_live() { # STATE, "" when squeue has not said any
    [[ -n $1 ]] && ! is_end "$1"
}

# Prints the rows of wanted jobs; notes the state of each (of an array: of a live element when there is one).
ask_squeue() {
    local rows row id which
    if ((${#ids[@]} <= squeue_ids_max)); then
        which=--jobs=$(join_ids "${ids[@]}")
    else
        which=--user=$(id -un)
    fi
    # When it was asked for one id only, squeue calls it an error not to know it.
    if ! rows=$(ask squeue --noheader --states=all "$which" --format="$queue_format") &&
        [[ $rows != *'Invalid job id specified'* ]]; then
        printf 'm|squeue|%s\n' "$(one_line "$rows")"
        return 1
    fi
    local IFS=$'\n'
    set -f
    for row in $rows; do
        [[ $row == 'q|'* ]] || continue
        id=${row#q|}
        id=${id%%[!0-9]*}
        [[ -n $id && -n ${name_of[$id]+set} ]] || continue
        printf '%s\n' "${row:0:4000}"
        if [[ $row == *"|${name_of[$id]}|"* ]] && ! is_live "${state_of[$id]-}"; then
            row=${row#q|*|}
            state_of[$id]=${row%%|*}
        fi
    done
    set +f
}

ask_sacct() {
    local id rows row wanted=() i begun=$SECONDS
    for id in "${ids[@]}"; do
        if ! is_live "${state_of[$id]-}"; then
            wanted+=("$id")
            printf 'w|%s\n' "$id"
        fi
    done
    ((${#wanted[@]} == 0)) || printf 'p\n'
    for ((i = 0; i < ${#wanted[@]}; i += sacct_ids_max)); do
        if ! rows=$(ask_within "$((sacct_s - SECONDS + begun))" sacct --allocations --duplicates --noheader --parsable2 \
            --jobs="$(join_ids "${wanted[@]:i:sacct_ids_max}")" \
            --format="$acct_format"); then
            printf 'm|sacct|%s\n' "$(one_line "$rows")"
            return
        fi
        local IFS=$'\n'
        set -f
        for row in $rows; do
            id=${row%%[!0-9]*}
            [[ -n $id && -n ${name_of[$id]+set} ]] || continue
            printf 'a|%s\n' "${row:0:4000}"
            [[ $row != "$id|CANCELLED"* ]] || state_of[$id]=${row#"$id|"} state_of[$id]=${state_of[$id]%%|*}
        done
        set +f
    done
}

# Preemption that does not requeue shows at some sites as CANCELLED, by root, by Slurm's own user, or by nobody.
ask_cancelled() {
    local id text slurm count=0
    slurm=$(id -u slurm 2>/dev/null) || slurm=0
    for id in "${ids[@]}"; do
        [[ ${state_of[$id]-} =~ ^CANCELLED(\ by\ (0|root|slurm|$slurm))?$ ]] || continue
        ((count++ < cancelled_max)) || break
        text=$(ask scontrol --oneliner show job "$id") || continue
        [[ $text == *" JobName=${name_of[$id]} "* && $text =~ \ PreemptTime=[0-9] ]] && printf 'e|%s\n' "$id"
    done
}

# In a federation another cluster may have started a job; here it is REVOKED.
ask_federation() {
    local id rows row revoked=() name
    for id in "${ids[@]}"; do
        [[ ${state_of[$id]-} != REVOKED ]] || revoked+=("$id")
    done
    ((${#revoked[@]} > 0)) || return 0
    id=$(join_ids "${revoked[@]}")
    rows=$(ask squeue --federation --noheader --states=all --jobs="$id" --format="$queue_format")
    ((!NEL_USE_SACCT)) || rows+=$'\n'$(ask sacct --federation --allocations --duplicates --noheader --parsable2 \
        --jobs="$id" --format="$acct_format" | sed 's/^/a|/')
    while IFS= read -r row; do
        name=${row#[qa]|} id=${name%%[!0-9]*}
        [[ $row == [qa]'|'* && $row != *'|REVOKED|'* && -n $id && -n ${name_of[$id]+set} ]] && printf '%s\n' "${row:0:4000}"
    done <<<"$rows"
}

# Reads the beginnings of small files into text_of[<key>]. Containers can write there, so that it is the open files that are
# looked at, many at once: regular ones without another name, reached by no link from the run directory on.
read_small() { # (KEY DIRECTORY PATH-IN-IT)...
    local i fd text keys=() fds=() rests=() opened=() reals=() kinds=()
    while (($# > 0)); do
        if [[ -f $2/$3 && ! -L $2/$3 ]] && { exec {fd}<"$2/$3"; } 2>/dev/null; then
            keys+=("$1") fds+=("$fd") rests+=("${2#"${2%/*/*}"}/$3") opened+=("/proc/self/fd/$fd")
        fi
        shift 3
    done
    ((${#fds[@]} > 0)) || return 0
    mapfile -d '' -t reals < <(readlink -z -- "${opened[@]}")
    mapfile -t kinds < <(stat -L -c '%h %F' -- "${opened[@]}")
    for i in "${!fds[@]}"; do
        fd=${fds[i]} text=''
        if [[ ${kinds[i]-} == '1 regular '* && ${reals[i]-} == /*"${rests[i]}" ]]; then
            IFS= read -r -d '' -n "$small_max" text <&"$fd"
            text_of[${keys[i]}]=$text
        fi 2>/dev/null
        exec {fd}<&-
    done
}

# Sets line to "<finished>/<total>" of the counter of an evaluator and what run_body/11_evaluation.sh found in its log; either may
# be missing, and line is empty without both.
read_progress() { # COUNTER TOTAL
    line=${1%%$'\n'*}
    [[ $line =~ ^[0-9]{1,18}$ ]] || line=
    [[ ! ${2%%$'\n'*} =~ ^[0-9]{1,18}$ ]] || line+=/${2%%$'\n'*}
}

# Sets line to the first words of the lines of a text: SEPARATOR between the words of a line, ',' between lines.
read_stamps() { # TEXT SEPARATOR
    local row first second rows=() IFS=$'\n'
    line=''
    set -f
    # shellcheck disable=SC2206
    rows=(${1%"${1##*$'\n'}"}) # what has no end yet is still being written
    set +f
    for row in "${rows[@]:0:stamps_max}"; do
        first=${row%% *} second=${row#"${row%% *}"}
        second=${second# } second=${second%% *}
        line+=${line:+,}${first:0:20}${second:+$2${second:0:12}}
    done
    line=${line//[!0-9:,-]/}
}

print_files() {
    local i name turn line progress started ended fate ready use starts ends heartbeat beats=() wanted=() files=()
    declare -A beat_of=() text_of=()
    for i in "${!ids[@]}"; do
        # Nothing is written before it starts.
        [[ ${state_of[${ids[i]}]-} != PENDING ]] || continue
        wanted+=("$i")
        for name in started ended fate ready total use; do
            files+=("$i:$name" "${dirs[i]}" ".attempts/${attempts[i]}/$name")
        done
        files+=("$i:progress" "${dirs[i]}" artifacts/progress)
    done
    for ((turn = 0; turn < ${#files[@]}; turn += 3 * files_a_turn)); do
        read_small "${files[@]:turn:3 * files_a_turn}"
    done
    for i in ${wanted[@]+"${wanted[@]}"}; do
        read_stamps "${text_of[$i:started]-}" ''
        started[i]=$line
        read_stamps "${text_of[$i:ended]-}" :
        ended[i]=$line
        ready[i]=
        if [[ -n ${text_of[$i:ready]-} ]]; then
            read_stamps "${text_of[$i:ready]}" :
            ready[i]=$line
        fi
        use[i]=${text_of[$i:use]-}
        [[ ${use[i]} =~ ^[0-9]{1,12}(\ [0-9]{1,12}){3}$'\n'$ ]] || use[i]=
        use[i]=${use[i]%$'\n'} use[i]=${use[i]// /:}
        fate[i]=${text_of[$i:fate]-}
        fate[i]=${fate[i]%%[!A-Z_]*}
        read_progress "${text_of[$i:progress]-}" "${text_of[$i:total]-}"
        progress[i]=$line
        starts=${started[i]//[!,]/} ends=${ended[i]//[!,]/}
        # A start without an end: the heartbeat says how far it came.
        [[ -n ${started[i]} && (-z ${ended[i]} || ${#starts} -gt ${#ends}) ]] &&
            beats+=("${dirs[i]}/.attempts/${attempts[i]}/alive")
    done
    if ((${#beats[@]} > 0)); then
        local IFS=$'\n'
        set -f
        for line in $(printf '%s\0' "${beats[@]}" | xargs -0 stat --format='%Y|%n' -- 2>/dev/null); do
            beat_of[${line#*|}]=${line%%|*}
        done
        set +f
    fi
    for i in "${!started[@]}"; do
        heartbeat=${beat_of[${dirs[i]}/.attempts/${attempts[i]}/alive]-}
        [[ -n ${started[i]}${ended[i]}${progress[i]}${fate[i]} ]] || continue
        printf 'f|%s|%s|%s|%s|%s|%s|%s|%s\n' "${indexes[i]}" "${progress[i]}" "$heartbeat" "${started[i]}" \
            "${ended[i]}" "${fate[i]}" "${ready[i]}" "${use[i]}"
    done
}

# What the jobs on shared deployments have begun and ended.
print_shared_jobs() {
    local i turn path job line progress files=() jobs=()
    declare -A text_of=()
    for i in "${!ids[@]}"; do
        [[ ${state_of[${ids[i]}]-} != PENDING ]] || continue
        for path in "${dirs[i]}"/.jobs/*.*; do
            job=${path##*/}
            [[ $job != *[!a-zA-Z0-9_.-]* && ${job##*.} =~ ^[0-9]{1,9}$ ]] || continue
            ((${#jobs[@]} < 2 * shared_max)) || break 2
            jobs+=("$i" "$path")
            files+=("$path:started" "${dirs[i]}" ".jobs/$job/.attempts/${attempts[i]}/started"
                "$path:total" "${dirs[i]}" ".jobs/$job/.attempts/${attempts[i]}/total"
                "$path:end" "${dirs[i]}" ".jobs/$job/end"
                "$path:progress" "${dirs[i]%/*}/$job" artifacts/progress)
        done
    done
    for ((turn = 0; turn < ${#files[@]}; turn += 3 * files_a_turn)); do
        read_small "${files[@]:turn:3 * files_a_turn}"
    done
    for ((i = 0; i < ${#jobs[@]}; i += 2)); do
        path=${jobs[i + 1]}
        read_progress "${text_of[$path:progress]-}" "${text_of[$path:total]-}"
        progress=$line
        read_stamps "${text_of[$path:started]-}" ''
        job=${text_of[$path:end]-}
        [[ $job =~ ^([0-9]{1,3})\ ([0-9]{1,12})\ ([0-9]{1,12})\ ([0-9]{1,9})\ (ended|cancelled)$'\n'$ ]] || job=''
        job=${job%$'\n'}
        [[ -z $line$job ]] || printf 'j|%s|%s|%s|%s|%s\n' "${indexes[${jobs[i]}]}" "${path##*.}" "$line" "$progress" "${job// /|}"
    done
}

print_all_files() {
    print_files
    print_shared_jobs
}

# Counts nodes and GPUs from rows of sinfo, which has one for each partition of a node. What is down, drained, reserved or about
# to restart is not in service; what is planned for another job ('-') is not free, nor are GPUs of a node whose CPUs are all
# taken. sinfo(1), NODE STATE CODES.
# shellcheck disable=SC2016
count_nodes='
    function gpus(text, parts, i, count, sum) {
        gsub(/\([^)]*\)/, "", text) # "gpu:a100:4(S:0-1)", "gpu:a100:2(IDX:0,3)"
        count = split(text, parts, ",")
        sum = 0
        for (i = 1; i <= count; i++)
            if (parts[i] ~ /^gpu:(.*:)?[0-9]+$/) {
                sub(/.*:/, "", parts[i])
                sum += parts[i]
            }
        return sum
    }
    NF == 4 && $2 ~ /^(idle|mixed|allocated|completing|planned)[~#+-]?$/ && !seen[$1]++ {
        nodes++
        all = gpus($3)
        total += all
        if ($2 ~ /^idle[~#+]?$/)
            free_nodes++
        if ($2 ~ /^(idle|mixed)[~#+]?$/ && (used = gpus($4)) < all)
            free += all - used
    }
    END { printf "n|%d|%d|%d|%d\n", nodes, free_nodes, total, free }'

print_nodes() {
    local rows
    rows=$(ask_within "$sinfo_s" sinfo --noheader --Node --Format="$nodes_format") || return
    awk "$count_nodes" <<<"$rows"
}

print_directories() {
    ((NEL_TIMEOUT_S <= SECONDS + directories_s)) || NEL_TIMEOUT_S=$((SECONDS + directories_s))
    look_at_directories
}

# Runs a function that only prints. A file system that hangs, or a FIFO that takes the place of a file at the right moment,
# could hold it for ever: then it is ended with all that it started. What cannot be ended holds none of the script's open files,
# and nobody waits for it.
within() { # SECONDS FUNCTION
    local left=$((NEL_TIMEOUT_S - SECONDS)) told
    ((left <= $1)) || left=$1
    ((left > 0)) || return 0
    exec {told}<> <(:) # a pipe
    set -m # gives it a process group of its own
    (
        "$2" 2>/dev/null </dev/null | cat
        printf 'over\n' >&"$told"
    ) &
    set +m
    if ! read -r -t "$left" -u "$told"; then
        kill -TERM -- "-$!"
        read -r -t 0.5 -u "$told"
        kill -KILL -- "-$!"
        printf '\n' # the last line may have been cut
    fi 2>/dev/null
    exec {told}<&-
}

read_orders
printf 'now|%s\n' "$(date +%s)"
if ((${#ids[@]} > 0)); then
    if ask_squeue && ((NEL_USE_SACCT)); then
        ask_sacct
    fi
    ask_cancelled
    ask_federation
    within "$files_s" print_all_files
    ((!NEL_COUNT_NODES)) || print_nodes
fi
# shellcheck disable=SC2154 # answer_s is remote_directories.sh's
((${#NEL_DIRECTORIES[@]} == 0)) || within "$((directories_s + answer_s))" print_directories
printf 'end\n'
