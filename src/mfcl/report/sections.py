"""The parts of the page below the first screen: words, charts and tables of one question each."""

from collections.abc import Sequence
from dataclasses import dataclass

from mfcl.report import charts
from mfcl.report import picture_charts as pictures
from mfcl.report import picture_text as pictured
from mfcl.report import text as sentences
from mfcl.report.charts import Plot
from mfcl.report.load import Figure, Study
from mfcl.report.tables import Table, tables

NOTES: dict[str, str] = {
    "efficiency": "Accuracy by how many labelled clips of each class were used; bands are 95 % intervals.",
    "labels": "What a simple reader makes of the vectors: a linear probe, or the nearest neighbours.",
    "voices": "Telling voices apart, and verifying that clips are of one voice.",
    "traits": "What else is known of the speakers, read from the same vectors.",
    "augmentation": "The same training with less or more disturbed crops.",
    "crops": "The same training with crops of other lengths and places.",
    "ablation": "The recipe with some of its choices changed.",
    "formats": "The same training with other pairs of formats.",
    "geometry": "How the vectors lie, and how well the two formats of a clip find each other.",
    "robustness": "The same readers on test clips that were disturbed.",
    "cost": "What an encoder takes.",
}
"""Table -> what is asked in it."""


@dataclass(frozen=True)
class Section:
    """One question of the study.

    Attributes:
        id: Its anchor.
        title: Its heading.
        note: What is asked.
        words: What the figures say.
        plots: Its charts.
        table: Its figures, none where it has only pictures.
    """

    id: str
    title: str
    note: str
    words: tuple[str, ...]
    plots: tuple[Plot, ...]
    table: Table | None


def sections(study: Study) -> list[Section]:
    """Return a section for every table that a study has."""
    made = []
    for table in tables(study.figures):
        own = [figure for figure in study.figures if figure.table == table.name]
        made.append(
            Section(
                f"table-{table.name.replace(' ', '-')}",
                table.title,
                NOTES.get(table.name, ""),
                tuple(_words(table.name, own, study)),
                tuple(_plots(table.name, own, study)),
                table,
            )
        )
    return made


def _words(name: str, figures: Sequence[Figure], study: Study) -> list[str]:
    if name == "labels":
        return [*sentences.of_table(figures), *pictured.confused(study), *pictured.worst(study)]
    if name in ("voices", "traits"):
        return sentences.of_table(figures)
    if name == "efficiency":
        return sentences.efficiency(figures)
    if name == "robustness":
        return sentences.robustness(figures)
    what = {
        "augmentation": "augmentation",
        "crops": "length and place of crops",
        "formats": "pair of formats",
        "ablation": "choice",
    }.get(name)
    return sentences.variants(figures, what) if what else []


def _plots(name: str, figures: Sequence[Figure], study: Study) -> list[Plot]:
    if name == "labels":
        return [*charts.standing(figures), *pictures.groups(study), *pictures.confusions(study)]
    if name == "voices":
        return pictures.det(study)
    if name == "traits":
        return charts.standing(figures)
    if name == "efficiency":
        return charts.efficiency(figures)
    if name == "crops":
        return charts.crops(figures)
    if name in ("augmentation", "formats", "ablation"):
        return charts.choices(figures)
    return charts.robustness(figures) if name == "robustness" else []
