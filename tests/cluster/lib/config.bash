# shellcheck shell=bash disable=SC2154
# Sourced by up: writes the configuration files of the test clusters below $dir. Starts nothing.

# What the two clusters have in common. Settings that make jobs start within a second or two, and
# that need neither cgroups nor a node as large as the one it plays.
write_slurm_conf() {
    local cluster=$1 node
    {
        cat <<END
ClusterName=$cluster
SlurmctldHost=$cluster-login($(address_of host))
SlurmctldPort=$(port_of "$cluster-ctld")
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
StateSaveLocation=$dir/$cluster/state
SlurmdSpoolDir=$dir/$cluster/spool/%n
SlurmctldPidFile=$dir/run/$cluster.slurmctld-own.pid
SlurmdPidFile=$dir/run/%n.slurmd-own.pid
SlurmctldLogFile=$dir/log/$cluster.slurmctld.log
SlurmdLogFile=$dir/log/%n.slurmd.log
PlugStackConfig=$dir/$cluster/plugstack.conf
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=5,batch_sched_delay=0,bf_interval=5,sched_min_interval=100000,defer_batch_timeout=0
ReturnToService=2
KillWait=5
CompleteWait=0
MinJobAge=${NEL_CLUSTER_MIN_JOB_AGE:-1800}
SlurmctldTimeout=60
SlurmdTimeout=300
GresTypes=gpu
END
        for node in ${nodes_of[$cluster]}; do
            printf 'NodeName=%s NodeHostname=%s NodeAddr=%s Port=%s CPUs=16 Sockets=2 CoresPerSocket=8 ThreadsPerCore=1 RealMemory=1000 Gres=gpu:8 State=UNKNOWN\n' \
                "$node" "$node" "$(address_of "$node")" "$(port_of "$node")"
        done
        "write_${cluster}_part"
    } >"$dir/$cluster/slurm.conf.new"
    if ! cmp -s "$dir/$cluster/slurm.conf.new" "$dir/$cluster/slurm.conf"; then
        mv "$dir/$cluster/slurm.conf.new" "$dir/$cluster/slurm.conf"
        : >"$dir/$cluster/changed"
    fi
    rm -f "$dir/$cluster/slurm.conf.new"
    write_node_files "$cluster"
}

# alpha: accounting, accounts and their limits enforced (none are set), a partition whose jobs cancel those of the others, and one with a third node.
write_alpha_part() {
    cat <<END
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=$(address_of host)
AccountingStoragePort=$(port_of slurmdbd)
AccountingStorageEnforce=limits
AccountingStoragePass=$dir/munge/socket
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
PartitionName=DEFAULT Nodes=a1,a2 State=UP DefaultTime=10 MaxTime=INFINITE PriorityTier=1
PartitionName=batch Default=YES
PartitionName=gpu
PartitionName=cpu
PartitionName=urgent PriorityTier=10 PreemptMode=OFF
PartitionName=wide Nodes=a1,a2,a3
END
}

write_beta_part() {
    cat <<END
AccountingStorageType=accounting_storage/none
PartitionName=DEFAULT Nodes=b1 State=UP DefaultTime=10 MaxTime=INFINITE
PartitionName=batch Default=YES
PartitionName=gpu
END
}

# Eight device files a node stand for its GPUs; Slurm refuses a count without files.
write_node_files() {
    local cluster=$1 node gpu
    : >"$dir/$cluster/gres.conf"
    # What newer slurmd wants without cgroups; those before 23.02 do not know the plugin (cgroup.conf(5)).
    if [[ $(slurmd -V) =~ ^slurm[a-z-]*\ ([0-9]+) ]] && ((BASH_REMATCH[1] >= 23)); then
        echo 'CgroupPlugin=disabled' >"$dir/$cluster/cgroup.conf"
    fi
    for node in ${nodes_of[$cluster]}; do
        mkdir -p "$dir/$cluster/$node" "$dir/$cluster/spool/$node"
        for gpu in 0 1 2 3 4 5 6 7; do
            [[ -c $dir/$cluster/$node/gpu$gpu ]] || mknod -m 0666 "$dir/$cluster/$node/gpu$gpu" c 1 3
        done
        printf 'NodeName=%s Name=gpu File=%s/gpu[0-7]\n' "$node" "$dir/$cluster/$node" >>"$dir/$cluster/gres.conf"
    done
    printf 'required %s images=%s scratch=%s spool=%s ends=%s\n' "$dir/lib/spank_container.so" \
        "$dir/shared/images" "$dir/scratch" "$dir/$cluster/spool" "$dir/$cluster/ends" >"$dir/$cluster/plugstack.conf"
}

