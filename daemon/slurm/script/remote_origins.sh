#!/bin/bash
# Reads back what a submission left in run directories, one to a line after the script. Answers, i counting those lines:
#   r|<i>|<ok, busy, gone or other>           other: it is not one that remote_submit.sh has made
#   o|<i>|<size>, <size> bytes of base64      what it is of, sealed (.origin)
#   e|<i>|<size>, <size> bytes of base64      the secrets of its jobs, sealed (.secrets.sealed)
#   t|<i>|<attempt>|<id>|<submitted>|<has begun>|<minutes>|<job>   an attempt: its id is empty while that is not known; the
#                                             minutes that were chosen for it (execution.walltime: auto), else 0
#   b|<i>|<attempt>|<budget left>|<budget from>|<job>          what run.sub says of the budget

sealed_max=6291456 # bytes of a sealed file
attempts_max=1000  # of one run directory's, and jobs whose budget is read
answer_s=10        # within which a file system answers; one that does not is asked again later
payload=()
shopt -s nullglob

# Opens a file of the working directory as descriptor 8; containers of an export can write there.
open_here() { # FILE
    [[ -f $1 && ! -L $1 && ! -L ${1%/*} ]] && { exec 8<"$1"; } 2>/dev/null || return 1
    [[ -f /proc/self/fd/8 && $(readlink /proc/self/fd/8) == "$here/$1" ]]
}

print_sealed() { # KIND INDEX FILE
    local text
    open_here "$3" && (($(stat -L -c %s /proc/self/fd/8) <= sealed_max)) || return 0
    text=$(head -c "$sealed_max" <&8 | base64 -w 0)
    printf '%s|%d|%d\n%s\n' "$1" "$2" "${#text}" "$text"
}

print_attempt() { # INDEX JOB NUMBER
    local id='' at='' begun=0 owner='' minutes=0
    [[ $3 =~ ^[1-9][0-9]{0,8}$ ]] || return 0
    if open_here "$2/.submitted/$3/id"; then
        read -r -n 64 id at _ <&8
    fi
    if open_here "$2/.submitted/$3/walltime"; then
        IFS='|' read -r -n 64 minutes _ <&8
        [[ $minutes =~ ^[0-9]{1,6}$ ]] || minutes=0
    fi
    if open_here "$2/.attempts/$3/job"; then
        begun=1
        read -r -n 64 owner _ <&8
    fi
    [[ $id =~ ^[0-9]{1,20}$ ]] || id=$owner at=''
    [[ $id =~ ^[0-9]{1,20}$ ]] || id=''
    [[ $at =~ ^[0-9]{1,12}$ ]] || at=0
    printf 't|%d|%d|%s|%s|%d|%d|%s\n' "$1" "$3" "$id" "$at" "$begun" "$((10#$minutes))" "$2"
}

print_attempts() { # INDEX
    local path job number count=0
    declare -A seen=()
    for path in */.submitted/*/ */.attempts/*/; do
        path=${path%/}
        job=${path%/*/*} number=${path##*/}
        [[ -z ${seen[$job/$number]-} && $job != *[[:cntrl:]]* ]] || continue
        ((count++ < attempts_max)) || return 0
        seen[$job/$number]=1
        print_attempt "$1" "$job" "$number"
    done
}

# The numbers of run.sub's data: "readonly NAME=NUMBER", or "readonly NAME=${1:-NUMBER}". They stand near its begin.
print_budgets() { # INDEX
    local script line lines attempt left from count=0
    for script in */run.sub; do
        ((count++ < attempts_max)) || return 0
        open_here "$script" || continue
        attempt='' left='' from='' lines=0
        while ((lines++ < 300)) && read -r -n 4096 line <&8; do
            [[ $line == 'readonly NEL_'* &&
                $line =~ ^readonly\ NEL_(ATTEMPT|BUDGET_LEFT_S|BUDGET_FROM)=(\$\{1:-)?(-?[0-9]{1,15})\}?$ ]] || continue
            case ${BASH_REMATCH[1]} in
            ATTEMPT) attempt=${BASH_REMATCH[3]} ;;
            BUDGET_LEFT_S) left=${BASH_REMATCH[3]} ;;
            *) from=${BASH_REMATCH[3]} ;;
            esac
            [[ -z $attempt || -z $left$from ]] || break
        done
        [[ -z $attempt ]] || printf 'b|%d|%s|%s|%s|%s\n' "$1" "$attempt" "$left" "$from" "${script%/run.sub}"
    done
}

look_into() { # INDEX DIRECTORY, in a shell of its own
    local owner mode claim='' sealed status=0
    ask_within "$answer_s" stat -- "$2" >/dev/null || status=$?
    if ((status == 124)); then
        printf 'r|%d|busy\n' "$1"
        return
    fi
    if ! cd -P -- "$2" 2>/dev/null; then
        printf 'r|%d|gone\n' "$1"
        return
    fi
    here=$(readlink /proc/self/cwd)
    read -r owner mode < <(stat -c '%u %a' .)
    ! open_here .claim || read -r -n 400 claim <&8
    if [[ $here != */"${2##*/}" || $owner != "$UID" || $claim != "${2##*/}" ]] || ((8#$mode & 8#22)); then
        printf 'r|%d|other\n' "$1"
        return
    fi
    # A submission that was under way goes on without whoever sent it (remote_submit.sh, take_lock()).
    if open_here .lock; then
        flock -n -s -E 75 8 2>/dev/null
        if (($? == 75)); then
            printf 'r|%d|busy\n' "$1"
            return
        fi
    fi
    printf 'r|%d|ok\n' "$1"
    print_sealed o "$1" .origin
    for sealed in */.secrets.sealed; do
        print_sealed e "$1" "$sealed"
        break
    done
    print_attempts "$1"
    print_budgets "$1"
}

read_payload
for i in "${!payload[@]}"; do
    (look_into "$i" "${payload[i]}")
done
printf 'end\n'
