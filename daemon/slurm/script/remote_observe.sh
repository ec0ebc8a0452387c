#!/bin/bash
# Says what squeue, sacct and the jobs' own directories know of a list of jobs: squeue is asked once for all, sacct once
# for those that squeue lacks or shows as ended, and files are read of those that are not waiting.
#
# The list follows the script, three lines a job: "<index>|<job id>|<attempt>", "name=<name>", "dir=<directory>". Answers:
#   q|<id>|<state>|<submitted>|<start>|<end>|<time used>|<reason>|<name>|<nodes>          a row of squeue
#   a|<id>|<state>|<exit:signal>|<submitted>|<start>|<end>|<elapsed>|<name>|<nodes>       a row of sacct
#   w|<id>                                                                                sacct is asked about it
#   m|<squeue or sacct>|<text>                                                            it could not be asked
#   f|<index>|<progress>|<heartbeat>|<start,start,...>|<end:exit,end:exit,...>|<fate>     the job's files

squeue_ids_max=1000 # more ids than this: all of the account's jobs are asked for instead
sacct_ids_max=8000  # in one call; an argument may have 128 KiB
stamps_max=64

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

is_live() {
    case $1 in
    PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED | STOPPED | SIGNALING | STAGE_OUT | REQUEUED | \
        REQUEUE_FED | REQUEUE_HOLD | RESV_DEL_HOLD | RESIZING | REVOKED | SPECIAL_EXIT) return 0 ;;
    esac
    return 1
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
    if ! rows=$(ask squeue --noheader --states=all "$which" --format='q|%i|%T|%V|%S|%e|%M|%r|%j|%N') &&
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
    local id rows row wanted=() i
    for id in "${ids[@]}"; do
        if ! is_live "${state_of[$id]-}"; then
            wanted+=("$id")
            printf 'w|%s\n' "$id"
        fi
    done
    for ((i = 0; i < ${#wanted[@]}; i += sacct_ids_max)); do
        if ! rows=$(ask sacct --allocations --duplicates --noheader --parsable2 \
            --jobs="$(join_ids "${wanted[@]:i:sacct_ids_max}")" \
            --format=JobID,State,ExitCode,Submit,Start,End,ElapsedRaw,JobName,NodeList); then
            printf 'm|sacct|%s\n' "$(one_line "$rows")"
            return
        fi
        local IFS=$'\n'
        set -f
        for row in $rows; do
            id=${row%%[!0-9]*}
            [[ -n $id && -n ${name_of[$id]+set} ]] && printf 'a|%s\n' "${row:0:4000}"
        done
        set +f
    done
}

# Sets line to the first words of a file: SEPARATOR between the words of a line, ',' between lines.
read_stamps() { # FILE SEPARATOR
    local first second count=0
    line=''
    [[ -f $1 ]] || return
    while ((count++ < stamps_max)) && read -r -n 64 first second _; do
        line+=${line:+,}${first:0:20}${second:+$2${second:0:8}}
    done 2>/dev/null <"$1"
    line=${line//[!0-9:,-]/}
}

print_files() {
    local i dir line progress started ended fate starts ends heartbeat beats=()
    declare -A beat_of=()
    for i in "${!ids[@]}"; do
        # Nothing is written before it starts.
        [[ ${state_of[${ids[i]}]-} == PENDING ]] && continue
        dir=${dirs[i]}/.attempts/${attempts[i]}
        started[i]='' ended[i]='' progress[i]='' fate[i]=''
        read_stamps "$dir/started" ''
        started[i]=$line
        read_stamps "$dir/ended" :
        ended[i]=$line
        if [[ -f $dir/fate ]]; then
            read -r -n 20 line _ <"$dir/fate"
            fate[i]=${line//[!A-Z_]/}
        fi 2>/dev/null
        starts=${started[i]//[!,]/} ends=${ended[i]//[!,]/}
        # A start without an end: the heartbeat says how far it came.
        [[ -n ${started[i]} && (-z ${ended[i]} || ${#starts} -gt ${#ends}) ]] && beats+=("$dir/alive")
        if [[ -f ${dirs[i]}/artifacts/progress ]]; then
            read -r -n 20 line <"${dirs[i]}/artifacts/progress"
            progress[i]=${line//[!0-9]/}
        fi 2>/dev/null
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
        printf 'f|%s|%s|%s|%s|%s|%s\n' "${indexes[i]}" "${progress[i]}" "$heartbeat" "${started[i]}" "${ended[i]}" \
            "${fate[i]}"
    done
}

read_orders
printf 'now|%s\n' "$(date +%s)"
if ((${#ids[@]} > 0)); then
    if ask_squeue && ((NEL_USE_SACCT)); then
        ask_sacct
    fi
    print_files
fi
printf 'end\n'