write_sshd_conf() {
    local cluster=$1
    [[ -f $dir/$cluster/ssh/host_key ]] || ssh-keygen -q -t ed25519 -N '' -C "$cluster" -f "$dir/$cluster/ssh/host_key"
    cat >"$dir/$cluster/ssh/sshd_config" <<END
ListenAddress 127.0.0.1
Port $(port_of "$cluster-sshd")
HostKey $dir/$cluster/ssh/host_key
PidFile none
UsePAM no
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
AllowUsers ${users[*]}
AuthorizedKeysFile .ssh/authorized_keys $dir/$cluster/ssh/authorized_keys.%u
SetEnv SLURM_CONF=$dir/$cluster/slurm.conf
Subsystem sftp internal-sftp
UseDNS no
PrintMotd no
LogLevel VERBOSE
END
    # OpenSSH 9.8 and later shut out an address for a while after a login that failed; those before do not know this.
    mkdir -p /run/sshd
    if /usr/sbin/sshd -t -f "$dir/$cluster/ssh/sshd_config" -o PerSourcePenalties=no 2>/dev/null; then
        echo 'PerSourcePenalties no' >>"$dir/$cluster/ssh/sshd_config"
    fi
    local user keys
    for user in "${users[@]}"; do
        keys=$dir/$cluster/ssh/authorized_keys.$user
        touch "$keys"
        grep -qxFf "$dir/ssh/$user.pub" "$keys" || cat "$dir/ssh/$user.pub" >>"$keys"
        chmod 0644 "$keys"
    done
}

# One key a person, and the file of the clusters' host keys.
write_client_keys() {
    local user cluster
    for user in "${users[@]}"; do
        [[ -f $dir/ssh/$user ]] || ssh-keygen -q -t ed25519 -N '' -C "$user" -f "$dir/ssh/$user"
    done
    for cluster in "$@"; do
        write_sshd_conf "$cluster"
    done
    for cluster in alpha beta; do
        if [[ -f $dir/$cluster/ssh/host_key.pub ]]; then
            printf '[127.0.0.1]:%s %s\n' "$(port_of "$cluster-sshd")" "$(cut -d ' ' -f 1,2 "$dir/$cluster/ssh/host_key.pub")"
        fi
    done >"$dir/ssh/known_hosts"
}

write_database_conf() {
    [[ -f $dir/mariadb/password ]] || (umask 077 && xxd -l 16 -p /dev/urandom >"$dir/mariadb/password")
    cat >"$dir/mariadb/my.cnf" <<END
[mariadbd]
datadir=$dir/mariadb/data
socket=$dir/mariadb/socket
pid-file=$dir/mariadb/pid
bind-address=127.0.0.1
port=$(port_of mariadb)
user=root
skip-name-resolve
skip-log-bin
innodb_buffer_pool_size=64M
innodb_log_file_size=16M
innodb_flush_log_at_trx_commit=0
innodb_lock_wait_timeout=900
performance_schema=off
END
    (
        umask 077
        cat >"$dir/alpha/slurmdbd.conf" <<END
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
DbdHost=alpha-login
DbdAddr=$(address_of host)
DbdPort=$(port_of slurmdbd)
SlurmUser=root
DebugLevel=info
LogFile=$dir/log/alpha.slurmdbd.log
PidFile=$dir/run/alpha.slurmdbd-own.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$(port_of mariadb)
StorageUser=slurm
StoragePass=$(cat "$dir/mariadb/password")
StorageLoc=slurm_acct_db
END
    )
}

write_hosts() {
    local node
    {
        printf '127.0.0.1 localhost\n%s alpha-login beta-login site\n' "$(address_of host)"
        for node in a1 a2 a3 b1; do
            printf '%s %s\n' "$(address_of "$node")" "$node"
        done
        printf '%s models.example.com\n' "$(address_of models)"
    } >"$dir/hosts"
}

# The file that tests read: as shell assignments, and the same as one JSON object.
write_env() {
    local cluster
    {
        for cluster in "$@"; do
            printf '%s=%q\n' "NEL_${cluster^^}_HOST" 127.0.0.1 \
                "NEL_${cluster^^}_PORT" "$(port_of "$cluster-sshd")" \
                "NEL_${cluster^^}_SLURM_CONF" "$dir/$cluster/slurm.conf"
        done
        printf '%s=%q\n' \
            NEL_CLUSTERS "$*" \
            NEL_CLUSTER_DIR "$dir" \
            NEL_USER "${users[0]}" \
            NEL_USER_BOB "${users[1]}" \
            NEL_SSH_KEY "$dir/ssh/${users[0]}" \
            NEL_SSH_KEY_BOB "$dir/ssh/${users[1]}" \
            NEL_KNOWN_HOSTS "$dir/ssh/known_hosts" \
            NEL_SHARED "$dir/shared" \
            NEL_OUTPUT "$dir/shared/${users[0]}" \
            NEL_OUTPUT_BOB "$dir/shared/${users[1]}" \
            NEL_CHECKPOINT "$dir/shared/models/llama-3.1-8b-instruct" \
            NEL_CACHE "$dir/shared/cache/huggingface" \
            NEL_IMAGES_DIR "$dir/shared/images" \
            NEL_IMAGE "$dir/shared/images/nel-test" \
            NEL_SQSH_IMAGE "$dir/shared/images/nel-test.sqsh" \
            NEL_ACCOUNT team \
            NEL_OTHER_ACCOUNT other \
            NEL_HOST_ADDR "$(address_of host)"
    } >"$dir/env.new"
    python3 - "$dir/env.new" >"$dir/env.json.new" <<'END'
import json, shlex, sys
pairs = (shlex.split(line)[0].split("=", 1) for line in open(sys.argv[1]))
print(json.dumps(dict(pairs), indent=2))
END
    mv "$dir/env.new" "$dir/env"
    mv "$dir/env.json.new" "$dir/env.json"
}
