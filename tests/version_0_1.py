"""What version 0.1 would have left of a study's folder."""

import json
from pathlib import Path

from mfcl.evaluation.result import NETWORK, OTHER_NOISE, SPREAD
from mfcl.studies.representations import BASELINES

COLUMNS = (
    "table", "task", "representation", "metric", "value", "low", "high", "n", "x", "seed", "seconds", "command",
)  # fmt: skip
FIELDS_OF_A_PICTURE = ("kind", "variant", "format", "part")


def grow_old(out: Path) -> None:
    """Leave of a study's folder what version 0.1 would have written."""
    for path in (out / "parts").glob("*.json"):
        answer = json.loads(path.read_text())
        answer["rows"] = [{key: row[key] for key in COLUMNS if key != "command"} for row in _old(answer["rows"])]
        for entries in answer["pictures"].values():
            for entry in entries:
                for key in FIELDS_OF_A_PICTURE:
                    del entry[key]
        path.write_text(json.dumps(answer))
    for path in (out / "parts").glob("*.npz"):
        path.unlink()
    for name in BASELINES:
        for path in (out / "embeddings").glob(f"{name.replace(' ', '-')}-seed*"):
            path.rename(path.with_name(f"control-seed{path.name.rpartition('-seed')[2]}"))
    rows = json.loads((out / "results.json").read_text())
    (out / "results.json").write_text(json.dumps([{key: row[key] for key in COLUMNS} for row in _old(rows)]))
    for name in ("summaries.json", "differences.json", "report.html"):
        (out / name).unlink()


def _old(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Leave out what version 0.1 did not ask: labels spread or in all, a network's own answers, pink noise, babble."""
    return [
        row
        for row in rows
        if row["probe"] != SPREAD
        and row["labels_in_all"] is None
        and row["condition"] not in OTHER_NOISE
        and not (row["table"] == "labels" and row["probe"] == NETWORK)
    ]
