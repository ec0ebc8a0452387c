#!/bin/bash
# Says what a submission would meet, and does nothing of it; or, before there is any, whether the cluster has what all
# submissions need. NEL_CHECKS names the questions. One answer to each, in their order:
#   check|<number>|<ok, bad, silent or unknown>|<start in seconds since the epoch, or 0>|<text>
# silent is bad, and only since Slurm does not answer.

slurm_wait_s=20 # for one answer of Slurm: whoever wants to know of a silent one waits for this
number=0
silent= # which of Slurm's commands did not answer; then none is asked any more
user=$(id -un)
host=$(uname -n)

answer() { # VERDICT TEXT [START]
    printf 'check|%d|%s|%s|%s\n' "$number" "$1" "${3:-0}" "$(one_line "$2")"
    number=$((number + 1))
}

# Sets left to the seconds that one more answer may take; false when there is no use in asking.
may_ask() {
    left=$((NEL_TIMEOUT_S - SECONDS))
    left=$((left > slurm_wait_s ? slurm_wait_s : left))
    ((left > 0)) || silent=${silent:-Slurm}
    [[ -z $silent ]]
}

# Asks Slurm, into output.
ask_slurm() {
    local left status
    if ! may_ask; then
        output="$silent does not answer"
        return 1
    fi
    output=$(ask_within "$left" "$@")
    status=$?
    if [[ $1 == sacctmgr ]]; then
        : # speaks with slurmdbd, without which jobs run as well
    elif ((status == 124)); then
        silent=$1
    elif ((status != 0)); then
        note_silence
    fi
    return "$status"
}

# What Slurm's commands say in output when slurmctld did not answer them; that took them long enough.
note_silence() {
    case $output in
    *'Unable to contact'* | *'Socket timed out'*) silent=Slurm ;;
    esac
}

# Sets value to a word of the output of `scontrol show`: "NAME = value" or "NAME=value".
find_value() { # TEXT NAME
    value=
    [[ $'\n'$1 =~ [[:space:]]"$2"[[:space:]]*=[[:space:]]*([^[:space:]]*) ]] && value=${BASH_REMATCH[1]}
}

check_login() {
    answer ok "$user is logged in on $host"
}

check_slurmctld() {
    local output
    if ! command -v squeue >/dev/null; then
        answer bad "squeue is not on the PATH of a non-interactive login on $host"
    elif ask_slurm squeue --noheader --name=nel-preflight; then
        answer ok 'slurmctld answers'
    else
        answer bad "squeue failed: $output"
    fi
}

check_sbatch() {
    local path output
    if ! path=$(command -v sbatch); then
        answer bad "sbatch is not on the PATH of a non-interactive login on $host"
    elif output=$(ask "$path" --version); then
        answer ok "$path is $output"
    else
        answer bad "$path --version failed: $output"
    fi
}

# Sets storage to the kind of accounting that slurmctld has; false with the reason in output when it does not say.
find_storage() {
    ask_slurm scontrol show config || return 1
    find_value "$output" AccountingStorageType
    storage=$value
    [[ -n $storage && $storage != *none && $storage != '(null)' ]] || storage=none
}

check_accounting() {
    local output value storage
    if [[ $NEL_ACCOUNTING == none ]]; then
        answer unknown 'not checked: the settings say that this cluster keeps no accounting'
    elif ! find_storage; then
        answer unknown "not checked: $output"
    elif [[ $storage == none && $NEL_ACCOUNTING == sacct ]]; then
        answer bad 'this cluster keeps no accounting, and the settings say accounting: sacct'
    elif [[ $storage == none ]]; then
        answer unknown 'this cluster keeps no accounting: how long jobs ran is told by their own stamps'
    elif ! command -v sacct >/dev/null; then
        answer bad "sacct is not on the PATH of a non-interactive login on $host"
    elif ask_slurm sacct --noheader --allocations --name=nel-preflight; then
        answer ok 'sacct answers'
    else
        answer bad "sacct failed: $output"
    fi
}

check_pyxis() {
    local output
    if ! command -v srun >/dev/null; then
        answer bad "srun is not on the PATH of a non-interactive login on $host"
    elif ! output=$(ask srun --help); then
        answer unknown "not checked: srun --help failed: $output"
    elif [[ $output == *--container-image* ]]; then
        answer ok 'srun takes --container-image'
    else
        answer bad 'srun knows no --container-image'
    fi
}

