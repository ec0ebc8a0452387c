"""The service's replies, as make_models.py writes them from openapi.yaml. Not edited by hand."""

from typing import Any, Dict, List, Literal, Optional, TypedDict, Union

EvaluationId = str

ChainId = str

JobId = str

Time = str

TimeOrNull = Optional[Time]

TextOrNull = Optional[str]

CountOrNull = Optional[int]

Cursor = Optional[str]

EvaluationState = Literal['queued', 'running', 'succeeded', 'failed', 'cancelled']

JobState = Literal['queued', 'submitting', 'pending', 'running', 'resuming', 'cancelling', 'succeeded', 'failed', 'cancelled', 'budget_exhausted']


class PlacedMessage(TypedDict):
    pointer: str
    message: str
    line: Optional[int]
    column: Optional[int]


class ProblemRequired(TypedDict):
    type: str
    title: str
    status: int
    detail: str
    request_id: str


class Problem(ProblemRequired, total=False):
    """RFC 9457."""
    errors: List[PlacedMessage]
    warnings: List[PlacedMessage]

ConfigText = str

Config = Dict[str, Any]

Nothing = Dict[str, Any]


class Resume(TypedDict, total=False):
    reset_budget: bool
    env: Dict[str, str]


class EnvelopeRequired(TypedDict):
    config: Union[Config, ConfigText]


class Envelope(EnvelopeRequired, total=False):
    overrides: List[str]
    env: Dict[str, str]
    labels: Dict[str, str]


class FormRequired(TypedDict):
    config: str


class Form(FormRequired, total=False):
    env_file: List[str]
    override: List[str]
    label: List[str]


class PlacementCandidatesItem(TypedDict):
    cluster: str
    answer: Literal['starts', 'takes', 'refused', 'silent', 'left_out', None]
    expected_start: TimeOrNull
    message: TextOrNull
    asked_at: TimeOrNull
    had: bool


class Placement(TypedDict):
    """How the choice of its cluster stands, where `execution.cluster` is a list of names or `any`. Each of them is
    asked at once (sbatch --test-only, as its account there, for connect_timeout_s at most), and it goes to the one
    where its first job would start first; where none says a time, to the first that would take it. While none would and
    one is silent, they are asked again. Once a job of it has started, it stays."""
    state: Literal['choosing', 'placed', 'withdrawing', 'leaving', 'settled']
    cluster: str
    target: TextOrNull
    placed_at: TimeOrNull
    move_after_s: CountOrNull
    expected_start: TimeOrNull
    started_at: TimeOrNull
    error_s: Optional[int]
    candidates: List[PlacementCandidatesItem]


class Counts(TypedDict):
    """Jobs, in all and in each state."""
    total: int
    queued: int
    submitting: int
    pending: int
    running: int
    resuming: int
    cancelling: int
    succeeded: int
    failed: int
    cancelled: int
    budget_exhausted: int


class Budget(TypedDict):
    """Run time of all attempts, in seconds; limit and remaining are null when it is unlimited."""
    limit_s: CountOrNull
    used_s: int
    remaining_s: CountOrNull


class Chain(TypedDict):
    """The series of Slurm jobs, its attempts, that carries one job under one walltime budget, or several that share a
    deployment."""
    id: ChainId
    jobs: List[JobId]
    state: JobState
    attempt: int
    slurm_job_id: TextOrNull
    budget: Budget

JobQueue = TypedDict('JobQueue', {
    'in': Literal['service', 'slurm'],
    'position': CountOrNull,
    'of': CountOrNull,
    'reason': TextOrNull,
    'count': CountOrNull,
    'limit': CountOrNull,
    'until': TimeOrNull,
    'expected_start': TimeOrNull,
})


class JobProgress(TypedDict):
    requests: int
    total: CountOrNull
    rate_per_s: Optional[float]
    eta_s: CountOrNull


