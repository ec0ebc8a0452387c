#!/bin/bash
# Part of the scripts that say what checkpoints are made of.

fingerprint_s=20           # within which the file system answers
fingerprint_files_max=20000
fingerprint_bytes_max=67108864 # of the files that are read

# Prints what the checkpoints NEL_CHECKPOINTS are made of: the names, sizes and times of their files, and the sums of the
# config and index files. Links are followed. Without an answer (nothing there, something cannot be read, there are too
# many files, it takes too long) it is not known what the checkpoints are, and nothing may be taken for equal.
print_fingerprinted() {
    local path name bytes=0 files read=()
    set -o pipefail
    for path in "${NEL_CHECKPOINTS[@]}"; do
        mapfile -d '' -t files < <(find -L "$path" -type f -printf '%s %T@ %P\0' 2>/dev/null |
            head -z -n "$((fingerprint_files_max + 1))" | sort -z)
        wait "$!" && ((${#files[@]} > 0 && ${#files[@]} <= fingerprint_files_max)) || return 1
        printf '%s\0' "$path" "${files[@]}"
        for name in "${files[@]}"; do
            case $name in
            *.json | *.yaml | *.yml | *.jinja)
                bytes=$((bytes + ${name%% *}))
                name=${name#* * } # empty: path itself is the file
                read+=("$path${name:+/$name}")
                ;;
            esac
        done
    done
    ((bytes <= fingerprint_bytes_max)) || return 1
    ((${#read[@]} == 0)) || printf '%s\0' "${read[@]}" | sort -z | xargs -0 sha256sum --
}

# Sets fingerprint, a SHA-256; '': it is not known.
# shellcheck disable=SC2034 # whom this is part of reads it
take_fingerprint() {
    local answer
    fingerprint=
    ((${#NEL_CHECKPOINTS[@]} > 0)) || return 0
    # One that hangs in its file system, and cannot be ended, must not keep the run directory's lock.
    answer=$(exec 9>&- && ask_within "$fingerprint_s" fingerprint_of_all) || return 0
    [[ ! $answer =~ ^[0-9a-f]{64}$ ]] || fingerprint=$answer
}

fingerprint_of_all() {
    local sum
    set -o pipefail
    sum=$(print_fingerprinted 2>/dev/null | sha256sum) && printf '%s\n' "${sum%% *}"
}
