#!/bin/bash
# Cancels jobs by id and by exact name. The list follows the script, four lines a job: "id=<id or nothing>",
# "name=<name or nothing>", "dir=<directory or nothing>" and "only=<waiting or nothing>": waiting, and one that has begun
# goes on. An id that now belongs to a job of another name was given
# anew, and is left alone. With a directory, all attempts of the chain are cancelled: those whose names differ from this
# one in the number after the last '.' only.

declare -A name_of=() wanted_names=() only_of=() dir_of=() number_of=() waiting=() others=() withdrawn=() unbegun=()
payload=()

read_orders() {
    local i id name dir only
    read_payload
    for ((i = 0; i + 3 < ${#payload[@]}; i += 4)); do
        id=${payload[i]#id=}
        name=${payload[i + 1]#name=}
        dir=${payload[i + 2]#dir=}
        only=${payload[i + 3]#only=}
        [[ -z $name ]] || wanted_names[$name]=1
        [[ -z $id ]] || name_of[$id]=$name
        [[ -z $name || -z $only ]] || only_of[$name]=$only
        if [[ -n $dir && $name =~ ^(.+)\.([0-9]{1,9})$ ]]; then
            dir_of[${BASH_REMATCH[1]}]=$dir
            number_of[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}
        fi
    done
}

# What the rows of squeue have that is to be cancelled.
find_jobs() {
    local row rows id state name stem
    rows=$(ask squeue --noheader --user="$(id -un)" --format='q|%i|%T|%j') || fail remote "$rows"
    local IFS=$'\n'
    set -f
    for row in $rows; do
        [[ $row == 'q|'* ]] || continue
        row=${row#q|}
        id=${row%%[!0-9]*}
        row=${row#*|}
        state=${row%%|*}
        name=${row#*|}
        stem=${name%.*}
        [[ -n $id && -n $name ]] || continue
        if [[ -n $stem && -n ${dir_of[$stem]-} && ${name##*.} =~ ^[0-9]{1,9}$ ]]; then
            # An attempt that is asked for again by this name has to find out that there was none.
            ((10#${name##*.} <= 10#${number_of[$stem]})) || withdrawn[${dir_of[$stem]}/.attempts/${name##*.}]=1
        elif [[ -z ${wanted_names[$name]-} && (-z ${name_of[$id]+set} || -n ${name_of[$id]}) ]]; then
            continue
        fi
        if [[ -n ${only_of[$name]-} ]]; then
            [[ $state != PENDING ]] || unbegun[$id]=1
        elif [[ $state == PENDING ]] && ((${#dir_of[@]} > 0)); then
            waiting[$id]=1
        else
            others[$id]=1
        fi
    done
    set +f
}

cancel() { # ID..., perhaps after --state=PENDING
    local answer line
    [[ ${*: -1} == [0-9]* ]] || return 0
    answer=$(ask scancel "$@") && return
    # What ended in the meantime needs no cancelling.
    local IFS=$'\n'
    for line in $answer; do
        case $line in
        *'Invalid job id'* | *'already completing or completed'* | *'not in the requested state'*) ;;
        *) fail remote "$answer" ;;
        esac
    done
    [[ -n $answer ]] || fail remote 'scancel failed without a message'
}

read_orders
find_jobs
# shellcheck disable=SC2154 # base is set by enter_job
for dir in "${!withdrawn[@]}"; do
    (enter_job "${dir%/.attempts/*}" && mkdir -p -- ".attempts/${dir##*/}" && [[ ! -L .attempts ]] &&
        cd -P -- ".attempts/${dir##*/}" && [[ $(readlink /proc/self/cwd) == "$base/.attempts/${dir##*/}" ]] &&
        rm -rf fate && (set -o noclobber && printf 'WITHDRAWN 0\n' >fate))
done 2>/dev/null
# What waits may wait for the end of what runs.
cancel "${!waiting[@]}"
cancel "${!others[@]}"
cancel --state=PENDING "${!unbegun[@]}"
printf 'cancelled|%d\nend\n' "$((${#waiting[@]} + ${#others[@]} + ${#unbegun[@]}))"
