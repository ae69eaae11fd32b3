"""The record of a run: a folder that says what was run, on what, where, and how it went."""

import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tqdm import tqdm

import mfcl
from mfcl.checkpoint import FILES as MODEL
from mfcl.core.files import write_json, write_text
from mfcl.errors import CheckpointError, TrainingError

BEGUN = ("config.yaml", "data.json", "environment.json")
FILES = (*BEGUN, "metrics.jsonl", "train.log")
STATES = ("state.safetensors", "state.previous.safetensors")


class Journal:
    """The files of a run folder that a person reads.

    `config.yaml` holds every choice, `data.json` the data's fingerprint, `environment.json` the machine as it was at
    the start, `metrics.jsonl` the figures and `train.log` what was said. Only the main process writes.
    """

    def __init__(self, run: Path, *, writes: bool = True, shown: bool = True) -> None:
        self.run, self.writes, self.shown = run, writes, shown

    def open(
        self,
        config: Mapping[str, Any],
        data: Mapping[str, Any],
        environment: Mapping[str, Any],
        *,
        resume: bool,
        overwrite: bool,
    ) -> None:
        """Begin a run, or make sure that the run in the folder is this one.

        Args:
            config: Every choice.
            data: What it is trained on.
            environment: The machine; kept as it was when a run goes on.
            resume: Go on with a run; one that has not got as far as writing this down is begun.
            overwrite: Delete the files of an earlier run, and no others.

        Raises:
            CheckpointError: the folder is in use and neither is asked, or holds another run than this one.
        """
        used = self.run.exists() and (not self.run.is_dir() or any(self.run.iterdir()))
        if resume and all((self.run / name).exists() for name in BEGUN):
            self.check(config, data)
            return
        if used and not resume and not overwrite:
            raise CheckpointError(
                f"{self.run}: wanted a new or empty run folder, found something there; "
                "go on with it (--resume), replace it (--overwrite) or choose another"
            )
        for name in (*FILES, *STATES, *(f"model/{name}" for name in MODEL)):
            (self.run / name).unlink(missing_ok=True)
        write_text(self.run / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False))
        write_json(self.run / "data.json", data)
        write_json(self.run / "environment.json", environment)

    def check(self, config: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Refuse to continue a run with other choices or other data than it was begun with.

        Raises:
            CheckpointError: names the first choice that differs, what it was and what it is.
        """
        for name, now in (("config.yaml", config), ("data.json", data)):
            path = self.run / name
            try:
                was = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML
            except (OSError, ValueError, yaml.YAMLError) as error:
                raise CheckpointError(
                    f"{path}: cannot be read, so the run cannot be continued; begin another"
                ) from error
            for key, old, new in _differences(was, yaml.safe_load(yaml.safe_dump(dict(now)))):
                raise CheckpointError(
                    f"{path}: the run was begun with {key} = {old!r}, got {new!r}; "
                    "resume with what it was begun with, or begin another run folder"
                )

    def environment(self) -> dict[str, Any]:
        """Return what `environment.json` holds; nothing if it is gone."""
        try:
            kept = json.loads((self.run / "environment.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def record(self, entry: Mapping[str, Any]) -> None:
        """Add a line of figures to `metrics.jsonl`; a figure that is no number becomes null."""
        plain = {
            key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in entry.items()
        }
        self._append("metrics.jsonl", json.dumps(plain, ensure_ascii=False))

    def say(self, line: str) -> None:
        """Add a line to `train.log` and show it."""
        self._append("train.log", f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}")
        if self.shown and self.writes:
            tqdm.write(line, file=sys.stderr)

    def lines(self) -> int:
        """Return how many lines `metrics.jsonl` has, after making sure that they are on the disk."""
        path = self.run / "metrics.jsonl"
        if not path.exists():
            return 0
        with path.open("rb") as written:
            os.fsync(written.fileno())
            return sum(1 for _ in written)

    def cut(self, lines: int) -> None:
        """Drop the lines after the first `lines`: a resumed run writes them again."""
        path = self.run / "metrics.jsonl"
        if self.writes and path.exists():
            kept = path.read_bytes().splitlines(keepends=True)[:lines]
            write_text(path, b"".join(kept).decode("utf-8", errors="replace"))

    def _append(self, name: str, line: str) -> None:
        if not self.writes:
            return
        try:
            with (self.run / name).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            reason = error.strerror or str(error)
            raise TrainingError(
                f"{self.run / name}: cannot be written ({reason}); free some space, then resume"
            ) from error


def describe_machine(device: torch.device, processes: int) -> dict[str, Any]:
    """Return what a person needs to run the same again, or to see why figures differ."""
    return {
        "command": sys.argv,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "machine": platform.machine(),
        "processes": processes,
        "system": f"{platform.system()} {platform.release()}",
        "threads": torch.get_num_threads(),
        "versions": {
            "mfcl": mfcl.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


def _differences(was: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the choices that differ, as (dotted key, old, new)."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for name in [*was, *(name for name in now if name not in was)]:
            yield from _differences(was.get(name), now.get(name), f"{key}.{name}" if key else str(name))
    elif was != now:
        yield key or "everything", was, now
