#!/bin/bash
# Says which checkpoints there are in watched directories, and what keeps each from being complete. NEL_DIRECTORIES,
# NEL_PATTERNS and NEL_MARKERS ("": none) have one item a watch; NEL_SHARED: people share the account. The payload has
# "<watch>|<name>" for each checkpoint that is known already. No link is followed in a watched directory. Answers:
#   d|<watch>|<why it cannot be looked at, or nothing>     first of each
#   c|<watch>|<signature>|<name>                           has its marker; made of its files' names, sizes and times
#   i|<watch>|<why>|<name>                                 is not complete
#   o|<watch>|<why>|<name>                                 is no checkpoint, or has an odd name: left alone
#   m|<watch>                                              there are more

entries_max=2000     # of a directory
signatures_max=100   # made at once; the others' turn comes when these are known
listing_max=16777216 # bytes of the names, sizes and times of one checkpoint's files
answer_s=5           # within which a file system answers
name_form='^[A-Za-z0-9][A-Za-z0-9._=+-]*$' # watch_name_ok()
payload=()
declare -A known=()

say() { # KIND WATCH WHY NAME
    local why
    why=$(one_line "${3//|/ }")
    printf '%s|%d|%s|%s\n' "$1" "$2" "$why" "${4//[[:cntrl:]]/?}"
}

# Sets real to the directory's path without links; or says why it cannot be looked at.
find_directory() { # WATCH DIRECTORY
    local why=''
    if ((SECONDS + answer_s >= NEL_TIMEOUT_S)); then
        why='its turn has not come: others take long'
    elif [[ $(ask_within "$answer_s" stat -- "$2") == *' did not answer within '* ]]; then
        why="$2 does not answer"
    elif ! real=$(realpath -e -- "$2" 2>/dev/null) || [[ ! -d $real ]]; then
        why="there is no directory $2"
    elif [[ ! -r $real || ! -x $real ]]; then
        why="$2 cannot be listed"
    elif ((NEL_SHARED)) && why=$(refuse_source "$real" /dev/null); then
        why="$2 is not watched where people share the account: $why"
    fi
    printf 'd|%d|%s\n' "$1" "$(one_line "$why")"
    [[ -z $why ]]
}

# Of a directory that is still the one of that path. In a subshell.
sign() { # DIRECTORY
    set -o pipefail
    cd -P -- "$1" && [[ $(readlink /proc/self/cwd) == "$1" ]] &&
        find . ! -type d -printf '%P|%y|%s|%T@\0' | head -c "$listing_max" | sort -z | sha256sum
}

say_signature() { # WATCH NAME DIRECTORY
    local said
    if said=$(ask sign "$3"); then
        say c "$1" "${said%% *}" "$2"
    elif [[ -z $said ]]; then
        say i "$1" "its files are changing, or too many" "$2"
    else
        say i "$1" "$said" "$2"
    fi
}

look_at() { # WATCH MARKER ENTRY...
    local watch=$1 marker=$2 entry name count=0 signed=0
    shift 2
    for entry; do
        name=${entry##*/}
        [[ ! $name =~ $name_form || -z ${known[$watch|$name]-} ]] || continue
        if ((count++ >= entries_max)); then
            printf 'm|%d\n' "$watch"
            return
        fi
        if [[ -L $entry ]]; then
            say o "$watch" 'it is a link' "$name"
        elif [[ ! -d $entry ]]; then
            say o "$watch" 'it is no directory' "$name"
        elif [[ ! $name =~ $name_form ]]; then
            say o "$watch" 'its name has other characters than letters, digits and . _ = + -' "$name"
        elif [[ -n $marker && (-L $entry/$marker || ! -f $entry/$marker) ]]; then
            say i "$watch" "it has no file $marker" "$name"
        elif ((signed++ >= signatures_max || SECONDS >= NEL_TIMEOUT_S)); then
            say i "$watch" 'its turn has not come' "$name"
        else
            say_signature "$watch" "$name" "$entry"
        fi
    done
}

# The last of the names come first: of many, the newest are told.
look() { # WATCH DIRECTORY PATTERN MARKER
    local real='' entries backwards=() i IFS=
    find_directory "$1" "$2" || return 0
    # shellcheck disable=SC2206
    entries=("$real"/$3)
    for ((i = ${#entries[@]} - 1; i >= 0; i--)); do
        backwards+=("${entries[i]}")
    done
    look_at "$1" "$4" ${backwards[@]+"${backwards[@]}"}
}

shopt -s nullglob
read_payload
for line in ${payload[@]+"${payload[@]}"}; do
    known[$line]=1
done
first=$((RANDOM % ${#NEL_DIRECTORIES[@]})) # so that those that do not answer keep none from its turn for ever
for i in "${!NEL_DIRECTORIES[@]}"; do
    watch=$(((first + i) % ${#NEL_DIRECTORIES[@]}))
    look "$watch" "${NEL_DIRECTORIES[watch]}" "${NEL_PATTERNS[watch]}" "${NEL_MARKERS[watch]}"
done
printf 'end\n'