class GpuUtilization(TypedDict):
    """Of the job's GPUs on the first node of its attempts, sampled each 10 s from when the servers were ready; null
    where nothing was sampled (no deployment, or no nvidia-smi on the node)."""
    mean: float
    below_10_percent: float


class JobExportDestinationsItem(TypedDict):
    name: str
    exit_code: int


class JobExport(TypedDict):
    state: Literal['pending', 'running', 'succeeded', 'failed', 'refused', 'unknown']
    slurm_job_id: TextOrNull
    reason: TextOrNull
    destinations: List[JobExportDestinationsItem]


class JobFields(TypedDict):
    warnings: List[str]
    id: JobId
    evaluation: EvaluationId
    task: str
    index: int
    user: str
    cluster: str
    model: str
    partition: TextOrNull
    account: TextOrNull
    gpus: CountOrNull
    state: JobState
    reason: TextOrNull
    waiting_on: TextOrNull
    queue: Optional[JobQueue]
    chain: ChainId
    slurm_job_id: TextOrNull
    attempt: int
    progress: Optional[JobProgress]
    gpu_utilization: Optional[GpuUtilization]
    budget: Budget
    reused_from: Optional[JobId]
    export: Optional[JobExport]
    observed_at: TimeOrNull
    created_at: Time
    started_at: TimeOrNull
    ended_at: TimeOrNull
    rundir: str


class Job(JobFields):
    pass


class ExpectedHours(TypedDict):
    """No more than these were used by half of the runs, and by nine tenths of them."""
    p50: float
    p90: float


class ExpectedSeconds(TypedDict):
    """Run time of all attempts together, likewise."""
    p50: int
    p90: int


class JobForecast(TypedDict):
    index: int
    task: str
    basis: Literal['equal', 'similar', 'task']
    runs: int
    gpu_hours: ExpectedHours
    duration_s: ExpectedSeconds


class Forecast(TypedDict):
    """What the jobs are expected to use, from the newest runs of each task and model that succeeded, 30 at most: by
    those that are equal, else similar, else of the same task. GPU hours are the sum over the jobs that are known; the
    duration is that of the longest, or, where they share a server, of all after each other. Time in queues does not
    count."""
    jobs_known: int
    gpu_hours: ExpectedHours
    duration_s: ExpectedSeconds
    jobs: List[JobForecast]


class EvaluationRequired(TypedDict):
    id: EvaluationId
    user: str
    cluster: str
    state: EvaluationState
    created_at: Time
    updated_at: Time
    labels: Dict[str, str]
    model: str
    config_hash: str
    images: List[str]
    placement: Optional[Placement]
    counts: Counts
    warnings: List[PlacedMessage]
    chains: List[Chain]
    jobs: List[Job]


class Evaluation(EvaluationRequired, total=False):
    forecast: Optional[Forecast]


class EvaluationListRequired(TypedDict):
    items: List[Evaluation]
    next: Cursor


class EvaluationList(EvaluationListRequired, total=False):
    total: int
    total_capped: bool


class SummaryRow(TypedDict):
    day: Optional[str]
    cluster: TextOrNull
    user: TextOrNull
    state: TextOrNull
    evaluations: int
    jobs: int


class FailureCount(TypedDict):
    cause: str
    jobs: int


class Summary(TypedDict):
    items: List[SummaryRow]
    failures: List[FailureCount]
    failures_capped: bool


class JobFailure(TypedDict):
    log: TextOrNull
    lines: List[str]
    advice: TextOrNull


class Attempt(TypedDict):
    """One Slurm job."""
    number: int
    jobs: List[JobId]
    slurm_job_id: TextOrNull
    slurm_state: TextOrNull
    exit_code: CountOrNull
    signal: CountOrNull
    nodes: TextOrNull
    submitted_at: TimeOrNull
    started_at: TimeOrNull
    ended_at: TimeOrNull
    elapsed_s: CountOrNull
    time_limit_s: int
    pending_reason: TextOrNull
    start_estimate: TimeOrNull
    withdrawn_at: TimeOrNull
    budget_remaining_s: CountOrNull

