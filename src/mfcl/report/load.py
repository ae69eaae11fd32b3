"""What a study left in its folder, read for the report."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfcl.errors import MfclError

FIELDS = (
    *("table", "task", "representation", "metric", "value", "low", "high", "n"),
    *("x", "seed", "seconds", "command"),
)
"""The columns of `results.json` and `results.csv`, in order."""

PICTURES: dict[str, tuple[str, ...]] = {
    "maps": ("representation", "seed", "ids", "x", "y"),
    "confusions": ("representation", "classes", "counts"),
    "groups": ("representation", "names", "accuracy", "n"),
    "det": ("representation", "seed", "clips", "false_accept", "false_reject", "eer"),
    "training": ("run", "seed", "epochs"),
}
"""Kind of picture -> what each of its kind must have."""

METHOD = ("id", "seconds", "bands", "mel")
"""What the picture of the method must have."""


@dataclass(frozen=True)
class Figure:
    """One row of `results.json`: one figure of one seed.

    Attributes:
        table: What kind of question, such as `labels` or `voices`.
        task: What was asked.
        representation: What was asked about.
        metric: What the value is, such as `accuracy` (percent) or `min_dcf` (0 to 1).
        value: The figure.
        low: Lower end of the 95 % interval, none where there is no interval.
        high: Upper end.
        n: Test items or pairs behind it.
        x: Its place on a chart's horizontal axis, none where it has none.
        seed: Of the weights, the draws and the bootstrap.
        seconds: To make the representation.
        command: What to type to have it again.
    """

    table: str
    task: str
    representation: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int | None
    x: float | None
    seed: int
    seconds: float | None
    command: str


@dataclass(frozen=True)
class Study:
    """A study as its folder holds it.

    Attributes:
        folder: Where it is.
        figures: Every row of `results.json`.
        pictures: `pictures.json`, empty where there is none.
        about: `about.json`.
    """

    folder: Path
    figures: tuple[Figure, ...]
    pictures: dict[str, Any]
    about: dict[str, Any]

    def pictured(self, name: str) -> list[dict[str, Any]]:
        """Return the pictures of one kind, none where the study made none."""
        return list(self.pictures.get(name) or [])

    @property
    def label(self) -> str | None:
        """What was told apart, such as `digit`."""
        return self.about.get("label") or None

    @property
    def speaker(self) -> str | None:
        """The label that names the voice."""
        return self.about.get("speaker") or None


def read_study(folder: Path) -> Study:
    """Read a study's folder; `pictures.json` may be missing.

    Raises:
        MfclError: no study there, or files that are not a study's.
    """
    figures = _json(folder / "results.json")
    about = _json(folder / "about.json")
    pictures = _json(folder / "pictures.json") if (folder / "pictures.json").is_file() else {}
    if not isinstance(figures, list) or not isinstance(about, dict) or not isinstance(pictures, dict):
        raise MfclError(f"{folder}: its JSON files are not those of a study; run `mfcl study` again")
    _check_pictures(pictures, folder / "pictures.json")
    rows = tuple(_figure(row, f"{folder / 'results.json'}, row {place}") for place, row in enumerate(figures, start=1))
    return Study(folder, rows, pictures, about)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise MfclError(f"{path}: cannot be read ({reason}); run `mfcl study` with --out {path.parent}") from error
    except ValueError as error:
        raise MfclError(f"{path}: not JSON ({error}); run `mfcl study` again") from error


def _check_pictures(pictures: dict[str, Any], path: Path) -> None:
    """Refuse pictures that lack what is drawn; a kind may be missing or empty."""
    wanted = [(kind, one, names) for kind, names in PICTURES.items() for one in pictures.get(kind) or []]
    wanted += [("method", pictures["method"], METHOD)] if pictures.get("method") else []
    for kind, one, names in wanted:
        missing = [name for name in names if not isinstance(one, dict) or name not in one]
        if missing:
            raise MfclError(f"{path}: {kind} without {missing[0]!r}; run `mfcl study` again")


def _figure(row: Any, where: str) -> Figure:
    optional = ("x", "low", "high", "n", "seconds")
    missing = [name for name in FIELDS if name not in optional and (not isinstance(row, dict) or name not in row)]
    if missing:
        raise MfclError(f"{where}: {missing[0]!r} is missing; run `mfcl study` again")
    try:
        return Figure(
            str(row["table"]),
            str(row["task"]),
            str(row["representation"]),
            str(row["metric"]),
            _number(row["value"]),
            _optional(row.get("low")),
            _optional(row.get("high")),
            None if row.get("n") is None else int(row["n"]),
            _optional(row.get("x")),
            int(row["seed"]),
            _optional(row.get("seconds")),
            str(row["command"]),
        )
    except (TypeError, ValueError) as error:
        raise MfclError(f"{where}: a figure is no number ({error}); run `mfcl study` again") from error


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is not finite")
    return number


def _optional(value: Any) -> float | None:
    return None if value is None else _number(value)
