"""The service as an object: submit, wait, watch, read."""

from __future__ import annotations

import base64
import json
import os
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Union, cast
from urllib.parse import quote

import requests
from tqdm.auto import tqdm

from . import errors, tables
from .models import (ArtifactFile, Cluster, Comparison, DryRun, Evaluation, Event, Gate, GatePolicy, Job, JobDetail, LogFile, PlacedMessage, Score, ScoreMatrix,
                     Whoami)
from .transport import CONNECT_TIMEOUT_S, Token, Transport

if TYPE_CHECKING:
    import pandas

ENDED = ("succeeded", "failed", "cancelled")
LOOK_AGAIN_S = 1.0  # while an evaluation's jobs change

Config = Union[Mapping[str, Any], str, "os.PathLike[str]"]


class Client:
    """nel-slurmd at `url` (NEL_URL), as the person whose `token` it is (NEL_TOKEN, else the file ~/.config/nel/token, or
    what NEL_TOKEN_FILE names; a function is asked before each request). `patience_s`: for so long a request that can be
    repeated is, when the service does not answer or is busy. One client is for one thread."""

    def __init__(self, url: Optional[str] = None, token: Token = None, *, timeout_s: float = 60, patience_s: float = 60,
                 verify: Union[bool, str] = True) -> None:
        base = url or os.environ.get("NEL_URL") or ""
        if not base.startswith(("http://", "https://")):
            raise errors.NelError(f"the service's address must begin with http:// or https://, not {base!r}: give url, or set NEL_URL")
        self._http = Transport(base, token if token is not None else _own_token(), timeout_s, patience_s, verify)

    def close(self) -> None:
        self._http.session.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- submit ---

    def submit(self, config: Config, *, overrides: Sequence[str] = (), env: Optional[Mapping[str, str]] = None,
               labels: Optional[Mapping[str, str]] = None, tasks: Sequence[str] = (), strict: bool = False,
               reuse: bool = False, key: Optional[str] = None) -> Evaluation:
        """Stores a config's evaluation, to be run. config: a mapping, the path of a file as a Path, or YAML or JSON text.
        overrides: as the launcher's `-o`. env: secrets that the config names. tasks: only these. reuse: a job takes the scores of an
        equal one, of the same checkpoint, where there is one. key: an idempotency key
        of your own; what is sent twice with one key is run once. What is wrong with the config raises Invalid."""
        body = _envelope(config, overrides, env, labels)
        params: Dict[str, Any] = {"task": list(tasks), **({"strict": "true"} if strict else {}),
                                  **({"reuse": "true"} if reuse else {})}
        reply = self._http.send("POST", "/v1/evaluations", params=params, json=body,
                                headers={"Idempotency-Key": key or str(uuid.uuid4())})
        return cast(Evaluation, reply.json())

    def dry_run(self, config: Config, *, overrides: Sequence[str] = (), env: Optional[Mapping[str, str]] = None,
                tasks: Sequence[str] = (), strict: bool = False, reuse: bool = False, check_cluster: bool = False) -> DryRun:
        """What submit() would run: the resolved config, each run.sub, warnings. check_cluster: the cluster is asked, too."""
        params: Dict[str, Any] = {"dry_run": "true", "task": list(tasks), **({"strict": "true"} if strict else {}),
                                  **({"reuse": "true"} if reuse else {}),
                                  **({"check": "cluster"} if check_cluster else {})}
        return cast(DryRun, self._http.send("POST", "/v1/evaluations", params=params,
                                            json=_envelope(config, overrides, env, None)).json())

    def cancel(self, id: str) -> None:
        """Ends an evaluation, or the job whose id it is."""
        self._http.send("POST", f"{_path(id)}/cancel")

    def resume(self, id: str, *, reset_budget: bool = False, env: Optional[Mapping[str, str]] = None) -> None:
        """Goes on with what did not succeed. env: secrets anew, for those of an ended evaluation are forgotten."""
        body: Dict[str, Any] = {"reset_budget": reset_budget, **({"env": dict(env)} if env else {})}
        self._http.send("POST", f"{_path(id)}/resume", again=False, json=body)

    # --- look ---

    def whoami(self) -> Whoami:
        return cast(Whoami, self._get("/v1/whoami"))

    def clusters(self) -> List[Cluster]:
        return [cast(Cluster, item) for item in self._get("/v1/clusters")["items"]]

    def evaluation(self, id: str) -> Evaluation:
        return cast(Evaluation, self._get(f"/v1/evaluations/{quote(id, safe='')}"))

    def job(self, id: str) -> JobDetail:
        return cast(JobDetail, self._get(f"/v1/jobs/{quote(id, safe='')}"))

    def evaluations(self, **filters: Any) -> Iterator[Evaluation]:
        """Newest first; filters as openapi.yaml has them: state, user, cluster, task, model, label ("key:value", or a list
        of these), since, until, like."""
        return cast(Iterator[Evaluation], self._items("/v1/evaluations", filters))

    def jobs(self, **filters: Any) -> Iterator[Job]:
        return cast(Iterator[Job], self._items("/v1/jobs", filters))

    # --- wait and watch ---

    def wait(self, id: str, *, progress: Union[bool, Callable[[Evaluation], None]] = True, timeout_s: Optional[float] = None,
             check: bool = False) -> Evaluation:
        """The evaluation, when it has ended; what happens meanwhile comes by its events. progress: a bar, or a function
        that is called with each newer state. check: raises EvaluationEnded unless it succeeded. timeout_s: raises
        TimeoutError after it (to within 10 s); the evaluation goes on."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        bar = _Bar() if progress is True else None
        looked = 0.0
        try:
            for message in self._http.messages("/v1/events", {"evaluation": id}):
                if message.kind and not message.kind.startswith("evaluation.") and time.monotonic() < looked + LOOK_AGAIN_S:
                    continue
                evaluation = self.evaluation(id)
                looked = time.monotonic()
                if bar:
                    bar.show(evaluation)
                elif callable(progress):
                    progress(evaluation)
                if evaluation["state"] in ENDED:
                    if check and evaluation["state"] != "succeeded":
                        raise errors.EvaluationEnded(evaluation)
                    return evaluation
                if deadline is not None and looked > deadline:
                    raise TimeoutError(f"evaluation {id} is {evaluation['state']} after {timeout_s} s")
        finally:
            if bar:
                bar.close()
        raise AssertionError("the events have no end")

    def events(self, *, after: Optional[int] = None, **filters: Any) -> Iterator[Event]:
        """Events as they come, each once, without an end, over any break of the connection. after: the number of the last
        one that is known (0: from the beginning); without it, from now on. filters: evaluation, job, user, cluster, kind,
        state."""
        last = None if after is None else str(after)
        for message in self._http.messages("/v1/events", filters, last):
            if message.kind and message.data:
                event = json.loads(message.data)
                if "seq" in event:  # not the word that old events are gone
                    yield cast(Event, event)

    def logs(self, job: str) -> List[LogFile]:
        return [cast(LogFile, item) for item in self._get(f"{_job(job)}/logs")["items"]]

    def log(self, job: str, name: str = "client-current.log", *, tail: Optional[int] = None) -> str:
        """A log, or its last lines; bytes that are no UTF-8 show as U+FFFD."""
        params = {} if tail is None else {"tail": tail}
        content: bytes = self._http.send("GET", f"{_job(job)}/logs/{quote(name, safe='')}", params=params).content
        return content.decode("utf-8", "replace")

    def follow_log(self, job: str, name: str = "client-current.log", *, tail: Optional[int] = None) -> Iterator[str]:
        """A log's text as it grows, to the job's end, over breaks of the connection and further attempts."""
        params: Dict[str, Any] = {"follow": "true", **({} if tail is None else {"tail": tail})}
        for message in self._http.messages(f"{_job(job)}/logs/{quote(name, safe='')}", params):
            if message.kind == "end":
                return
            if not message.kind or not message.data:
                continue
            part = json.loads(message.data)
            if "text" in part:
                yield part["text"]
            elif "base64" in part:
                yield base64.b64decode(part["base64"]).decode("utf-8", "replace")

    # --- artifacts and scores ---

    def artifacts(self, job: str, *, prefix: str = "") -> List[ArtifactFile]:
        return [cast(ArtifactFile, item) for item in self._get(f"{_job(job)}/artifacts", {"prefix": prefix} if prefix else {})["items"]]

    def download(self, job: str, path: str, to: Union[str, "os.PathLike[str]"]) -> Path:
        """One artifact into the file `to`, which appears when it is whole. A transfer that breaks off goes on where it was."""
        target = Path(to)
        part = target.with_name(target.name + ".part")
        url = f"{_job(job)}/artifacts/{quote(path)}"
        tag = ""
        failed_since: Optional[float] = None
        with open(part, "wb") as file:
            while True:
                began = file.tell()
                headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={began}-", "If-Range": tag} if tag and began else {})}
                with self._http.send("GET", url, headers=headers, stream=True,
                                     timeout=(CONNECT_TIMEOUT_S, self._http.timeout_s)) as reply:
                    if reply.status_code != 206:  # all of it: it has changed, or this is the first try
                        file.seek(0)
                        file.truncate()
                        began = 0
                    tag = reply.headers.get("ETag", "")
                    whole = _copy(reply, file)
                if whole:
                    break
                now = time.monotonic()
                failed_since = now if failed_since is None or file.tell() > began else failed_since
                if now - failed_since > self._http.patience_s:
                    raise errors.Unreachable(f"the transfer of {path} breaks off again and again")
                time.sleep(0.5)
        part.replace(target)
        return target

    def results(self, **filters: Any) -> Iterator[Score]:
        """Scores; filters as openapi.yaml has them: evaluation, task, metric, model, label, user, latest=True, ..."""
        return cast(Iterator[Score], self._items("/v1/results", filters))

    def results_frame(self, **filters: Any) -> pandas.DataFrame:
        """The same as a DataFrame, a row a score. Wants pandas."""
        return tables.scores(self.results(**filters))

    def matrix(self, *, baseline: Optional[str] = None, **filters: Any) -> ScoreMatrix:
        """The latest scores, models by tasks; with a baseline, differences to it."""
        params = {**filters, "form": "matrix", **({"baseline": baseline} if baseline else {})}
        return cast(ScoreMatrix, self._get("/v1/results", params))

    def matrix_frame(self, *, baseline: Optional[str] = None, **filters: Any) -> pandas.DataFrame:
        """The matrix's values as a DataFrame. Wants pandas."""
        return tables.matrix(self.matrix(baseline=baseline, **filters))

    def compare(self, a: str, b: str) -> Comparison:
        """Is b better? Score by score, with a test. Each is an evaluation's or a job's id, or "model:NAME"."""
        return cast(Comparison, self._get("/v1/compare", {"a": a, "b": b}))

    def gate(self, baseline: str, candidate: str, policy: GatePolicy) -> Gate:
        """May the candidate take the baseline's place? `verdict` says pass, warn, block or inconclusive."""
        body = {"baseline": baseline, "candidate": candidate, "policy": policy}
        return cast(Gate, self._http.send("POST", "/v1/gates", json=body).json())

    # --- beneath ---

    def _get(self, path: str, params: Optional[Mapping[str, Any]] = None) -> Any:
        return self._http.send("GET", path, params=_words(params or {})).json()

    def _items(self, path: str, filters: Mapping[str, Any]) -> Iterator[Any]:
        params: Dict[str, Any] = {"limit": 500, **filters}
        while True:
            page = self._get(path, params)
            yield from page["items"]
            if not page["next"]:
                return
            params["cursor"] = page["next"]


