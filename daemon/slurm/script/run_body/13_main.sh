# ---- In order ----

main() {
    local status
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
    start_servers
    run_evaluation
    status=$?
    stop_watching_use
    stop_servers
    ((status != 0)) || submit_due_export
    return "$status"
}

main "$@"
