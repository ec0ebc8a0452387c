#!/bin/bash
# Prints what an ended job leaves: its scores, its progress, the end of its log and what is known of its export; then
# removes its secrets. With NEL_EXPORT_ONLY=1 only the export is looked at.
#
# NEL_RECORD_DIR has .attempts/: it is the job's directory, or the job's record in that of a shared chain. NEL_EXPORT says
# what is to be done with an export that has not ended: "follow", "cancel", or "drop" (its secrets are removed, and nobody
# looks again). Answers:
#   export|<refused, pending, running, unseen, gone or ended>|<Slurm id>|<why, Slurm's state, or exit code>
#   destination|<exit code>|<name>
#   sealed|<SHA-256 of the results.yml that the finished evaluation left, "none", or "conversion">
#   hash|<SHA-256 of results.yml, or "changing">|<1: it is older than the attempt>
#   samples|1: there are files of samples (remote_samples.sh)
#   kept|<bytes>|<size of the file>|<modified>|<offset of the bytes>|<name>, and the bytes: the end of a log
#   fingerprint|<SHA-256>: what the checkpoints are made of now, when NEL_CHECKPOINTS has any

tail_bytes=4096
destinations_max=64
logs_max=64
samples_depth_max=8
log_max=67108864 # bytes of a log that are searched; a line need not end

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

open_newest() {
    [[ $newest == logs/* ]] && open_beneath logs "${newest#logs/}"
}

# The log that matters: of the last attempt, since earlier ones have logs of their own; any when its id is not known.
# It is the job's own when run.sub says there why it gave up. Else, with an evaluation, it is the evaluator's, or that of
# a server that died before; without, a server's.
# shellcheck disable=SC2086 # the id is a number, or the pattern *
find_log() {
    local id=${NEL_SLURM_JOB_ID:-*} dead=''
    find_newest logs/slurm-$id.log
    ! open_newest || dead=$(head -c "$log_max" <&8 | grep -a -m 1 ' a server died during the evaluation: logs/')
    if [[ -n $dead ]]; then
        dead=${dead##* died during the evaluation: }
        dead=${dead//[!a-zA-Z0-9._*\/-]/}
        find_newest $dead
        [[ $newest != logs/*/* && $newest != *..* && -n $newest ]] && return 0
    fi
    find_newest logs/slurm-$id.log
    ! open_newest || [[ $(tail -c "$tail_bytes" <&8 | tail -n 1 | tr -d '\0') != *' gave up: '* ]] || return 0
    find_newest logs/client-$id.log
    [[ -z $newest ]] || return 0
    find_newest logs/*server-*-$id-*.log
    [[ -n $newest ]] || find_newest logs/slurm-$id.log
}

# A block: its kind, size and name, then that many bytes and a newline.
print_block() {
    printf '%s|%d|%s\n%s\n' "$1" "${#2}" "$3" "$2"
}

# Sets what and text for a Slurm job that has left no end of its own. An id may have been given anew to another's job.
ask_for_export() { # ID
    local rows mark state name wanted=nel-export-${NEL_JOB_DIR##*/}
    what=unseen text=''
    # When it was asked for one id only, squeue calls it an error not to know it.
    if ! rows=$(ask squeue --noheader --states=all --jobs="$1" --format='q|%T|%j') &&
        [[ $rows != *'Invalid job id specified'* ]]; then
        return
    fi
    what=gone
    while IFS='|' read -r mark state name; do
        [[ $mark == q && $name == "$wanted" ]] || continue
        case $state in
        PENDING | CONFIGURING | REQUEUED | REQUEUE_HOLD | REQUEUE_FED | RESV_DEL_HOLD | SPECIAL_EXIT) what=pending ;;
        *) is_end "$state" && text=$state || what=running ;;
        esac
    done <<<"$rows"
    [[ $what == gone && -z $text ]] || return
    # slurmctld forgets what has ended; there may be no accounting.
    rows=$(ask sacct --allocations --noheader --parsable2 --jobs="$1" --format=State,JobName) || return
    while IFS='|' read -r state name; do
        [[ $name != "$wanted" ]] || ! is_end "$state" || text=${state%% *}
    done <<<"$rows"
}

cancel_export() { # ID
    local message
    message=$(ask scancel "$1") || [[ $message == *'Invalid job id'* || $message == *'already complet'* ]] ||
        fail remote "the export job cannot be cancelled: $message"
    what=gone text=CANCELLED
}

