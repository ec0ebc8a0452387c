#!/bin/bash
# Prints the files of samples that a job's evaluator left: "gzip", and then as one stream of gzip, which takes prompts and
# answers to a tenth:
#   file|<bytes>|<path below artifacts/>, and the bytes
#   over|<files that are not all there>
#
# NEL_FILES_MAX and NEL_BYTES_MAX are of all together. lm-evaluation-harness writes a file a task with the time in its
# name: the newest counts.

depth_max=8

# Sets paths to the files, each task's newest.
find_files() {
    local path key
    local -A newest=()
    while IFS= read -r path; do
        key=$path
        [[ ! $path =~ ^(.*samples_.*)_[0-9]{4}-[0-9]{2}-[0-9]{2}T[^/]*$ ]] || key=${BASH_REMATCH[1]}
        newest[$key]=$path # they come in order
    done < <(find artifacts -maxdepth "$depth_max" -type f ! -path '*[!a-zA-Z0-9._+@=,:/-]*' \
        \( -name 'samples_?*.jsonl' -o -name byob_predictions.jsonl -o -name results.jsonl \) \
        -printf '%P\n' 2>/dev/null | sort)
    mapfile -t paths < <(((${#newest[@]} == 0)) || printf '%s\n' "${newest[@]}" | sort)
}

print_files() {
    local path size bytes left=$NEL_BYTES_MAX count=0 short=0
    for path in "${paths[@]}"; do
        if ((count == NEL_FILES_MAX || left == 0)) || ! open_beneath artifacts "$path"; then
            short=$((short + 1))
            continue
        fi
        size=$(stat -L -c '%s' /proc/self/fd/8)
        bytes=$((size < left ? size : left))
        ((bytes == size)) || short=$((short + 1))
        left=$((left - bytes)) count=$((count + 1))
        printf 'file|%d|%s\n' "$bytes" "$path"
        # As many as announced, also of one that has shrunk since or cannot be read to its end.
        { head -c "$bytes" <&8; head -c "$bytes" /dev/zero; } 2>/dev/null | head -c "$bytes"
    done
    printf 'over|%d\n' "$short"
}

paths=()
if [[ -d $NEL_JOB_DIR ]]; then
    enter_job "$NEL_JOB_DIR" || fail invalid "$NEL_JOB_DIR cannot be entered, or is a symbolic link"
    find_files
fi
command -v gzip >/dev/null || fail remote 'there is no gzip(1) on the login node'
printf 'gzip\n'
print_files | gzip -1
