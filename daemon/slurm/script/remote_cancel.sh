#!/bin/bash
# Cancels jobs by id and by exact name. The list follows the script, two lines a job: "id=<id or nothing>" and
# "name=<name or nothing>". An id that now belongs to a job of another name was given anew, and is left alone.

declare -A name_of=() wanted_names=() cancel=()
payload=()
read_payload
for ((i = 0; i + 1 < ${#payload[@]}; i += 2)); do
    id=${payload[i]#id=}
    name=${payload[i + 1]#name=}
    [[ -z $name ]] || wanted_names[$name]=1
    [[ -z $id ]] || name_of[$id]=$name
done

if ! rows=$(ask squeue --noheader --user="$(id -un)" --format='q|%i|%j'); then
    fail remote "$rows"
fi
IFS=$'\n'
set -f
for row in $rows; do
    [[ $row == 'q|'* ]] || continue
    row=${row#q|}
    id=${row%%[!0-9]*}
    name=${row#*|}
    if [[ -n $id && (-n ${wanted_names[$name]-} || (-n ${name_of[$id]+set} && -z ${name_of[$id]})) ]]; then
        cancel[$id]=1
    fi
done
set +f

if ((${#cancel[@]} > 0)); then
    if ! answer=$(ask scancel "${!cancel[@]}"); then
        # What ended in the meantime needs no cancelling.
        for line in $answer; do
            case $line in
            *'Invalid job id'* | *'already completing or completed'*) ;;
            *) fail remote "$answer" ;;
            esac
        done
        [[ -n $answer ]] || fail remote 'scancel failed without a message'
    fi
fi
printf 'cancelled|%d\nend\n' "${#cancel[@]}"
