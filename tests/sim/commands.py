"""sbatch, squeue, sacct, scancel, scontrol, sacctmgr and sinfo as Slurm 22.05 answers them, so far as the daemon's
remote scripts use them, and `ctl`, which is the tests' own. Each is a generator: it yields how long to wait (real
seconds, or the name of a gate) and returns (status, standard output, standard error)."""

import datetime
import json
import os
import re
import signal

import state

DIES = 1000  # added to a signal: the command dies by it
UNREACHABLE = "Unable to contact slurm controller (connect failure)"
SOCKET = "Socket timed out on send/recv operation"


class Usage(Exception):
    """An option that the simulation does not know: the test is told, not the daemon deceived."""


def parse(arguments, with_value, flags):
    """Options by their long names, and what is left."""
    found, rest, i = {}, [], 0
    while i < len(arguments):
        name, equals, value = arguments[i].partition("=")
        if not name.startswith("-"):
            rest.append(arguments[i])
        elif name in flags:
            found[flags[name]] = True
        elif name in with_value and not equals and i + 1 < len(arguments):
            i += 1
            found[with_value[name]] = arguments[i]
        elif name in with_value and equals:
            found[with_value[name]] = value
        elif name[:2] in with_value and not name.startswith("--"):
            found[with_value[name[:2]]] = arguments[i][2:]
        else:
            raise Usage(arguments[i])
        i += 1
    return found, rest


def show_time(request, epoch, missing):
    if not epoch:
        return missing
    if request.time_format == "%s":
        return str(int(epoch))
    return datetime.datetime.fromtimestamp(int(epoch)).strftime("%Y-%m-%dT%H:%M:%S")


