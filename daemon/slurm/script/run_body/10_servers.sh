# ---- Model servers ----

server_consumer() { # SERVER: "deployment", "auxiliary.judge"
    printf '%s' "${NEL_SERVER_ENV_PREFIX[$1]:+auxiliary.}${NEL_SERVER_NAME[$1]}"
}

start_server() { # SERVER
    local s=$1 g log count=$((NEL_SERVER_NODES[$1] / NEL_SERVER_INSTANCES[$1]))
    log=`server_log "$s" server`
    for ((g = 0; g < NEL_SERVER_INSTANCES[s]; g++)); do
        start_instance "$s" "$((NEL_SERVER_FIRST_NODE[s] + g * count))" "$count" "$log-$g"
    done
}

# Waits for the first node of every instance, and puts a proxy before several.
await_server() { # SERVER
    local s=$1 g host heads=() count=$((NEL_SERVER_NODES[$1] / NEL_SERVER_INSTANCES[$1]))
    for ((g = 0; g < NEL_SERVER_INSTANCES[s]; g++)); do
        heads+=("${addresses[NEL_SERVER_FIRST_NODE[s] + g * count]}")
    done
    # A deployment of one instance may listen on the loopback address only, and is reached there by the evaluation.
    if [[ -z ${NEL_SERVER_ENV_PREFIX[s]} ]] && ((NEL_SERVER_INSTANCES[s] == 1)); then
        heads=(127.0.0.1)
    fi
    wait_until_ready "${NEL_SERVER_NAME[s]}" "${server_ports[s]}" "${NEL_SERVER_HEALTH_PATH[s]}" 200 \
        "${NEL_SERVER_MODEL_ID[s]}" "${heads[@]}"
    for host in "${heads[@]}"; do
        server_doors+=("${NEL_SERVER_NAME[s]}" "$host" "${server_ports[s]}" "${NEL_SERVER_HEALTH_PATH[s]}")
    done
    if ((NEL_SERVER_INSTANCES[s] > 1)); then
        start_proxy "$s" "${heads[@]}"
    fi
}

start_instance() { # SERVER FIRST-NODE NODE-COUNT LOG
    local s=$1 prefix=${NEL_SERVER_ENV_PREFIX[$1]} master=${addresses[$2]} all options variables pre_command
    all=`join , "${addresses[@]:NEL_SERVER_FIRST_NODE[s]:NEL_SERVER_NODES[s]}"`
    variables=("MASTER_IP=$master" "ALL_NODE_IPS=$all")
    if [[ -n $prefix ]]; then
        variables+=("${prefix}_MASTER_IP=$master" "${prefix}_ALL_NODE_IPS=$all")
    fi
    # A server of several tasks is dead when one of them is: srun would wait for the others.
    options=(--nodelist="`join , "${nodes[@]:$2:$3}"`" --nodes="$3" --kill-on-bad-exit=1
        --ntasks="$((NEL_SERVER_TASKS[s] / NEL_SERVER_INSTANCES[s]))" --container-image="${NEL_SERVER_IMAGE[s]}")
    [[ -z ${NEL_SERVER_MOUNTS[s]} ]] || options+=(--container-mounts="${NEL_SERVER_MOUNTS[s]}")
    [[ ${NEL_SERVER_MOUNT_HOME[s]} == yes ]] || options+=(--no-container-mount-home)
    fill_in "${NEL_SERVER_PRE_CMD[s]}"
    pre_command=$filled
    fill_in "${NEL_SERVER_COMMAND[s]}"
    in_container serve "$3" "$pre_command" "$filled"
    check_mounts "${NEL_SERVER_MOUNTS[s]}"
    start_step "$4" "$4-%A-%t.log" "`server_consumer "$s"`" "${#variables[@]}" "${variables[@]}" \
        "${options[@]}" "${container_command[@]}"
    server_pids+=($!)
    server_logs+=("logs/$4-$SLURM_JOB_ID-*.log")
    say "started ${NEL_SERVER_NAME[s]} on ${nodes[*]:$2:$3} (${server_logs[-1]})"
}

