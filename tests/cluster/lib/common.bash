# shellcheck shell=bash disable=SC2034
# Sourced by up, down and ctl: where things are, what they are called, and how daemons of the test
# clusters are started, found and ended. Nothing here acts when it is sourced.
#
# Every daemon lives in a "box": a process with PID, mount and UTS namespaces of its own (a node has
# a network namespace too, so that two nodes can both listen on port 8000). Boxes:
#
#   site           munged, for both clusters
#   alpha, beta    the login node: slurmctld and sshd (alpha: MariaDB and slurmdbd too)
#   a1-a3, b1      a compute node: slurmd and all its jobs
#   models         the endpoint of a provider, https://models.example.com; only with network: bridge
#
# Ending a box's first process ends everything in it, also what users left running, and with its
# namespaces go its mounts and network interface.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${NEL_CLUSTER_DIR:-/tmp/nel-clusters}
[[ $dir == /* ]] || dir=$PWD/$dir

users=(nelalice nelbob)
declare -A nodes_of=([alpha]='a1 a2 a3' [beta]='b1')

# Settings are fixed at the first `up` and kept in $dir/settings for those that follow.
load_settings() {
    port_base=${NEL_CLUSTER_PORT_BASE:-21000}
    subnet=${NEL_CLUSTER_SUBNET:-198.18.77}
    network=${NEL_CLUSTER_NETWORK:-}
    if [[ -f $dir/settings ]]; then
        # shellcheck source=/dev/null
        . "$dir/settings"
    fi
    bridge=nelbr$port_base
}

save_settings() {
    printf '%s=%q\n' port_base "$port_base" subnet "$subnet" network "$network" >"$dir/settings"
}

# Those of the clusters that have been configured in $dir.
list_clusters() {
    local cluster
    for cluster in alpha beta; do
        if [[ -f $dir/$cluster/slurm.conf ]]; then echo "$cluster"; fi
    done
}

# Whether $dir is free to be made, or was made by up.
is_ours() { [[ ! -e $dir || -f $dir/settings || -z $(ls -A "$dir") ]]; }

# One up or down at a time for one directory; held until the script ends.
lock() {
    mkdir -p "$dir"
    exec 99<"$dir"
    flock 99
}

# The accounts are the machine's, so several sets of clusters share them: who uses them stands in sets/, and whoever
# goes last removes them. Homes are here, outside of any set.
accounts=/tmp/nel-cluster-accounts
lock_accounts() {
    while :; do
        mkdir -p "$accounts/sets" "$accounts/home"
        exec 98<"$accounts"
        flock 98
        if [[ $accounts -ef /dev/fd/98 ]]; then break; fi # it was removed meanwhile
    done
}
unlock_accounts() { exec 98<&-; }
# The file that says so of this set: its path, with its slashes replaced.
account_use() { printf '%s/sets/%s' "$accounts" "${dir//\//%}"; }

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# port_of NAME: the fixed TCP port of a daemon.
port_of() {
    local offset
    case $1 in
    alpha-ctld) offset=1 ;;
    a1) offset=2 ;;
    a2) offset=3 ;;
    alpha-sshd) offset=4 ;;
    a3) offset=5 ;;
    beta-ctld) offset=11 ;;
    b1) offset=12 ;;
    beta-sshd) offset=14 ;;
    slurmdbd) offset=20 ;;
    mariadb) offset=21 ;;
    *) die "no port for $1" ;;
    esac
    echo $((port_base + offset))
}

# address_of NAME: of a node, or of the host as the nodes reach it.
address_of() {
    local last
    if [[ $network != bridge ]]; then
        echo 127.0.0.1
        return
    fi
    case $1 in
    host) last=1 ;;
    a1) last=11 ;;
    a2) last=12 ;;
    a3) last=13 ;;
    b1) last=21 ;;
    models) last=31 ;;
    *) die "no address for $1" ;;
    esac
    echo "$subnet.$last"
}

cluster_of() {
    case $1 in
    a[123]) echo alpha ;;
    b1) echo beta ;;
    esac
}

# ---- boxes ----

# The process of a box as the host counts, or nothing when the box is down. The recorded id counts
# only when that process carries this state directory in its environment: ids are reused.
box_pid() {
    local pid
    pid=$(cat "$dir/run/$1.box" 2>/dev/null) || return 1
    grep -qzxF "NEL_CLUSTER_BOX=$dir:$1" "/proc/$pid/environ" 2>/dev/null || return 1
    echo "$pid"
}

# The first process in the box's PID namespace, as the host counts.
box_init() {
    local pid child
    pid=$(box_pid "$1") || return 1
    child=$(pgrep -P "$pid") || return 1
    echo "$child"
}

# in_box BOX COMMAND...
in_box() {
    local init
    init=$(box_init "$1") || return 1
    shift
    nsenter --target "$init" --mount --uts --net --pid -- "$@"
}

# A node's box (and that of the endpoint) in bridge mode gets a network of its own: `lo`, and eth0 on the bridge.
join_bridge() {
    local box=$1 init
    init=$(box_init "$box")
    ip link add "nel$port_base$box" type veth peer name eth0 netns "/proc/$init/ns/net"
    ip link set "nel$port_base$box" master "$bridge" up
    in_box "$box" ip link set lo up
    in_box "$box" ip addr add "$(address_of "$box")/24" dev eth0
    in_box "$box" ip link set eth0 up
}

# Run as a box's first process: its host name, its /etc/hosts, /shared, for a node its own /tmp (in which $dir is, when
# it is below /tmp on the host), then it sleeps; SIGCHLD ignored, so that orphans leave no zombies.
# shellcheck disable=SC2016
box_script='
    set -e
    dir=$1 box=$2 name=$3 own_tmp=$4
    echo "$name" >/proc/sys/kernel/hostname
    mount --bind "$dir/hosts" /etc/hosts
    mount --bind "$dir/shared" /shared
    if [ -n "$own_tmp" ]; then
        mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$dir/scratch"
        case $dir in
        /tmp/*)
            mkdir -p "$dir/scratch/${dir#/tmp/}"
            mount --bind "$dir" "$dir/scratch/${dir#/tmp/}"
            ;;
        esac
        mount --move "$dir/scratch" /tmp
    fi
    : >"$dir/run/$box.ready"
    exec env --ignore-signal=CHLD sleep infinity'

start_box() {
    local box=$1 name=$1 net=() own_tmp=
    if box_init "$box" >/dev/null; then
        return 0
    fi
    rm -f "$dir/run/$box.ready" "$dir/run/$box".*.pid
    [[ -z ${nodes_of[$box]-} ]] || name=$box-login
    if [[ -n $(cluster_of "$box") ]]; then
        own_tmp=1
    fi
    if [[ $network == bridge && (-n $own_tmp || $box == models) ]]; then
        net=(--net)
    fi
    env -i PATH="$PATH" LANG=C.UTF-8 "NEL_CLUSTER_BOX=$dir:$box" \
        setsid unshare --uts --mount --pid --fork --kill-child --mount-proc "${net[@]}" -- \
        sh -c "$box_script" sh "$dir" "$box" "$name" "$own_tmp" \
        </dev/null >>"$dir/log/$box.box.log" 2>&1 99<&- &
    echo $! >"$dir/run/$box.box"
    wait_for "the box of $box" 10 test -e "$dir/run/$box.ready"
    if ((${#net[@]} > 0)); then
        join_bridge "$box"
    fi
}

# Ends a box with all that runs in it: the kernel ends every process of a PID namespace with its first one,
# and that one goes last.
stop_box() {
    local pid init
    if pid=$(box_pid "$1"); then
        init=$(box_init "$1") || init=$pid
        kill -KILL "$init" "$pid" 2>/dev/null || true
        while [[ -e /proc/$init/ns/mnt || -e /proc/$pid/ns/mnt ]]; do sleep 0.05; done
    fi
    rm -f "$dir/run/$1.box" "$dir/run/$1.ready" "$dir/run/$1".*.pid
}

# ---- daemons in boxes; their pid files count as the box counts ----

# start_daemon BOX NAME COMMAND...: in the foreground of a session of its own.
start_daemon() {
    local box=$1 name=$2
    shift 2
    # shellcheck disable=SC2016
    in_box "$box" env -i PATH="$PATH" LANG=C.UTF-8 "NEL_CLUSTER_BOX=$dir:$box" sh -c '
        pid_file=$1 log=$2
        shift 2
        setsid "$@" </dev/null >>"$log" 2>&1 &
        echo $! >"$pid_file"' sh "$dir/run/$box.$name.pid" "$dir/log/$box.$name.out" "$@" 99<&-
}

daemon_runs() {
    local pid
    pid=$(cat "$dir/run/$1.$2.pid" 2>/dev/null) && in_box "$1" grep -q "$2" "/proc/$pid/cmdline" 2>/dev/null
}

stop_daemon() {
    local pid tries=0
    daemon_runs "$1" "$2" || return 0
    pid=$(cat "$dir/run/$1.$2.pid")
    in_box "$1" kill -TERM "$pid"
    in_box "$1" kill -CONT "$pid" 2>/dev/null || true
    while daemon_runs "$1" "$2"; do
        if ((++tries > 100)); then
            in_box "$1" kill -KILL "$pid" 2>/dev/null || true
        fi
        sleep 0.1
    done
    rm -f "$dir/run/$1.$2.pid"
}

# keep_up BOX NAME START CHECK: nothing when the daemon runs and passes CHECK BOX; else ends what is left of it,
# calls START BOX and waits for CHECK.
keep_up() {
    local box=$1 name=$2 start=$3 check=$4
    if daemon_runs "$box" "$name" && "$check" "$box" >/dev/null 2>&1; then
        return 0
    fi
    stop_daemon "$box" "$name"
    "$start" "$box"
    wait_for "$name of $box" 60 "$check" "$box"
}

# wait_for WHAT SECONDS COMMAND...
wait_for() {
    local what=$1 deadline=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            die "$what did not come up; see $dir/log"
        fi
        sleep 0.1
    done
}