print_export() {
    local what=none id='' text='' message name status count=0
    if open_beneath .export job; then
        read -r -n 400 id text <&8
        if [[ $id == refused ]]; then
            what=refused id=''
        else
            id=${id//[!0-9]/}
            [[ -f .export/end && ! -L .export/end ]] || ask_for_export "$id"
            [[ $NEL_EXPORT != cancel || ($what != pending && $what != running) ]] || cancel_export "$id"
            if open_beneath .export end; then
                what=ended
                read -r -n 20 text <&8
            fi
        fi
        printf 'export|%s|%s|%s\n' "$what" "$id" "$(one_line "$text")"
    fi
    if [[ $what != none ]] && open_beneath artifacts export.tsv; then
        while ((count++ < destinations_max)) && IFS=$'\t' read -r -n 300 name status; do
            [[ $name =~ ^[a-zA-Z0-9_.-]{1,64}$ && $status =~ ^[0-9]{1,3}$ ]] || continue
            printf 'destination|%s|%s\n' "$status" "$name"
        done <&8
    fi 2>/dev/null
    [[ $NEL_EXPORT == drop || ($what != pending && $what != running && $what != unseen) ]] || return 0
    message=$(rm -f -- .export.env 2>&1) || fail remote "the secrets of the export cannot be removed: $message"
}

# The last NEL_KEEP_BYTES of each log, of the newest first, NEL_KEEP_TOTAL in all.
print_logs() {
    local modified size name bytes left=$NEL_KEEP_TOTAL
    ((NEL_KEEP_BYTES > 0)) || return 0
    while IFS='|' read -r modified size name; do
        open_beneath logs "$name" || continue
        bytes=$((size < NEL_KEEP_BYTES ? size : NEL_KEEP_BYTES))
        bytes=$((bytes < left ? bytes : left))
        left=$((left - bytes))
        printf 'kept|%d|%d|%d|%d|%s\n' "$bytes" "$size" "${modified%.*}" "$((size - bytes))" "$name"
        # As many as announced, also of one that has shrunk since or cannot be read to its end.
        { tail -c "+$((size - bytes + 1))" <&8; head -c "$bytes" /dev/zero; } 2>/dev/null | head -c "$bytes"
        printf '\n'
    done < <(find logs -maxdepth 1 -type f -name '*.log' ! -name '*[!a-zA-Z0-9._-]*' -printf '%T@|%s|%f\n' 2>/dev/null |
        LC_ALL=C sort -rn | head -n "$logs_max")
}

# The file may be written at this moment: a hash before and after tell.
print_results() {
    local text hash='' again older=0
    open_beneath artifacts results.yml || return 0
    [[ ! artifacts/results.yml -ot $NEL_RECORD_DIR/.attempts/$NEL_ATTEMPT/started ]] || older=1
    hash=$(sha256sum </proc/self/fd/8)
    text=$(head -c $((NEL_RESULTS_MAX + 1)) <&8 2>/dev/null | tr -d '\0')
    again=$(sha256sum </proc/self/fd/8)
    [[ $hash == "$again" ]] || hash=changing
    printf 'hash|%s|%d\n' "${hash%% *}" "$older"
    print_block results "$text" ''
}

print_samples() {
    local found
    found=$(find artifacts -maxdepth "$samples_depth_max" -type f \( -name 'samples_?*.jsonl' -o \
        -name byob_predictions.jsonl -o -name results.jsonl \) -print -quit 2>/dev/null)
    [[ -z $found ]] || printf 'samples|1\n'
}

# The directory of the attempts' stamps; of a job on a shared deployment it is deep in the chain's.
enter_record() {
    local rest=${NEL_RECORD_DIR#"${NEL_RECORD_DIR%/.jobs/*}"}
    enter_job "${NEL_RECORD_DIR%/.jobs/*}" && cd -P -- ".$rest" && base+=$rest && [[ $(readlink /proc/self/cwd) == "$base" ]]
}

print_seal() {
    local text
    if enter_record && open_beneath ".attempts/$NEL_ATTEMPT" results; then
        read -r -n 100 text _ <&8
        [[ ! $text =~ ^([0-9a-f]{64}|none|conversion)$ ]] || printf 'sealed|%s\n' "$text"
    fi
}

print_remains() {
    local text message
    (print_seal)
    print_results
    print_samples
    if open_beneath artifacts progress; then
        text=''
        read -r -n 20 text <&8
        [[ ! $text =~ ^[0-9]{1,18}$ ]] || printf 'progress|%s\n' "$text"
    fi
    find_log
    if open_newest; then
        text=$(tail -c "$tail_bytes" <&8 2>/dev/null | tr -d '\0')
        print_block log "$text" "${newest#logs/}"
    fi
    message=$(rm -f -- .secrets.env .secrets.sealed 2>&1) || fail remote "the secrets cannot be removed: $message"
    # What a submission that was killed left of them.
    find .. -maxdepth 1 -name '.unpack.*' -mmin +60 -exec rm -rf {} + 2>/dev/null
}

shopt -s nullglob
if [[ -d $NEL_JOB_DIR ]]; then
    enter_job "$NEL_JOB_DIR" || fail invalid "$NEL_JOB_DIR cannot be entered, or is a symbolic link"
    if ((!NEL_EXPORT_ONLY)); then
        print_remains
        print_logs
    fi
    print_export
    if ((!NEL_EXPORT_ONLY)); then # last: a slow file system costs nothing else its time
        take_fingerprint
        [[ -z $fingerprint ]] || printf 'fingerprint|%s\n' "$fingerprint"
    fi
fi
printf 'end\n'
