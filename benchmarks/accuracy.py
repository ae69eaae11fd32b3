"""Time to accuracy: seconds of training until the live figure of validation recordings passes a mark."""

import json
import tempfile
from pathlib import Path
from typing import Any

from mfcl.data.dataset import open_data
from mfcl.recipe import load_recipe
from mfcl.training.api import pretrain

MARKS = (90.0, 95.0, 97.0)
FIGURE = "valid_knn"


def measure(*, data: Path | None = None, tiny: bool = False, recipe: str = "default") -> dict[str, Any]:
    """Train and return the seconds at which `valid_knn`, the live 5-NN of validation recordings, passed each mark."""
    if data is None:
        return {"said": "no --data was given"}
    chosen = load_recipe(recipe, ["train.epochs=1", "train.batch=8"] if tiny else [])
    with tempfile.TemporaryDirectory() as folder:
        opened = open_data(data, chosen.preparation, cache=Path(folder) / "cache", progress=False)
        pretrain(opened, chosen, Path(folder) / "run", seed=0, progress=False)
        lines = (Path(folder) / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    seconds, best, passed = 0.0, 0.0, dict.fromkeys(map(str, MARKS))
    for line in map(json.loads, lines):
        seconds = line.get("seconds", seconds)
        best = max(best, line.get(FIGURE, 0.0))
        passed = {mark: at if at is not None or best < float(mark) else seconds for mark, at in passed.items()}
    return {"figure": FIGURE, "best": best, "seconds": seconds, "passed_at": passed}


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    if "said" in found:
        return [("time to accuracy", found["said"])]
    lines = [
        (
            f"seconds of training until {FIGURE} passes {mark} %",
            f"{at:.0f}" if at else f"never; best {found['best']:.1f}",
        )
        for mark, at in found["passed_at"].items()
    ]
    return [*lines, ("seconds of training in all", f"{found['seconds']:.0f}")]
