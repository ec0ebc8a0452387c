# shellcheck shell=bash

# The fixed part of run.sub (the data is above): starts the model servers, waits until they answer, runs the
# evaluation, stops the servers. Needs bash 4.4 or newer on the node, and Pyxis for srun's --container-* options, or
# Apptainer. It is one long file because it is one on the cluster.
#
# There is no `set -e`: a server that has exited by itself or an export job that is refused must not fail a finished
# evaluation. What must work is checked where it happens.
#
# A shell with traps expands no $(...) and no <(...): bash 5.2 parses a trap that is pending at that moment as a part of
# it, and both are lost. Backquotes take the place of the one, pipelines whose last command runs in this shell of the other.
set -u -o pipefail
shopt -s lastpipe

attempt_dir=$NEL_JOB_DIR/.attempts/$NEL_ATTEMPT
artifacts=$NEL_JOB_DIR/artifacts
logs=${NEL_JOB_DIR//%/%%}/logs # as srun reads a file name: % begins a pattern
interrupted_marker=$artifacts/.nemo_evaluator_interrupted
export_dir=$NEL_JOB_DIR/.export # what is known of the export job: remote_collect.sh reads it
srun=`type -P srun`
readonly containers=${NEL_CONTAINERS-pyxis} # what starts them

readonly heartbeat_s=30 probe_interval_s=2 probe_timeout_s=5 stop_grace_s=30 last_words_max=250 sbatch_timeout_s=300
readonly probe_max=1000000 watch_interval_s=10
readonly ports_first=25000 ports_count=7700 # below what the kernel takes for connections by default (32768 and up)
readonly ports_spare=16 ports_timeout_s=120
readonly sealed_mib_max=64 # of results.yml
readonly total_bytes=16384 # of the end of an evaluation's log
readonly stop_room_s=55    # before the end of the budget, and at most a quarter of it: less than an attempt can use
readonly exit_out_of_time=124 exit_idle=123
readonly idle_limit_s=${NEL_IDLE_LIMIT_S-0} # 0: none
readonly use_interval_s=10
readonly slurm_ends="BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|TIMEOUT" # states of ended jobs

nodes=()          # the allocation, in Slurm's order; the model's come first, then each auxiliary's
addresses=()      # the IPv4 address of each
declare -A chosen_ports=() # by the reference that stands for them in the data, such as nel-port(deployment:8000)
server_ports=()   # of each server, and of its proxy
proxy_ports=()
server_pids=()    # the sruns of all servers and proxies
server_logs=()    # the log of each
server_doors=()   # where each instance of a server listens: its name, host, port, health path
evaluation_env=() # NAME=value that the evaluation gets besides its own: where the auxiliaries are
container_command=() # of the next step, made by in_container
step=()              # the arguments of become_step for the next step, made by make_step
heartbeat_pid=
ports_pid=
watch_pid=
use_pid=
noted_total='0 0' # of the evaluation's requests: 1 or 2 (note_total()), how many
failure=     # why this script gave up
successor_queued=0
terminated=0     # SIGTERM has come, or this script ends its evaluation itself
ended_by_slurm=0 # Slurm ends the whole job
forwarded=0      # the evaluation has been told
started_at=      # when Slurm started the job, by this node's clock
stop_at=0        # when the budget ends the evaluation; 0: never
kill_at=0        # and when it kills what is left
end_at=0         # and this script
out_of_time=0    # the first has come
in_alarm=0       # on_alarm() is at work
idle=0           # nothing was done for too long
killing=0        # the second has come
code_lost=0      # bash has lost the evaluation's exit code
fate=            # as what this attempt ends, when it is not by itself
overtaken=0      # a newer attempt, or start, has this job
start_line=0     # this start's line in the attempt's file `started`
unended=0        # an earlier start of this attempt left no end

say() {
    printf '%(%Y-%m-%d %H:%M:%S)T %s\n' -1 "$*"
}

fail() {
    failure=$*
    say "error: $failure"
    exit 1
}

join() { # SEPARATOR WORD...
    local IFS=$1
    shift
    printf '%s' "$*"
}
