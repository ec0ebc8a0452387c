#!/bin/bash
# execution.walltime: auto. For remote_submit.sh: how long the time limits of its jobs are, by what `sbatch --test-only`
# says of when they would start.
#
# The lengths that are asked about lie between the least and the most that any of the tasks may have. All tasks of a
# submission ask for the same nodes, so the answers are asked for once for all of them; a task that may have less than one
# of the lengths starts no later with it. From the longest on: one that starts at once needs no other.

readonly lengths_max=4    # asked about in one submission
readonly length_s=10      # seconds for one answer
readonly all_lengths_s=20 # and for all of them
readonly usual_min=60     # minutes, where there is no answer
readonly same_start_s=60  # starts so near to each other are one
lengths=()                # minutes, the longest first
starts=()                 # of each, seconds from when it was asked; empty: none is told
silences=()               # then, why
partition_min=            # what the partition permits, when it says so

minutes_of() { # [DAYS-][HOURS:]MINUTES:SECONDS, as Slurm writes it
    local days=0 clock=$1 parts
    [[ $1 =~ ^([0-9]{1,4}-)?([0-9]{1,4}:)?[0-9]{1,2}:[0-9]{1,2}$ ]] || return 1
    [[ $1 != *-* ]] || days=${1%%-*} clock=${1#*-}
    IFS=: read -r -a parts <<<"$clock"
    ((${#parts[@]} == 3)) || parts=(0 "${parts[@]}")
    printf '%d' $((10#$days * 1440 + 10#${parts[0]} * 60 + 10#${parts[1]}))
}

clock_of() { # MINUTES
    printf '%02d:%02d:00' $(($1 / 60)) $(($1 % 60))
}

# Of several partitions the shortest limit: it holds whichever of them the job gets.
ask_partition() {
    local line minutes
    while IFS= read -r line; do
        minutes=$(minutes_of "${line// /}") || continue
        ((minutes >= ${partition_min:-minutes})) || partition_min=
        partition_min=${partition_min:-$minutes}
    done < <(ask_within "$length_s" sinfo --noheader --partition="$NEL_PARTITION" --format=%l)
}

# Sets least, most (within the partition's limit) and start_up of a task. Where only so many attempts are left, none is
# so short that they could not do the work together.
read_range() { # TASK
    local left
    read -r least most start_up left <<<"${NEL_TASK_WALLTIMES[$1]}"
    ((most <= ${partition_min:-most})) || most=$partition_min
    ((left == 0 || least * left >= most)) || least=$(((most + left - 1) / left))
    ((least <= most)) || least=$most
}

# From the longest to the shortest, each a whole number of times shorter than the one before.
plan_lengths() {
    local task least most start_up length shortest=0 longest=0 step=1
    for task in "${!NEL_TASK_WALLTIMES[@]}"; do
        [[ -n ${NEL_TASK_WALLTIMES[task]} ]] || continue
        read_range "$task"
        ((least <= shortest)) || shortest=$least
        ((most <= longest)) || longest=$most
    done
    while ((shortest * step ** (lengths_max - 1) < longest)); do ((++step)); done
    length=$longest
    while ((${#lengths[@]} < lengths_max - 1 && length > shortest)); do
        lengths+=("$length")
        length=$((length / step))
    done
    lengths+=("$shortest")
}

try_length() { # FOLDER MINUTES
    lift_limits
    cd -- "$1" && sbatch --test-only --time="$2" run.sub
}

# Asks, once; each question has its time, and the first that has no answer within it is the last.
ask_starts() { # TASK
    local i said start told now until=$((SECONDS + all_lengths_s))
    ((${#lengths[@]} == 0)) || return 0
    ask_partition
    plan_lengths
    for i in "${!lengths[@]}"; do
        starts[i]='' silences[i]='no answer'
        ((SECONDS < until)) || break
        now=$(date +%s)
        said=$(ask_within "$length_s" try_length "./${NEL_TASK_DIRS[$1]}" "${lengths[i]}")
        case $? in
        0)
            read_start "$said" || continue
            [[ $start =~ ^[0-9]{1,12}$ ]] || continue
            starts[i]=$((start > now ? start - now : 0))
            ((starts[i] > same_start_s)) || break
            ;;
        124) break ;; # slurmctld has enough to do
        *) silences[i]='refused' ;;
        esac
    done
}

# Sets minutes, and why, for a task: the longest of those that start soonest. Each attempt has its start-up before it works,
# so a start that is later by less than that counts as no later.
# shellcheck disable=SC2034 # remote_submit.sh has use of why
choose_walltime() { # TASK
    local i length least most start_up soonest='' same=$same_start_s told=''
    minutes='' why=''
    [[ -n ${NEL_TASK_WALLTIMES[$1]} ]] || return 0
    ask_starts "$1"
    read_range "$1"
    ((start_up <= same)) || same=$start_up
    for i in "${!starts[@]}"; do
        length=$((lengths[i] < most ? lengths[i] : most))
        if [[ -z ${starts[i]} ]]; then
            told+=", $(clock_of "$length") (${silences[i]})"
            continue
        fi
        told+=", $(clock_of "$length") ("
        ((starts[i] > same_start_s)) && told+="in ${starts[i]} s)" || told+='at once)'
        ((starts[i] >= ${soonest:-starts[i] + 1})) || soonest=${starts[i]}
    done
    for i in "${!starts[@]}"; do
        if [[ -n ${starts[i]} ]] && ((starts[i] <= soonest + same)); then
            minutes=$((lengths[i] < most ? lengths[i] : most))
            break
        fi
    done
    if [[ -n $minutes ]]; then
        why="the longest that starts soonest; sbatch --test-only says${told#,}"
    else
        minutes=$((usual_min < least ? least : usual_min > most ? most : usual_min))
        why='sbatch --test-only does not say when it would start'
    fi
}