# Inside the container of a server.
serve() { # NODES-PER-INSTANCE PRE-COMMAND COMMAND
    export PROC_ID=${SLURM_PROCID:-0} NODES_PER_INSTANCE=$1
    if [[ -n $2 ]]; then
        # shellcheck source=/dev/null
        source <(printf '%s\n' "$2") || exit
    fi
    exec bash -c "$3"
}

server_log() { # SERVER KIND: "server", "judge-server"
    printf '%s' "${NEL_SERVER_ENV_PREFIX[$1]:+${NEL_SERVER_NAME[$1]}-}$2"
}

# One address for several instances: HAProxy on the primary node.
start_proxy() { # SERVER HEAD-ADDRESS...
    local s=$1 log config
    log=`server_log "$s" proxy`
    config=$NEL_JOB_DIR/$log.cfg
    write_proxy_config "$@" | put "$config" || fail "cannot write $config"
    start_step "$log" "$log-%A.log" proxy 0 --nodelist="$PRIMARY_NODE" --nodes=1 --ntasks=1 \
        --container-image="$NEL_PROXY_IMAGE" --container-mounts="$config:/usr/local/etc/haproxy/haproxy.cfg:ro" \
        haproxy -f /usr/local/etc/haproxy/haproxy.cfg
    server_pids+=($!)
    server_logs+=("logs/$log-$SLURM_JOB_ID.log")
    wait_until_ready "the proxy of ${NEL_SERVER_NAME[s]}" "${proxy_ports[s]}" \
        "${NEL_SERVER_PROXY_HEALTH_PATH[s]}" "${NEL_SERVER_PROXY_HEALTH_STATUS[s]}" "${NEL_SERVER_MODEL_ID[s]}" \
        127.0.0.1
}

