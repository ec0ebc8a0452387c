#!/bin/bash
# What every remote script begins with: a known environment, and the way answers are written. An answer is lines of
# fields separated by '|', the record's kind first and free text last, between "nel|begin|1" and "end".

set -u
NEL_UMASK=$(umask)
export NEL_UMASK
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

# Some sites put Slurm on the path of login shells only.
if ! command -v squeue >/dev/null; then
    set +u
    # shellcheck source=/dev/null
    . /etc/profile </dev/null >/dev/null 2>&1
    set -u
fi

# Prints text as one line of bounded length.
one_line() {
    local text=${1//[[:cntrl:]]/ }
    printf '%s' "${text:0:400}"
}

# Runs one of Slurm's commands that only asks, or is safe to repeat, within the time that the daemon waits for this
# script: what hangs must not pile up on the login node. Standard error goes where standard output does.
ask() {
    timeout -k 5 "$NEL_TIMEOUT_S" "$@" 2>&1 </dev/null
    local status=$?
    if ((status == 124 || status == 137)); then
        printf '%s did not answer within %d s\n' "$1" "$NEL_TIMEOUT_S"
    fi
    return "$status"
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
printf '\nnel|begin|1\n'
