# ---- Ports: where others may share the nodes, those that the config does not set are chosen here ----

# Chooses a port for each reference that is free on all nodes, and takes care that no other job of the account chooses it
# as long as this one runs: of two servers that listen on one port (vLLM binds with SO_REUSEPORT) each would get some of
# the requests for both. Jobs of other accounts begin to look elsewhere.
choose_ports() {
    local s reference start i word port wanted=0 ended=0 candidates=() launcher=()
    local -A count=()
    for reference in ${NEL_SERVER_PORT[@]+"${NEL_SERVER_PORT[@]}" "${NEL_SERVER_PROXY_PORT[@]}"} "${NEL_MORE_PORTS[@]}"; do
        [[ $reference != 'nel-port('* ]] || chosen_ports[$reference]=
    done
    wanted=${#chosen_ports[@]}
    if ((wanted > 0)); then
        start=`cksum <<<"${SLURM_CLUSTER_NAME-}"`
        start=$(((${start%% *} + SLURM_JOB_ID * (wanted + ports_spare)) % ports_count))
        for ((i = 0; i < wanted + ports_spare; i++)); do
            candidates+=($((ports_first + (start + i) % ports_count)))
        done
        ((${#nodes[@]} == 1)) || launcher=("$srun" --overlap --mpi=none --job-name=ports --nodes="${#nodes[@]}"
            --ntasks="${#nodes[@]}" --kill-on-bad-exit=1)
        {
            "${launcher[@]}" "$BASH" -c "`declare -f hold_ports`; hold_ports \"\$@\"" hold_ports "${candidates[@]}" </dev/null &
            printf 'holder %d\n' "$!"
        } | while ((ended < ${#nodes[@]})) && read -r -t "$ports_timeout_s" word port; do
            case $word in
            holder) ports_pid=$port ;;
            port) count[$port]=$((${count[$port]-0} + 1)) ;;
            end) ((ended++)) ;;
            esac
        done
        ((ended == ${#nodes[@]})) || fail "the nodes did not say which ports are free"
        for port in "${candidates[@]}"; do
            ((${count[$port]-0} == ${#nodes[@]})) || unset -v "count[$port]"
        done
        for reference in "${!chosen_ports[@]}"; do
            for port in "${candidates[@]}"; do
                [[ -v count[$port] ]] || continue
                chosen_ports[$reference]=$port
                unset -v "count[$port]"
                say "port $port: $reference"
                continue 2
            done
            fail "none of the ports ${candidates[0]} to ${candidates[-1]} is free on ${nodes[*]}"
        done
    fi
    for s in "${!NEL_SERVER_NAME[@]}"; do
        fill_in "${NEL_SERVER_PORT[s]}"
        server_ports[s]=$filled
        fill_in "${NEL_SERVER_PROXY_PORT[s]}"
        proxy_ports[s]=$filled
    done
}

# On each node, until the job ends: holds a lock for each of the ports that is free, and prints them.
hold_ports() { # PORT...
    local port lock hex directory=/tmp/nel-slurmd-ports.$UID
    mkdir -m 700 "$directory" 2>/dev/null
    # When it is somebody else's there are no locks. Several nodes may be one machine.
    [[ -d $directory && ! -L $directory && -O $directory ]] || directory=
    for port in "$@"; do
        if [[ -n $directory ]] && exec {lock}>"$directory/${SLURMD_NODENAME:-node}.$port"; then
            flock --nonblock "$lock" || (($? != 1)) || continue
        fi 2>/dev/null
        printf -v hex '%04X' "$port"
        ! cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q "^ *[0-9]*: [0-9A-F]*:$hex " || continue
        printf 'port %d\n' "$port"
    done
    printf 'end\n'
    exec sleep infinity >/dev/null
}

# Sets filled to a text of the data with the chosen ports in it.
fill_in() { # TEXT
    local reference
    filled=$1
    for reference in "${!chosen_ports[@]}"; do
        filled=${filled//"$reference"/"${chosen_ports[$reference]}"}
    done
}
