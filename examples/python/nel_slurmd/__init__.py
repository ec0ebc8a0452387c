"""A client of nel-slurmd: submits language-model evaluations, waits for them, reads their scores.

    from pathlib import Path
    from nel_slurmd import Client

    with Client() as nel:
        evaluation = nel.submit(Path("config.yaml"), overrides=["execution.walltime=02:00:00"])
        nel.wait(evaluation["id"], check=True)
        print(nel.results_frame(evaluation=evaluation["id"]))
"""

from .client import Client, describe
from .errors import (ApiError, Busy, ClusterError, Conflict, EvaluationEnded, Forbidden, Invalid, NelError, NotFound, NotUnderstood,
                     Unauthorized, Unreachable)

__all__ = ["ApiError", "Busy", "Client", "ClusterError", "Conflict", "EvaluationEnded", "Forbidden", "Invalid", "NelError",
           "NotFound", "NotUnderstood", "Unauthorized", "Unreachable", "describe"]
