# shellcheck shell=bash
# Sourced by client-python and client-typescript: a daemon for a client to talk with, whose cluster does not answer.

# Sets and exports NEL_URL and NEL_TOKEN; the daemon and its directory go when the script ends.
start_daemon() {
    local binary=${NEL_BIN:-build/debug/nel-slurmd} port=
    scratch=$(mktemp -d)
    trap end_daemon EXIT
    ssh-keygen -q -t ed25519 -N '' -f "$scratch/key"
    : >"$scratch/known_hosts"
    cat >"$scratch/settings.yaml" <<END
listen: [127.0.0.1:0]
database: $scratch/nel.db
master_key_file: $scratch/master.key
clusters:
  - name: alpha
    hostname: login.alpha.example
    address: 127.0.0.1
    port: 1
    known_hosts_file: $scratch/known_hosts
    identity: {username: svc, key_file: $scratch/key}
END
    "$binary" keygen --config "$scratch/settings.yaml" >/dev/null
    NEL_TOKEN=$("$binary" user add ann --role user --config "$scratch/settings.yaml" 2>/dev/null)
    : >"$scratch/log" # it is read below, maybe before the daemon's shell has opened it
    "$binary" --config "$scratch/settings.yaml" >>"$scratch/log" 2>&1 &
    daemon=$!
    for _ in {1..300}; do
        port=$(sed -n 's/.*msg=listening .*port=\([0-9]*\).*/\1/p' "$scratch/log")
        [[ -z $port ]] || break
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.1
    done
    [[ -n $port ]] || {
        cat "$scratch/log"
        exit 1
    }
    NEL_URL=http://127.0.0.1:$port
    export NEL_URL NEL_TOKEN
}

end_daemon() {
    [[ -z ${daemon:-} ]] || kill "$daemon" 2>/dev/null || true # it may have ended by itself
    wait
    rm -rf "$scratch"
}