def show_elapsed(seconds):
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    if days:
        return f"{days}-{hours:02}:{minutes:02}:{seconds:02}"
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def parse_limit(text):
    """sbatch's --time in seconds; None when it is none."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if not match:
        return None
    days, first, second, third = match.groups()
    numbers = [int(n) for n in (first, second, third) if n is not None]
    if days is not None:
        hours, minutes, seconds = (numbers + [0, 0])[:3]
        return int(days) * 86400 + hours * 3600 + minutes * 60 + seconds
    if len(numbers) == 3:
        return numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
    return numbers[0] * 60 + (numbers[1] if len(numbers) == 2 else 0)


# ---- sbatch ----

SBATCH = {f"--{name}": name for name in (
    "job-name", "time", "account", "partition", "nodes", "ntasks", "ntasks-per-node", "output", "error", "dependency",
    "exclude", "gres", "begin", "open-mode", "switches", "signal", "comment", "export", "kill-on-invalid-dep")}
SBATCH.update({"-J": "job-name", "-t": "time", "-A": "account", "-p": "partition", "-d": "dependency"})


def sbatch(cluster, request):
    """Faults, by the knob `sbatch`: silent (taken, but nothing is printed), killed (taken, and sbatch dies), timeout
    (taken, but the answer does not arrive), lost (the request did not arrive), refuse:TEXT."""
    given, rest = parse(request.arguments, SBATCH, {"--parsable": "parsable", "--no-requeue": "no-requeue",
                                                    "--test-only": "test-only"})
    if given.get("test-only"):
        return (yield from foretell(cluster, request, given, rest))
    fault = cluster.knobs["sbatch"]
    if fault != "ok" and cluster.knobs["sbatch_times"]:
        cluster.knobs["sbatch_times"] -= 1
        if not cluster.knobs["sbatch_times"]:
            cluster.knobs["sbatch"] = "ok"
    path = os.path.join(request.cwd, rest[0])
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return 1, "", f"sbatch: error: Unable to open file {rest[0]}\n"
    if cluster.knobs["hold"] == "before":
        yield "hold"
    if cluster.number("sbatch_before_s"):
        yield cluster.number("sbatch_before_s")
    if cluster.knobs["slurmctld"] == "down":
        yield cluster.number("down_delay_s")
        return 1, "", f"sbatch: error: Batch job submission failed: {UNREACHABLE}\n"
    if fault.startswith("refuse:"):
        return 1, "", f"sbatch: error: Batch job submission failed: {fault[7:]}\n"
    if fault == "lost":
        return 1, "", f"sbatch: error: Batch job submission failed: {SOCKET}\n"
    job = make_job(cluster, request, text, given)
    if isinstance(job, str):
        return (255 if "--time" in job else 1), "", f"sbatch: error: {job}\n"
    cluster.submit(job)
    cluster.submissions.append({"at": job.submit, "id": job.id, "name": job.name, "dir": request.cwd,
                                "after": job.after, "limit_s": job.limit_s, "exclude": job.exclude})
    if cluster.knobs["hold"] == "after":
        yield "hold"
    if cluster.number("sbatch_after_s"):
        yield cluster.number("sbatch_after_s")
    if fault == "killed":
        return DIES + signal.SIGKILL, "", ""
    if fault == "timeout":
        return 1, "", f"sbatch: error: Batch job submission failed: {SOCKET}\n"
    if fault == "silent":
        return 0, "", ""
    return 0, f"{job.id}\n" if given.get("parsable") else f"Submitted batch job {job.id}\n", ""


def foretell(cluster, request, given, rest):
    """--test-only. Of a script from standard input: by the knob `foretold_s`. Of a file: by the knob `holes`, "LIMIT:DELAY,...":
    what asks for at most LIMIT seconds would start after DELAY; what asks for more than the last of them is refused."""
    if cluster.knobs["test_only"] == "hang":
        yield 3600
    if cluster.knobs["slurmctld"] == "down":
        yield cluster.number("down_delay_s")
        return 1, "", f"allocation failure: {UNREACHABLE}\n"
    if cluster.knobs["test_only"].startswith("refuse:"):
        return 1, "", f"allocation failure: {cluster.knobs['test_only'][7:]}\n"
    delay = cluster.number("foretold_s")
    if rest:
        with open(os.path.join(request.cwd, rest[0]), encoding="utf-8") as file:
            job = make_job(cluster, request, file.read(), given)
        if isinstance(job, str):
            return 1, "", f"sbatch: error: {job}\n"
        if cluster.knobs["holes"]:
            holes = [tuple(int(number) for number in hole.split(":")) for hole in cluster.knobs["holes"].split(",")]
            fits = [after for limit, after in holes if job.limit_s <= limit]
            if not fits:
                return 1, "", "allocation failure: Requested time limit is invalid (missing or exceeds some limit)\n"
            delay = fits[0]
    start = show_time(request, cluster.now() + delay, "")
    return 0, "", f"sbatch: Job {cluster.next_id} to start at {start} using 8 processors on nodes n1 in partition batch\n"


def make_job(cluster, request, text, given):
    """The job, or why it is refused."""
    options, data = state.read_script(text)
    options.update(given)
    job = state.Job(cluster.next_id, options.get("job-name", "run.sub"), request.user, request.uid)
    job.workdir = request.cwd
    job.job_dir, job.attempt = data.get("NEL_JOB_DIR"), int(data.get("NEL_ATTEMPT", 0))
    job.shared, job.at_once, job.resumed_for = data["NEL_JOBS"], data["NEL_AT_ONCE"], data["NEL_RESUMED_FOR"]
    job.account, job.partition = options.get("account", "team"), options.get("partition", "batch")
    job.exclude = options.get("exclude", "")
    limit = parse_limit(options.get("time", "60"))
    if limit is None:
        return "Invalid --time specification"
    job.limit_s = (limit + 59) // 60 * 60
    if job.partition not in ("batch", "gpu", "cpu"):
        return (f"invalid partition specified: {job.partition}\n"
                "sbatch: error: Batch job submission failed: Invalid partition name specified")
    if job.account not in ("team", "other"):
        return "Batch job submission failed: Invalid account or account/partition combination specified"
    for part in filter(None, re.split("[,?]", options.get("dependency", ""))):
        kind, *ids = part.split(":")
        if kind not in ("afterany", "afternotok", "afterok"):
            return "Batch job submission failed: Job dependency problem"
        job.after += [int(number) for number in ids]
    return job


# ---- squeue ----

def matches(job, wanted):
    return wanted is None or str(job.id) in wanted


def squeue_field(cluster, request, job, letter):
    if letter in "AiF":
        return str(job.id)
    if letter == "M":
        end = job.end or cluster.now()
        return show_elapsed(end - job.start if job.start else 0)
    if letter == "e":
        return show_time(request, job.end or (job.start and job.start + job.limit_s), "N/A")
    if letter == "V":
        return show_time(request, job.submit, "N/A")
    if letter == "S":
        return show_time(request, job.start or job.end, "N/A")
    return {"j": job.name, "T": job.state, "t": job.state[:2], "u": job.user, "a": job.account, "P": job.partition,
            "r": job.reason, "N": job.node, "R": job.node or f"({job.reason})", "Z": job.workdir, "D": "1",
            "l": show_elapsed(job.limit_s), "k": "(null)", "E": "(null)"}[letter]


def squeue(cluster, request):
    given, _ = parse(request.arguments, {
        "-t": "states", "--states": "states", "-u": "user", "--user": "user", "-j": "jobs", "--jobs": "jobs",
        "-n": "name", "--name": "name", "-o": "format", "--format": "format"},
        {"-h": "noheader", "--noheader": "noheader"})
    if cluster.knobs["squeue"] == "hang":
        yield 3600
    if cluster.knobs["slurmctld"] == "down":
        yield cluster.number("down_delay_s")
        return 1, "", f"slurm_load_jobs error: {UNREACHABLE}\n"
    if cluster.knobs["squeue"] == "error":
        return 1, "", f"slurm_load_jobs error: {SOCKET}\n"
    if cluster.knobs["squeue"] == "empty":
        return 0, "", ""
    wanted = set(given["jobs"].split(",")) if "jobs" in given else None
    if wanted is not None and len(wanted) == 1 and int(next(iter(wanted))) not in cluster.jobs:
        return 1, "", "slurm_load_jobs error: Invalid job id specified\n"
    names = set(given["name"].split(",")) if "name" in given else None
    ended = given.get("states") == "all"
    parts = re.split(r"%[.]?\d*([A-Za-z])", given.get("format", "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"))
    rows = []
    for job in cluster.jobs.values():
        if not matches(job, wanted) or not (ended or job.is_live()):
            continue
        if given.get("user", job.user) != job.user or (names is not None and job.name not in names):
            continue
        rows.append("".join(squeue_field(cluster, request, job, part) if i % 2 else part
                            for i, part in enumerate(parts)))
    return 0, "".join(row + "\n" for row in rows), ""


# ---- sacct ----

def sacct_rows(cluster, job, every):
    """(facts, elapsed) of each run, as accounting has come to know it."""
    until = cluster.now() - cluster.number("sacct_lag_s")
    if cluster.knobs["sacct"] == "frozen":
        until = min(until, cluster.frozen_at)
    rows = []
    for run in job.records:
        known = [facts for when, facts in run if when <= until]
        if known:
            facts = known[-1]
            start, end = facts[4], facts[5]
            rows.append((facts, int(end or cluster.now()) - int(start) if start else 0))
    return rows if every else rows[-1:]


def sacct_field(request, job, facts, elapsed, field):
    status, exit_code, signal_number, submit, start, end, node = facts
    started = show_time(request, start, "None" if status in state.ENDS else "Unknown")
    return {"jobid": str(job.id), "jobidraw": str(job.id), "jobname": job.name, "user": job.user,
            "account": job.account, "partition": job.partition, "exitcode": f"{exit_code}:{signal_number}",
            "state": f"CANCELLED by {job.uid}" if status == "CANCELLED" else status,
            "submit": show_time(request, submit, "Unknown"), "start": started,
            "end": show_time(request, end, "Unknown"), "elapsedraw": str(elapsed), "elapsed": show_elapsed(elapsed),
            "nodelist": node or "None assigned", "workdir": job.workdir,
            "alloctres": "billing=1,cpu=1,node=1" if node else ""}[field]


def sacct_since(cluster, text):
    """--starttime as the scripts write it: now, now-30days."""
    match = re.fullmatch(r"now(?:-(\d+)(days?|hours?|minutes?|seconds?)?)?", text)
    if not match:
        raise Usage(f"--starttime={text}")
    unit = {"d": 86400, "h": 3600, "m": 60, "s": 1}[(match[2] or "seconds")[0]]
    return cluster.now() - int(match[1] or 0) * unit


def sacct(cluster, request):
    given, _ = parse(request.arguments, {
        "-j": "jobs", "--jobs": "jobs", "-u": "user", "--user": "user", "--name": "name", "-S": "starttime",
        "--starttime": "starttime", "-o": "format", "--format": "format"},
        {"-X": "allocations", "--allocations": "allocations", "-D": "duplicates", "--duplicates": "duplicates",
         "-n": "noheader", "--noheader": "noheader", "-P": "parsable2", "--parsable2": "parsable2"})
    if cluster.knobs["sacct"] == "hang":
        yield 3600
    if cluster.knobs["sacct"] == "disabled":
        return 1, "", "Slurm accounting storage is disabled\n"
    if cluster.knobs["sacct"] == "down":
        yield 0
        return 1, "", ("sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection to "
                       "host:dbd:6819: Connection refused\nsacct: error: Problem talking to the database: "
                       "Connection refused\n")
    fields = [field.lower() for field in given.get("format", "JobID,JobName,State").split(",")]
    names = set(given["name"].split(",")) if "name" in given else None
    if "jobs" in given:
        known = [job for number in given["jobs"].split(",") for job in cluster.accounted.get(int(number), [])]
        since = None
    else:
        known = [job for jobs in cluster.accounted.values() for job in jobs]
        since = sacct_since(cluster, given.get("starttime", "now"))
    rows = []
    for job in known:
        if given.get("user", job.user) != job.user or (names is not None and job.name not in names):
            continue
        # Slurm 22.05 shows in a span of time only what has become eligible in it or before.
        if since is not None and (not job.eligible or (job.end and job.end < since)):
            continue
        for facts, elapsed in sacct_rows(cluster, job, "duplicates" in given):
            rows.append("|".join(sacct_field(request, job, facts, elapsed, field) for field in fields))
    return 0, "".join(row + "\n" for row in rows), ""


# ---- the others ----

def scancel(cluster, request):
    given, ids = parse(request.arguments, {"--signal": "signal", "-s": "signal", "-u": "user", "--user": "user",
                                           "-n": "name", "--name": "name", "--state": "state"}, {"-b": "batch", "--batch": "batch"})
    if cluster.knobs["slurmctld"] == "down":
        yield cluster.number("down_delay_s")
        return 8, "", "".join(f"scancel: error: Kill job error on job id {i}: {UNREACHABLE}\n" for i in ids)
    chosen = [cluster.jobs.get(int(number)) for number in ids]
    if "name" in given:
        chosen += [job for job in cluster.jobs.values() if job.name == given["name"]]
    if cluster.knobs["hold"] == "scancel-before":
        yield "hold"
    for job in filter(None, chosen):  # an id that is not known is no error
        if given.get("state", job.state) == job.state:
            cluster.cancel(job)
    if cluster.knobs["hold"] == "scancel-after":
        yield "hold"
    return 0, "", ""


def scontrol(cluster, request):
    words = [word for word in request.arguments if word not in ("-o", "--oneliner")]
    line_end = "\n" if words == request.arguments else ""
    if cluster.knobs["slurmctld"] == "down" and words[:2] != ["show", "hostnames"]:
        if words[:1] == ["ping"]:
            return 1, "Slurmctld(primary) at simulated is DOWN\n", ""
        yield cluster.number("down_delay_s")
        return 1, "", f"slurm_load_ctl_conf error: {UNREACHABLE}\n"
    if words[:2] == ["show", "config"]:
        kind = "none" if cluster.knobs["sacct"] == "disabled" else "slurmdbd"
        return 0, (f"Configuration data as of {show_time(request, cluster.now(), '')}\n"
                   f"AccountingStorageType   = accounting_storage/{kind}\n"
                   "ClusterName             = simulated\nSLURM_VERSION           = 22.05.8\n"), ""
    if words == ["--all", "show", "partition"]:
        return 0, "".join(f"PartitionName={name} AllowGroups=ALL AllowAccounts=ALL State=UP\n" for name in ("batch", "cpu")), ""
    if words[:1] == ["ping"]:
        return 0, "Slurmctld(primary) at simulated is UP\n", ""
    if words[:2] == ["show", "job"] and len(words) == 3:
        job = cluster.jobs.get(int(words[2]))
        if job is None:
            return 1, "", "slurm_load_jobs error: Invalid job id specified\n"
        run_time = (job.end or cluster.now()) - job.start if job.start else 0
        return 0, (f"JobId={job.id} JobName={job.name}{line_end}   UserId={job.user}({job.uid}) Account={job.account}{line_end}"
                   f"   JobState={job.state} Reason={job.reason} Restarts={job.restarts}{line_end}"
                   f"   RunTime={show_elapsed(run_time)} PreemptTime=None\n"), ""
    if words[:1] == ["requeue"] and len(words) == 2:
        cluster.requeue(cluster.jobs[int(words[1])])
        return 0, "", ""
    raise Usage(" ".join(words))


def sacctmgr(cluster, request):
    if cluster.knobs["sacct"] != "up":
        return 1, "", "sacctmgr: error: Problem talking to the database: Connection refused\n"
    given = dict(word.partition("=")[::2] for word in request.arguments)
    fields = given.get("format", "user,account").lower().split(",")
    values = {"user": request.user, "cluster": "simulated", "defaultaccount": "team", "qos": "normal"}
    yield 0
    return 0, "".join("|".join({**values, "account": account}.get(field, "") for field in fields) + "\n"
                      for account in ("team", "other")), ""


def sinfo(cluster, request):
    if cluster.knobs["slurmctld"] == "down":
        yield cluster.number("down_delay_s")
        return 1, "", f"slurm_load_partitions: {UNREACHABLE}\n"
    values = {"a": "up", "l": "infinite", "D": "64", "T": "mixed", "t": "mix", "N": "n[1-64]"}
    given, _ = parse(request.arguments, {"-o": "format", "--format": "format", "-p": "partition",
                                         "--partition": "partition", "--Format": "fields"},
                     {"-h": "noheader", "--noheader": "noheader", "--Node": "node"})
    if "fields" in given:
        busy = min(cluster.running, 64)
        node = {"StateLong": "mixed", "Gres": "gpu:8", "GresUsed": "gpu:1"}, {"StateLong": "idle", "Gres": "gpu:8", "GresUsed": "gpu:0"}
        fields = [field.partition(":")[::2] for field in given["fields"].split(",")]
        return 0, "".join("".join({**node[i >= busy], "NodeList": f"n{i + 1}"}[name].ljust(int(width)) for name, width in fields)
                          + "\n" for i in range(64)), ""
    parts = re.split(r"%[.]?\d*([A-Za-z])", given.get("format", "%P %a %l %D %t %N"))
    return 0, "".join("".join({**values, "P": name, "R": name.rstrip("*")}.get(part, "") if i % 2 else part
                              for i, part in enumerate(parts)) + "\n" for name in ("batch*", "gpu", "cpu")
                              if given.get("partition") in (None, name.rstrip("*"))), ""


def date(cluster, _):
    yield 0
    return 0, f"{int(cluster.now() + cluster.number('date_offset_s'))}\n", ""


# ---- ctl ----

def describe(job):
    return {"id": job.id, "name": job.name, "state": job.state, "exit": job.exit, "submit": job.submit,
            "start": job.start, "end": job.end, "attempt": job.attempt, "dir": job.job_dir, "idle": job.idle,
            "node": job.node, "restarts": job.restarts, "reason": job.reason}


def set_knobs(cluster, words):
    for word in words:
        name, _, value = word.partition("=")
        if name not in state.KNOBS:
            raise Usage(word)
        if name == "speed":
            cluster.clock.set_speed(float(value))
        if name == "sacct":
            cluster.frozen_at = cluster.now()
        if name == "slurmctld":
            cluster.set_controller(value)
        if isinstance(state.KNOBS[name], (int, float)):
            value = type(state.KNOBS[name])(value)
        cluster.knobs[name] = value
        if name == "capacity":
            cluster.start_waiting()


def add_job(cluster, number, name, status, user):
    """A job that is not the daemon's, with an id at will."""
    job = state.Job(int(number), name, user, os.getuid())
    job.begin = cluster.now() + 1e9
    cluster.submit(job)
    cluster.next_id = max(cluster.next_id, job.id + 1)
    if status == "RUNNING":
        job.state, job.start = "RUNNING", cluster.now()
        cluster.running += 1
        cluster.account(job)
    elif status != "PENDING":
        job.start = cluster.now()
        cluster.finish(job, None, status, 1 if status == "FAILED" else 0)


