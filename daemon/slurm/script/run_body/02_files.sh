# ---- Files: the container of the evaluation writes to artifacts/, that of an export to all of the run directory ----

# Prints the beginning of a file, unless it is a link or anything else that is not a file; never waits for a FIFO.
peek() { # FILE
    [[ -f $1 && ! -L $1 ]] && dd if="$1" iflag=nofollow,nonblock bs=4M count=1 status=none 2>/dev/null
}

# Standard input becomes a file, in place of whatever has its name.
put() { # FILE
    local new
    new=`mktemp "$1.XXXXXX"` || return
    if ! dd of="$new" oflag=nofollow bs=64K status=none || ! mv -f -T "$new" "$1"; then
        rm -f "$new"
        return 1
    fi
}

# Appends standard input to a file; not through a link.
add() { # FILE
    dd of="$1" oflag=append,nofollow,nonblock conv=notrunc bs=64K status=none
}

# Enters a directory to write in it. Links may lead to the run directory, and none from there on.
enter() { # DIRECTORY
    cd -P "$1" && [[ `readlink /proc/self/cwd` == *"${NEL_JOB_DIR#"${NEL_JOB_DIR%/*/*}"}${1#"$NEL_JOB_DIR"}" ]]
}

check_directories() {
    local directory
    for directory in "$NEL_JOB_DIR" "$artifacts" "$NEL_JOB_DIR/logs" "$attempt_dir"; do
        (enter "$directory") || fail "$directory is no directory of this job's: it is missing, or reached by a symbolic link"
    done
}
