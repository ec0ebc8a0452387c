"""Requests that are sent again while that does no harm, and event streams that come back where they broke off."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional, Union

import requests

from . import errors

CONNECT_TIMEOUT_S = 10
STREAM_SILENCE_S = 30  # a stream has a sign of life every 10 s
BUSY = (429, 502, 503, 504)
LONGEST_PAUSE_S = 30

Token = Union[str, Callable[[], str], None]


class Message(NamedTuple):
    """One message of an event stream. kind None: no message but a sign of life, or the stream's begin."""

    kind: Optional[str]
    data: str = ""
    id: Optional[str] = None


class _Bearer(requests.auth.AuthBase):
    """Also keeps requests from looking for a password in ~/.netrc."""

    def __init__(self, token: Token) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self.token() if callable(self.token) else self.token
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return request


class Transport:
    """Not for several threads at once: each makes its own."""

    def __init__(self, base: str, token: Token, timeout_s: float, patience_s: float, verify: Union[bool, str]) -> None:
        self.base = base.rstrip("/")
        self.timeout_s = timeout_s
        self.patience_s = patience_s
        self.session = requests.Session()
        self.session.auth = _Bearer(token)
        self.session.verify = verify

    def send(self, method: str, path: str, *, again: bool = True, **options: Any) -> requests.Response:
        """One reply, which is no error. again: the request does no harm when it comes twice, so it is repeated when no
        answer comes; when the service says that it is busy, any is."""
        deadline = time.monotonic() + self.patience_s
        options.setdefault("timeout", (CONNECT_TIMEOUT_S, self.timeout_s))
        tries = 0
        while True:
            tries += 1
            pause = min(0.5 * 2 ** min(tries, 6), LONGEST_PAUSE_S)
            try:
                reply = self.session.request(method, self.base + path, allow_redirects=False, **options)
            except (requests.ConnectionError, requests.Timeout) as error:
                if not again or time.monotonic() + pause > deadline:
                    raise errors.Unreachable(f"no answer from {self.base}: {error}") from error
            else:
                if reply.status_code < 300 or reply.status_code == 304:
                    return reply
                if reply.status_code in BUSY and (again or reply.status_code in (429, 503)):
                    wanted = reply.headers.get("Retry-After", "")
                    pause = float(wanted) if wanted.isdigit() else pause
                    if time.monotonic() + pause > deadline:
                        raise errors.from_reply(reply.status_code, _problem(reply))
                    reply.close()
                else:
                    raise errors.from_reply(reply.status_code, _problem(reply))
            time.sleep(pause)

    def messages(self, path: str, params: Dict[str, Any], last: Optional[str] = None) -> Iterator[Message]:
        """An event stream without an end: it is opened again, behind the last message, whenever it breaks off. Raises when
        the service refuses, or cannot be reached for `patience_s`."""
        while True:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last is not None else {})}
            with self.send("GET", path, params=params, headers=headers, stream=True,
                           timeout=(CONNECT_TIMEOUT_S, STREAM_SILENCE_S)) as reply:
                yield Message(None)
                try:
                    for message in _parse(reply):
                        last = message.id if message.id is not None else last
                        yield message
                except requests.RequestException:
                    pass  # it broke off
            time.sleep(0.5)


def _problem(reply: requests.Response) -> Dict[str, Any]:
    try:
        problem = reply.json()
        if isinstance(problem, dict):
            return problem
    except (ValueError, requests.RequestException):
        pass
    return {"detail": f"{reply.url} sent no problem document; is this the address of nel-slurmd?"}


def _parse(reply: requests.Response) -> Iterator[Message]:
    kind, data, identity, lines = "message", [], None, 0  # type: str, list[str], Optional[str], int
    for raw in reply.iter_lines(chunk_size=None if getattr(reply.raw, "chunked", False) else 1):
        line = raw.decode("utf-8", "replace")
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if not line:
            yield Message(kind, "\n".join(data), identity) if lines else Message(None)
            kind, data, identity, lines = "message", [], None, 0
        elif name == "data":
            data.append(value)
            lines += 1
        elif name == "event":
            kind = value
        elif name == "id":
            identity = value