Change = TypedDict('Change', {
    'at': Time,
    'from': Optional[JobState],
    'to': JobState,
    'reason': TextOrNull,
})


class JobDetail(JobFields):
    placement: Optional[Placement]
    failure: Optional[JobFailure]
    attempts: List[Attempt]
    history: List[Change]


class JobListRequired(TypedDict):
    items: List[Job]
    next: Cursor


class JobList(JobListRequired, total=False):
    total: int
    total_capped: bool


class DryRunFile(TypedDict):
    path: str
    mode: str
    size: int
    content: Optional[str]


class DryRunJobRequired(TypedDict):
    task: str
    index: int
    container: str
    endpoint_type: str
    script: Optional[str]
    files: Optional[List[DryRunFile]]
    secrets: Optional[str]


class DryRunJob(DryRunJobRequired, total=False):
    reuse_candidate: Optional[JobId]


class ClusterCheckChecksItem(TypedDict):
    name: Literal['login', 'account', 'partition', 'output_dir', 'path', 'sbatch']
    ok: Optional[bool]
    message: str


class ClusterCheck(TypedDict):
    """With `check=cluster`. A cluster that cannot be reached has the check `login` alone, which is not ok."""
    checks: List[ClusterCheckChecksItem]
    start_estimate: TimeOrNull


class SharingSaving(TypedDict):
    """What one start of the model's servers for all tasks would save, in place of one a task: by the median of the runs
    that the forecast goes by, of those whose servers' start is known."""
    tasks: int
    set: Literal['execution.share_deployment=true']
    runs: int
    start_up_s: Optional[int]
    would_save_gpu_hours: Optional[float]
    text: str


class DryRunRequired(TypedDict):
    config: Dict[str, Any]
    cluster: TextOrNull
    rundir: str
    warnings: List[PlacedMessage]
    jobs: List[DryRunJob]
    placement: Optional[Placement]
    forecast: Optional[Forecast]
    sharing: Optional[SharingSaving]


class DryRun(DryRunRequired, total=False):
    cluster_check: ClusterCheck


class FileRequired(TypedDict):
    size: int
    modified_at: TimeOrNull


class File(FileRequired, total=False):
    escaped: bool


class LogFile(File):
    name: str
    kept_from: CountOrNull


class ArtifactFile(File):
    path: str


class LogList(TypedDict):
    items: List[LogFile]
    next: Cursor
    truncated: bool


class ArtifactList(TypedDict):
    items: List[ArtifactFile]
    next: Cursor
    truncated: bool

IntervalEnds = List[float]

Interval = Optional[IntervalEnds]

ScoreCheckpoint = TextOrNull

ScoreSubject = Optional[str]

ScoreHarness = TextOrNull

ScoreImage = TextOrNull

ScoreParams = Optional[Dict[str, Any]]

ScoreParamsHash = Optional[str]

ScoreProtocol = Optional[str]


class Score(TypedDict):
    evaluation: EvaluationId
    job: JobId
    user: str
    model: str
    state: JobState
    ended_at: TimeOrNull
    task: str
    group: bool
    metric: str
    score: str
    value: Optional[float]
    stderr: Optional[float]
    ci95: Interval
    count: CountOrNull
    checkpoint: ScoreCheckpoint
    subject: ScoreSubject
    harness: ScoreHarness
    image: ScoreImage
    params: ScoreParams
    params_hash: ScoreParamsHash
    protocol: ScoreProtocol

ScoreDiffers = List[Literal['checkpoint', 'server', 'endpoint', 'harness', 'image', 'params', 'request', 'judges', 'commands', 'environment', 'mounts', 'unknown']]


class ScoreValue(TypedDict):
    value: Optional[float]
    stderr: Optional[float]
    count: CountOrNull


class ScoreChange(TypedDict):
    task: str
    group: bool
    metric: str
    score: str
    before: Optional[ScoreValue]
    after: Optional[ScoreValue]


class ScoreRefreshCounts(TypedDict):
    added: int
    changed: int
    removed: int
    unchanged: int


