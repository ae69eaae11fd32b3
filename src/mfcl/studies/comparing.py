"""Several checkpoints on the same recordings: each one's figures, and their differences to the first's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.checkpoint import load_checkpoint
from mfcl.core.console import table
from mfcl.data.dataset import guessed_labels, open_data
from mfcl.data.manifest import Manifest
from mfcl.data.manifest_csv import read_manifest
from mfcl.embeddings.table import Embeddings, load_embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation import wording
from mfcl.evaluation.result import Result
from mfcl.evaluation.result_file import to_row
from mfcl.evaluation.summary import difference
from mfcl.evaluation.tasks import measure_labels, measure_voices
from mfcl.models.inference import Format, embed_store, pick_device

MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class Compared:
    """One figure of one checkpoint, beside the first checkpoint's.

    Attributes:
        run: The checkpoint's name.
        result: Its figure.
        difference: To the first checkpoint's; None for the first itself.
        low: Lower end of the difference's 95 % interval, each draw giving both the same speakers; None: it has none.
        high: Upper end.
        no_interval: Why the difference has no interval, in words.
    """

    run: str
    result: Result
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    no_interval: str = ""

    def row(self) -> dict[str, Any]:
        """Return plain values, as they are written."""
        ends = {"difference": self.difference, "difference_low": self.low, "difference_high": self.high}
        return {"run": self.run, **to_row(self.result), **ends}


def compare(
    runs: Sequence[Path],
    data: str | Path | None = None,
    *,
    label: str | None = None,
    speaker: str | None = None,
    protocol: str | None = None,
    split_by: str | None = None,
    seed: int = 0,
    format: Format = "both",
    device: str = "auto",
    cache: Path | None = None,
    strict: bool = False,
    data_root: Path | None = None,
    progress: bool = True,
) -> list[Compared]:
    """Measure several checkpoints on the same recordings, and their differences to the first.

    Each checkpoint prepares sound in its own way; only recordings that all can read are measured.

    Args:
        runs: Run folders or checkpoint folders; the first is what the others are compared with.
        data: What to measure on; the recordings and sides of the first run's `manifest.csv` if left out.
        label: The label to measure by; guessed from the usual names if left out.
        speaker: The label that names the voice; guessed likewise.
        protocol: See `mfcl.data.dataset.open_data`, as for the next one; for `data` only.
        split_by: A label no value of which is on two sides.
        seed: Of the split, the draws and the intervals.
        format: Which encoder's embeddings, or both side by side.
        device: `auto`, `cpu`, `cuda`, ...
        cache: Where decoded sound is kept.
        strict: Make the first bad file an error.
        data_root: Where the recordings of the lists lie now, if they were moved.
        progress: Show progress.

    Raises:
        MfclError: fewer than two runs, no recordings or labels to measure by, or a run that was trained on test
            recordings.
    """
    names = run_names(runs)
    source = data if data is not None else manifest_of(runs[0])
    if source is None:
        raise MeasureError(
            f"{runs[0]}: wanted a run folder with {MANIFEST}, found none; say what to measure on (--data)"
        )
    settings: dict[str, Any] = {"label": label, "speaker": speaker, "seed": seed, "cache": cache, "strict": strict}
    settings["data_root"] = data_root
    settings |= {"protocol": protocol, "split_by": split_by} if data is not None else {"protocol": "manifest"}
    views = []
    for run, name in zip(runs, names, strict=True):
        loaded = load_checkpoint(run)
        opened = open_data(source, loaded.recipe.preparation, progress=progress, **settings)
        if opened.label is None and opened.speaker is None:
            raise MeasureError(f"{source}: no label to measure by; give --label or --speaker")
        refuse_known(opened.manifest, run, name, data_root=data_root)
        label, speaker = opened.label, opened.speaker
        model = loaded.model.to(pick_device(device))
        views.append(embed_store(model, opened.store, format=format, progress=progress))
    found = [_measures(view, label, speaker, seed) for view in in_common(views)]
    return paired(dict(zip(names, found, strict=True)))


def compare_files(
    files: Sequence[Path], *, label: str | None = None, speaker: str | None = None, part: str = "", seed: int = 0
) -> list[Compared]:
    """Measure several files of embeddings of the same recordings, and their differences to the first.

    Args:
        files: Written by `mfcl embed`, or those in a study's folder `embeddings`; the first is what the others are
            compared with.
        label: The label to measure by; guessed from the usual names if left out.
        speaker: The label that names the voice; guessed likewise.
        part: A format or a part of the embeddings, such as `words`; a file without it is measured whole.
        seed: Of the draws and the intervals.

    Raises:
        MfclError: fewer than two files, one that holds no embeddings, no item in common or no label to measure by.
    """
    names = run_names(files)
    whole = [load_embeddings(file) for file in files]
    label, speaker = guessed_labels(list(whole[0].labels), label, speaker)
    if label is None and speaker is None:
        raise MeasureError(f"{files[0]}: no label to measure by; give --label or --speaker")
    held = [any(own.matches(part) for own in view.sizes) for view in whole]
    views = [view.only(part) if part and has else view for view, has in zip(whole, held, strict=True)]
    found = [_measures(view, label, speaker, seed) for view in in_common(views)]
    return paired(dict(zip(names, found, strict=True)))


def paired(found: Mapping[str, Sequence[Result]]) -> list[Compared]:
    """Return every figure with its difference to that of the first, where the first has it too.

    Args:
        found: The results of each checkpoint, by name, of the same recordings and with the same seed.
    """
    names = list(found)
    first = {result.question: result for result in found[names[0]]}
    return [Compared(names[0], result) for result in found[names[0]]] + [
        _beside(name, result, first.get(result.question)) for name in names[1:] for result in found[name]
    ]


def compare_tables(compared: Sequence[Compared], *, style: str = "simple") -> str:
    """Return tables of the figures, a line a question, a column a checkpoint, with the differences to the first.

    Args:
        compared: What `compare` returned.
        style: Of `tabulate`: `simple` for a terminal, `github` for Markdown.
    """
    names = list(dict.fromkeys(one.run for one in compared))
    blocks = []
    for section in dict.fromkeys(one.result.question.section for one in compared):
        chosen = {(one.result.question, one.run): one for one in compared if one.result.question.section == section}
        questions = dict.fromkeys(question for question, _ in chosen)
        lines = [
            [wording.task(question), question.metric, *(_cell(chosen.get((question, name))) for name in names)]
            for question in questions
        ]
        title = (
            f"{section}: 95 % intervals over speakers in [ ]; in ( ) the difference to {names[0]}, of the same speakers"
        )
        said = [text for one in chosen.values() for text in (one.result.note, one.no_interval)]
        notes = "".join(f"\n- {text}" for text in dict.fromkeys(said) if text)
        blocks.append(f"{title}\n\n{table(lines, ['task', 'metric', *names], style=style)}" + (notes and f"\n{notes}"))
    return "\n\n".join(blocks)


def run_names(runs: Sequence[Path]) -> list[str]:
    """Return a name for each run: its folder's, or as much of the path as tells them apart.

    Raises:
        MeasureError: there are fewer than two runs, or one comes twice.

    Example:
        >>> run_names([Path("a/runs/one"), Path("a/runs/two/model")])
        ['one', 'two']
        >>> run_names([Path("a/one"), Path("b/one")])
        ['a/one', 'b/one']
    """
    if len(runs) < 2:
        raise MeasureError(f"compare: 2 or more runs are wanted, but came {len(runs)}; name another run folder")
    folders = [run.parent if run.name == "model" else run for run in runs]
    if len(set(folders)) < len(folders):
        raise MeasureError("compare: runs that differ are wanted, but one came twice; name each once")
    for depth in range(1, max(len(folder.parts) for folder in folders)):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def manifest_of(run: Path) -> Path | None:
    """Return the list of recordings that a run was trained with, in its folder or beside its `model`."""
    return next((place for place in (run / MANIFEST, run.parent / MANIFEST) if place.is_file()), None)


def refuse_known(manifest: Manifest, run: Path, name: str, *, data_root: Path | None = None) -> None:
    """Raise one clear line if a run's training part holds recordings that are to be tested."""
    listed = manifest_of(run)
    if listed is None:
        return
    known = {
        (one.path.resolve(), one.start, one.end)
        for one in read_manifest(listed, data_root=data_root)
        if one.split == "train"
    }
    told = sum((one.path.resolve(), one.start, one.end) in known for one in manifest if one.split == "test")
    if told:
        raise MeasureError(
            f"{name}: was trained on {told} of the recordings to be tested; leave out --data to measure on the sides "
            "it was trained with, or compare runs of one split"
        )


