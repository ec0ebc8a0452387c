#!/bin/bash
# Marks jobs of shared chains as cancelled: <chain>/.jobs/<job>/cancel, which run_shared/13_jobs.sh looks for. The list
# follows the script, two lines a job: "dir=<directory of the chain>" and "job=<name of the job's directory>".

payload=()

# In the chain's directory, through no link.
# shellcheck disable=SC2154 # base is set by enter_job
mark() { # JOB
    mkdir -p -- ".jobs/$1" && cd -P -- ".jobs/$1" && [[ $(readlink /proc/self/cwd) == "$base/.jobs/$1" ]] || return
    [[ -f cancel && ! -L cancel ]] || { rm -rf cancel && (set -o noclobber && : >cancel); }
}

read_payload
for ((i = 0; i + 1 < ${#payload[@]}; i += 2)); do
    dir=${payload[i]#dir=} job=${payload[i + 1]#job=}
    message=$( (enter_job "$dir" && mark "$job") 2>&1) ||
        fail remote "$job cannot be cancelled in $dir: ${message:-it is missing, or reached by a symbolic link}"
done
printf 'end\n'
