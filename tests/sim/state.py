"""The simulated cluster: jobs, their course in simulated time, what they leave on disk, and the accounting of it.
Knows nothing of sockets or of how Slurm's commands write."""

import heapq
import itertools
import os
import random
import re
import shlex
import time

ENDS = {"COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "OUT_OF_MEMORY",
        "DEADLINE"}
# What run.sub's own trap sees of it: the exit code that it stamps, or no stamp at all.
STAMPED = {"COMPLETED": 0, "FAILED": 1, "TIMEOUT": 143, "CANCELLED": 143, "PREEMPTED": 143}

KNOBS = {
    "speed": 1.0,  # simulated seconds per real one
    "start_delay_s": 0.2,  # from submission to start
    "duration_s": 1.0,  # of a job that is not disturbed, all attempts together
    "capacity": 1000000,  # jobs that run at once
    "questions": 100,  # per job
    "min_job_age_s": 300.0,  # how long squeue keeps what has ended
    "fates": "",  # "TIMEOUT:0.2,NODE_FAIL:0.1": how an attempt ends before its time, with what probability
    "bad_attempts": 2,  # attempts after these always run to their end
    "job_fails": 0.0,  # with what probability one of several jobs on a deployment fails where it would have succeeded
    "seed": 1,
    "cancel_delay_s": 0.0,  # from scancel to the end
    "foretold_s": 0.0,  # when `sbatch --test-only` of a script from standard input says that it would start
    "date_offset_s": 0.0,  # the login node's clock against slurmctld's
    "slurmctld": "up",  # down
    "down_delay_s": 0.5,  # real seconds until a command gives up on a slurmctld that is down
    "squeue": "ok",  # error, empty, hang
    "sacct": "up",  # down, frozen (learns nothing more), disabled (no accounting at all)
    "sacct_lag_s": 0.0,  # accounting shows what was so long ago
    "test_only": "ok",  # of sbatch --test-only: hang, refuse:TEXT
    "holes": "",  # "1800:0,7200:600": when it says that jobs of so many seconds would start
    "sbatch": "ok",  # silent, killed, timeout, lost, refuse: see commands.py
    "sbatch_times": 0,  # after so many uses of the above it is ok again; 0: never
    "sbatch_before_s": 0.0,  # real seconds before slurmctld has the job
    "sbatch_after_s": 0.0,  # and after that, before sbatch prints
    "hold": "none",  # before, after: sbatch waits there until `ctl release`; scancel-before, scancel-after: scancel does
}


class Clock:
    """Simulated time: it goes on from the real one, `speed` times as fast."""

    def __init__(self):
        self.base = self.real = time.time()
        self.speed = 1.0

    def now(self):
        return self.base + (time.time() - self.real) * self.speed

    def set_speed(self, speed):
        self.base, self.real = self.now(), time.time()
        self.speed = speed

    def real_delay(self, at):
        return max(0.0, (at - self.now()) / self.speed)


class Job:
    def __init__(self, number, name, user, uid):
        self.id, self.name, self.user, self.uid = number, name, user, uid
        self.account, self.partition = "team", "batch"
        self.job_dir, self.attempt = None, 0  # of run.sub's data; None: some other job
        self.shared, self.resumed_for = [], {}  # of run.sub's data: the directories' names of the jobs on one deployment
        self.at_once = 1  # of them
        self.evaluated = {}  # those that are: since when, and how many questions were answered then
        self.workdir = "/"
        self.limit_s = 3600
        self.after = []
        self.exclude = ""
        self.submit = self.begin = self.eligible = 0
        self.start = self.end = 0
        self.state, self.reason = "PENDING", "None"
        self.exit, self.signal = 0, 0
        self.node = ""
        self.restarts = 0
        self.run_s = 0.0  # how long this run would take undisturbed
        self.fate = None  # how this run ends before its time
        self.answered_before = 0
        self.idle = False  # another Slurm job has this attempt: nothing is done
        self.token = 0  # events of earlier courses are void
        self.records = []  # accounting: per run a list of (when, facts)

    def is_live(self):
        return self.state not in ENDS


