#!/bin/bash
# What every remote script begins with: a known environment, and the way answers are written. An answer is lines of
# fields separated by '|', the record's kind first and free text last, between "nel|begin|1" and "end".

answer_max=33554432 # bytes of what one command says
cpu_s=120           # of one process
guard_s=2           # between looks at whether this script is still wanted

set -u
NEL_UMASK=$(umask)
umask 077
export LC_ALL=C
IFS=$' \t\n'
unset CDPATH

# Variables of the account could change what Slurm's commands print or do; where its configuration lies may be set.
for variable in "${!SLURM_@}" "${!SBATCH_@}" "${!SQUEUE_@}" "${!SACCT_@}" "${!SCANCEL_@}" "${!SCONTROL_@}"; do
    [[ $variable == SLURM_CONF ]] || unset "$variable"
done
export SLURM_TIME_FORMAT=%s # squeue(1), sacct(1): times as seconds since the epoch
if ((${#NEL_ENVIRONMENT[@]} > 0)); then
    export "${NEL_ENVIRONMENT[@]}"
fi

# As the account's own shell would do it: what sbatch finds here reaches the job and its containers.
be_the_account() {
    umask "$NEL_UMASK"
    unset LC_ALL SLURM_TIME_FORMAT
    [[ -z ${account_lc_all-} ]] || export LC_ALL=$account_lc_all # remote.c has kept it
    ((${#NEL_ENVIRONMENT[@]} == 0)) || export "${NEL_ENVIRONMENT[@]}"
}

# A limit of its own; the hard one stays, so that it can be lifted.
account_cpu_s=$(ulimit -S -t 2>/dev/null)
ulimit -S -t "$cpu_s" 2>/dev/null

# Prints text as one line of bounded length: of what is longer, its beginning and its end.
one_line() {
    local text=$1
    ((${#text} <= 400)) || text="${text:0:200} ... ${text: -195}"
    printf '%s' "${text//[[:cntrl:]]/ }"
}

# Sets tidied to what one of Slurm's commands said, on one line: each of its lines without the command's own beginning.
# What stands within a line, a path for example, stays whole.
tidy() { # COMMAND TEXT
    local line lines
    tidied=
    mapfile -t lines <<<"$2"
    for line in "${lines[@]}"; do
        line=${line#"$1: "}
        line=${line#error: }
        [[ -z $line ]] || tidied+=${tidied:+; }$line
    done
}

# When a job would start, and on what, as `sbatch --test-only` says it. Sets start (seconds since the epoch) and told; fails
# where it says neither.
read_start() { # TEXT
    [[ $1 =~ ' to start at '([0-9T:-]+)' '([^$'\n']*) ]] || return 1
    start=${BASH_REMATCH[1]} told=${BASH_REMATCH[2]}
    # Old versions know no SLURM_TIME_FORMAT here.
    [[ $start != *[!0-9]* ]] || start=$(date -d "$start" +%s 2>/dev/null)
}

# Does a file command's message mean that a file system is away, and not that the path is wrong?
is_away() { # MESSAGE
    case $1 in
    *'Stale file handle'* | *'nput/output error'* | *'Remote I/O error'* | *'Transport endpoint is not connected'* | \
        *'Host is down'* | *'No route to host'* | *'timed out'* | *'Required key not available'* | *'Key has expired'* | \
        *'Text file busy'*) return 0 ;;
    esac
    return 1
}

# Is that the state of a job that has ended? A word that is not known here is none: newer Slurm has more of them.
is_end() { # STATE
    case ${1%% *} in
    BOOT_FAIL | CANCELLED | COMPLETED | DEADLINE | FAILED | NODE_FAIL | OUT_OF_MEMORY | PREEMPTED | TIMEOUT) return 0 ;;
    esac
    return 1
}

# Runs one of Slurm's commands (or a function) that only asks, or is safe to repeat, within the time that the daemon waits
# for this script. Standard error goes where standard output does. What hangs, or does not stop talking, must not pile up
# on the login node: the command is ended with all that it started, and nobody waits for one that cannot be.
# 124: it did not answer in time. To be called in a subshell.
ask() { # COMMAND...
    ask_within "$NEL_TIMEOUT_S" "$@"
}

ask_within() { # SECONDS COMMAND...
    local left=$((NEL_TIMEOUT_S - SECONDS)) told status=''
    ((left <= $1)) || left=$1
    ((left > 0)) || left=1
    shift
    exec {told}<> <(:) # a pipe
    trap 'kill -KILL -- "-$!"; exit 1' TERM
    set -m # gives it a process group of its own
    (
        {
            "$@" 2>&1 </dev/null
            printf '%d\n' "$?" >&"$told"
        } | head -c "$answer_max"
        printf 'over\n' >&"$told"
    ) &
    set +m
    if ! read -r -t "$left" -u "$told" status || ! read -r -t "$left" -u "$told"; then
        kill -TERM -- "-$!" # srun cancels its job
        read -r -t 0.5 -u "$told"
        kill -KILL -- "-$!"
        printf '%s did not answer within %d s\n' "${1#try_}" "$left"
        status=124
    elif ((status == 141)); then
        printf '\n%s did not stop after %d bytes\n' "$1" "$answer_max"
    fi 2>/dev/null

    trap - TERM
    exec {told}<&-
    return "$status"
}

# Ends this script, with all that it started, when its time is over or when whoever reads it is gone: then the process
# above this one, which is the connection's, has ended. It holds none of the script's open files.
guard() {
    local left=$NEL_TIMEOUT_S
    ((left == 0)) || left=$((left + 30))
    {
        trap '' TERM
        exec 8<> <(:)
        while ((NEL_TIMEOUT_S == 0 || left > 0)) && is_read; do
            read -r -t "$guard_s" <&8
            kill -0 "$$" || exit
            left=$((left - guard_s))
        done
        kill -TERM -- "-$$" || kill -TERM "$$"
        read -r -t 5 <&8
        kill -KILL -- "-$$" || kill -KILL "$$"
    } </dev/null >/dev/null 2>&1 9>&- &
    guard=$!
}

end_guard() {
    [[ -n $guard ]] || return 0
    kill -KILL "$guard" && wait "$guard"
    guard=
} 2>/dev/null

is_read() {
    [[ -z $parent || -e /proc/$parent ]]
}

# For what becomes a job (Slurm gives it the limits of whoever submits it), and for long streams.
lift_limits() {
    ulimit -S -t "$account_cpu_s" 2>/dev/null
}

at_exit() {
    end_guard
}

# Ends the whole answer with an error: kind (as NEL_<KIND> names it) and text.
fail() {
    printf 'error|%s|%s\nend\n' "$1" "$(one_line "$2")"
    exit 0
}

# Has the file that is open as a descriptor no name outside of the folder? Only hard links could have.
all_names_inside() { # DESCRIPTOR FOLDER
    local links inode
    read -r links inode < <(stat -L -c '%h %i' "/proc/self/fd/$1") || return 1
    ((links <= 1)) || (($(find "$2" -xdev -type f -inum "$inode" -printf x 2>/dev/null | wc -c) >= links))
}

# Enters a job's directory and sets base, its path as the kernel has it. Links may lead to the run directory; it and the
# job's in it are none.
enter_job() { # DIRECTORY
    cd -P -- "$1" 2>/dev/null && base=$(readlink /proc/self/cwd) && [[ $base == *"${1#"${1%/*/*}"}" ]]
}

# Opens a file of the entered directory as descriptor 8. Containers write there, so that it is the open file that is
# looked at, not what had its name before: a regular one, reached by no link, all of whose names are in its folder.
open_beneath() { # FOLDER NAME
    [[ -f $1/$2 && ! -L $1/$2 ]] && { exec 8<"$1/$2"; } 2>/dev/null || return 1
    [[ -f /proc/self/fd/8 && $(readlink /proc/self/fd/8) == "$base/$1/$2" ]] && all_names_inside 8 "$base/$1"
}

# Reads the lines that follow the script into the array payload; whatever a cut connection left is refused.
read_payload() {
    local text
    text=$(cat)
    [[ $text == *$'\n.complete' ]] || fail remote 'the request arrived incomplete'
    text=${text%$'\n.complete'}
    ((${#text} == NEL_PAYLOAD_SIZE)) || fail remote 'the request arrived with a part missing'
    # Splitting a word is much faster than reading from a pipe, which bash does byte by byte.
    local IFS=$'\n'
    set -f
    # shellcheck disable=SC2034,SC2206
    payload=($text)
    set +f
}

base= # of the job's directory that was entered
guard=
parent=$PPID
[[ -e /proc/$parent ]] || parent= # it cannot be seen
trap at_exit EXIT
guard

# Some sites put Slurm on the path of login shells only.
if ! command -v squeue >/dev/null; then
    set +u
    # shellcheck source=/dev/null
    . /etc/profile </dev/null >/dev/null 2>&1
    set -u
fi

printf '\nnel|begin|1\n'
