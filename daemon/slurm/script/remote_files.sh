#!/bin/bash
# Lists the files below a folder of a job's directory, or reads a part of one. What lies outside of the folder once
# symbolic links are followed is refused.

max_files=10001 # one more than is shown

# Sets folder to the real path of the job's folder.
resolve_folder() {
    local base
    if ! base=$(realpath -e -- "$NEL_JOB_DIR" 2>/dev/null) || [[ ! -d $base/$NEL_FOLDER ]]; then
        fail notfound 'the directory is gone'
    fi
    folder=$base/$NEL_FOLDER
    [[ $(realpath -e -- "$folder") == "$folder" ]] || fail denied 'the folder is a symbolic link'
}

# Entries end in a NUL byte, which no name can hold; old versions of head(1) count lines only.
list() {
    printf 'list\n'
    find "$folder" -type f -printf '%s|%T@|%P\0' 2>/dev/null | tr '\n\0' '\0\n' |
        head -n "$max_files" | tr '\n\0' '\0\n'
}

read_part() {
    local real opened size modified start
    real=$(realpath -e -- "$folder/$NEL_PATH" 2>/dev/null) || fail notfound 'there is no such file'
    [[ $real == "$folder"/* ]] || fail denied 'the path leaves the folder'
    [[ -f $real ]] || fail notfound 'it is not a file'
    { exec 8<"$real"; } 2>/dev/null || fail denied 'the file cannot be read'
    # Of the file that is open now: the path may have been changed since.
    opened=$(realpath -e -- /proc/self/fd/8 2>/dev/null) || fail notfound 'there is no such file'
    [[ $opened == "$folder"/* ]] || fail denied 'the path leaves the folder'
    size=$(stat -L -c %s /proc/self/fd/8) modified=$(stat -L -c %Y /proc/self/fd/8)
    start=$NEL_OFFSET
    if ((NEL_TAIL_LINES > 0)); then
        start=$((size > NEL_MAX_BYTES ? size - NEL_MAX_BYTES : 0))
    fi
    printf 'file|%s|%s|%s\n' "$size" "$modified" "$start"
    if ((start < size)); then
        size=$((size - start))
        size=$((size > NEL_MAX_BYTES ? NEL_MAX_BYTES : size))
        if ((NEL_TAIL_LINES > 0)); then
            tail -c +$((start + 1)) <&8 | head -c "$size" | tail -n "$NEL_TAIL_LINES"
        else
            tail -c +$((start + 1)) <&8 | head -c "$size"
        fi
    fi
}

resolve_folder
if [[ -z $NEL_PATH ]]; then
    list
else
    read_part
fi
printf '\nend\n'
