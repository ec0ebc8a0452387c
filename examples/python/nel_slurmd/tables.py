"""Scores as DataFrames. pandas is imported here, when a table is asked for, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable

from .errors import NelError

if TYPE_CHECKING:
    import pandas

    from .models import Score, ScoreMatrix


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise NelError("tables want pandas: pip install 'nel-slurmd-client[pandas]'") from error
    return pandas


def scores(items: Iterable[Score]) -> pandas.DataFrame:
    """A row a score, a column a field, ended_at as a time."""
    pd = _pandas()
    from .models import Score
    columns = list(Score.__annotations__)
    frame = pd.DataFrame([[item.get(column) for column in columns] for item in items], columns=columns)
    frame["ended_at"] = pd.to_datetime(frame["ended_at"], utc=True)
    return frame


def matrix(table: ScoreMatrix) -> pandas.DataFrame:
    """A row a model, a column a task, values; with a baseline, a column `TASK difference` beside each."""
    pd = _pandas()
    names = [_named(column["task"], column["protocol"], column["differs"]) for column in table["columns"]]
    rows = {}
    for row in table["rows"]:
        values = {}
        for name, cell in zip(names, row["cells"]):
            values[name] = cell["value"] if cell else None
            if table["baseline"] is not None:
                values[f"{name} difference"] = cell.get("delta") if cell else None
        rows[_named(row["model"], row["subject"], row["differs"])] = values
    return pd.DataFrame.from_dict(rows, orient="index")


def _named(name: str, identity: Any, differs: Any) -> str:
    """Unlike ones of one name are told apart by the beginning of their hash."""
    return f"{name} [{str(identity)[:6]}]" if differs else name