class ScoreRefresh(TypedDict):
    job: JobId
    state: JobState
    partial: bool
    modified_at: TimeOrNull
    counts: ScoreRefreshCounts
    changes: List[ScoreChange]
    items: List[Score]


class ScoreMatrixColumnsItem(TypedDict):
    task: str
    group: bool
    metric: str
    score: str
    lower_is_better: bool
    harness: ScoreHarness
    image: ScoreImage
    params: ScoreParams
    params_hash: ScoreParamsHash
    protocol: ScoreProtocol
    differs: ScoreDiffers

ComparisonMethod = Literal['mcnemar_exact', 'paired_permutation', 'independent']

ComparisonVerdict = Literal['better', 'worse', 'no_difference_shown', 'inconclusive']


class ScoreCellRequired(TypedDict):
    value: Optional[float]
    stderr: Optional[float]
    ci95: Interval
    count: CountOrNull
    job: JobId
    ended_at: TimeOrNull


class ScoreCell(ScoreCellRequired, total=False):
    delta: Optional[float]
    delta_stderr: Optional[float]
    delta_ci95: Interval
    method: Optional[ComparisonMethod]
    p_adjusted: Optional[float]
    verdict: Optional[ComparisonVerdict]
    differs: ScoreDiffers


class ScoreMatrixRowsItem(TypedDict):
    model: str
    checkpoint: ScoreCheckpoint
    subject: ScoreSubject
    differs: ScoreDiffers
    baseline: bool
    cells: List[Optional[ScoreCell]]


class ScoreMatrix(TypedDict):
    baseline: TextOrNull
    columns: List[ScoreMatrixColumnsItem]
    rows: List[ScoreMatrixRowsItem]


class ComparisonSide(TypedDict):
    evaluation: Optional[EvaluationId]
    job: Optional[JobId]
    model: str


class ComparisonFlip(TypedDict):
    id: Optional[int]
    a: float
    b: float
    a_sample: str
    b_sample: str


class ComparisonFlipsRequired(TypedDict):
    better: int
    worse: int


class ComparisonFlips(ComparisonFlipsRequired, total=False):
    samples: List[ComparisonFlip]
    more: int


class ComparisonUnpaired(TypedDict):
    a: int
    b: int


class ComparisonFields(TypedDict):
    group: bool
    metric: str
    score: str
    a: Optional[float]
    b: Optional[float]
    difference: Optional[float]
    ci95: Interval
    pairs: int
    method: ComparisonMethod
    p: Optional[float]
    p_adjusted: Optional[float]
    detectable: Optional[float]
    lower_is_better: bool
    verdict: ComparisonVerdict
    unpaired: Optional[ComparisonUnpaired]
    flips: Optional[ComparisonFlips]
    a_job: JobId
    b_job: JobId
    differs: ScoreDiffers


class ComparisonItem(ComparisonFields):
    task: str


class ComparisonLeftover(TypedDict):
    task: str
    group: bool
    metric: str
    score: str
    job: JobId


class Comparison(TypedDict):
    a: ComparisonSide
    b: ComparisonSide
    items: List[ComparisonItem]
    only_a: List[ComparisonLeftover]
    only_b: List[ComparisonLeftover]

GateLevel = Literal['critical', 'supporting', 'advisory']


class GatePolicyRule(TypedDict, total=False):
    level: GateLevel
    drop: float
    least_pairs: int
    metric: str
    score: str


class GatePolicy(TypedDict, total=False):
    tasks: Dict[str, GatePolicyRule]
    default: GatePolicyRule


class GateRequest(TypedDict):
    baseline: str
    candidate: str
    policy: GatePolicy


class GateComparison(ComparisonFields):
    pass


class GateRule(TypedDict):
    task: str
    level: GateLevel
    drop: float
    least_pairs: int
    outcome: Literal['pass', 'fail', 'inconclusive']
    why: str
    comparison: Optional[GateComparison]