write_proxy_config() { # SERVER HEAD-ADDRESS...
    local s=$1 i
    shift
    printf '%s\n' global '    log stdout format raw local0' '    maxconn 4096' ''
    printf '%s\n' defaults '    mode http' '    log global' '    option httplog' '    timeout connect 10s' \
        '    timeout client 24h' '    timeout server 24h' ''
    printf '%s\n' 'frontend models' "    bind *:${proxy_ports[s]}" '    default_backend instances' ''
    printf '%s\n' 'backend instances' '    balance leastconn' '    option http-server-close' \
        "    option httpchk GET ${NEL_SERVER_PROXY_HEALTH_PATH[s]}" \
        "    http-check expect status ${NEL_SERVER_PROXY_HEALTH_STATUS[s]}"
    for ((i = 0; i < $#; i++)); do
        printf '    server instance%d %s:%s check\n' "$i" "${@:i+1:1}" "${server_ports[s]}"
    done
}

# A port that answers before its server was started is another's: the evaluation would ask that one.
refuse_taken_ports() {
    local s g tries host port count place places=()
    for s in "${!NEL_SERVER_NAME[@]}"; do
        count=$((NEL_SERVER_NODES[s] / NEL_SERVER_INSTANCES[s]))
        for ((g = 0; g < NEL_SERVER_INSTANCES[s]; g++)); do
            places+=("${NEL_SERVER_NAME[s]} ${addresses[NEL_SERVER_FIRST_NODE[s] + g * count]} ${server_ports[s]}")
        done
        ((NEL_SERVER_FIRST_NODE[s] > 0)) || places+=("${NEL_SERVER_NAME[s]} 127.0.0.1 ${server_ports[s]}")
        ((NEL_SERVER_INSTANCES[s] == 1)) ||
            places+=("the proxy of ${NEL_SERVER_NAME[s]} 127.0.0.1 ${proxy_ports[s]}")
    done
    for place in "${places[@]}"; do
        port=${place##* } place=${place% *}
        host=${place##* } place=${place% *}
        # What was killed a moment ago may still be there.
        for ((tries = 1; tries <= 5; tries++)); do
            listens "$host" "$port" / || continue 2
            sleep "$probe_interval_s"
        done
        fail "port $port of $host answers although $place was not started yet: another program uses it;" \
            "set another port, or none on nodes that others may share, where a free one is then chosen"
    done
}

# Ends when every address answers with that status and, where it lists its models, with ours. A server that died, SIGTERM
# and the time limit for it end the job.
wait_until_ready() { # WHAT PORT PATH STATUS MODEL ADDRESS...
    local what=$1 address url state begin=$SECONDS
    for address in "${@:6}"; do
        url=http://$address:$2$3
        say "waiting for $what at $url"
        while state=`readiness "$url" "$4" "http://$address:$2/v1/models" "$5"` && check_servers &&
            [[ $state != ready ]]; do
            ((SECONDS - begin < NEL_READINESS_TIMEOUT_S)) ||
                fail "$what was not ready after $NEL_READINESS_TIMEOUT_S s: $state"
            sleep "$probe_interval_s"
        done
    done
    say "$what is ready"
}

# Prints "ready", or what is missing.
readiness() { # URL STATUS URL-OF-MODELS MODEL
    local answer names
    answer=`probe "$1"`
    answer=${answer##*$'\n'}
    if [[ $answer != "$2" ]]; then
        printf '%s answered %s' "$1" "${answer/#000/nothing}"
        return
    fi
    answer=`probe "$3"`
    case ${answer##*$'\n'} in
    200) ;;
    000 | 50[0234])
        answer=${answer##*$'\n'}
        printf '%s answered %s' "$3" "${answer/#000/nothing}"
        return
        ;;
    *) answer='' ;; # it has no such list, or not for us
    esac
    names=`list_models <<<"$answer"`
    # Names that JSON escapes are not compared.
    if [[ -z $names || -z $4 || $4 == *[!\ -~]* || $4 == *[\"\\]* ]] || grep -Fqx -e "$4" <<<"$names"; then
        printf 'ready'
    else
        names=${names//$'\n'/, }
        printf '%s lists %s, not %s: another server answers, or served_model_name is not its name' "$3" \
            "${names:0:last_words_max}" "$4"
    fi
}

list_models() {
    grep -aoE '"id"[[:space:]]*:[[:space:]]*"([^"\\]|\\.)*"' |
        sed -e 's/^"id"[[:space:]]*:[[:space:]]*"//' -e 's/"$//' -e 's,\\/,/,g' -e '/^modelperm-/d'
}

# Prints the beginning of the body and, in a line of its own, the HTTP status; 000 for none.
probe() { # URL
    curl --silent --globoff --noproxy '*' --max-time "$probe_timeout_s" --write-out '\n%{http_code}' "$1" 2>/dev/null |
        {
            head -c "$probe_max" | tr -d '\0'
            printf '\n'
            tail -n 1
        }
}

# Does anything accept connections there, whether it answers or not? 1: they are refused; 2: it cannot be told.
listens() { # HOST PORT PATH
    local connected
    connected=`curl --silent --output /dev/null --globoff --noproxy '*' --max-time "$probe_timeout_s" \
        --write-out '%{time_connect}' "http://$1:$2$3" 2>/dev/null`
    case $? in
    7) return 1 ;; # curl(1): failed to connect
    28) [[ $connected != 0.000000 ]] || return 2 ;; # nothing came in time
    esac
}

# Asked after the probe too: on a shared node another's server may answer in place of one that found its port taken.
check_servers() {
    local i
    ((!terminated)) || exit 143
    for i in "${!server_pids[@]}"; do
        kill -0 "${server_pids[i]}" 2>/dev/null ||
            fail "a server died before all were ready: ${server_logs[i]} ends with: `last_words "${server_logs[i]}"`"
    done
}

# Prints the last lines of a server, in one. Of several tasks those count that were not ended from outside.
last_words() { # PATTERN OF ITS LOGS
    local file lines words=
    # shellcheck disable=SC2231 # it is a pattern
    for file in "$NEL_JOB_DIR"/$1; do
        [[ -f $file && ! -L $file ]] || continue
        lines=`tail -n 50 -- "$file" 2>/dev/null | tr -d '\0'`
        if [[ -z $words || $lines != *'*** STEP '*' CANCELLED '* ]]; then
            words=`grep -v -e '^srun: ' -e '\*\*\* STEP ' -e 'spank: required plugin' -e 'spank plugin stack' \
                -e 'pyxis: .*container start' -e "pyxis: couldn't start" -e '^[[:space:]]*$' <<<"$lines" | tail -n 3`
        fi
    done
    words=${words//$'\n'/ | }
    ((${#words} <= last_words_max)) || words=...${words: -last_words_max}
    printf '%s' "$words"
}

# An evaluation that failed may have failed for that. remote_collect.sh looks for these lines.
tell_dead_servers() {
    local i
    for i in "${!server_pids[@]}"; do
        kill -0 "${server_pids[i]}" 2>/dev/null || say "a server died during the evaluation: ${server_logs[i]}"
    done
}

# An evaluator may count requests that nobody answered as wrong answers, so scores count only when every server was there
# from the first to the last.
watch_evaluation() {
    local nap='' away=''
    trap 'kill "$nap" 2>/dev/null; exit' TERM
    while kill -0 $$; do
        [[ -n $away ]] || watch_servers
        note_total
        sleep "$watch_interval_s" &
        nap=$!
        wait "$nap"
    done
}

watch_servers() {
    local i
    for ((i = 0; i < ${#server_doors[@]}; i += 4)); do
        is_away "${server_doors[@]:i:4}" || continue
        printf -v away '%s at %s:%s refused connections at %(%H:%M:%S)T' "${server_doors[@]:i:3}" -1
        printf '%s\n' "$away" | put "$attempt_dir/away"
        return
    done
}

stop_watching() {
    if [[ -n $watch_pid ]]; then
        disown "$watch_pid" 2>/dev/null
        kill -KILL "$watch_pid" 2>/dev/null
        watch_pid=
    fi
}

is_away() { # NAME HOST PORT PATH
    listens "${@:2}"
    (($? == 1))
}

# Prints what was amiss with the servers; nothing when all were there.
find_absence() {
    local i
    for i in "${!server_pids[@]}"; do
        if ! kill -0 "${server_pids[i]}" 2>/dev/null; then
            printf '%s ends with: %s' "${server_logs[i]}" "`last_words "${server_logs[i]}"`"
            return
        fi
    done
    for ((i = 0; i < ${#server_doors[@]}; i += 4)); do
        if is_away "${server_doors[@]:i:4}"; then
            printf '%s at %s:%s refuses connections' "${server_doors[@]:i:3}"
            return
        fi
    done
    peek "$attempt_dir/away"
}

stop_servers() {
    local pid deadline=$((SECONDS + (terminated ? 5 : stop_grace_s))) # those that Slurm ends have heard of it
    ((${#server_pids[@]} > 0)) || return 0
    say "stopping the servers"
    kill "${server_pids[@]}" 2>/dev/null # one that has exited already is no fault
    for pid in "${server_pids[@]}"; do
        while kill -0 "$pid" 2>/dev/null && ((SECONDS < deadline && !killing)); do
            sleep 1
        done
        ! kill -KILL "$pid" 2>/dev/null || wait "$pid" 2>/dev/null
    done
    server_pids=()
}

# Tells the evaluation where an auxiliary server is: JUDGE_CHAT_URL, JUDGE_MODEL_ID.
publish_endpoints() { # SERVER
    local s=$1 i host=${addresses[NEL_SERVER_FIRST_NODE[$1]]} port=${server_ports[$1]}
    [[ -n ${NEL_SERVER_ENV_PREFIX[s]} ]] || return 0
    if ((NEL_SERVER_INSTANCES[s] > 1)); then
        host=127.0.0.1 port=${proxy_ports[s]}
    fi
    for ((i = 0; i < ${#NEL_ENDPOINTS[@]}; i += 3)); do
        if [[ ${NEL_ENDPOINTS[i]} == "$s" ]]; then
            evaluation_env+=("${NEL_ENDPOINTS[i + 1]}=http://$host:$port${NEL_ENDPOINTS[i + 2]}")
        fi
    done
    evaluation_env+=("${NEL_SERVER_ENV_PREFIX[s]}_MODEL_ID=${NEL_SERVER_MODEL_ID[s]}")
}

start_servers() {
    local s
    server_logs=() server_doors=() evaluation_env=()
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
}