def in_common(views: Sequence[Embeddings]) -> list[Embeddings]:
    """Return the items that all views have, in the first one's order."""
    shared = set(views[0].ids.tolist()).intersection(*(view.ids.tolist() for view in views[1:]))
    if not shared:
        raise MeasureError("compare: no recording could be read by all of the runs; compare runs of one kind of sound")
    wanted = [name for name in views[0].ids.tolist() if name in shared]
    places = [{name: place for place, name in enumerate(view.ids.tolist())} for view in views]
    return [
        view.select(np.array([place[name] for name in wanted], dtype=np.int64))
        for view, place in zip(views, places, strict=True)
    ]


def _measures(view: Embeddings, label: str | None, speaker: str | None, seed: int) -> list[Result]:
    found = measure_labels(view, label, speaker, seed=seed) if label else []
    return found + (measure_voices(view, label, speaker, seed=seed) if speaker else [])


def _beside(name: str, result: Result, first: Result | None) -> Compared:
    if first is None:
        return Compared(name, result)
    if _ids(result) != _ids(first):
        said = f"{name}: {wording.task(result.question)} is of other recordings than the first's: no difference"
        return Compared(name, result, no_interval=said)
    apart = difference([result], [first])
    said = "" if apart.low is not None else result.note
    return Compared(name, result, apart.value, apart.low, apart.high, said)


def _ids(result: Result) -> list[str] | None:
    return None if result.evidence is None else result.evidence.ids.tolist()


def _cell(one: Compared | None) -> str:
    if one is None:
        return "-"
    digits = wording.metric(one.result.question.metric).digits
    text = f"{one.result.value:.{digits}f}" + _ends(one.result.low, one.result.high, f".{digits}f")
    if one.difference is None:
        return text
    return f"{text} ({one.difference:+.{digits}f}{_ends(one.low, one.high, f'+.{digits}f')})"


def _ends(low: float | None, high: float | None, style: str) -> str:
    return "" if low is None or high is None else f" [{low:{style}}, {high:{style}}]"
