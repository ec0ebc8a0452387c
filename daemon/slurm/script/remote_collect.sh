#!/bin/bash
# Prints what an ended job leaves: its scores, its progress and the end of its log; then removes its secrets.

tail_bytes=4096

# Sets newest to the file of a pattern's that was written last; empty when there is none.
find_newest() {
    local file
    newest=''
    for file in "$@"; do
        if [[ -f $file && ! -L $file && ($file -nt $newest || -z $newest) ]]; then
            newest=$file
        fi
    done
}

# The log that matters: of the last attempt, since earlier ones have logs of their own; any when its id is not known.
# Without an evaluation it is the job's own when run.sub says there why it gave up, and else a server's.
# shellcheck disable=SC2086 # the id is a number, or the pattern *
find_log() {
    local id=${NEL_SLURM_JOB_ID:-*}
    find_newest logs/client-$id.log
    [[ -z $newest ]] || return 0
    find_newest logs/slurm-$id.log
    [[ -z $newest || $(tail -n 1 -- "$newest" | tr -d '\0') != *' gave up: '* ]] || return 0
    find_newest logs/*server-*-$id-*.log
    [[ -n $newest ]] || find_newest logs/slurm-$id.log
}

# A block: its kind, size and name, then that many bytes and a newline.
print_block() {
    printf '%s|%d|%s\n%s\n' "$1" "${#2}" "$3" "$2"
}

shopt -s nullglob
if [[ -d $NEL_JOB_DIR ]] && cd -- "$NEL_JOB_DIR"; then
    if [[ -f artifacts/results.yml ]]; then
        text=$(head -c $((NEL_RESULTS_MAX + 1)) artifacts/results.yml 2>/dev/null | tr -d '\0')
        print_block results "$text" ''
    fi
    if [[ -f artifacts/progress ]]; then
        text=''
        read -r -n 20 text <artifacts/progress
        printf 'progress|%s\n' "${text//[!0-9]/}"
    fi
    find_log
    if [[ -n $newest ]]; then
        text=$(tail -c "$tail_bytes" -- "$newest" 2>/dev/null | tr -d '\0')
        print_block log "$text" "${newest#logs/}"
    fi
    message=$(rm -f -- .secrets.env 2>&1) || fail remote "the secrets cannot be removed: $message"
    # What a submission that was killed left of them.
    find .. -maxdepth 1 -name '.unpack.*' -mmin +60 -exec rm -rf {} + 2>/dev/null
fi
printf 'end\n'
