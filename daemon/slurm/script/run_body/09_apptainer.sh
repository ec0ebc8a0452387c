# ---- Apptainer, or Singularity: starts the containers in place of Pyxis where the cluster's settings say so ----

# Turns srun_arguments with Pyxis's options into those for a container of Apptainer's. No step is written twice for it.
use_apptainer() { # CONSUMER NAMES-OF-VARIABLES
    local argument image='' mounts='' home=yes shared='' options=()
    [[ $1 != proxy ]] || home=no
    [[ ! -e ${NEL_JOB_DIR%/*}/.output_dirs ]] || shared=shared
    while [[ ${srun_arguments[0]-} == --* ]]; do
        argument=${srun_arguments[0]}
        srun_arguments=("${srun_arguments[@]:1}")
        case $argument in
        --container-image=*) image=${argument#*=} ;;
        --container-mounts=*) mounts=${argument#*=} ;;
        --no-container-mount-home) home=no ;;
        *) options+=("$argument") ;;
        esac
    done
    srun_arguments=("${options[@]}" "$BASH" -c
        "`declare -f find_apptainer encode encode_variables make_room become_root make_place enter_apptainer`
        find_apptainer; encode_variables \"\$2\"; enter_apptainer \"\$@\"" enter_apptainer
        "$image" "$2" "$mounts" "$home" "$shared" "${srun_arguments[@]}")
}

# What follows runs on the node, once for each task, in a bash of its own. Until encode_variables is done, variables here
# are named NEL_..., so that those of the user's may have any other name.

find_apptainer() {
    NEL_RUNTIME=$(type -P apptainer || type -P singularity)
    if [[ -z $NEL_RUNTIME ]]; then
        printf 'error: node %s has no apptainer and no singularity on its PATH (%s)\n' "${SLURMD_NODENAME:-$(uname -n)}" "$PATH"
        exit 127
    fi >&2
    NEL_PASS=${NEL_RUNTIME##*/}
    NEL_PASS=${NEL_PASS^^}ENV_
    NEL_GPUS=
    # As NVIDIA's container runtime understands the variable.
    case ${NVIDIA_VISIBLE_DEVICES-} in
    void | none) ;;
    *) [[ -z ${CUDA_VISIBLE_DEVICES-}${SLURM_STEP_GPUS-}${SLURM_JOB_GPUS-} && ! -e /dev/nvidiactl ]] || NEL_GPUS=--nv ;;
    esac
}