def _copy(reply: requests.Response, file: BinaryIO) -> bool:
    """Whether all of a reply's body came."""
    reply.raw.enforce_content_length = False  # urllib3 2 drops with its exception what has come
    try:
        for chunk in reply.iter_content(1 << 18):
            file.write(chunk)
    except requests.RequestException:
        return False
    length = reply.headers.get("Content-Length")
    return length is None or int(length) <= int(reply.raw.tell())


class _Bar:
    """Jobs that have ended, of all; and what the others do."""

    def __init__(self) -> None:
        self.bar: Optional[tqdm[Any]] = None

    def show(self, evaluation: Evaluation) -> None:
        counts = cast(Dict[str, int], evaluation["counts"])
        ended = sum(counts[state] for state in ("succeeded", "failed", "cancelled", "budget_exhausted"))
        if self.bar is None:
            self.bar = tqdm(total=counts["total"], unit="job", desc=evaluation["id"])
        requests_done = sum(job["progress"]["requests"] for job in evaluation["jobs"] if job["progress"])
        words = [f"{counts[state]} {state}" for state in counts if state != "total" and counts[state]]
        self.bar.n = ended
        self.bar.set_postfix_str(", ".join(words + ([f"{requests_done} requests"] if requests_done else [])))

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def _own_token() -> Optional[str]:
    token = os.environ.get("NEL_TOKEN", "").strip()
    if token:
        return token
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    file = Path(os.environ.get("NEL_TOKEN_FILE") or home / "nel/token")
    if not file.exists():
        return None
    if file.stat().st_mode & 0o077:
        raise errors.NelError(f"others may read {file}: chmod 600 it, and get a new token")
    return file.read_text().strip()


