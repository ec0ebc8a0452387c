#!/bin/bash
# Says what there is of a service's on the cluster, whether or not its store knows of it: Slurm jobs of this account under
# names as the service gives them, and run directories made since a time. Answers:
#   q|<id>|<state>|<submitted>|<name>|<directory>   a job as squeue has it; sbatch was called in that directory
#   a|<id>|<state>|<submitted>|<name>|<directory>   as sacct has it
#   d|<run directory>
#   m|<what>|<text>                                 what is missing here: sacct, rows, or a directory

rows_max=20000 # jobs, and directories
answer_s=10    # within which a file system answers
name_form='[^|]*\.[0-9]{1,9}-[0-9a-f]{16}\.[0-9]{1,9}' # script_job_name()
directory_form='^[0-9]{8}_[0-9]{6}-[0-9a-f]{16}$'      # script_rundir()
user=$(id -un)
declare -A parents=()

# Prints the rows with such a name, and notes where their run directories lie.
print_rows() { # KIND ROWS
    local rows row directory count=0 IFS=$'\n'
    rows=$(printf '%s\n' "$2" | grep -aE "^$1\\|[0-9][^|]*\\|[^|]*\\|[^|]*\\|$name_form\\|/[^[:cntrl:]]*$" |
        head -n "$rows_max")
    set -f
    for row in $rows; do
        count=$((count + 1))
        printf '%s\n' "${row:0:4000}"
        directory=${row#*|*|*|*|*|}
        directory=${directory%/*/*}
        [[ -z $directory ]] || parents[$directory]=1
    done
    set +f
    ((count < rows_max)) || printf 'm|rows|there are more than %d jobs\n' "$rows_max"
}

ask_slurm() {
    local rows
    rows=$(ask squeue --noheader --states=all --user="$user" --format='q|%i|%T|%V|%j|%Z') || fail remote "squeue: $rows"
    print_rows q "$rows"
    ((NEL_USE_SACCT)) || return 0
    if rows=$(ask sacct --allocations --noheader --parsable2 --user="$user" --starttime="now-${NEL_AGE_S}seconds" \
        --format=JobID,State,Submit,JobName,WorkDir); then
        print_rows a "$(printf '%s\n' "$rows" | sed 's/^/a|/')"
    else
        printf 'm|sacct|%s\n' "$(one_line "$rows")"
    fi
}

print_directories() {
    local parent directory count=0
    for parent in ${NEL_OUTPUT_DIRS[@]+"${NEL_OUTPUT_DIRS[@]}"}; do
        parents[$parent]=1
    done
    for parent in "${!parents[@]}"; do
        if [[ $(ask_within "$answer_s" stat -- "$parent") == *' did not answer within '* ]]; then
            printf 'm|directory|%s does not answer\n' "$(one_line "$parent")"
            continue
        fi
        for directory in "${parent%/}"/????????_??????-????????????????; do
            [[ ${directory##*/} =~ $directory_form && ! ${directory##*/} < $NEL_SINCE_STAMP ]] || continue
            [[ -f $directory/.claim && ! -L $directory && $directory != *[[:cntrl:]]* ]] || continue
            if ((count++ >= rows_max)); then
                printf 'm|rows|there are more than %d run directories\n' "$rows_max"
                return
            fi
            printf 'd|%s\n' "$directory"
        done
    done
}

shopt -s nullglob
ask_slurm
print_directories
printf 'end\n'