class Gate(TypedDict):
    verdict: Literal['pass', 'warn', 'block', 'inconclusive']
    baseline: ComparisonSide
    candidate: ComparisonSide
    rules: List[GateRule]

SampleOutcome = Literal['right', 'wrong', 'partial', 'unscored']


class Sample(TypedDict):
    number: int
    task: Optional[str]
    filter: Optional[str]
    id: Optional[int]
    repeat: int
    outcome: SampleOutcome
    values: Dict[str, Optional[float]]
    file: str
    line: int
    record: str


class SampleListStored(TypedDict):
    samples: int
    left_out: int
    unread_lines: int
    unread_files: int


class SampleList(TypedDict):
    items: List[Sample]
    next: Cursor
    stored: SampleListStored


class ScoreListBasis(TypedDict):
    """Of one job that has scores: all parts of their `subject` and `protocol`; a part of more than 2 KiB as its sha256,
    and a secret that a command refers to as a fingerprint. Null while it is not known."""
    subject: Dict[str, Any]
    protocol: Dict[str, Any]


class ScoreListRequired(TypedDict):
    items: List[Score]
    next: Cursor


class ScoreList(ScoreListRequired, total=False):
    basis: Optional[ScoreListBasis]


class Orphan(TypedDict):
    evaluation: EvaluationId
    run_directory: TextOrNull
    slurm_job_ids: List[str]
    live: bool
    user: TextOrNull
    identity: str
    since: Time
    found_at: Time
    adopted: bool
    outcome: Literal['adopted', 'gone', 'no_origin', 'other_service', 'unusable']
    why: TextOrNull


class OrphanList(TypedDict):
    looked_at: TimeOrNull
    items: List[Orphan]
    next: Cursor

EventKind = Literal['evaluation.submitted', 'evaluation.state', 'evaluation.ended', 'evaluation.placed', 'evaluation.adopted', 'job.state', 'job.cancel_requested', 'job.resume_requested', 'job.export', 'job.warning', 'attempt.submitted', 'attempt.started', 'attempt.ended', 'results.recorded', 'cluster.reachable', 'cluster.unreachable', 'identity.expiring', 'campaign.value_found', 'campaign.regression', 'campaign.ended']


class Event(TypedDict):
    """`data` by kind; every member is always there."""
    seq: int
    at: Time
    kind: EventKind
    user: TextOrNull
    evaluation: Optional[EvaluationId]
    job: Optional[JobId]
    data: Dict[str, Any]


class CampaignRegressionScore(TypedDict):
    task: str
    group: bool
    metric: str
    score: str
    a: Optional[float]
    b: Optional[float]
    difference: Optional[float]
    ci95: Interval
    method: ComparisonMethod
    p_adjusted: Optional[float]


class CampaignRegressionData(TypedDict):
    campaign: str
    name: str
    value: str
    step: CountOrNull
    reference: str
    reference_step: CountOrNull
    count: int
    scores: List[CampaignRegressionScore]

JobStateData = TypedDict('JobStateData', {
    'cluster': str,
    'model': str,
    'task': str,
    'index': int,
    'from': JobState,
    'to': JobState,
    'reason': TextOrNull,
    'waiting_on': TextOrNull,
    'attempt': int,
    'slurm_job_id': TextOrNull,
    'progress': Optional[JobProgress],
    'budget': Budget,
    'started_at': TimeOrNull,
    'ended_at': TimeOrNull,
})


class EventList(TypedDict):
    items: List[Event]
    next: int
    last: int

CampaignOrder = Literal['newest_first', 'listed']


class NewCampaignReady(TypedDict, total=False):
    """When a checkpoint is complete."""
    file: str
    quiet_s: int


class NewCampaignWatchRequired(TypedDict):
    cluster: str
    directory: str


class NewCampaignWatch(NewCampaignWatchRequired, total=False):
    """A directory on a cluster, as its checkpoints come: each that is complete becomes a value, its path, once. It is
    looked at as the campaign's maker is known there. Where people share the account, no run directory is, nor what
    leads to keys."""
    pattern: str
    ready: NewCampaignReady


