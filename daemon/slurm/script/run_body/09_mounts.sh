# ---- Which paths may be mounted where people share the account: for the login node and, in run.sub, for the compute node ----

# Is the directory that path, or above it? By another name, too: it may be mounted in two places.
holds() { # DIRECTORY PATH
    local at=${2%/}
    until [[ ${at:-/} -ef $1 ]]; do
        [[ -n $at ]] || return 1
        at=${at%/*}
    done
}

# Sets used_output_dirs to the output directories of everybody's evaluations. One that is on a file system which is away is
# compared as it is written.
note_output_dirs() { # DIRECTORY...
    used_output_dirs=()
    (($# == 0)) || mapfile -d '' -t used_output_dirs < <(
        printf '%s\0' "$@" | timeout 10 xargs -0 realpath -m -z -- 2>/dev/null
        printf '%s\0' "$@"
    )
}

# Says why a path may not be mounted, and is true when it may not. Those who share the account could read each other's
# secrets, or its keys. Links are followed first. What a conversion has converted is there for evaluations to mount.
refuse_source() { # PATH THE-EVALUATION'S-OUTPUT-DIRECTORY
    local path home output run='[0-9]*_[0-9]*-*' rundir='/[0-9]{8}_[0-9]{6}-[0-9a-f]{16}/'
    path=$(realpath -e -- "$1" 2>/dev/null)/ && home=$(realpath -m -- ~) || return 1
    [[ $path != // ]] || path=/
    if [[ $path =~ $rundir && ! $path =~ ${rundir}convert\.0/converted/ ]]; then
        printf 'it is within a run directory'
        return
    elif holds "$path" "$home" || holds "$path" "$2" || compgen -G "$(printf %q "$path")$run/.claim" >/dev/null; then
        printf 'run directories, or the home of the account, lie below it'
        return
    elif [[ $path == */.ssh/* || ($path == "$home"/.* && $path != "$home"/.cache/*) ]]; then
        printf 'it leads to keys, or to settings of the account'
        return
    elif [[ $path == /proc/* ]]; then
        printf 'it leads elsewhere for each process'
        return
    fi
    for output in ${used_output_dirs[@]+"${used_output_dirs[@]}"}; do
        if [[ $output/ == "$path"* ]]; then
            printf 'run directories of other evaluations lie below it'
            return
        fi
    done
    return 1
}
