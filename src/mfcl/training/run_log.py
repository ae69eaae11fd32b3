"""The readable files of a run folder: settings, data, machine, figures and messages."""

import contextlib
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from tqdm import tqdm

import mfcl
from mfcl.core.files import no_number, read_json, write_json, write_text
from mfcl.core.yaml_text import read_yaml
from mfcl.errors import CheckpointError, MfclError, TrainingError, advice, shown
from mfcl.training.run_folder import ENVIRONMENT, LOG, MARK, METRICS, check_place, clear, marked
from mfcl.training.trackers import Tracker

WARNING = "warning: "
"""Begins a line of `train.log` that a reader of the results should see; see `read_warnings`."""


class Journal:
    """Write and check the readable files of a run folder.

    `config.yaml` holds all settings, `data.json` the fingerprint of the data, `environment.json` the machine at the
    start, `metrics.jsonl` the figures and `train.log` the messages. Only the main process writes.

    Args:
        run: The folder.
        writes: Whether this is the main process.
        shown: Whether to show messages.
        trackers: What else is told of the run.
    """

    def __init__(self, run: Path, *, writes: bool = True, shown: bool = True, trackers: Sequence[Tracker] = ()) -> None:
        self.run, self.writes, self.shown = run, writes, shown
        self._trackers = list(trackers) if writes else []

    def open(
        self,
        config: Mapping[str, Any],
        data: Mapping[str, Any],
        environment: Mapping[str, Any],
        *,
        resume: bool,
        overwrite: bool,
    ) -> None:
        """Begin a run, or check that the run to resume has the same settings and data.

        Args:
            config: All settings.
            data: Fingerprint and size of the data.
            environment: The machine; not updated on resume.
            resume: Continue the run in the folder, or begin it.
            overwrite: Delete the files of an earlier run, and no others.

        Raises:
            CheckpointError: the folder is in use and neither option is given, or it holds a different run or none.
        """
        if check_place(self.run, resume=resume, overwrite=overwrite):
            self.check(config, data)
            return
        clear(self.run)
        write_json(self.run / ENVIRONMENT, marked(environment))  # first, as it marks the folder as a run
        write_text(self.run / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False))
        write_json(self.run / "data.json", data)

    def check(self, config: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Refuse to continue a run with other settings or other data.

        Raises:
            CheckpointError: names the first setting that differs, with its old and new value.
        """
        for name, now in (("config.yaml", config), ("data.json", data)):
            path = self.run / name
            try:
                was = read_yaml(path.read_text(encoding="utf-8"))  # JSON is YAML
            except (OSError, ValueError, MfclError) as error:
                reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
                raise CheckpointError(
                    f"{path}: cannot be read ({reason}), so the run cannot be continued; begin another"
                ) from error
            for key, old, new in _differences(was, read_yaml(yaml.safe_dump(dict(now)))):
                if name == "data.json":
                    raise CheckpointError(
                        f"{path}: the run was begun with other recordings: their list, labels, splits or sound differ "
                        f"({key} {shown(old)}, now {shown(new)}); resume with those, or begin another run folder"
                    )
                raise CheckpointError(
                    f"{path}: the run was begun with {shown(key)[1:-1]} = {shown(old)}, got {shown(new)}; "
                    "resume with what it was begun with, or begin another run folder"
                )

    def environment(self) -> dict[str, Any]:
        """Return the contents of `environment.json`; empty if it cannot be read."""
        try:
            kept = read_json(self.run / ENVIRONMENT, do="")
        except MfclError:
            return {}
        return {key: value for key, value in kept.items() if key != MARK}

    def check_batch(self, batch: int, processes: int) -> None:
        """Refuse to go on with batches of another size, which a small set has with some numbers of processes.

        Raises:
            CheckpointError: the run was begun with other batches.
        """
        began = self.environment().get("batch")  # a run of an earlier version does not say
        if isinstance(began, int) and began != batch:
            raise CheckpointError(
                f"{self.run}: the run was begun with batches of {began} recordings, and processes that train together "
                f"would have {batch} where there are {processes}; resume with a number that divides {began}"
            )

    @contextlib.contextmanager
    def tracked(self, config: Mapping[str, Any]) -> Iterator[None]:
        """Tell the trackers of the run's beginning, and in the end that it is over or was stopped.

        Raises:
            MfclError: a tracker cannot begin, or its package is not installed.
        """
        begun: list[Tracker] = []
        try:
            for tracker in self._trackers:
                try:
                    tracker.begin(self.run, config)
                except MfclError:
                    raise
                except Exception as error:
                    raise TrainingError(f"tracker {_kind(tracker)}: it cannot begin ({_reason(error)})") from error
                begun.append(tracker)
            yield
        finally:
            for tracker in [one for one in begun if one in self._trackers]:
                self._told(tracker, tracker.end)

    def _told(self, tracker: Tracker, tell: Callable[[], None]) -> None:
        """Tell a tracker something; one that fails is left out from then on."""
        try:
            tell()
        except Exception as error:  # of the network, of a full disk, of the tracker's own
            self._trackers = [one for one in self._trackers if one is not tracker]
            self.warn(f"tracker {_kind(tracker)}: it failed ({_reason(error)}); {METRICS} goes on without it")

    def record(self, entry: Mapping[str, Any]) -> None:
        """Append a line of figures to `metrics.jsonl`, NaN and infinity as null; tell the trackers the finite ones."""
        plain = {
            key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in entry.items()
        }
        self._append(METRICS, json.dumps(plain, ensure_ascii=False))
        step = int(plain.get("step") or 0)
        figures = {key: float(value) for key, value in plain.items() if key != "step" and value is not None}
        for tracker in list(self._trackers):
            self._told(tracker, lambda own=tracker: own.record(step, figures))  # type: ignore[misc]

    def say(self, line: str) -> None:
        """Append a line to `train.log` and show it; a warning is shown even if nothing else is."""
        self._append(LOG, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}")
        warning = line.startswith(WARNING)
        if self.writes and (self.shown or warning):
            told = f"{WARNING}{self.run}: {line.removeprefix(WARNING)}" if warning else line
            tqdm.write(told, file=sys.stderr)

    def warn(self, text: str) -> None:
        """Append a warning to `train.log`, a line `DATE TIME warning: TEXT`, and show it even if nothing else is."""
        self.say(f"{WARNING}{text}")

    def lines(self) -> int:
        """Flush `metrics.jsonl` to disk and return its number of lines."""
        path = self.run / METRICS
        if not path.exists():
            return 0
        with path.open("rb") as written:
            os.fsync(written.fileno())
            return sum(1 for _ in written)

    def cut(self, lines: int) -> None:
        """Cut `metrics.jsonl` to its first `lines` lines: a resumed run writes the others again."""
        path = self.run / METRICS
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
                f"{self.run / name}: cannot be written ({reason}); {advice(error)}, then resume"
            ) from error


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's `metrics.jsonl`; none if it is not there.

    An incomplete last line (full disk, killed process) is left out: a resumed run writes it again.

    Raises:
        CheckpointError: the file cannot be read, or another line is damaged.
    """
    path = run / METRICS
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else []
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error}); {advice(error)}") from error
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line, parse_constant=no_number) if line else None
            if entry is not None and not isinstance(entry, dict):
                raise ValueError("no figures")
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                break
            raise CheckpointError(f"{path}: line {number} is damaged; delete this file and run again") from error
        if entry is not None:
            found.append(entry)
    return found


def read_warnings(run: Path) -> list[str]:
    """Return the warnings in a run's `train.log`, each once, in order; none if it cannot be read."""
    try:
        lines = (run / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = (re.fullmatch(rf"\S+ \S+ {WARNING}(.*)", line) for line in lines)
    return list(dict.fromkeys(one[1] for one in found if one))


def describe_machine(device: torch.device, processes: int) -> dict[str, Any]:
    """Return the command, the hardware and the versions, to repeat a run or explain different figures."""
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


def _kind(tracker: Tracker) -> str:
    return type(tracker).__name__


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _differences(was: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the settings that differ, as (dotted key, old, new)."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for name in [*was, *(name for name in now if name not in was)]:
            yield from _differences(was.get(name), now.get(name), f"{key}.{name}" if key else str(name))
    elif was != now:
        yield key or "everything", was, now
