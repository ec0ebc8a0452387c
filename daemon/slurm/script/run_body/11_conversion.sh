# ---- Conversion of a checkpoint: a command in the place of the evaluator, for evaluations that come later ----

is_conversion() {
    [[ -v NEL_CONVERSION ]]
}

# An attempt may end between the last step of a conversion and its own end.
is_converted() {
    [[ -d $NEL_JOB_DIR/converted && ! -L $NEL_JOB_DIR/converted ]] || return 1
    say "an earlier attempt has converted it"
    seal_conversion
}

# What an earlier attempt left unfinished is of no use.
begin_conversion() {
    (enter "$artifacts" && rm -rf converted.new && mkdir converted.new) || fail "cannot write to $artifacts"
}

# Inside the container. A command of several lines must not go on behind one that failed.
convert() { # COMMAND
    set -e -o pipefail
    # shellcheck source=/dev/null
    source <(printf '%s\n' "$1")
}

# Nothing has the name `converted` before it is whole. The container can write to artifacts/ only, so that neither this
# directory nor a link in its place is of its making.
keep_converted() {
    local new wanted
    new=`realpath -e -- "$artifacts/converted.new" 2>/dev/null`
    if [[ ! -d $new || -L $artifacts/converted.new ]]; then
        fail "the conversion has removed NEL_CONVERTED, or put a link in its place"
    fi
    [[ -n `ls -A -- "$new"` ]] || fail "the conversion ended well and wrote nothing to NEL_CONVERTED"
    if [[ -n $NEL_CONVERSION ]]; then
        wanted=`realpath -e -- "$new/$NEL_CONVERSION" 2>/dev/null` || fail "the conversion wrote no $NEL_CONVERSION (convert.output) to NEL_CONVERTED"
        [[ $wanted == "$new/$NEL_CONVERSION" ]] || fail "$NEL_CONVERSION (convert.output) is, or lies behind, a symbolic link"
    fi
    mv -T -- "$artifacts/converted.new" "$NEL_JOB_DIR/converted" || fail "cannot move what was converted to $NEL_JOB_DIR/converted"
    say "converted: $NEL_JOB_DIR/converted"
    seal_conversion
}

# Tells whoever collects it that there are no scores to wait for.
seal_conversion() {
    printf 'conversion 0 0\n' | put "$attempt_dir/results" || fail "cannot write to $attempt_dir"
}
