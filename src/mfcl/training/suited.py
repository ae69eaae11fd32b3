"""Open recordings with the settings that suit them: a recipe may have others for scenes than for isolated events."""

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

from mfcl.data.dataset import Data, open_data, scan_data
from mfcl.data.scanning import ScanReport
from mfcl.recipe import Recipe, at_rate


def suited(recipe: Recipe, report: ScanReport) -> Recipe:
    """Return a recipe as it is for isolated events, or with its settings for scenes, and without a further choice.

    Recordings of a test part that the manifest names are not looked at. Where nothing could be measured, recordings
    count as scenes: all of them are longer than 30 s.
    """
    if not recipe.scenes:
        return recipe
    sound = known(report).sound
    events = sound is not None and sound.isolated
    return dataclasses.replace(recipe, scenes=()) if events else recipe.for_scenes()


def known(report: ScanReport) -> ScanReport:
    """Return a scan without what it found of a test part that the manifest names."""
    pairs = zip(report.manifest, report.entries, strict=True)
    return ScanReport(report.manifest, tuple(entry for recording, entry in pairs if recording.split != "test"))


def open_suited(
    data: str | Path,
    recipe: Recipe,
    *,
    rate: int | Literal["keep"] | None = None,
    cache: Path | None,
    data_root: Path | None,
    progress: bool,
    **settings: Any,
) -> tuple[Data, Recipe]:
    """Scan recordings, choose the settings that suit them, and open them.

    Args:
        data: A folder, a manifest or a corpus.
        recipe: A recipe, perhaps with settings for scenes.
        rate: Sample rate of the model in Hz; `keep`: that of most recordings; None: the recipe's.
        cache: Folder of the cache.
        data_root: For a manifest: the present folder of its recordings.
        progress: Whether to show progress.
        settings: Further arguments of `open_data`.

    Returns:
        The data, and the recipe that they are opened and to be trained with.
    """
    report = scan_data(data, cache=cache, data_root=data_root, progress=progress)
    if rate is not None:
        kept = known(report).usual_rate if rate == "keep" else rate
        recipe = at_rate(recipe, kept) if kept else recipe  # without a recording `open_data` says what is wrong
        print(f"note: the model takes sound at {recipe.preparation.sample_rate} Hz", file=sys.stderr)  # noqa: T201
    chosen = suited(recipe, report)
    opened = open_data(report, chosen.preparation, cache=cache, progress=progress, **settings)
    if not recipe.scenes or chosen == dataclasses.replace(recipe, scenes=()):
        return opened, chosen
    note = f"recipe {recipe.name}: the recordings look like scenes, so it has {', '.join(recipe.scenes)}"
    print(f"note: {note}", file=sys.stderr)  # noqa: T201
    return dataclasses.replace(opened, notes=(*opened.notes, note)), chosen
