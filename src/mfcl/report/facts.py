"""What a study was, in words: its size, where its figures come from, and what a reader must know beside them."""

import math
from pathlib import Path

from mfcl.core.console import counted, duration, plural
from mfcl.report.about import About
from mfcl.report.load import Study
from mfcl.report.phrases import listed, shortened
from mfcl.report.pictures import Method

WARNING = "warning: "
"""How a note begins that comes before all others."""
NOTHING = "–"  # noqa: RUF001  # a dash for what is not known


def title(study: Study) -> str:
    """Return what was studied: the name of the folder of recordings."""
    path = Path(study.about.data or study.folder.name)
    return shortened((path.parent.name if path.suffix else path.name) or str(path))


def first(study: Study) -> list[tuple[str, str]]:
    """Return the facts of the first screen, as (what, how much)."""
    about, test = study.about, study.about.sides.get("test")
    found = [("recordings", f"{sum(side.recordings for side in about.sides.values()):,}")]
    tested = f"{test.recordings:,}" if test else NOTHING
    if about.speaker:
        name = shortened(about.speaker, 30)
        found.append((plural(name), f"{study.speakers or sum(side.speakers for side in about.sides.values()):,}"))
        if test:
            unseen = "unseen " if study.heard == 0 else ""
            tested += f" of {counted(test.speakers, unseen + name)}"
            tested += f", {study.heard:,} of them in training or validation too" if study.heard else ""
    found.append(("tested on", tested))
    found += [("label", shortened(about.label))] if about.label else []
    found.append(("recipe", shortened(about.recipe) or NOTHING))
    found.append(("seeds" if len(about.seeds) != 1 else "seed", _seeds(about) or NOTHING))
    return found


def notes(study: Study) -> list[str]:
    """Return what a reader must know beside the figures, the most important first."""
    found = []
    several = len({one.seed for one in study.results}) > 1
    if not study.over_seeds and study.results:
        mends = "run `mfcl study` again to have them"
        seeds = "no interval of a mean over seeds and " if several else ""
        found.append(
            f"This folder is of version {shortened(study.about.version) or '0.1'}, which kept {seeds}no paired "
            f"differences; {mends}."
        )
    return sorted([*found, *study.about.notes], key=lambda text: not text.startswith(WARNING))


def interval_words(study: Study) -> str:
    """Return what an interval is drawn over."""
    over = ["recordings" if not study.about.speaker else plural(shortened(study.about.speaker, 30))]
    several = study.over_seeds and any(len(one.seeds) > 1 for one in study.summaries)
    return listed([*over, *(["seeds"] if several else [])])


def origin(about: About) -> list[tuple[str, str]]:
    """Return what a reader needs to have the figures again, besides the command."""
    seconds = about.seconds
    found = (
        ("seeds", _seeds(about)),
        ("data", shortened(about.fingerprint)),
        ("machine", shortened(about.machine, 100)),
        ("time", f"{math.ceil(seconds):,} s ({duration(seconds)})" if seconds is not None else ""),
        ("mfcl", shortened(about.version)),
    )
    return [(name, words) for name, words in found if words]


def crop_words(method: Method) -> str:
    """Say where the two crops of the method's picture lie."""
    if len(method.crops) < 2:
        return ""
    a, b = ((float(start), float(end)) for start, end in method.crops[:2])
    (_, end), (start, last) = sorted((a, b))
    shared = min(end, last) - start
    apart = f"They share {shared:.2f} s" if shared > 0 else f"They share nothing: {-shared:.2f} s lie between them"
    return f"Of {method.seconds:.2f} s, crop A has {a[1] - a[0]:.2f} s and crop B {b[1] - b[0]:.2f} s. {apart}."


def _seeds(about: About) -> str:
    shown = ", ".join(str(seed) for seed in about.seeds[:10])
    return shown + (f" and {counted(len(about.seeds) - 10, 'other')}" if len(about.seeds) > 10 else "")
