# ---- Evaluators listen, too, and several of them run on one node ----

readonly adapter_ports_first=23000 adapter_ports_count=2000 # below those of the servers (run_body/01_state.sh)

# nemo-evaluator puts its adapter between the harness and the model. Where $ADAPTER_PORT is not set, that is on the first port
# from 3825 on that nobody has when it looks, and it is ready as soon as anybody answers there (nemo_evaluator/adapters/
# server.py): of two that begin together one would ask by way of the other's adapter, with that one's prompts and cache. So each
# has a port of its own; not one that has just been used, which cannot be had for a minute.
choose_adapter_port() { # in the shell of a job
    local i port hex lock directory=/tmp/nel-slurmd-ports.$UID
    ((NEL_AT_ONCE > 1)) && ! has_variable evaluation ADAPTER_PORT || return 0
    mkdir -m 700 "$directory" 2>/dev/null
    [[ -d $directory && ! -L $directory && -O $directory ]] || directory= # somebody else's: no locks
    for ((i = 0; i < adapter_ports_count; i++)); do
        port=$((adapter_ports_first + (SLURM_JOB_ID * 16 + NEL_JOB_INDEX + i) % adapter_ports_count))
        # The lock is the shell's and its children's; between jobs of the account that begin together.
        if [[ -n $directory ]] && exec {lock}>"$directory/${SLURMD_NODENAME:-node}.$port"; then
            flock --nonblock "$lock" || (($? != 1)) || { exec {lock}>&-; continue; }
        fi 2>/dev/null
        printf -v hex '%04X' "$port"
        ! grep -q "^ *[0-9]*: [0-9A-F]*:$hex " /proc/net/tcp /proc/net/tcp6 2>/dev/null || continue
        evaluation_env+=("ADAPTER_PORT=$port")
        return 0
    done
    fail "no port is free for the evaluator's adapter: $adapter_ports_first and $adapter_ports_count from it"
}
