# ---- Export ----

# A job of its own, without GPUs. That it cannot be sent is a warning: the scores are there.
submit_export() {
    local script=$NEL_JOB_DIR/export.sub secrets=$NEL_JOB_DIR/.export.env answer id
    # Of the output directory, where the exporters look for job directories, no more than they read: beside it lie scripts
    # and secrets, of this job and of others that still run.
    local mounts=$artifacts:$artifacts,$NEL_JOB_DIR/logs:$NEL_JOB_DIR/logs:ro${NEL_EXPORT_MOUNTS:+,$NEL_EXPORT_MOUNTS}
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
    if answer=`send_export "$script"` && id=`find_export_id "$answer"`; then
        say "sent export job $id"
        note_export "$id"
    else
        say "warning: the export job was refused: $answer"
        note_export "refused $answer"
        rm -f "$secrets"
    fi
}

# Prints what sbatch says. To be called in a subshell.
send_export() { # SCRIPT
    local name status
    # The export job must not take this job's shape for its own.
    for name in "${!SLURM_@}" "${!SBATCH_@}"; do
        [[ $name == SLURM_CONF ]] || unset "$name"
    done
    timeout -k 5 "$sbatch_timeout_s" sbatch --parsable --job-name="nel-export-${NEL_JOB_DIR##*/}" --account="$NEL_EXPORT_ACCOUNT" \
        --partition="$NEL_EXPORT_PARTITION" --nodes=1 --ntasks=1 --time=30 --no-requeue \
        --output="$logs/export-%A.log" "$1" "$export_dir" "$NEL_EXPORT_MOUNTS" "${step[@]}" </dev/null 2>&1
    status=$?
    ((status != 124 && status != 137)) || printf 'sbatch did not answer within %d s' "$sbatch_timeout_s"
    return "$status"
}

# Prints the id of the export job that was sent. Among a site's notes and numbers it is the one that Slurm has under the
# job's name; when Slurm does not say, the only one.
find_export_id() { # ANSWER OF SBATCH
    local line id known ids=()
    while read -r line; do
        [[ ! $line =~ ^([0-9]{1,20})(\;.*)?$ ]] || ids+=("${BASH_REMATCH[1]}")
    done <<<"$1"
    if [[ $1 == *$'\n'* ]]; then
        known=`id -un`
        known=`timeout 20 squeue --noheader --states=all --user="$known" --name="nel-export-${NEL_JOB_DIR##*/}" --format=%i 2>/dev/null`
        for id in "${ids[@]}"; do
            [[ $'\n'$known$'\n' != *$'\n'$id$'\n'* ]] || ids=("$id")
        done
    fi
    ((${#ids[@]} == 1)) && printf '%s' "${ids[0]}"
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
    "$BASH" -c "`declare -f print_secrets`; print_secrets \"\$@\"" print_secrets \
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
    declare -f become_step put peek enter holds note_output_dirs refuse_source refuse_mounts export_scores
    printf 'export_scores "$@"\n'
}

# The batch script of the export job. Its exit code in the directory's file `end` says that it has ended.
export_scores() { # DIRECTORY MOUNTS, and the arguments of become_step
    local status NEL_JOB_DIR=${1%/*}
    if refuse_mounts "${1%/*/*}/.output_dirs" "$2"; then
        status=1
    else
        (become_step "${@:3}")
        status=$?
    fi
    [[ -z $3 ]] || rm -f "$3"
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

# Of an evaluation that has succeeded: one that was cancelled, even now, is not exported.
submit_due_export() {
    ((${#NEL_EXPORT_DESTINATIONS[@]} > 0)) || return 0
    ((!ended_by_slurm)) || [[ $fate == TIMEOUT || $fate == PREEMPTED ]] || return 0
    submit_export
}
