#!/bin/bash
# Lists the files below a folder of a job's directory, reads a part of one, or prints one or all of them as a stream. What
# lies outside of the folder once links are followed is refused: symbolic ones, and hard ones, whose other names must be
# in the folder too.
#
# NEL_MODE: "list" (below the folder NEL_PATH of it, or all, what begins with NEL_PREFIX there), "read", "line" (NEL_LINE, from 1), "stream" (NEL_LENGTH bytes from NEL_OFFSET; -1: to the end), or "tar" (the tree NEL_PATH, or
# all). A stream ends with the line "end|<version>|<size>", a tar with "end|ok"; a version is that of an open file.

max_files=10001 # one more than is shown
links_a_turn=500
links_max=100000 # symbolic ones, and files with several names, of one tree

# Sets folder to the real path of the job's folder.
resolve_folder() {
    local base
    if ! base=$(realpath -e -- "$NEL_JOB_DIR" 2>/dev/null) || [[ ! -d $base/$NEL_FOLDER ]]; then
        fail notfound 'the directory is gone'
    fi
    folder=$base/$NEL_FOLDER
    [[ $(realpath -e -- "$folder") == "$folder" ]] || fail denied 'the folder is a symbolic link'
}

# Enters a directory of the folder; fails when it is a link, or behind one. What is entered stays what it is.
enter() { # DIRECTORY
    cd -P -- "$1" 2>/dev/null && [[ $(readlink /proc/self/cwd) == "$1" ]]
}

# Entries end in a NUL byte, which no name can hold; old versions of head(1) count lines only.
list() {
    local pattern
    # shellcheck disable=SC2001 # older versions of bash do not know & in a replacement
    pattern=$(sed 's/[][*?\\]/\\&/g' <<<"$NEL_PREFIX")
    printf 'list\n'
    # A folder that is a link, or behind one, has no files of its own.
    ! enter "$folder${NEL_PATH:+/$NEL_PATH}" ||
        find . -mindepth 1 \( ! -path "./$pattern*" -prune \) -o -type f -printf '%s|%T@|%P\0' 2>/dev/null |
        tr '\n\0' '\0\n' | head -n "$max_files" | tr '\n\0' '\0\n'
    printf '\nend\n'
}

# Sets size, modified and version of the file that is open as descriptor 8.
look() {
    local inode
    read -r size modified inode < <(stat -L -c '%s %.9Y %i' /proc/self/fd/8) || fail notfound 'there is no such file'
    version=$inode-$modified
    modified=${modified%%.*}
}

