#!/bin/bash
# Part of the scripts that say which checkpoints there are in watched directories, and what keeps each from being complete.
# NEL_DIRECTORIES, NEL_PATTERNS and NEL_MARKERS ("": none) have one item a watch, NEL_KNOWN "<watch>|<name>" for each checkpoint
# that is known already; NEL_SHARED: people share the account. No link is followed in a watched directory. What is told:
#   d|<watch>|<why it cannot be looked at, or nothing>     first of each
#   h|<watch>                                              its file system hangs, or its turn has not come: it takes more time
#   c|<watch>|<signature>|<name>                           has its marker; made of its files' names, sizes and times
#   i|<watch>|<why>|<name>                                 is not complete
#   o|<watch>|<why>|<name>                                 is no checkpoint, or has an odd name: left alone
#   x|<watch>                                              there are more
#   t|<watch>                                              last of each: all has been told

entries_max=2000     # of a directory
signatures_max=100   # made at once; the others' turn comes when these are known
listing_max=16777216 # bytes of the names, sizes and times of one checkpoint's files
answer_s=5           # within which a file system answers
name_form='^[A-Za-z0-9][A-Za-z0-9._=+-]*$' # watch_name_ok()
declare -A known=()

say_entry() { # KIND WATCH WHY NAME
    local why
    why=$(one_line "${3//|/ }")
    printf '%s|%d|%s|%s\n' "$1" "$2" "$why" "${4//[[:cntrl:]]/?}"
}

answers() { # DIRECTORY
    (ask_within "$answer_s" stat -- "$1" >/dev/null) || (($? != 124)) # which it gives when there is no answer
}

# Sets real to the directory's path without links; or says why it cannot be looked at.
find_directory() { # WATCH DIRECTORY
    local why='' slow=0
    if ((SECONDS + answer_s >= NEL_TIMEOUT_S)); then
        why='its turn has not come: others take long' slow=1
    elif ! answers "$2"; then
        why="$2 does not answer" slow=1
    elif ! real=$(realpath -e -- "$2" 2>/dev/null) || [[ ! -d $real ]]; then
        why="there is no directory $2"
    elif [[ ! -r $real || ! -x $real ]]; then
        why="$2 cannot be listed"
    elif ((NEL_SHARED)) && why=$(refuse_source "$real" /dev/null); then
        why="$2 is not watched where people share the account: $why"
    fi
    printf 'd|%d|%s\n' "$1" "$(one_line "$why")"
    ((!slow)) || printf 'h|%d\n' "$1"
    [[ -z $why ]]
}

# Of a directory that is still the one of that path. In a subshell.
sign() { # DIRECTORY
    set -o pipefail
    cd -P -- "$1" && [[ $(readlink /proc/self/cwd) == "$1" ]] &&
        find . ! -type d -printf '%P|%y|%s|%T@\0' | head -c "$listing_max" | sort -z | sha256sum
}

say_signature() { # WATCH NAME DIRECTORY
    local said status=0
    said=$(ask sign "$3") || status=$?
    if ((status == 0)); then
        say_entry c "$1" "${said%% *}" "$2"
    elif [[ -z $said ]]; then
        say_entry i "$1" "its files are changing, or too many" "$2"
    else
        say_entry i "$1" "$said" "$2"
        ((status != 124)) || printf 'h|%d\n' "$1"
    fi
}

look_at() { # WATCH MARKER ENTRY...
    local watch=$1 marker=$2 entry name count=0 signed=0
    shift 2
    for entry; do
        name=${entry##*/}
        [[ ! $name =~ $name_form || -z ${known[$watch|$name]-} ]] || continue
        if ((SECONDS >= NEL_TIMEOUT_S)); then
            printf 'd|%d|it takes too long to look at all that it holds\nh|%d\n' "$watch" "$watch"
            return
        fi
        if ((count++ >= entries_max)); then
            printf 'x|%d\n' "$watch"
            return
        fi
        if [[ -L $entry ]]; then
            say_entry o "$watch" 'it is a link' "$name"
        elif [[ ! -d $entry ]]; then
            say_entry o "$watch" 'it is no directory' "$name"
        elif [[ ! $name =~ $name_form ]]; then
            say_entry o "$watch" 'its name has other characters than letters, digits and . _ = + -' "$name"
        elif [[ -n $marker && (-L $entry/$marker || ! -f $entry/$marker) ]]; then
            say_entry i "$watch" "it has no file $marker" "$name"
        elif ((signed++ >= signatures_max)); then
            say_entry i "$watch" 'its turn has not come' "$name"
        else
            say_signature "$watch" "$name" "$entry"
        fi
    done
}

# The last of the names come first: of many, the newest are told.
look_into() { # WATCH DIRECTORY PATTERN MARKER
    local real='' entries backwards=() i IFS=
    find_directory "$1" "$2" || return 0
    # shellcheck disable=SC2206
    entries=("$real"/$3)
    for ((i = ${#entries[@]} - 1; i >= 0; i--)); do
        backwards+=("${entries[i]}")
    done
    look_at "$1" "$4" ${backwards[@]+"${backwards[@]}"}
}

look_at_directories() {
    local line i watch first=$((RANDOM % ${#NEL_DIRECTORIES[@]})) # so that those that do not answer keep none from its turn for ever
    shopt -s nullglob
    for line in ${NEL_KNOWN[@]+"${NEL_KNOWN[@]}"}; do
        known[$line]=1
    done
    for i in "${!NEL_DIRECTORIES[@]}"; do
        watch=$(((first + i) % ${#NEL_DIRECTORIES[@]}))
        look_into "$watch" "${NEL_DIRECTORIES[watch]}" "${NEL_PATTERNS[watch]}" "${NEL_MARKERS[watch]}"
        printf 't|%d\n' "$watch"
    done
}