try_srun() {
    lift_limits
    srun --quiet --job-name=nel-preflight --ntasks=1 --time=1 --chdir=/ --input=none "$@"
}

# What only a job can see: a program on a compute node. NOTHING is said when there is none.
check_node() { # BASH-COMMAND NOTHING
    local left output status options=()
    if ((!NEL_JOB)); then
        answer unknown 'not checked: compute nodes cannot be seen from here; ?job=true asks one, by a job of a moment'
        return
    fi
    if ! may_ask || ! command -v srun >/dev/null; then
        answer unknown "not checked: ${silent:-srun} does not answer"
        return
    fi
    [[ -z $NEL_ACCOUNT ]] || options+=("--account=$NEL_ACCOUNT")
    [[ -z ${NEL_PARTITIONS[0]-} ]] || options+=("--partition=${NEL_PARTITIONS[0]}")
    # shellcheck disable=SC2016
    output=$(ask_within "$left" try_srun --immediate=$((left > 5 ? left - 5 : 1)) "${options[@]}" /bin/bash -c \
        'printf "on %s: " "$(uname -n)"; '"$1 || echo '$2'")
    status=$?
    if ((status != 0)); then
        answer unknown "not checked: no job ran within $left s: ${output:-srun failed with exit status $status}"
    elif [[ $output == *"$2" ]]; then
        answer bad "$output"
    else
        answer ok "$output"
    fi
}

check_curl() {
    check_node 'command -v curl' 'no curl'
}

# The login node need not have it.
check_apptainer() {
    local path
    if path=$(command -v apptainer || command -v singularity) && ((!NEL_JOB)); then
        answer ok "$path on $host; ?job=true asks a compute node"
    else
        check_node 'command -v apptainer || command -v singularity' 'no apptainer and no singularity'
    fi
}

check_clock() {
    answer ok "the time on $host" "$(date +%s)"
}

check_account() {
    local output config cluster value account partition others=''
    if ((!NEL_HAS_ACCOUNTS)); then
        answer unknown 'not checked: the settings say that this cluster keeps no accounting'
        return
    fi
    if ! ask_slurm scontrol show config; then
        answer unknown "not checked: $output"
        return
    fi
    config=$output
    find_value "$config" AccountingStorageType
    if [[ -z $value || $value == *none || $value == '(null)' ]]; then
        answer unknown 'not checked: this cluster keeps no accounting'
        return
    fi
    find_value "$config" AccountingStorageEnforce
    if [[ $value != *associations* ]]; then
        answer ok 'this cluster takes any account'
        return
    fi
    find_value "$config" ClusterName
    cluster=$value
    if ! ask_slurm sacctmgr --noheader --parsable2 --readonly show associations "user=$user" "cluster=$cluster" \
        format=account,partition; then
        answer unknown "not checked: $output"
        return
    fi
    while IFS='|' read -r account partition; do
        # Slurm keeps the names of accounts in lower case.
        if [[ -z $NEL_ACCOUNT || ${account,,} != "${NEL_ACCOUNT,,}" ]]; then
            [[ -z $account || ", $others," == *", $account,"* ]] || others+=${others:+, }$account
        elif [[ -z $partition || ,${NEL_PARTITIONS[0]-}, == *,$partition,* ]]; then
            answer ok "$user may use it"
            return
        else
            others+=${others:+, }"$account in partition $partition"
        fi
    done <<<"$output"
    if [[ -z $NEL_ACCOUNT && -n $others ]]; then
        answer ok "$user may use: $others"
    else
        answer bad "$user may not use it; ${others:+allowed: }${others:-no account is allowed}"
    fi
}

# May an account or group that stands in the second list be used, by the first? ALL stands for every one.
in_list() { # LIST NAME...
    local name
    [[ $1 != ALL ]] || return 0
    for name in "${@:2}"; do
        [[ ,$1, != *,"$name",* ]] || return 0
    done
    return 1
}

# Sets trouble to why jobs cannot run in the partition; '' when they can.
look_at_partition() { # LINE
    local value groups
    trouble=
    find_value "$1" State
    [[ $value == UP ]] || trouble="its state is ${value:-unknown}"
    find_value "$1" AllowAccounts
    [[ -z $NEL_ACCOUNT ]] || in_list "${value:-ALL}" "$NEL_ACCOUNT" || trouble="it is for the accounts $value only"
    find_value "$1" DenyAccounts
    [[ -z $value ]] || ! in_list "$value" "$NEL_ACCOUNT" || trouble="it is not for the account $NEL_ACCOUNT"
    find_value "$1" AllowGroups
    read -r -a groups <<<"$(id -nG)"
    in_list "${value:-ALL}" "${groups[@]}" || trouble="it is for the groups $value only"
}