open_file() {
    local real opened
    real=$(realpath -e -- "$folder/$NEL_PATH" 2>/dev/null) || fail notfound 'there is no such file'
    [[ $real == "$folder"/* ]] || fail denied 'the path leaves the folder'
    [[ -f $real ]] || fail notfound 'it is not a file'
    { exec 8<"$real"; } 2>/dev/null || fail denied 'the file cannot be read'
    # Of the file that is open now: the path may have been changed since.
    opened=$(realpath -e -- /proc/self/fd/8 2>/dev/null) || fail notfound 'there is no such file'
    [[ $opened == "$folder"/* ]] || fail denied 'the path leaves the folder'
    [[ -f /proc/self/fd/8 ]] || fail notfound 'it is not a file'
    all_names_inside 8 "$folder" || fail denied 'the file is a hard link that leaves the folder'
    look
}

read_part() {
    local start=$NEL_OFFSET
    open_file
    if ((NEL_TAIL_LINES > 0)); then
        start=$((size > NEL_MAX_BYTES ? size - NEL_MAX_BYTES : 0))
    fi
    printf 'file|%s|%s|%s|%s\n' "$size" "$modified" "$start" "$version"
    if ((start < size)); then
        size=$((size - start))
        size=$((size > NEL_MAX_BYTES ? NEL_MAX_BYTES : size))
        if ((NEL_TAIL_LINES > 0)); then
            tail -c +$((start + 1)) <&8 | head -c "$size" | tail -n "$NEL_TAIL_LINES"
        else
            tail -c +$((start + 1)) <&8 | head -c "$size"
        fi
    fi
    printf '\nend\n'
}

read_line() {
    open_file
    printf 'file|%s|%s|0|%s\n' "$size" "$modified" "$version"
    sed -n "${NEL_LINE}{p;q}" <&8 | head -c "$NEL_MAX_BYTES"
    printf '\nend\n'
}

stream() {
    local length
    open_file
    length=$((size > NEL_OFFSET ? size - NEL_OFFSET : 0))
    ((NEL_LENGTH < 0 || NEL_LENGTH > length)) || length=$NEL_LENGTH
    printf 'file|%s|%s|%s|%s\n' "$size" "$modified" "$NEL_OFFSET" "$version"
    dd bs=128K iflag=skip_bytes,count_bytes,fullblock skip="$NEL_OFFSET" count="$length" <&8 2>/dev/null
    look
    printf '\nend|%s|%s\n' "$version" "$size"
}

# Prints the names of all that may not leave the folder, each ending in a NUL byte: what is no file, directory or link;
# files with a name elsewhere; links that are absolute or lead to outside. Fails when it could not see all.
find_kept() { # ROOT
    local key count name links targets i status=0
    local -A found=() wanted=()
    find "$1" ! -type d ! -type f ! -type l -print0 || status=1
    find "$1" -type l -lname '/*' -print0 || status=1
    while read -r key count; do
        found[$key]=$((${found[$key]-0} + 1))
        wanted[$key]=$count
        ((${#found[@]} <= links_max)) || return 1
    done < <(find "$folder" -type f -links +1 -printf '%D:%i %n\n')
    while IFS= read -r -d '' name; do
        key=${name%% *}
        [[ ${found[$key]-0} == "${wanted[$key]-1}" ]] || printf '%s\0' "${name#* }"
    done < <(find "$1" -type f -links +1 -printf '%D:%i %p\0')
    mapfile -d '' -n "$((links_max + 1))" -t links < <(find "$1" -type l ! -lname '/*' -print0)
    ((${#links[@]} <= links_max)) || return 1
    while ((${#links[@]} > 0)); do
        mapfile -d '' -t targets < <(realpath -m -z -- "${links[@]:0:links_a_turn}" 2>/dev/null)
        ((${#targets[@]} == (${#links[@]} < links_a_turn ? ${#links[@]} : links_a_turn))) || return 1
        for i in "${!targets[@]}"; do
            [[ ${targets[i]} == "$folder"/* ]] || printf '%s\0' "${links[i]}"
        done
        links=("${links[@]:links_a_turn}")
    done
    return "$status"
}

# Names as patterns of tar's, one a line; a newline in one is any byte.
as_patterns() {
    tr '\n\0' '\1\n' | sed 's/[][*?\\]/\\&/g; s/\x01/?/g'
}

# tar walks the tree itself, and is told what to leave: of a list of files it would follow a directory that has become a
# link since, while it enters what it finds only as a directory.
make_tar() {
    local parent='' name=. prefix kept
    if [[ -n $NEL_PATH ]]; then
        name=./${NEL_PATH##*/}
        [[ $NEL_PATH != */* ]] || parent=/${NEL_PATH%/*}
        [[ -e $folder/$NEL_PATH ]] || fail notfound 'there is no such path'
        [[ ! -L $folder/$NEL_PATH ]] || fail denied 'the path has a symbolic link'
    fi
    enter "$folder$parent" || fail denied 'the path has a symbolic link'
    # shellcheck disable=SC2001 # as above
    prefix=$(sed 's/[,\\&]/\\&/g' <<<"${parent#/}${parent:+/}")
    set -o pipefail
    printf 'tar\n'
    if kept=$(find_kept "$name" 2>/dev/null | as_patterns | head -n "$links_max") &&
        tar --create --file=- --format=posix --pax-option=delete=atime,delete=ctime --numeric-owner --owner=0 --group=0 \
            --exclude-from=<(printf '%s\n' "$kept") --anchored --wildcards --transform="flags=rh;s,^\./,$prefix," \
            -- "$name" 2>/dev/null; then
        printf '\nend|ok\n'
    else
        printf '\nend|a file changed, vanished or cannot be read\n'
    fi
}

resolve_folder
case $NEL_MODE in
list) list ;;
read) read_part ;;
line) read_line ;;
stream)
    lift_limits
    stream
    ;;
tar)
    lift_limits
    make_tar
    ;;
esac
