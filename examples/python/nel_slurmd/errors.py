"""What can go wrong, as exceptions. Decide on the class, or on `status`; never on words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional

if TYPE_CHECKING:
    from .models import Evaluation, PlacedMessage


class NelError(Exception):
    """Of all that this package raises itself."""


class Unreachable(NelError):
    """The service did not answer, for as long as `patience_s` says."""


class ApiError(NelError):
    """The service refused. `errors` has each mistake of a config with its pointer and, where it is known, line and column;
    `request_id` is in the service's log and audit."""

    def __init__(self, status: int, problem: Dict[str, Any]) -> None:
        self.status = status
        self.title: str = problem.get("title") or "the service answers"
        self.detail: str = problem.get("detail") or ""
        self.request_id: Optional[str] = problem.get("request_id")
        self.errors: List[PlacedMessage] = problem.get("errors") or []
        self.warnings: List[PlacedMessage] = problem.get("warnings") or []
        lines = [f"{self.title} ({status}): {self.detail}"] + [f"  {placed(error)}" for error in self.errors]
        super().__init__("\n".join(lines))


class NotUnderstood(ApiError):
    """400, 413, 415: a parameter, field or body that the service does not know or take."""


class Unauthorized(ApiError):
    """401: the token is missing, unknown or has ended."""


class Forbidden(ApiError):
    """403: this person may not."""


class NotFound(ApiError):
    """404: there is no such thing."""


class Conflict(ApiError):
    """409: not in this state."""


class Invalid(ApiError):
    """422: understood, and wrong; `errors` says where."""


class Busy(ApiError):
    """429 or 503: come again later; raised when that did not help for `patience_s`."""


class ClusterError(ApiError):
    """502 or 504: the cluster behind the service does not answer."""


class EvaluationEnded(NelError):
    """From wait(check=True): it ended without success."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        lines = [f"  {job['id']} {job['task']}: {job['state']}: {job['reason'] or 'no reason is known'}"
                 for job in evaluation["jobs"] if job["state"] != "succeeded"]
        super().__init__("\n".join([f"evaluation {evaluation['id']} {evaluation['state']}", *lines]))


def placed(message: PlacedMessage) -> str:
    """One mistake or warning of a config as a line."""
    place = f"line {message['line']}, column {message['column']}: " if message["line"] else ""
    pointer = f"{message['pointer']}: " if message["pointer"] else ""
    return place + pointer + message["message"]


CLASSES = {400: NotUnderstood, 401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 413: NotUnderstood, 415: NotUnderstood,
           422: Invalid, 429: Busy, 502: ClusterError, 503: Busy, 504: ClusterError}


def from_reply(status: int, problem: Dict[str, Any]) -> ApiError:
    return CLASSES.get(status, ApiError)(status, problem)
