#!/bin/bash
# Takes out of a run directory what must not stay when its evaluation goes to another cluster: the secrets of its jobs, and
# .origin, by which a restored store would take the evaluation back. Nothing of it runs. The directory follows the script:
# "dir=<directory>".

payload=()

read_payload
dir=${payload[0]#dir=}
if [[ -d $dir ]]; then
    enter_job "$dir" || fail invalid "$dir cannot be entered, or is a symbolic link"
    message=$(find . -maxdepth 2 \( -name .secrets.env -o -name .secrets.sealed -o -name .export.env -o -path ./.origin \) \
        ! -type d -delete 2>&1) || fail remote "the secrets in $dir cannot be removed: $message"
fi
printf 'end\n'
