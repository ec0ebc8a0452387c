#!/bin/bash
# Follows log files for as long as standard input is open: one process for all that an account follows. Commands come as
# lines, their fields separated by the unit separator (0x1f), which no path of ours holds:
#   add ID OFFSET JOB-DIRECTORY NAME     from that byte on; -1: from near the end
#   drop ID
# Answers are lines: "start|ID|OFFSET" once the file is there, "data|ID|OFFSET|<base64>", "anew|ID" when the file was cut
# or replaced and begins anew, and "poll" after each look at all of them.
#
# Files are opened anew for each look: network file systems tell at that moment what others have written (nfs(5), close-to-
# open), while a descriptor that stays open may not see it for a minute.

poll_s=0.3
piece_max=98304 # a multiple of 3, so that only the last piece is padded
window=65536    # how far from the end a follower begins

declare -A directory=() name=() offset=() identity=()
looks=()
more=0

is_inside() { # DESCRIPTOR JOB-DIRECTORY
    local base real
    base=$(realpath -e -- "$2" 2>/dev/null) && real=$(realpath -e -- "/proc/self/fd/$1" 2>/dev/null) || return 1
    [[ $real == "$base"/logs/* && -f /proc/self/fd/$1 ]] && all_names_inside "$1" "$base/logs"
}

send_new() { # ID DESCRIPTOR SIZE DEVICE:INODE
    local text count
    if [[ ${identity[$1]-} != "$4" ]]; then
        is_inside "$2" "${directory[$1]}" || return 0
        if [[ -n ${identity[$1]-} ]]; then
            offset[$1]=0
            printf 'anew|%s\n' "$1"
        fi
        identity[$1]=$4
    fi
    if ((offset[$1] < 0)); then
        offset[$1]=$(($3 > window ? $3 - window : 0))
        printf 'start|%s|%s\n' "$1" "${offset[$1]}"
    elif (($3 < offset[$1])); then
        offset[$1]=0
        printf 'anew|%s\n' "$1"
    fi
    count=$(($3 - offset[$1]))
    ((count > 0)) || return 0
    text=$(tail -c +$((offset[$1] + 1)) <&"$2" | head -c $((count < piece_max ? count : piece_max)) | base64 -w 0)
    [[ -n $text ]] || return 0
    printf 'data|%s|%s|%s\n' "$1" "${offset[$1]}" "$text"
    count=$((${#text} * 3 / 4))
    [[ $text != *= ]] || ((count--))
    [[ $text != *== ]] || ((count--))
    offset[$1]=$((offset[$1] + count))
    ((offset[$1] >= $3)) || more=1
}

look_at_all() {
    local id fd path i ids=() fds=() paths=()
    more=0
    for id in "${!name[@]}"; do
        path=${directory[$id]}/logs/${name[$id]}
        [[ -f $path ]] || continue
        { exec {fd}<"$path"; } 2>/dev/null || continue
        ids+=("$id") fds+=("$fd") paths+=("/proc/self/fd/$fd")
    done
    if ((${#ids[@]} > 0)); then
        mapfile -t looks < <(stat -L -c '%s %d:%i' "${paths[@]}" 2>/dev/null)
        for i in "${!ids[@]}"; do
            ((${#looks[@]} != ${#ids[@]})) || send_new "${ids[i]}" "${fds[i]}" "${looks[i]% *}" "${looks[i]#* }"
            fd=${fds[i]}
            exec {fd}<&-
        done
    fi
    printf 'poll\n'
}

obey() { # LINE
    local verb id from where what
    IFS=$'\x1f' read -r verb id from where what <<<"$1"
    [[ $id =~ ^[0-9]{1,9}$ ]] || return 0
    case $verb in
    add)
        [[ $from =~ ^-?[0-9]{1,18}$ ]] || return 0
        directory[$id]=$where name[$id]=$what offset[$id]=$from
        unset "identity[$id]"
        ;;
    drop) unset "directory[$id]" "name[$id]" "offset[$id]" "identity[$id]" ;;
    esac
}

# The limit of processor time is for one that has run wild, not for a day's following.
renew_limit() {
    local line words
    read -r line </proc/self/stat
    read -r -a words <<<"${line##*) }" # from the third word on; proc(5)
    # shellcheck disable=SC2154 # of remote_common.sh
    ulimit -S -t $(((words[11] + words[12]) / 100 + cpu_s))
} 2>/dev/null

partial=
count=0
while :; do
    ((count++ % 1000 != 0)) || renew_limit
    look_at_all
    wait_s=$poll_s
    ((more == 0)) || wait_s=0.005
    while :; do
        if IFS= read -r -t "$wait_s" line; then
            obey "$partial$line"
            partial='' wait_s=0.005
            continue
        elif (($? <= 128)); then
            exit 0
        fi
        partial+=$line
        break
    done
done
