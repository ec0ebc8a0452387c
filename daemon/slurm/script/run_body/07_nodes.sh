# ---- Nodes ----

find_nodes() {
    local i
    scontrol show hostnames "${SLURM_JOB_NODELIST:-${SLURM_NODELIST:-}}" | mapfile -t nodes
    ((${#nodes[@]} >= NEL_TOTAL_NODES)) ||
        fail "needs $NEL_TOTAL_NODES nodes, but the allocation has ${#nodes[@]}: ${nodes[*]}"
    export PRIMARY_NODE=${nodes[0]}
    say "nodes: ${nodes[*]}"
    ((${#NEL_SERVER_NAME[@]} > 0)) || return 0
    for i in "${!nodes[@]}"; do
        addresses[i]=`address_of "${nodes[i]}"` || fail "node ${nodes[i]} has no IPv4 address"
    done
    say "addresses: ${addresses[*]}"
}

# Prints one address of a node. Names of a host often lead to its loopback address on the host itself (Debian's
# 127.0.1.1), which is of no use to the other nodes, so that is the last resort.
address_of() { # NODE
    local configured address
    address=`lookup "$1"`
    if [[ -z $address || $address == 127.* ]]; then
        configured=`scontrol show node "$1" 2>/dev/null | sed -n 's/^.*NodeAddr=\([^ ]*\).*$/\1/p'`
        if [[ $configured =~ ^[0-9]+(\.[0-9]+){3}$ ]]; then
            address=$configured
        elif [[ -n $configured && $configured != "$1" ]]; then
            address=`lookup "$configured"`
        fi
    fi
    if [[ $address == 127.* && $address != "${configured-}" && $1 == "${SLURMD_NODENAME-}" ]]; then
        configured=`hostname -I 2>/dev/null`
        address=${configured%% *}
    fi
    [[ -n $address ]] && printf '%s\n' "$address"
}

lookup() { # HOST
    local address found=
    getent ahostsv4 "$1" | while read -r address _; do
        found=$address
        [[ $address == 127.* ]] || break
    done
    printf '%s' "$found"
}
