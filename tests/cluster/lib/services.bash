# shellcheck shell=bash
# Sourced by up and ctl: starts each daemon of the test clusters unless it runs, and asks it whether it is well.

client() { SLURM_CONF=$dir/$1/slurm.conf in_box "$1" env SLURM_CONF="$dir/$1/slurm.conf" "${@:2}"; }

start_bridge() {
    [[ $network == bridge ]] || return 0
    if [[ ! -e /sys/class/net/$bridge ]]; then
        ip link add "$bridge" type bridge
        ip addr add "$(address_of host)/24" dev "$bridge"
    fi
    ip link set "$bridge" up
}

start_munge() {
    start_box site
    daemon_runs site munged && return 0
    [[ -f $dir/munge/key ]] || (umask 077 && dd if=/dev/urandom of="$dir/munge/key" bs=128 count=1 status=none)
    rm -f "$dir/munge/socket" "$dir/munge/socket.lock"
    start_daemon site munged munged --foreground --socket="$dir/munge/socket" --key-file="$dir/munge/key" \
        --pid-file="$dir/munge/pid" --log-file="$dir/log/site.munged.log" --seed-file="$dir/munge/seed" --num-threads=2
    wait_for munged 20 sh -c "munge -n -S '$dir/munge/socket' | unmunge -S '$dir/munge/socket'"
}

create_database() {
    [[ -d $dir/mariadb/data/mysql ]] && return 0
    mariadb-install-db --no-defaults --datadir="$dir/mariadb/data" --user=root --skip-test-db --skip-name-resolve \
        --auth-root-authentication-method=socket --innodb-log-file-size=16M >"$dir/log/alpha.mariadb-install.log" 2>&1
}

start_database() {
    daemon_runs alpha mariadbd && return 0
    start_daemon alpha mariadbd mariadbd --defaults-file="$dir/mariadb/my.cnf"
    wait_for mariadbd 60 sql 'SELECT 1'
    sql "CREATE USER IF NOT EXISTS slurm@'127.0.0.1' IDENTIFIED BY '$(cat "$dir/mariadb/password")';
        GRANT ALL ON slurm_acct_db.* TO slurm@'127.0.0.1'"
}

sql() { mariadb --no-defaults --socket="$dir/mariadb/socket" --user=root --execute "$1"; }

start_slurmdbd() {
    daemon_runs alpha slurmdbd && return 0
    start_daemon alpha slurmdbd env SLURM_CONF="$dir/alpha/slurm.conf" slurmdbd -D
    wait_for slurmdbd 60 client alpha sacctmgr -n show cluster
    add_accounts
}

add_accounts() {
    local have
    have=$(client alpha sacctmgr -nP show assoc format=cluster,account,user)
    if ! grep -qx 'alpha|other|nelbob' <<<"$have"; then
        {
            echo 'add cluster alpha'
            echo 'add account team,other cluster=alpha description=tests organization=tests'
            echo 'add user nelalice,nelbob account=team,other cluster=alpha defaultaccount=team'
        } >"$dir/alpha/accounts"
        client alpha sacctmgr -i load 2>/dev/null || true
        while read -r line; do
            # shellcheck disable=SC2086
            client alpha sacctmgr -i -Q $line
        done <"$dir/alpha/accounts"
    fi
}

start_slurmctld() {
    daemon_runs "$1" slurmctld && return 0
    start_daemon "$1" slurmctld slurmctld -D -f "$dir/$1/slurm.conf"
    wait_for "slurmctld of $1" 30 client "$1" sinfo -h
}

start_sshd() {
    daemon_runs "$1" sshd && return 0
    mkdir -p /run/sshd
    start_daemon "$1" sshd /usr/sbin/sshd -D -f "$dir/$1/ssh/sshd_config" -E "$dir/log/$1.sshd.log"
    wait_for "sshd of $1" 20 sh -c "ssh-keyscan -t ed25519 -p $(port_of "$1-sshd") 127.0.0.1 | grep -q ed25519"
}

# Ends sshd and every session through it.
stop_sshd() {
    local pid sessions=()
    pid=$(cat "$dir/run/$1.sshd.pid" 2>/dev/null) || return 0
    mapfile -t sessions < <(in_box "$1" pgrep -P "$pid")
    stop_daemon "$1" sshd
    if ((${#sessions[@]} > 0)); then
        in_box "$1" kill -TERM "${sessions[@]}" || true
    fi
}

start_slurmd() {
    local cluster
    cluster=$(cluster_of "$1")
    start_box "$1"
    daemon_runs "$1" slurmd && return 0
    start_daemon "$1" slurmd slurmd -D -N "$1" -f "$dir/$cluster/slurm.conf"
}

node_is_ready() {
    client "$(cluster_of "$1")" sinfo -h -n "$1" -o %T | grep -Eq '^(idle|mixed|allocated|completing)$'
}