class CampaignConvertRequired(TypedDict):
    image: str
    command: str


class CampaignConvert(CampaignConvertRequired, total=False):
    """What makes of a value, an absolute path, something that a server loads. It runs where the evaluations do
    (cluster, account, partition, `sbatch_extra_flags`, walltimes and rules of resuming are the config's unless they
    stand here), on one node, without GPUs unless it asks for some."""
    output: str
    env_vars: Dict[str, str]
    mounts: Dict[str, str]
    gpus: int
    gres: Optional[str]
    cpus: int
    walltime: str
    max_walltime: Optional[str]
    partition: str
    account: str
    auto_resume: Dict[str, Any]
    sbatch_extra_flags: Dict[str, Any]


class NewCampaignRequired(TypedDict):
    name: str
    config: Union[Config, ConfigText]
    parameter: str


class NewCampaign(NewCampaignRequired, total=False):
    """It has `values`, or a `watch`."""
    overrides: List[str]
    env: Dict[str, str]
    labels: Dict[str, str]
    values: List[str]
    watch: NewCampaignWatch
    live: int
    reuse: bool
    convert: CampaignConvert
    order: CampaignOrder
    baseline: str


class CampaignConversion(TypedDict):
    job: JobId
    state: str
    reason: TextOrNull
    waiting_on: TextOrNull

CampaignLabels = Dict[str, str]

CampaignState = Literal['active', 'paused', 'ended', 'cancelled']


class CampaignFields(TypedDict):
    id: str
    user: str
    name: str
    state: CampaignState
    reason: TextOrNull
    parameter: str
    order: CampaignOrder
    live: int
    reuse: bool
    convert: Optional[CampaignConvert]
    overrides: List[str]
    labels: CampaignLabels
    created_at: Time
    updated_at: Time


class CampaignSummary(CampaignFields):
    pass


class CampaignValue(TypedDict):
    value: str
    step: CountOrNull
    state: str
    waiting_on: TextOrNull
    conversion: Optional[CampaignConversion]
    evaluation: TextOrNull
    submitted_at: TimeOrNull
    error: TextOrNull


class CampaignReady(TypedDict):
    file: TextOrNull
    quiet_s: int


class CampaignEntry(TypedDict):
    name: str
    state: Literal['incomplete', 'settling', 'left_alone']
    why: str


class CampaignWatch(TypedDict):
    cluster: str
    directory: str
    pattern: str
    ready: CampaignReady
    looked_at: TimeOrNull
    reason: TextOrNull
    entries: List[CampaignEntry]
    entry_count: int


class CampaignPoint(TypedDict):
    step: CountOrNull
    value: Optional[float]
    ci95: Interval
    count: CountOrNull
    parameter_value: str
    evaluation: EvaluationId
    job: JobId
    regression: bool


class CampaignCurve(TypedDict):
    task: str
    group: bool
    metric: str
    score: str
    lower_is_better: bool
    points: List[CampaignPoint]


class Campaign(CampaignFields):
    watch: Optional[CampaignWatch]
    baseline: TextOrNull
    values: List[CampaignValue]
    curves: List[CampaignCurve]
    curves_truncated: bool


class CampaignList(TypedDict):
    items: List[CampaignSummary]
    next: Cursor

WebhookKinds = Optional[List[EventKind]]

WebhookScope = Literal['own', 'all']


class NewWebhookRequired(TypedDict):
    url: str


class NewWebhook(NewWebhookRequired, total=False):
    kinds: WebhookKinds
    scope: WebhookScope


class WebhookFields(TypedDict):
    id: str
    user: str
    url: str
    kinds: WebhookKinds
    scope: WebhookScope
    state: Literal['active', 'failing', 'disabled']
    disabled_reason: TextOrNull
    created_at: Time
    failing_since: TimeOrNull
    disabled_at: TimeOrNull


class Webhook(WebhookFields):
    pass