class Cluster:
    def __init__(self, directory):
        self.clock = Clock()
        self.knobs = dict(KNOBS)
        self.jobs = {}  # slurmctld's, by id
        self.accounted = {}  # slurmdbd's, by id: a list, since ids are reused
        self.next_id = 1
        self.events = []  # heap of (simulated time, number, function, arguments)
        self.order = itertools.count()
        self.waiting = []  # ready but for the capacity
        self.dependents = {}
        self.running = 0
        self.working = {}  # job directory: the job that works in it
        self.ended = {}  # directory of a job that shares a deployment: the attempt in which it has ended
        self.submissions = []  # every sbatch that slurmctld took
        self.violations = []  # what must never happen, as text
        self.rules = []  # fates at will: [pattern, attempt or None, state, after_s, exit, times]
        self.frozen_at = 0.0  # when the knob sacct was set to frozen
        self.directory = directory

    def now(self):
        return self.clock.now()

    def number(self, knob):
        return float(self.knobs[knob])

    # ---- events ----

    def at(self, when, function, *arguments):
        heapq.heappush(self.events, (when, next(self.order), function, arguments))

    def run_due(self):
        while self.events and self.events[0][0] <= self.now():
            _, _, function, arguments = heapq.heappop(self.events)
            function(*arguments)

    def next_delay(self):
        return min(self.clock.real_delay(self.events[0][0]), 3600.0) if self.events else None

    # ---- a job's course ----

    def submit(self, job):
        job.submit = job.eligible = self.now()
        job.begin = max(job.begin, job.submit + self.number("start_delay_s"))
        self.jobs[job.id] = job
        self.accounted.setdefault(job.id, []).append(job)
        self.next_id = max(self.next_id, job.id + 1)
        job.records.append([])
        for other in job.after:
            if other in self.jobs and self.jobs[other].is_live():
                self.dependents.setdefault(other, []).append(job.id)
                job.eligible = 0
                job.reason = "Dependency"
        self.account(job)
        self.at(job.begin, self.try_start, job, job.token)

    def try_start(self, job, token):
        if job.state != "PENDING" or job.token != token or self.knobs["slurmctld"] == "down":
            return
        if any(other in self.jobs and self.jobs[other].is_live() for other in job.after):
            job.reason = "Dependency"
            return
        if not job.eligible:
            job.eligible = self.now()
        if self.running >= self.number("capacity"):
            job.reason = "Resources"
            self.waiting.append((job, token))
            return
        self.start(job)

    def start_waiting(self):
        while self.waiting and self.running < self.number("capacity") and self.knobs["slurmctld"] == "up":
            self.try_start(*self.waiting.pop(0))

    def start(self, job):
        job.state, job.reason, job.start, job.end = "RUNNING", "None", self.now(), 0
        nodes = [f"n{i}" for i in range(1, 65) if f"n{i}" not in job.exclude.split(",")]
        job.node = nodes[job.id % len(nodes)]
        self.running += 1
        self.account(job)
        if job.job_dir is None:
            job.run_s = self.number("duration_s")
        elif not self.begin_work(job):
            return
        if job.shared and not job.idle:
            self.start_shared(job)
            return
        end, how = job.start + job.run_s, ("COMPLETED", 0)
        job.fate = self.choose_fate(job)
        if job.idle:
            end, how = job.start, ("FAILED", 3)
        elif job.fate is not None and job.start + job.fate[1] < end:
            end, how = job.start + job.fate[1], (job.fate[0], job.fate[2])
        if job.start + job.limit_s < end:
            end, how = job.start + job.limit_s, ("TIMEOUT", 0)
        self.at(end, self.finish, job, job.token, *how)

    def finish(self, job, token, state, exit_code=0, signal=0):
        """Also for what never started. token None: whatever its course."""
        if not job.is_live() or (token is not None and job.token != token):
            return
        ran = job.state != "PENDING"
        job.end = self.now()
        if ran:
            self.running -= 1
            if not self.end_work(job, state, exit_code):
                state, exit_code = "FAILED", 1
        else:
            job.start = 0
        job.state, job.exit, job.signal = state, exit_code, signal
        job.reason = "NonZeroExitCode" if state == "FAILED" else "None"
        self.account(job)
        self.at(job.end + self.number("min_job_age_s"), self.purge, job)
        for other in self.dependents.pop(job.id, []):
            if other in self.jobs:
                self.try_start(self.jobs[other], self.jobs[other].token)
        self.start_waiting()

    def requeue(self, job):
        """As `scontrol requeue` does: the same id, a new submit time, a new accounting record."""
        if job.state != "RUNNING":
            return
        self.running -= 1
        self.end_work(job, "REQUEUED", 0)
        job.state, job.end = "REQUEUED", self.now()
        self.account(job)
        job.token += 1
        job.restarts += 1
        job.state, job.submit, job.end, job.start = "PENDING", self.now(), 0, 0
        job.eligible, job.begin, job.reason = job.submit, job.submit + self.number("start_delay_s"), "BeginTime"
        job.records.append([])
        self.account(job)
        self.at(job.begin, self.try_start, job, job.token)

    def cancel(self, job):
        if job.is_live():
            self.at(self.now() + self.number("cancel_delay_s"), self.finish, job, None, "CANCELLED")

    def purge(self, job):
        if self.jobs.get(job.id) is job and not job.is_live():
            del self.jobs[job.id]

    def forget(self, job):
        """As if it had never been."""
        if job.state == "RUNNING":
            self.running -= 1
            self.leave_directory(job)
        job.token += 1
        job.state = "CANCELLED"
        if self.jobs.get(job.id) is job:
            del self.jobs[job.id]
        self.accounted[job.id].remove(job)

    def set_controller(self, state):
        self.knobs["slurmctld"] = state
        if state == "up":
            for job in list(self.jobs.values()):
                if job.state == "PENDING":
                    self.try_start(job, job.token)

    def choose_fate(self, job):
        for rule in self.rules:
            pattern, attempt, state, after_s, exit_code, times = rule
            if times != 0 and re.search(pattern, job.name) and attempt in (None, job.attempt):
                rule[5] -= 1
                return state, after_s, exit_code
        if job.job_dir is None or job.attempt > self.number("bad_attempts"):
            return None
        chance = random.Random(f"{self.knobs['seed']}:{job.name}:{job.restarts}")
        draw = chance.random()
        for part in filter(None, self.knobs["fates"].split(",")):
            state, probability = part.split(":")
            draw -= float(probability)
            if draw < 0:
                return state, chance.random() * job.run_s, 1 if state == "FAILED" else 0
        return None

    def account(self, job):
        facts = (job.state, job.exit, job.signal, job.submit, job.start, job.end, job.node)
        job.records[-1].append((self.now(), facts))

    # ---- what run.sub and the evaluation in it leave on disk ----

    def begin_work(self, job):
        attempt_dir = f"{job.job_dir}/.attempts/{job.attempt}"
        try:
            if not os.path.isdir(f"{job.job_dir}/logs"):
                raise FileNotFoundError  # Slurm cannot open --output
            os.makedirs(attempt_dir, exist_ok=True)
            job.idle = not self.claim(attempt_dir, job)
            if job.idle:
                return True
            if job.job_dir in self.working:
                other = self.working[job.job_dir]
                self.violations.append(f"jobs {other.id} and {job.id} work in {job.job_dir} at once")
            self.working[job.job_dir] = job
            self.stamp_start(attempt_dir)
            if job.shared:
                return True
            job.answered_before = self.answered(job)
            if job.answered_before >= self.number("questions"):
                self.violations.append(f"job {job.id} works in {job.job_dir} after all is answered")
        except OSError:
            self.finish(job, None, "FAILED", 1)
            return False
        left = 1 - job.answered_before / self.number("questions")
        job.run_s = self.number("duration_s") * left
        return True

    def claim(self, attempt_dir, job):
        try:
            with open(f"{attempt_dir}/job", "x", encoding="ascii") as file:
                file.write(f"{job.id}\n")
            return True
        except FileExistsError:
            with open(f"{attempt_dir}/job", encoding="ascii") as file:
                return file.read().strip() == str(job.id)

    def stamp_start(self, attempt_dir):
        now = int(self.now())
        missing = lines_of(f"{attempt_dir}/started") - lines_of(f"{attempt_dir}/ended")
        for _ in range(missing):
            append(f"{attempt_dir}/ended", f"{now} -1\n")
        append(f"{attempt_dir}/started", f"{now}\n")
        append(f"{attempt_dir}/alive", "")
        os.utime(f"{attempt_dir}/alive", (now, now))

    def answered(self, job):
        """How many questions have been answered, by the record that each attempt adds its share to."""
        return self.answered_in(job.job_dir)

    @staticmethod
    def answered_in(directory):
        try:
            with open(f"{directory}/artifacts/answered", encoding="ascii") as file:
                return max((int(line.split()[1]) for line in file), default=0)
        except FileNotFoundError:
            return 0

    def leave_directory(self, job):
        if self.working.get(job.job_dir) is job:
            del self.working[job.job_dir]

    def end_work(self, job, state, exit_code):
        """False: it could not be written."""
        self.leave_directory(job)
        if job.job_dir is None or job.idle or not os.path.isdir(job.job_dir):
            return True
        if job.shared:
            return self.end_shared_work(job, state, exit_code)
        total = int(self.number("questions"))
        share = (self.now() - job.start) / job.run_s if job.run_s > 0 else 1
        done = total if state == "COMPLETED" else min(total - 1, job.answered_before + int(
            share * (total - job.answered_before)))
        attempt_dir = f"{job.job_dir}/.attempts/{job.attempt}"
        try:
            os.makedirs(f"{job.job_dir}/artifacts", exist_ok=True)
            if done > job.answered_before:
                append(f"{job.job_dir}/artifacts/answered", f"{job.answered_before + 1} {done} {job.id}\n")
            replace(f"{job.job_dir}/artifacts/progress", f"{done}\n")
            os.utime(f"{attempt_dir}/alive", (self.now(), self.now()))
            if state in STAMPED:
                append(f"{attempt_dir}/ended", f"{int(self.now())} {exit_code or STAMPED[state]}\n")
            append(f"{job.job_dir}/logs/slurm-{job.id}.log", f"attempt {job.attempt} ended: {state}\n")
            if state == "COMPLETED":
                replace(f"{job.job_dir}/artifacts/results.yml", RESULTS.format(count=total))
        except OSError:
            return False
        return True


    # ---- several jobs on one deployment: what run_shared/ does ----

    def start_shared(self, job):
        job.fate = self.choose_fate(job)
        end, how = job.start + job.limit_s, ("TIMEOUT", 0)
        if job.fate is not None and job.start + job.fate[1] < end:
            end, how = job.start + job.fate[1], (job.fate[0], job.fate[2])
        self.at(end, self.finish, job, job.token, *how)
        job.evaluated = {}
        for name in job.shared:
            record = f"{job.job_dir}/.jobs/{name}"
            os.makedirs(f"{record}/.attempts/{job.attempt}", exist_ok=True)
            if self.end_of(job, name) is None and job.resumed_for.get(name, 0) > 0:
                for left in ["end", *(["cancel"] if job.attempt == job.resumed_for[name] else [])]:
                    if os.path.exists(f"{record}/{left}"):
                        os.unlink(f"{record}/{left}")
        self.go_on_shared(job, job.token)

    @staticmethod
    def end_of(job, name):
        """The attempt in which it ended, if that counts."""
        try:
            with open(f"{job.job_dir}/.jobs/{name}/end", encoding="ascii") as file:
                attempt = int(file.read().split()[3])
        except (FileNotFoundError, IndexError):
            return None
        return attempt if attempt >= job.resumed_for.get(name, 0) else None

    def go_on_shared(self, job, token):
        """A look at what the jobs are at, every now and then."""
        if job.state != "RUNNING" or job.token != token:
            return
        try:
            for name in [name for name in job.shared if self.end_of(job, name) is None]:
                if os.path.exists(f"{job.job_dir}/.jobs/{name}/cancel"):
                    self.leave_job(job, name)
                    self.note_end(job, name, 143, "cancelled")
            for name, (since, before) in list(job.evaluated.items()):
                if self.now() >= since + self.left_of(before):
                    self.complete_job(job, name)
            waits = [name for name in job.shared if self.end_of(job, name) is None]
            for name in waits:
                if name not in job.evaluated and len(job.evaluated) < job.at_once:
                    self.begin_job(job, name)
        except OSError:
            self.finish(job, None, "FAILED", 1)
            return
        if waits:
            self.at(self.now() + 0.1, self.go_on_shared, job, token)
        else:
            self.finish(job, None, "COMPLETED")

    def left_of(self, answered):
        """How long a job still takes undisturbed."""
        return self.number("duration_s") * (1 - answered / self.number("questions"))

    def begin_job(self, job, name):
        directory = f"{os.path.dirname(job.job_dir)}/{name}"
        answered = self.answered_in(directory)
        if answered >= self.number("questions") or self.has_ended(job, name):
            self.violations.append(f"job {job.id} evaluates {directory} after it has ended")
        append(f"{job.job_dir}/.jobs/{name}/.attempts/{job.attempt}/started", f"{int(self.now())}\n")
        append(f"{directory}/logs/slurm-{job.id}.log", f"attempt {job.attempt} begins\n")
        job.evaluated[name] = self.now(), answered

    def has_ended(self, job, name):
        return self.ended.get(f"{job.job_dir}/{name}", -1) >= job.resumed_for.get(name, 0)

    def leave_job(self, job, name):
        """What it has answered so far stays."""
        if name not in job.evaluated:
            return
        begin, before = job.evaluated.pop(name)
        total = int(self.number("questions"))
        share = (self.now() - begin) / self.left_of(before)
        self.note_answers(job, name, before, min(total - 1, before + int(share * (total - before))))

    def complete_job(self, job, name):
        if random.Random(f"{self.knobs['seed']} {job.id} {name}").random() < self.number("job_fails"):
            self.leave_job(job, name)
            self.note_end(job, name, 7, "ended")
            return
        _, before = job.evaluated.pop(name)
        total = int(self.number("questions"))
        self.note_answers(job, name, before, total)
        replace(f"{os.path.dirname(job.job_dir)}/{name}/artifacts/results.yml", RESULTS.format(count=total))
        self.note_end(job, name, 0, "ended")

    def note_answers(self, job, name, before, done):
        directory = f"{os.path.dirname(job.job_dir)}/{name}"
        if done > before:
            append(f"{directory}/artifacts/answered", f"{before + 1} {done} {job.id}\n")
        replace(f"{directory}/artifacts/progress", f"{done}\n")

    def note_end(self, job, name, exit_code, why):
        now = int(self.now())
        if self.has_ended(job, name):
            self.violations.append(f"job {job.id} ends {name} of {job.job_dir} for the second time")
        replace(f"{job.job_dir}/.jobs/{name}/end", f"{exit_code} {now} {now} {job.attempt} {why}\n")
        self.ended[f"{job.job_dir}/{name}"] = job.attempt

    def end_shared_work(self, job, state, exit_code):
        try:
            if state == "COMPLETED":  # at somebody's will, perhaps
                for name in [name for name in job.shared if self.end_of(job, name) is None]:
                    if name not in job.evaluated:
                        self.begin_job(job, name)
                    self.complete_job(job, name)
            for name in list(job.evaluated):
                self.leave_job(job, name)
            attempt_dir = f"{job.job_dir}/.attempts/{job.attempt}"
            os.utime(f"{attempt_dir}/alive", (self.now(), self.now()))
            if state in STAMPED:
                append(f"{attempt_dir}/ended", f"{int(self.now())} {exit_code or STAMPED[state]}\n")
        except OSError:
            return False
        return True


