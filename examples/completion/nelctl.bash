# bash completion for nelctl: commands and options as `nelctl help` has them. It asks no service.
_nelctl() {
    local current=$2 previous=$3 usage command
    usage=$("$1" help 2>/dev/null) || return 0
    command=${COMP_WORDS[1]-}
    case $previous in
    --config | --env-file | --overrides | --file) mapfile -t COMPREPLY < <(compgen -f -- "$current") && return ;;
    --copy-logs | --copy-artifacts) mapfile -t COMPREPLY < <(compgen -d -- "$current") && return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W 'csv json' -- "$current") && return ;;
    esac
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$(_nelctl_commands <<<"$usage")" -- "$current")
    elif [[ $current == -* ]]; then
        # The lines of the command, and those that go on below them.
        usage=$(awk -v command="$command" '
            /^ *nelctl / { wanted = index($0 " ", "nelctl " command " ") > 0 }
            /^ *$/ { wanted = 0 }
            wanted' <<<"$usage")
        mapfile -t COMPREPLY < <(compgen -W "--json $(grep -o -- '--[a-z][a-z-]*' <<<"$usage" | sort -u)" -- "$current")
    elif [[ $command == run || ($command == campaign && ${COMP_WORDS[2]-} == create && $COMP_CWORD -gt 2) ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    elif ((COMP_CWORD == 2)); then
        case $command in
        secret) mapfile -t COMPREPLY < <(compgen -W 'set ls rm' -- "$current") ;;
        campaign) mapfile -t COMPREPLY < <(compgen -W 'create ls show pause resume cancel' -- "$current") ;;
        cluster) mapfile -t COMPREPLY < <(compgen -W 'check orphans' -- "$current") ;;
        ls) mapfile -t COMPREPLY < <(compgen -W 'runs' -- "$current") ;;
        esac
    fi
}

# Of a line such as "nelctl whoami | clusters | help" all of them; of another the first word.
_nelctl_commands() {
    sed -n 's/^ *nelctl \([a-z][a-z]*\( | [a-z][a-z]*\( \[[A-Z]*\]\)\{0,1\}\)*\).*/\1/p' | tr '|' '\n' | awk '{ print $1 }' | sort -u
}
complete -o filenames -F _nelctl nelctl
