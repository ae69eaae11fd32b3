"""The parts of the page below the first screen: words, charts and tables of one question each."""

from collections.abc import Sequence
from dataclasses import dataclass

from mfcl.evaluation.summary import Summary
from mfcl.report import charts, picture_charts, picture_text, section_text
from mfcl.report.charts import Plot
from mfcl.report.load import Study
from mfcl.report.selection import COMPARED
from mfcl.report.tables import Table, tables
from mfcl.report.text import of_section

NOTES: dict[str, str] = {
    "efficiency": "Accuracy by the number of labelled clips of each class.",
    "labels": "The label predicted from frozen vectors by a linear probe or by nearest neighbours.",
    "voices": "Naming the speaker of a clip, and verifying that clips are of one speaker.",
    "traits": "What else is known of the speakers, predicted from the same vectors.",
    "augmentation": "The same training with other augmentation of the crops.",
    "crops": "The same training with crops of other lengths and places.",
    "ablation": "The recipe with some of its choices changed.",
    "formats": "The same training with other pairs of formats.",
    "geometry": "How the vectors are spread, and how often the two formats of a clip find each other.",
    "robustness": "The probes trained on clean clips, tested on clips in noise, which is white where it has no "
    "name, and at other levels.",
    "cost": "Time to train, size, and speed of the encoders.",
}
"""Section -> what is asked in it."""


@dataclass(frozen=True)
class Section:
    """One question of the study.

    Attributes:
        id: Its anchor.
        title: Its heading.
        note: What is asked.
        words: What the figures say.
        plots: Its charts.
        table: Its figures.
    """

    id: str
    title: str
    note: str
    words: tuple[str, ...]
    plots: tuple[Plot, ...]
    table: Table


def sections(study: Study) -> list[Section]:
    """Return a section for every table that a study has."""
    made = []
    for place, table in enumerate(tables(study.summaries)):
        own = study.section(table.name)
        anchor = f"table-{table.name if table.name in NOTES else place}"
        note = NOTES.get(table.name, "")
        if table.name == "efficiency" and table.intervals:
            note += " Bands are 95 % intervals."
        known = any(
            one.low is not None for (asked, *_), one in study.differences.items() if asked.section == table.name
        )
        if table.name in (*COMPARED, "robustness") and known:
            note += " In brackets stands the 95 % interval of a paired difference."
        words, plots = _words(table.name, own, study), _plots(table.name, own, study)
        made.append(Section(anchor, table.title, note, tuple(words), tuple(plots), table))
    return made


def _words(name: str, figures: Sequence[Summary], study: Study) -> list[str]:
    if name == "labels":
        drawn = [*picture_text.confused(study.pictures), *picture_text.worst(study.pictures)]
        return [*of_section(figures, study.differences), *drawn]
    if name in ("voices", "traits"):
        return of_section(figures, study.differences)
    if name == "efficiency":
        return section_text.efficiency(figures)
    if name == "robustness":
        return section_text.robustness(figures, study.differences, study.noise, study.noise_slope_db)
    return section_text.variants(figures) if name in ("augmentation", "crops", "formats", "ablation") else []


def _plots(name: str, figures: Sequence[Summary], study: Study) -> list[Plot]:
    if name == "labels":
        drawn = [*picture_charts.groups(study.pictures), *picture_charts.confusions(study.pictures)]
        return [*charts.standing(figures), *drawn]
    if name == "voices":
        return picture_charts.det(study.pictures)
    if name == "traits":
        return charts.standing(figures)
    if name == "efficiency":
        return charts.efficiency(figures)
    if name == "crops":
        return charts.crops(figures)
    if name in ("augmentation", "formats", "ablation"):
        return charts.choices(figures)
    return charts.robustness(figures) if name == "robustness" else []