class MadeWebhook(WebhookFields):
    secret: Optional[str]


class WebhookList(TypedDict):
    items: List[Webhook]
    next: Cursor


class Delivery(TypedDict):
    seq: int
    event: Optional[int]
    kind: str
    state: Literal['pending', 'delivered', 'failed']
    happened_at: Time
    tries: int
    last_at: TimeOrNull
    next_at: TimeOrNull
    status: CountOrNull
    error: TextOrNull
    took_ms: CountOrNull


class DeliveryList(TypedDict):
    items: List[Delivery]
    next: Cursor

ClusterHealth = Literal['ok', 'failing', 'unknown']


class ClusterCredentials(TypedDict):
    """With what that account logs in; null where each person has his own (`GET /v1/identities`). `source`: a setting of
    `identity`. `expires_at`: of the certificate in a file, or that credential_command handed out last; null for never,
    or where there is none. `renewed_at`, `runs`: when the command last gave one, and how often it was run since the
    start. `error`: why there is none of use, or why its renewal fails. `warnings`: what may keep it from being of
    use."""
    source: Literal['key_file', 'agent', 'credential_command']
    expires_at: TimeOrNull
    renewed_at: TimeOrNull
    runs: int
    error: TextOrNull
    warnings: List[str]


class ClusterSessions(TypedDict):
    open: int
    busy: int
    max: int


class ClusterBreaker(TypedDict):
    state: str
    retry_in_s: int


class ClusterObservation(TypedDict):
    """How asking Slurm about the jobs goes; failures are counted in a row. accounting_error is sacct's, while squeue
    answers: jobs that squeue no longer has wait for it."""
    last_ok_at: TimeOrNull
    failures: int
    error: TextOrNull
    accounting_error: TextOrNull


class ClusterCapacity(TypedDict):
    """Nodes and GPUs in service that the account may see, neither down, drained nor reserved, and which of them are
    free now: no job is on the node, and nothing is planned there. Counted while jobs are observed, at most once a
    minute; null before the first time."""
    nodes: int
    free_nodes: int
    gpus: int
    free_gpus: int
    counted_at: Time


class Cluster(TypedDict):
    name: str
    hostname: str
    port: int
    identity: TextOrNull
    credentials: Optional[ClusterCredentials]
    active_identities: int
    state: Literal['active', 'draining']
    containers: Literal['pyxis', 'apptainer']
    health: ClusterHealth
    sessions: ClusterSessions
    breaker: ClusterBreaker
    last_ok_at: TimeOrNull
    last_error_at: TimeOrNull
    last_error: TextOrNull
    observation: ClusterObservation
    capacity: Optional[ClusterCapacity]
    queued: int
    handshakes: int
    execs: int
    poll_interval_s: int


class PreflightChecksItem(TypedDict):
    name: Literal['login', 'slurmctld', 'sbatch', 'accounting', 'pyxis', 'apptainer', 'clock', 'account', 'curl', 'output_dir', 'partition']
    ok: Optional[bool]
    message: str
    hint: TextOrNull


class Preflight(TypedDict):
    cluster: str
    identity: str
    ok: bool
    checks: List[PreflightChecksItem]


class Certificate(TypedDict):
    """What an OpenSSH user certificate says (ssh-keygen -L)."""
    type: str
    key_id: str
    serial: int
    principals: List[str]
    valid_after: TimeOrNull
    expires_at: TimeOrNull
    warnings: List[str]


class Identity(TypedDict):
    user: str
    cluster: str
    username: str
    public_key: str
    authorized_keys: str
    certificate: Optional[Certificate]
    expires_at: TimeOrNull
    state: Literal['unchecked', 'ok', 'refused', 'unreachable']
    error: TextOrNull
    instructions: str
    created_at: Time
    checked_at: TimeOrNull


class IdentityList(TypedDict):
    items: List[Identity]
    next: Cursor


class ClusterList(TypedDict):
    items: List[Cluster]
    next: Cursor


