# ---- In order ----

main() {
    local s status
    claim_attempt
    trap leave EXIT
    trap on_term TERM
    trap on_alarm ALRM
    trap on_idle USR2
    stamp_start
    say "evaluation $NEL_EVALUATION, job $NEL_JOB_INDEX ($NEL_TASK), attempt $NEL_ATTEMPT, Slurm job $SLURM_JOB_ID"
    continue_chain "$@"
    set_deadline
    start_watch
    part_from_the_past
    [[ -n $srun ]] || fail "there is no srun on this node"
    check_runtime_variables
    find_nodes
    choose_ports
    refuse_taken_ports
    for s in "${!NEL_SERVER_NAME[@]}"; do
        start_server "$s" # all at once: models take long to load
    done
    for s in "${!NEL_SERVER_NAME[@]}"; do
        await_server "$s"
        publish_endpoints "$s"
    done
    stamp_ready
    start_watching_use
    run_evaluation
    status=$?
    stop_watching_use
    stop_servers
    # One that was cancelled, even now, is not exported.
    if ((status == 0 && ${#NEL_EXPORT_DESTINATIONS[@]} > 0)) && { ((!ended_by_slurm)) || [[ $fate == TIMEOUT || $fate == PREEMPTED ]]; }; then
        submit_export
    fi
    return "$status"
}

main "$@"
