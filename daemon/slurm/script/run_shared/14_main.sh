# ---- In order ----

main() {
    local status
    claim_attempt
    trap leave EXIT
    trap on_term TERM
    trap on_alarm ALRM
    trap on_idle USR2
    stamp_start
    say "evaluation $NEL_EVALUATION, ${#NEL_JOBS[@]} jobs on one deployment, attempt $NEL_ATTEMPT, Slurm job $SLURM_JOB_ID"
    prepare_jobs
    end_if_nothing_is_left
    continue_chain "$@"
    set_deadline
    start_watch
    part_jobs_from_the_past
    [[ -n $srun ]] || fail "there is no srun on this node"
    check_runtime_variables
    find_nodes
    choose_ports
    start_servers
    run_jobs
    status=$?
    stop_watching_use
    stop_servers
    return "$status"
}

main "$@"