def _envelope(config: Config, overrides: Sequence[str], env: Optional[Mapping[str, str]],
              labels: Optional[Mapping[str, str]]) -> Dict[str, Any]:
    if isinstance(overrides, str):
        raise TypeError("overrides is a list of texts, not one text")
    if isinstance(config, str):
        if "\n" not in config and ":" not in config:
            raise TypeError(f"{config!r} is no config; for the file of that name give pathlib.Path({config!r})")
        whole: Any = config
    elif isinstance(config, Mapping):
        whole = dict(config)
    else:
        whole = Path(config).read_text(encoding="utf-8-sig")
    body: Dict[str, Any] = {"config": whole, "overrides": list(overrides)}
    if env:
        body["env"] = dict(env)
    if labels:
        body["labels"] = dict(labels)
    return body


def _path(id: str) -> str:
    return f"/v1/{'jobs' if '.' in id else 'evaluations'}/{quote(id, safe='')}"


def _job(id: str) -> str:
    """The path of a job; an evaluation's id stands for its first."""
    return f"/v1/jobs/{quote(id if '.' in id else id + '.0', safe='')}"


def _words(params: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in params.items()}


def describe(messages: Sequence[PlacedMessage]) -> str:
    """Warnings or mistakes, a line each."""
    return "\n".join(errors.placed(message) for message in messages)