RESULTS = """results:
  tasks:
    simulated:
      metrics: {{acc: {{scores: {{acc: {{value: 0.5, stats: {{count: {count}}}}}}}}}}}
"""


def lines_of(path):
    try:
        with open(path, encoding="ascii") as file:
            return len(file.readlines())
    except FileNotFoundError:
        return 0


def append(path, text):
    with open(path, "a", encoding="ascii") as file:
        file.write(text)


def replace(path, text):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(text)
    os.replace(path + ".new", path)


def read_script(text):
    """The #SBATCH options and run.sub's own data of a batch script."""
    options, data = {}, {"NEL_JOBS": [], "NEL_AT_ONCE": 1, "NEL_RESUMED_FOR": {}}
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("#SBATCH "):
            for word in shlex.split(line[8:]):
                name, _, value = word.partition("=")
                options[name.lstrip("-")] = value
        match = re.match(r"(?:readonly )?(NEL_JOB_DIR|NEL_ATTEMPT)=(.*)$", line)
        if match:
            data.setdefault(match[1], shlex.split(match[2])[0])
        if line == "readonly NEL_JOBS=(":
            data["NEL_JOBS"] = [shlex.split(one)[0] for one in iter(lambda: next(lines), ")")]
        match = re.match(r"readonly NEL_AT_ONCE=(\d+)$", line)
        if match:
            data["NEL_AT_ONCE"] = int(match[1])
        match = re.match(r"readonly -A NEL_RESUMED_FOR=\((.*)\)$", line)
        if match:
            data["NEL_RESUMED_FOR"] = {name: int(number) for name, number in re.findall(r"\['(.*?)'\]=(\d+)", match[1])}
            break
        if line == "# shellcheck shell=bash":
            break
    return options, data
