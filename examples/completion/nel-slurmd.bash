# bash completion for nel-slurmd: commands and options as `nel-slurmd --help` has them.
_nel_slurmd() {
    local current=$2 previous=$3 usage command word
    usage=$("$1" --help 2>/dev/null) || return 0
    command=
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ $word != -* ]] && grep -q "^  $word\( \|\$\)" <<<"$usage"; then
            command=$word
            break
        fi
    done
    case $previous in
    --config) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    --output) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    --user) mapfile -t COMPREPLY < <(compgen -u -- "$current") ;;
    --role) mapfile -t COMPREPLY < <(compgen -W 'admin user viewer' -- "$current") ;;
    --task | --env | --label | --expires-in) COMPREPLY=() ;;
    user | token)
        mapfile -t COMPREPLY < <(compgen -W "$(sed -n "s/^  $previous \([a-z-]*\).*/\1/p" <<<"$usage")" -- "$current")
        ;;
    *)
        if [[ $current == -* ]]; then
            [[ -z $command ]] || usage=$("$1" "$command" --help 2>/dev/null)
            mapfile -t COMPREPLY < <(compgen -W "$(grep -o -- '--[a-z][a-z-]*' <<<"$usage" | sort -u)" -- "$current")
        elif [[ -z $command ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(sed -n 's/^  \([a-z][a-z-]*\).*/\1/p' <<<"$usage" | sort -u)" -- "$current")
        else
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
        fi
        ;;
    esac
}
complete -o filenames -F _nel_slurmd nel-slurmd
