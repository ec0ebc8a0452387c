# ---- Steps: every container is one srun ----

# Where people share the account, what is mounted was looked at before sbatch; a link may have been turned since.
check_mounts() { # MOUNTS
    local why
    why=`refuse_mounts "${NEL_JOB_DIR%/*}/.output_dirs" "$1"` || return 0
    fail "$why"
}

# Says which of the mounts is refused and why, and is true when one is.
refuse_mounts() { # FILE OF OUTPUT DIRECTORIES MOUNTS
    local why mount list output_dirs used_output_dirs
    [[ -f $1 ]] || return 1
    mapfile -t output_dirs < <(peek "$1")
    note_output_dirs "${output_dirs[@]}"
    IFS=, read -r -a list <<<"$2"
    for mount in "${list[@]}"; do
        if [[ $mount != "$artifacts:/results" ]] && why=$(refuse_source "${mount%%:*}" "${1%/*/*}"); then
            printf '%s is not mounted for people who share the account %s: %s' "${mount%%:*}" "$(id -un)" "$why"
            return
        fi
    done
    return 1
}

# A variable that a container takes from the node has to be there: better known now than after the model was loaded.
check_runtime_variables() {
    local i
    for ((i = 0; i < ${#NEL_ENVIRONMENT[@]}; i += 4)); do
        if [[ ${NEL_ENVIRONMENT[i + 2]} == runtime && ! -v ${NEL_ENVIRONMENT[i + 3]} ]]; then
            fail "${NEL_ENVIRONMENT[i]}: ${NEL_ENVIRONMENT[i + 1]} wants ${NEL_ENVIRONMENT[i + 3]}, which is not set"
        fi
    done
}

# Makes the arguments of become_step: the variables of a consumer (rows of NEL_ENVIRONMENT), the NAME=value given here,
# and srun's arguments. Pyxis lets an image's own variables win unless they are named in --container-env.
make_step() { # SECRETS-FILE CONSUMER COUNT NAME=VALUE... SRUN-ARGUMENT...
    local i variable list srun_arguments secrets='' rows=() names=()
    for ((i = 0; i < ${#NEL_ENVIRONMENT[@]}; i += 4)); do
        [[ ${NEL_ENVIRONMENT[i]} == "$2" ]] || continue
        names+=("${NEL_ENVIRONMENT[i + 1]}")
        if [[ ${NEL_ENVIRONMENT[i + 2]} == secret ]]; then
            secrets=$1
        else
            rows+=("${NEL_ENVIRONMENT[@]:i+1:3}")
        fi
    done
    for ((i = 2; i < ${#rows[@]}; i += 3)); do
        fill_in "${rows[i]}"
        rows[i]=$filled
    done
    for variable in "${@:4:$3}"; do
        names+=("${variable%%=*}")
        rows+=("${variable%%=*}" literal "${variable#*=}")
    done
    list=`printf '%s\n' "${names[@]}" | LC_ALL=C sort -u | paste -s -d ,`
    srun_arguments=("${@:4+$3}")
    if [[ $containers == apptainer ]]; then
        use_apptainer "$2" "$list"
    elif [[ -n $list ]]; then
        srun_arguments=(--container-env="$list" "${srun_arguments[@]}")
    fi
    step=("$secrets" "$2" "$((${#rows[@]} / 3))" "${rows[@]}" "$srun" "${srun_arguments[@]}")
}

# Starts an srun beside others in this allocation and in the background; its process id is in $!.
start_step() { # STEP-NAME LOG CONSUMER COUNT NAME=VALUE... SRUN-ARGUMENT...
    local options=(--overlap --job-name="$1" --output="$logs/$2" --open-mode=append)
    [[ -z $NEL_MPI ]] || options+=(--mpi="$NEL_MPI")
    make_step "$NEL_JOB_DIR/.secrets.env" "${@:3:2+$4}" "${options[@]}" "${@:5+$4}"
    "$BASH" -c "`declare -f become_step`; become_step \"\$@\"" become_step "${step[@]}" </dev/null &
}

# Sets the variables of a step and becomes its command. This runs in a bash of its own and uses positional parameters
# only, so that a variable of the user's may have any name. The values of secrets never are arguments of a process.
become_step() { # SECRETS-FILE CONSUMER COUNT (NAME SOURCE VALUE)... COMMAND...
    set +x
    if [[ -n $1 ]]; then
        # shellcheck source=/dev/null
        source "$1" "$2" || exit
    fi
    set -- "$3" "${@:4}"
    while (($1 > 0)); do
        case $3 in
        literal) export "$2=$4" ;;
        runtime) export "$2=${!4}" ;;
        esac
        set -- "$(($1 - 1))" "${@:5}"
    done
    exec "${@:2}"
}

# Makes the command of a container: a function of this script with its arguments, which are data to every shell.
in_container() { # FUNCTION ARGUMENT...
    local take=(take_variables)
    [[ $containers != apptainer ]] || take=(take_encoded take_variables)
    container_command=(bash -c "`declare -f "${take[@]}" "$1"`; `printf '%s; ' "${take[@]}"`$1 \"\$@\"" "$@")
}

# Inside a container: what would have acted on srun and what is behind it came under another name.
take_variables() {
    local variable
    for variable in "${!NEL_INSIDE_@}"; do
        export "${variable#NEL_INSIDE_}=${!variable}"
        unset -v "$variable"
    done
}