check_partitions() {
    local output status partition line value trouble names='' wanted
    declare -A lines=()
    ask_slurm scontrol --all --oneliner show partition
    status=$?
    while IFS= read -r line; do
        find_value "$line" PartitionName
        [[ -n $value ]] || continue
        lines[$value]=$line
        names+=${names:+, }$value
    done <<<"$output"
    for wanted in "${NEL_PARTITIONS[@]}"; do
        trouble=
        while IFS= read -r -d , partition; do
            [[ -z $trouble ]] || break
            if [[ -z $partition || -z ${lines[$partition]-} ]]; then
                trouble="there is no partition '$partition'; there are: $names"
            else
                look_at_partition "${lines[$partition]}"
            fi
        done <<<"$wanted,"
        if ((status != 0)); then
            answer unknown "not checked: $output"
        elif [[ -n $trouble ]]; then
            answer bad "$trouble"
        else
            answer ok "takes jobs${NEL_ACCOUNT:+ of the account $NEL_ACCOUNT}"
        fi
    done
}

look_at_output_dir() { # DIRECTORY
    local dir=$1
    if [[ $dir != /* ]]; then
        answer bad 'is not an absolute path'
        return
    fi
    # Up to the first that is there, be it a link that leads nowhere: mkdir would stop at it.
    while [[ -n $dir && ! -e $dir && ! -L $dir ]]; do
        dir=${dir%/*}
    done
    dir=${dir:-/}
    if [[ ! -d $dir ]]; then
        answer bad "$dir is not a directory on $host"
    elif [[ ! -w $dir || ! -x $dir ]]; then
        answer bad "$user may not write to $dir on $host: Permission denied"
    elif [[ $dir == "$1" ]]; then
        answer ok "is there, and $user may write to it"
    else
        answer ok "can be made, in $dir"
    fi
}

check_output_dirs() {
    local wanted
    for wanted in "${NEL_OUTPUT_DIRS[@]}"; do
        look_at_output_dir "$wanted"
    done
}

check_paths() {
    local i path message
    ((!NEL_SHARED)) || note_output_dirs ${NEL_USED_OUTPUT_DIRS[@]+"${NEL_USED_OUTPUT_DIRS[@]}"}
    for i in "${!NEL_PATHS[@]}"; do
        path=${NEL_PATHS[i]}
        if ((NEL_SHARED)) && message=$(refuse_source "$path" "${NEL_OUTPUT_DIRS[0]}"); then
            answer bad "is not mounted for people who share the account $user: $message"
            continue
        fi
        if [[ -r $path && (! -d $path || -x $path) ]]; then
            answer ok 'is there and can be read'
        else
            message=$(stat -L -- "$path" 2>&1 >/dev/null) && message='Permission denied'
            answer bad "not on $host, or not readable by $user: ${message##*: }"
        fi
    done
}

# sbatch reads the script from its standard input, decides, and keeps nothing.
try_sbatch() { # NUMBER
    lift_limits
    printf '%s%s' "${NEL_HEADERS[$1]}" "$NEL_BODY" 2>/dev/null | sbatch --test-only
}

check_scripts() {
    local i output status left
    for i in "${!NEL_HEADERS[@]}"; do
        if ! may_ask; then
            # One of them tells that nothing could be submitted now.
            if ((i == 0)); then
                answer silent "$silent does not answer"
            else
                answer unknown "not checked: $silent does not answer"
            fi
            continue
        fi
        output=$(ask_within "$left" try_sbatch "$i")
        status=$?
        judge_script
    done
}

judge_script() {
    local start told text tidied
    if ((status == 124)); then
        silent=sbatch
        answer silent "sbatch did not answer within $left s"
    elif ((status == 0)) && read_start "$output"; then
        answer ok "$told" "$start"
    else
        ((status == 0)) || note_silence
        tidy sbatch "$output"
        text=$tidied
        if ((status == 0)); then
            answer ok "${text:-sbatch would take it}"
        elif [[ -n $silent ]]; then
            answer silent "$text"
        else
            answer bad "${text:-sbatch failed with exit status $status and said nothing}"
        fi
    fi
}

for check in "${NEL_CHECKS[@]}"; do
    "check_$check"
done
printf 'end\n'
