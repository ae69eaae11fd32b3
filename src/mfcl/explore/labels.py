"""The book of labels that a person gives, on disk at once: every step with who, when and how, to undo and to redo.

A step changes cells; a cell is a clip's label, note, set of rejected labels, or place in the held-out set. Steps are
only ever added: an undo is a step too, so the file tells everything that was done.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Shaped

from mfcl.core.console import counted
from mfcl.explore.cells import DROPPED, HELD, LABEL, NOTE, REJECTED, Cell, LabelsError, check_step, home
from mfcl.explore.label_file import Change, LabelFile, Written, now

UNDONE, REDONE = "undone", "redone"


@dataclass(frozen=True)
class Step:
    """One step of the history."""

    number: int
    at: str
    who: str
    how: str
    column: str
    clips: int
    value: str
    undone: bool


class LabelBook:
    """The labels of one collection.

    Args:
        path: The SQLite file; made if it is not there.
        ids: The clips' ids, in the order of their numbers. Labels of clips that are gone are kept but not shown.
        who: Name of the person who labels.

    Raises:
        LabelsError: the file cannot be opened, or another process has it open.
    """

    def __init__(self, path: Path, ids: Sequence[str], *, who: str) -> None:
        self.path, self._who, self._count = path, who, len(ids)
        self._lock = threading.RLock()
        self._last = 0
        self._columns: dict[str, None] = {}
        self._latest = ""
        self._done: list[int] = []
        self._undone: list[int] = []
        self._cells: dict[tuple[str, str], dict[int, str]] = {}
        self._gave: dict[str, dict[str, dict[int, bool]]] = {}
        self._dropped: dict[int, dict[int, bool]] = {}
        self._file = LabelFile(path, list(ids))
        try:
            self._replay()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file; every step is in it already."""
        with self._lock:
            self._file.close()

    @property
    def version(self) -> int:
        """Number of the last step; it grows with every step, undo and redo."""
        return self._last

    @property
    def columns(self) -> list[str]:
        """Names of the label columns that have been used, in the order of their first step."""
        with self._lock:
            return list(self._columns)

    @property
    def latest(self) -> str:
        """Name of the label column that the last step was in; "" where there is none."""
        return self._latest

    def labels(self, column: str) -> Shaped[np.ndarray, " items"]:
        """Return the label of each clip, "" where it has none."""
        return np.array(self._values(column, LABEL), dtype=np.str_)

    def since(self, column: str) -> dict[str, int]:
        """Return the step that first gave each label of a column, in the order of the steps.

        A label that no clip has any more is among them: it keeps its key, until it is dropped. One whose every step is
        undone is not, nor is one that only clips had that are not in the collection any more.
        """
        with self._lock:
            found = {label: min(steps) for label, steps in self._gave.get(column, {}).items() if any(steps.values())}
        return dict(sorted(found.items(), key=lambda one: one[1]))

    def held(self, column: str) -> Bool[np.ndarray, " items"]:
        """Return which clips are in the held-out set of a column."""
        return np.array([value != "" for value in self._values(column, HELD)], dtype=bool)

    def rejected(self, column: str) -> dict[int, list[str]]:
        """Return the labels that a clip was said not to have."""
        with self._lock:
            return {clip: json.loads(value) for clip, value in self._cells.get((column, REJECTED), {}).items() if value}

    def notes(self) -> dict[int, str]:
        """Return the notes of clips; they belong to no column."""
        with self._lock:
            return {clip: value for clip, value in self._cells.get(("", NOTE), {}).items() if value}

    def step(self, column: str, how: str, cells: Sequence[Cell]) -> int:
        """Change cells and return the new version; when it returns, the change is on disk.

        Raises:
            LabelsError: a cell cannot hold its value, a group's label would go to the held-out set, a label is dropped
                that clips have, or the disk is full; nothing has changed then.
        """
        check_step(column, how, cells, self._count)
        with self._lock:
            if how == "lassoed":
                self._check_group(column, cells)
            self._check_dropped(column, cells)
            own = {(cell.clip, cell.kind): cell for cell in cells}.values()  # the last of equal cells counts
            changes = [
                Change(clip, kind, self._cells.get((home(column, kind), kind), {}).get(clip, ""), value)
                for clip, kind, value in own
            ]
            # a label may be given and dropped again
            changes = [one for one in changes if one.before != one.after or one.kind == DROPPED]
            if not changes:
                return self._last
            step = Written(self._last + 1, now(), self._who, how, column, None)
            self._file.write(step, changes)
            self._take(step, changes)
            return step.number

    def undo(self) -> Step | None:
        """Undo the last step that is not undone, and return it; None where there is none."""
        return self._turn(self._done, UNDONE)

    def redo(self) -> Step | None:
        """Do the last undone step again, and return it; None where there is none."""
        return self._turn(self._undone, REDONE)

    def history(self, most: int = 200) -> list[Step]:
        """Return the last steps, the newest first; undos and redos show as the state of their step."""
        with self._lock:
            found, live = self._file.last(most), set(self._done)
        return [_told(step, clips, value, step.number not in live) for step, clips, value in found]

    def given(self, column: str) -> dict[int, tuple[str, str, str]]:
        """Return who labelled each labelled clip of a column, when and how."""
        with self._lock:
            rows, live = self._file.labelled(column), set(self._done)
            known = {clip for clip, value in self._cells.get((column, LABEL), {}).items() if value}
        return {clip: (step.who, step.at, step.how) for clip, step in rows if step.number in live and clip in known}

    def _turn(self, source: list[int], how: str) -> Step | None:
        with self._lock:
            if not source:
                return None
            of, changes = self._file.step(source[-1])
            turn = Written(self._last + 1, now(), self._who, how, of.column, of.number)
            self._file.write(turn)
            self._take(turn, changes)
            return _told(of, len(changes), max((one.after for one in changes), default=""), how == UNDONE)

    def _check_group(self, column: str, cells: Sequence[Cell]) -> None:
        """Check that a group's label leaves out the held-out set, which tells how right such guesses are.

        Raises:
            LabelsError: it does not.
        """
        held = self._cells.get((column, HELD), {})
        found = sum(cell.kind == LABEL and held.get(cell.clip, "") != "" for cell in cells)
        if found:
            held_out, them = ("is held out", "it") if found == 1 else ("are held out", "them")
            raise LabelsError(f"labels: {found} of the clips {held_out} and labelled one by one; leave {them} out")

    def _check_dropped(self, column: str, cells: Sequence[Cell]) -> None:
        """Check that no clip has a label that is dropped.

        Raises:
            LabelsError: one has.
        """
        given = list(self._cells.get((column, LABEL), {}).values())
        for name in (cell.value for cell in cells if cell.kind == DROPPED):
            if name in given:
                count = counted(given.count(name), "clip")
                raise LabelsError(f"labels: {name!r} is the label of {count}; give another first")

    def _replay(self) -> None:
        """Do again what the file tells.

        Raises:
            LabelsError: its steps do not follow each other.
        """
        for step, changes in self._file.steps():
            self._take(step, changes)

    def _take(self, step: Written, changes: Sequence[Change]) -> None:
        """Follow a step, an undo or a redo in memory."""
        if step.of is None:
            self._done.append(step.number)
            self._undone.clear()
        else:
            source, sink = (self._done, self._undone) if step.how == UNDONE else (self._undone, self._done)
            if not source or source[-1] != step.of:
                raise LabelsError(f"{self.path}: step {step.number} does not follow the others; restore it from a copy")
            sink.append(source.pop())
        self._last = step.number
        if step.column:
            self._columns.setdefault(step.column)
            self._latest = step.column
        for clip, kind, before, after in changes:
            if kind == LABEL and after:
                self._count_label(step, after, here=clip >= 0)
            if kind == DROPPED:
                self._drop(step, after)
            if clip >= 0:
                cells = self._cells.setdefault((home(step.column, kind), kind), {})
                cells[clip] = before if step.how == UNDONE else after

    def _count_label(self, step: Written, label: str, *, here: bool) -> None:
        """Keep which steps gave a label, and whether to clips of the collection; those that are undone do not count."""
        steps = self._gave.setdefault(step.column, {}).setdefault(label, {})
        number = step.number if step.of is None else step.of
        if step.how == UNDONE:
            steps.pop(number, None)
        else:
            steps[number] = steps.get(number, False) or here

    def _drop(self, step: Written, label: str) -> None:
        """Forget which steps gave a label, or know them again where the drop is undone, as later ones then are."""
        gave = self._gave.setdefault(step.column, {})
        if step.how == UNDONE:
            gave[label] = self._dropped.pop(step.of or 0)
        else:
            self._dropped[step.number if step.of is None else step.of] = gave.pop(label, {})

    def _values(self, column: str, kind: str) -> list[str]:
        with self._lock:
            found = [""] * self._count
            for clip, value in self._cells.get((column, kind), {}).items():
                found[clip] = value
        return found


def _told(step: Written, clips: int, value: str, undone: bool) -> Step:
    return Step(step.number, step.at, step.who, step.how, step.column, clips, value, undone)


def counts(values: Shaped[np.ndarray, " items"]) -> Mapping[str, int]:
    """Return how often each label is given, without "".

    Example:
        >>> counts(np.array(["b", "a", "", "b"]))
        {'a': 1, 'b': 2}
    """
    names, found = np.unique(values[values != ""], return_counts=True)
    return {str(name): int(count) for name, count in zip(names, found, strict=True)}