def ctl(cluster, request):
    command, *words = request.arguments or ["help"]
    answer = None
    if command == "set":
        set_knobs(cluster, words)
    elif command == "get":
        answer = dict(cluster.knobs, now=cluster.now(), running=cluster.running, held=request.server.held_count(),
                      jobs=len(cluster.jobs), calls=request.server.calls, violations=cluster.violations,
                      unknown=request.server.unknown)
    elif command == "jobs":
        answer = [describe(job) for jobs in cluster.accounted.values() for job in jobs]
    elif command == "submissions":
        answer = cluster.submissions
    elif command == "end":
        code, _, number = (words[2] if len(words) > 2 else "0:0").partition(":")
        cluster.finish(cluster.jobs[int(words[0])], None, words[1], int(code), int(number or 0))
    elif command == "requeue":
        if int(words[0]) in cluster.jobs:
            cluster.requeue(cluster.jobs[int(words[0])])
    elif command in ("purge", "forget"):
        chosen = list(cluster.jobs) if words == ["all"] else map(int, words)
        for job in [cluster.jobs[number] for number in chosen]:
            cluster.forget(job) if command == "forget" else cluster.purge(job)
    elif command == "next-id":
        cluster.next_id = int(words[0])
    elif command == "add":
        add_job(cluster, *words, request.user)
    elif command == "fate":
        pattern, attempt, status, after_s = words[:4]
        cluster.rules.append([pattern, None if attempt == "any" else int(attempt), status, float(after_s),
                              1 if status == "FAILED" else 0, int(words[4]) if len(words) > 4 else -1])
    elif command == "wait-held":
        for _ in range(int(float(words[1]) * 100) if len(words) > 1 else 1000):
            if request.server.held_count() >= int(words[0]):
                break
            yield 0.01
        else:
            return 1, "", "ctl: nothing is held\n"
    elif command == "release":
        cluster.knobs["hold"] = "none"
        request.server.release()
    else:
        raise Usage(command)
    return 0, "" if answer is None else json.dumps(answer) + "\n", ""


COMMANDS = {f.__name__: f for f in (sbatch, squeue, sacct, scancel, scontrol, sacctmgr, sinfo, date, ctl)}
