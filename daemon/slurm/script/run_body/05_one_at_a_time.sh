# ---- One attempt at a time ----

# A node that Slurm had lost may come back with an earlier attempt alive on it. What such a one does must not count.
is_overtaken() {
    local claim number
    for claim in "$NEL_JOB_DIR"/.attempts/*/job; do
        number=${claim%/job}
        number=${number##*/}
        [[ $number == *[!0-9]* ]] || ((10#$number <= NEL_ATTEMPT)) || return 0
    done
    ((start_line > 0 && `count_lines "$attempt_dir/started"` > start_line))
}

# The newest attempt before this one that has begun.
attempt_before() {
    local number
    for ((number = NEL_ATTEMPT - 1; number > 0; number--)); do
        [[ ! -f $NEL_JOB_DIR/.attempts/$number/job ]] || break
    done
    printf '%d' "$number"
}

# May processes of an earlier attempt live on? When Slurm has lost its node they may, even if its script wrote an end.
may_live_on() { # ATTEMPT
    (($1 > 0)) || return 1
    case `find_fate "$1"` in
    NODE_FAIL' '* | BOOT_FAIL' '*) return 0 ;;
    esac
    return 1
}

# Those keep the directory that they have mounted, and this attempt goes on in a copy of it.
part_from_the_past() {
    local before copy=$attempt_dir/artifacts
    before=`attempt_before`
    ((unended)) || may_live_on "$before" || return 0
    say "an earlier attempt may still be at work: this one goes on in a copy of artifacts"
    rm -rf "$NEL_JOB_DIR"/.attempts/*/artifacts "$copy.new" "$artifacts.old"
    if ! mkdir "$copy.new" || ! copy_directory "$artifacts" "$copy.new" || ! mv -T "$copy.new" "$copy" ||
        ! mv -T "$artifacts" "$artifacts.old" || ! mv -T "$copy" "$artifacts"; then
        rm -rf "$copy.new"
        fail "cannot copy $artifacts"
    fi
    rm -rf "$artifacts.old"
}

# Through no link; files may be changing.
copy_directory() { # FROM TO
    tar -C "$1" -cf - . 2>/dev/null | tar -C "$2" -xpf -
    ((PIPESTATUS[0] <= 1 && PIPESTATUS[1] == 0))
}

# What an attempt left that was killed while it took the copy into use.
mend_artifacts() {
    local copy
    [[ ! -e $artifacts ]] || return 0
    for copy in "$NEL_JOB_DIR"/.attempts/*/artifacts "$artifacts.old"; do
        [[ -d $copy && ! -L $copy ]] && mv -T "$copy" "$artifacts" && return 0
    done
}

# However the script ends.
leave() {
    local status=$?
    # A child that is ended before bash has reset its traps comes here, too.
    ((BASHPID == $$)) || return "$status"
    trap '' TERM
    if ((out_of_time && status != 0)); then
        status=$exit_out_of_time
        note_fate TIMEOUT
    elif ((idle && status != 0)) && [[ -z $fate ]]; then
        status=$exit_idle
        note_fate IDLE
    fi
    # In the time of grace of a preemption Slurm's SIGTERM may end the steps, and so this script, before it comes here.
    ((status == 0)) || [[ -n $fate ]] || note_why
    is_overtaken || settle_chain "$status"
    stop_watching
    stop_watching_use
    stop_servers
    if [[ -n $ports_pid ]]; then
        kill "$ports_pid" 2>/dev/null
    fi
    if [[ -n $heartbeat_pid ]]; then
        disown "$heartbeat_pid" # bash would tell of its death
        kill -KILL "$heartbeat_pid" 2>/dev/null
    fi
    is_overtaken || printf '%(%s)T %d\n' -1 "$status" | add "$attempt_dir/ended"
    say "ended with exit code $status"
    [[ -z $failure ]] || say "gave up: $failure" # remote_collect.sh looks for this last line
    exit "$status"
}