class Task(TypedDict):
    task: str
    harness: str
    container: str
    endpoint_types: List[str]


class TaskList(TypedDict):
    items: List[Task]
    next: Cursor

SignedInBy = Literal['token', 'oidc', 'proxy', 'account']

Role = Literal['viewer', 'user', 'admin']


class Whoami(TypedDict):
    user: str
    role: Role
    signed_in_by: SignedInBy
    expires_at: TimeOrNull

IssuerTokenKind = Literal['access_token', 'id_token']


class LoginIssuer(TypedDict):
    issuer: str
    client_id: Optional[str]
    scopes: List[str]
    token: IssuerTokenKind


class Login(TypedDict):
    oidc: Optional[LoginIssuer]


class AuditRow(TypedDict):
    seq: int
    at: Time
    last_at: Time
    count: int
    actor: str
    role: Optional[Role]
    signed_in_by: Optional[SignedInBy]
    source: str
    request_id: TextOrNull
    action: str
    target: TextOrNull
    cluster: TextOrNull
    outcome: Literal['ok', 'refused', 'failed']
    status: Optional[int]
    detail: TextOrNull


class UsageRowGpuSWaste(TypedDict):
    """What of `gpu_s` went to nothing; no second is in two of these."""
    start_up: int
    idle: int
    lost: int


class UsageRowRequired(TypedDict):
    gpu_s: int
    gpu_s_waste: UsageRowGpuSWaste
    run_s: int
    queue_s: int
    attempts: int
    jobs: int


class UsageRow(UsageRowRequired, total=False):
    """Has `user`, `cluster`, `model`, `task`, `month` and `label:KEY` where `by` names them."""
    user: str
    cluster: str
    model: str
    task: str
    month: str


class Quota(TypedDict):
    of: Literal['user', 'label', 'all']
    name: TextOrNull
    gpu_hours: int
    used_gpu_s: int
    until: Time


class Usage(TypedDict):
    items: List[UsageRow]
    quotas: List[Quota]


class AuditList(TypedDict):
    items: List[AuditRow]
    next: Cursor


class User(TypedDict):
    name: str
    role: Role
    created_at: Time
    suspended: bool
    oidc_subject: TextOrNull


class UserList(TypedDict):
    items: List[User]
    next: Cursor


class NewUser(TypedDict):
    name: str
    role: Role


class UserChange(TypedDict, total=False):
    role: Role
    suspended: bool
    oidc_subject: None


class TokenFields(TypedDict):
    id: int
    user: str
    role: Role
    label: str
    state: Literal['active', 'expired', 'revoked']
    created_at: Time
    expires_at: TimeOrNull
    last_used_at: TimeOrNull
    revoked_at: TimeOrNull


class Token(TokenFields):
    pass


class TokenList(TypedDict):
    items: List[Token]
    next: Cursor


class NewToken(TypedDict, total=False):
    user: str
    role: Role
    label: str
    expires_in: int
    expires_at: str


class MadeToken(TokenFields):
    token: Optional[str]


class SecretRequired(TypedDict):
    name: str
    scope: Literal['user', 'team']
    created_at: Time
    updated_at: Time


class Secret(SecretRequired, total=False):
    users: Optional[List[str]]
    hosts: Optional[List[str]]


class SecretList(TypedDict):
    items: List[Secret]
    next: Cursor


class SecretValueRequired(TypedDict):
    value: str


class SecretValue(SecretValueRequired, total=False):
    users: Optional[List[str]]
    hosts: Optional[List[str]]


class NewSession(TypedDict, total=False):
    """What to sign in with, one of the two."""
    token: str
    code: str


class SignInCode(TypedDict):
    """A link that signs in once."""
    code: str
    path: str
    expires_at: Time


class Session(TypedDict):
    """Who is signed in, and until when."""
    user: str
    role: Role
    expires_at: Time


class Health(TypedDict):
    status: Literal['ok']


class Readiness(TypedDict):
    ready: bool
    checks: Dict[str, str]