# Sets NEL_ENCODED: all but harmless bytes as %XX.
encode() { # VALUE
    local LC_ALL=C nel_rest nel_byte nel_code
    NEL_ENCODED=${1//%/%25}
    nel_rest=${NEL_ENCODED//[A-Za-z0-9%_.:\/@+=,-]/}
    while [[ -n $nel_rest ]]; do
        nel_byte=${nel_rest:0:1}
        printf -v nel_code %d "'$nel_byte"
        printf -v nel_code %%%02X $((nel_code & 255))
        NEL_ENCODED=${NEL_ENCODED//"$nel_byte"/$nel_code}
        nel_rest=${nel_rest//"$nel_byte"/}
    done
}

# As with Pyxis, the named variables win over the image's, and all others of the job are there where the image has none
# of that name. Apptainer's own shell would expand what is in their values, and loses newlines: they pass encoded, and
# take_encoded gives them back. They are in the environment, never in arguments, which others on the node can see.
encode_variables() { # NAMES
    mapfile -t NEL_NAMES < <(compgen -e)
    set -- ",$1," "${NEL_NAMES[@]}"
    while (($# > 1)); do
        case $1 in
        *",$2,"*)
            encode "${!2}"
            export "${NEL_PASS}NEL_SET_$2=$NEL_ENCODED"
            unset -v "$2" # it must not act on Apptainer
            ;;
        *)
            case $2 in
            _ | PWD | OLDPWD | SHLVL | BASHOPTS | SHELLOPTS | PATH | APPTAINER* | SINGULARITY*) ;;
            HOME) # in Apptainer it is where the home would be mounted
                encode "$HOME"
                export "${NEL_PASS}NEL_SET_HOME=$NEL_ENCODED"
                ;;
            *)
                encode "${!2}"
                export "${NEL_PASS}NEL_ELSE_$2=$NEL_ENCODED"
                ;;
            esac
            ;;
        esac
        if ((${#NEL_ENCODED} > 128 * 1024 - 300)); then # execve(2), MAX_ARG_STRLEN
            printf 'error: the variable %s is too long to be passed by Apptainer\n' "$2" >&2
            exit 1
        fi
        set -- "$1" "${@:3}"
    done
}

# Sets room to a directory on the node that is this container's own and goes with it; what containers left that were
# killed is removed.
make_room() {
    local base=${TMPDIR:-/tmp} old lock
    [[ -d $base && -w $base ]] || base=/tmp
    base=$base/nel-slurmd-containers.$UID
    mkdir -m 700 "$base" 2>/dev/null
    room=$base/$SLURM_JOB_ID.${SLURM_STEP_ID-0}.${SLURM_PROCID-0}.${SLURMD_NODENAME-node}
    if [[ ! -d $base || -L $base || ! -O $base ]] || ! exec {lock}<"$base"; then
        printf 'error: %s on node %s is not a directory of this account'\''s\n' "$base" "$(uname -n)" >&2
        exit 1
    fi
    flock "$lock"
    for old in "$base"/*/; do
        [[ ! -d $old ]] || ! flock --nonblock "$old" true || rm -rf "$old"
    done 2>/dev/null
    if ! mkdir "$room" "$room/home" || ! mkdir -m 1777 "$room/tmp" "$room/var_tmp" || ! exec {room_lock}<"$room"; then
        printf 'error: cannot write to %s on node %s\n' "$base" "$(uname -n)" >&2
        exit 1
    fi
    flock "$room_lock"
    exec {lock}<&-
}

# Images are written to with a user's rights only, where he cannot be root in them.
become_root() {
    if [[ $("$NEL_RUNTIME" --version) == 'apptainer version '* ]] && unshare --user --map-root-user true; then
        export APPTAINER_IGNORE_FAKEROOT_COMMAND=1 # its library fits few images, and one user is enough
        options+=(--fakeroot)
    elif grep -q -E "^($(id -un)|$UID):" /etc/subuid; then
        options+=(--fakeroot)
    fi 2>/dev/null
}

# A mount point within a directory that is mounted itself.
make_place() { # SOURCE PLACE
    [[ $2 != */../* ]] || return 0
    if [[ -d $1 ]]; then
        mkdir -p "$2"
    else
        mkdir -p "${2%/*}" && : >>"$2"
    fi 2>/dev/null
}

enter_apptainer() { # IMAGE NAMES MOUNTS HOME SHARED COMMAND...
    local room room_lock mount binds target home='' path status options=(--cleanenv --no-home --writable-tmpfs --pwd / ${NEL_GPUS:+"$NEL_GPUS"})
    # A directory is an image, too, and would show people who share the account what may not be mounted.
    if [[ -n $5 && $1 == /* && ! -f $1 ]]; then
        printf 'error: the image %s is no file on node %s: where people share the account it has to be one\n' "$1" "$(uname -n)" >&2
        exit 1
    fi
    make_room
    become_root
    IFS=, read -r -a binds <<<"$3"
    if [[ ${HOME-} == /?* ]]; then
        home=$room/home
        [[ $4 != yes || ! -d $HOME ]] || home=$HOME
        binds=("$home:$HOME" ${binds[@]+"${binds[@]}"})
    fi
    # Through these directories tasks reach the PMIx server in slurmstepd.
    for path in "${PMIX_SERVER_TMPDIR-}" /tmp/spmix_appdir_*"$SLURM_JOB_ID.${SLURM_STEP_ID-0}"; do
        [[ ! -d $path ]] || binds+=("$path:$path")
    done
    options+=(--bind "$room/tmp:/tmp" --bind "$room/var_tmp:/var/tmp")
    for mount in ${binds[@]+"${binds[@]}"}; do
        target=${mount#*:}
        target=${target%%:*}
        case $target in
        /tmp/*) make_place "${mount%%:*}" "$room$target" ;;
        /var/tmp/*) make_place "${mount%%:*}" "$room/var_tmp${target#/var/tmp}" ;;
        "${HOME:-/}"/*) [[ $home != "$room/home" ]] || make_place "${mount%%:*}" "$room/home${target#"$HOME"}" ;;
        esac
        options+=(--bind "$mount")
    done
    cd / || exit # the working directory would be mounted
    trap : TERM  # Slurm signals every process of a step: what is in the container ends it
    "$NEL_RUNTIME" exec "${options[@]}" "$1" "${@:6}"
    status=$?
    rm -rf "$room" 2>/dev/null
    exit "$status"
}

# Inside the container: gives the variables back. An image that enroot made has its own in /etc/environment.
take_encoded() {
    if [[ ! -e /.singularity.d && -f /etc/environment ]]; then
        while IFS= read -r REPLY; do
            [[ ! $REPLY =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] || export "${REPLY?}"
        done </etc/environment
    fi
    # Apptainer's own: some of its shell, and a LANG that the image need not have.
    unset -v PS1 PROMPT_COMMAND USER_PATH "${!APPTAINER@}" "${!SINGULARITY@}"
    [[ ${LANG-} != C ]] || unset -v LANG
    set -- $'\n'"$(compgen -e)"$'\n' "${!NEL_ELSE_@}" "${!NEL_SET_@}"
    while (($# > 1)); do
        case $2 in
        NEL_SET_*)
            printf -v "${2#NEL_SET_}" %b "${!2//%/\\x}"
            export "${2#NEL_SET_}"
            ;;
        *)
            if [[ $1 != *$'\n'"${2#NEL_ELSE_}"$'\n'* ]]; then
                printf -v "${2#NEL_ELSE_}" %b "${!2//%/\\x}"
                export "${2#NEL_ELSE_}"
            fi
            ;;
        esac
        unset -v "$2"
        set -- "$1" "${@:3}"
    done
    if [[ -v NEL_INSIDE_LD_LIBRARY_PATH && -d /.singularity.d/libs ]]; then # the libraries of GPUs are there
        NEL_INSIDE_LD_LIBRARY_PATH+=:/.singularity.d/libs
    fi
}
