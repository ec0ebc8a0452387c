# ---- The budget is kept by this script: Slurm ends a job up to a minute after its limit ----

# What the budget leaves to this start of this attempt; negative: there is none.
budget_left_s() {
    local earlier=$((start_line - 1)) limit used
    if [[ $NEL_RESUME_MODE == in_job ]]; then
        limit=$NEL_BUDGET_S used=`used_s "$earlier"`
    else
        limit=$NEL_BUDGET_LEFT_S used=`stamped_s "$NEL_ATTEMPT" "$earlier"`
    fi
    printf '%d' $((limit < 0 ? -1 : limit > used ? limit - used : 0))
}

set_deadline() {
    local room left
    left=`budget_left_s`
    ((left >= 0)) || return 0
    room=$((left / 4 < stop_room_s ? left / 4 : stop_room_s))
    stop_at=$((started_at + left - room))
    kill_at=$((started_at + left - room * 3 / 5))
    end_at=$((started_at + left - room / 5))
}

start_watch() {
    watch </dev/null >/dev/null 2>&1 &
    heartbeat_pid=$!
}

# In the background: touches `alive`, and wakes the script when its time has come or another has taken its place.
watch() {
    local nap='' now at pause
    trap 'kill "$nap" 2>/dev/null; exit' TERM
    while kill -0 $$; do
        now=`now_s`
        if is_overtaken; then
            kill -ALRM $$
        else
            touch -h "$attempt_dir/alive"
            ((end_at == 0 || now < stop_at)) || kill -ALRM $$
            if ((end_at > 0 && now >= end_at)); then # it hangs
                note_fate TIMEOUT
                kill -KILL $$
            fi
        fi
        pause=$heartbeat_s
        for at in "$stop_at" "$kill_at" "$end_at"; do
            ((at <= now || at - now >= pause)) || pause=$((at - now))
        done
        sleep "$pause" &
        nap=$!
        wait "$nap"
    done
}

on_alarm() { # from watch()
    # bash runs a trap inside of a trap: where one takes longer than the time to the next alarm, none would ever end.
    ((!in_alarm)) || return 0
    in_alarm=1
    heed_alarm
    in_alarm=0
    # The alarm of that moment may have come meanwhile.
    ((!out_of_time || `now_s` < kill_at)) || killing=1
}

heed_alarm() {
    local now ran
    now=`now_s`
    if is_overtaken; then
        ((overtaken)) || say "another attempt has begun; this one has nothing more to do here"
        overtaken=1 terminated=1
    elif ((end_at > 0 && now >= stop_at)); then
        # A suspended job has more time than the clock says.
        if ((!out_of_time)) && ran=`ran_s` && ((ran + 5 < now - started_at)); then
            started_at=$((now - ran))
            set_deadline
            kill "$heartbeat_pid"
            start_watch
            return
        fi
        ((out_of_time)) || say "the walltime budget is all but spent: the evaluation is stopped"
        out_of_time=1 terminated=1
    fi
}
