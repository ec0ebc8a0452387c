# shellcheck shell=bash disable=SC2154
# Sourced by up and ctl: for each daemon of the test clusters how it is started and how it is asked whether it is
# well; the functions named keep_* do what it takes, and nothing when all is well.

# client CLUSTER COMMAND...: one of Slurm's commands, as root on the login node.
client() { in_box "$1" env SLURM_CONF="$dir/$1/slurm.conf" timeout 30 "${@:2}"; }

keep_bridge() {
    [[ $network == bridge ]] || return 0
    if [[ ! -e /sys/class/net/$bridge ]]; then
        ip link add "$bridge" type bridge
        ip addr add "$(address_of host)/24" dev "$bridge"
    fi
    ip link set "$bridge" up
}

start_munged() {
    [[ -f $dir/munge/key ]] || (umask 077 && dd if=/dev/urandom of="$dir/munge/key" bs=128 count=1 status=none)
    rm -f "$dir/munge/socket" "$dir/munge/socket.lock"
    start_daemon site munged munged --foreground --socket="$dir/munge/socket" --key-file="$dir/munge/key" \
        --pid-file="$dir/munge/pid" --log-file="$dir/log/site.munged.log" --seed-file="$dir/munge/seed" --num-threads=4
}
munged_answers() {
    timeout 5 munge -n -S "$dir/munge/socket" | timeout 5 unmunge -S "$dir/munge/socket"
}
keep_munged() {
    start_box site
    keep_up site munged start_munged munged_answers
}

# The endpoint that the examples send to: a provider's, with TLS, on an address of its own.
start_models() {
    start_daemon models model-server "$here/model-server" --port 443 --certificate "$dir/lib/models.pem" \
        --model meta/llama-3.1-8b-instruct --model meta/llama-3.1-8b-step-2000
}
models_answer() {
    curl --silent --fail --max-time 5 --cacert "$dir/lib/models.crt" --resolve "models.example.com:443:$(address_of models)" \
        https://models.example.com/v1/models
}
keep_models() {
    [[ $network == bridge ]] || return 0
    start_box models
    keep_up models model-server start_models models_answer
}

create_database() {
    [[ -d $dir/mariadb/data/mysql ]] && return 0
    mariadb-install-db --no-defaults --datadir="$dir/mariadb/data" --user=root --skip-test-db --skip-name-resolve \
        --auth-root-authentication-method=socket --innodb-log-file-size=16M >"$dir/log/alpha.mariadb-install.log" 2>&1
}
sql() { timeout 30 mariadb --no-defaults --socket="$dir/mariadb/socket" --user=root --execute "$1"; }
start_mariadbd() { start_daemon alpha mariadbd mariadbd --defaults-file="$dir/mariadb/my.cnf"; }
mariadbd_answers() { sql 'SELECT 1'; }
keep_mariadbd() {
    create_database
    keep_up alpha mariadbd start_mariadbd mariadbd_answers
    sql "CREATE USER IF NOT EXISTS slurm@'127.0.0.1' IDENTIFIED BY '$(cat "$dir/mariadb/password")';
        GRANT ALL ON slurm_acct_db.* TO slurm@'127.0.0.1'"
}

# With the libmariadb that tests/install put aside for it, where it did.
start_slurmdbd() {
    start_daemon alpha slurmdbd env SLURM_CONF="$dir/alpha/slurm.conf" LD_LIBRARY_PATH=/usr/local/lib/nel-tests/libmariadb3 \
        slurmdbd -D
}
slurmdbd_answers() { client alpha sacctmgr -n show cluster; }
keep_slurmdbd() { keep_up alpha slurmdbd start_slurmdbd slurmdbd_answers; }

# Anything but these accounts is refused by sbatch on alpha.
add_accounts() {
    if client alpha sacctmgr -nP show assoc format=account,user | grep -qx 'other|nelbob'; then
        return 0
    fi
    client alpha sacctmgr -i -Q add cluster alpha >"$dir/log/alpha.sacctmgr.out" || true
    client alpha sacctmgr -i -Q add account team,other cluster=alpha description=tests organization=tests \
        >>"$dir/log/alpha.sacctmgr.out" || true
    client alpha sacctmgr -i -Q add user nelalice,nelbob account=team,other cluster=alpha defaultaccount=team \
        >>"$dir/log/alpha.sacctmgr.out"
}

start_slurmctld() {
    rm -f "$dir/$1/changed"
    start_daemon "$1" slurmctld slurmctld -D -f "$dir/$1/slurm.conf"
}
slurmctld_answers() { client "$1" sinfo -h; }
nodes_are_known() { [[ $(client "$1" sinfo -h -o %n | sort -u | paste -s -d ' ') == "${nodes_of[$1]}" ]]; }
keep_slurmctld() {
    # Nodes that came or went want a new slurmctld (slurm.conf(5)).
    if [[ -e $dir/$1/changed ]] && daemon_runs "$1" slurmctld && ! nodes_are_known "$1"; then
        stop_daemon "$1" slurmctld
    fi
    keep_up "$1" slurmctld start_slurmctld slurmctld_answers
    if [[ -e $dir/$1/changed ]]; then
        client "$1" scontrol reconfigure
        rm -f "$dir/$1/changed"
    fi
}

start_sshd() {
    mkdir -p /run/sshd
    start_daemon "$1" sshd /usr/sbin/sshd -D -f "$dir/$1/ssh/sshd_config" -E "$dir/log/$1.sshd.log"
}
sshd_answers() {
    ssh -n -T -p "$(port_of "$1-sshd")" -i "$dir/ssh/nelalice" -o "UserKnownHostsFile=$dir/ssh/known_hosts" \
        -o BatchMode=yes -o ConnectTimeout=5 nelalice@127.0.0.1 true
}
keep_sshd() { keep_up "$1" sshd start_sshd sshd_answers; }

# The processes of sshd's sessions, not what users run in them. Each has two: a child of the listener's and, where the
# login is done, a child of that one, which has the connection.
session_pids() {
    local monitors
    monitors=$(in_box "$1" pgrep -d , -P "$(cat "$dir/run/$1.sshd.pid")") || return 0
    printf '%s\n' "${monitors//,/$'\n'}"
    in_box "$1" pgrep -x -P "$monitors" 'sshd(-session)?' || true
}
end_sessions() {
    local sessions=()
    mapfile -t sessions < <(session_pids "$1")
    if ((${#sessions[@]} > 0)); then
        in_box "$1" kill -KILL "${sessions[@]}" 2>/dev/null || true
    fi
}
# The listener is held first: a client that logs in again at once would get in between the two.
stop_sshd() {
    daemon_runs "$1" sshd || return 0
    in_box "$1" kill -STOP "$(cat "$dir/run/$1.sshd.pid")"
    end_sessions "$1"
    stop_daemon "$1" sshd
}

start_slurmd() { start_daemon "$1" slurmd slurmd -D -N "$1" -f "$dir/$(cluster_of "$1")/slurm.conf"; }
# A node that a test left down or drained is resumed.
node_is_ready() {
    local cluster state
    cluster=$(cluster_of "$1")
    state=$(client "$cluster" sinfo -h -n "$1" -o %t | head -n 1)
    case $state in
    idle | mix | alloc | comp) return 0 ;;
    down | drain | drng) client "$cluster" scontrol update "nodename=$1" state=resume ;;
    esac
    return 1
}
keep_node() {
    start_box "$1"
    keep_up "$1" slurmd start_slurmd node_is_ready
}
