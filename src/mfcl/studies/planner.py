"""Plan a study: its steps in order, with estimated times on this machine."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from mfcl.core.console import duration, table
from mfcl.core.machine import stopwatch
from mfcl.core.memory import give_back
from mfcl.core.plain_values import to_dict
from mfcl.errors import DivergedError, MeasureError, MfclError
from mfcl.evaluation.result import BASELINE, ELSEWHERE, Evidence, Result
from mfcl.evaluation.result_file import from_rows, to_row
from mfcl.recipe import Recipe
from mfcl.studies import evaluators as questions
from mfcl.studies.cache import slug
from mfcl.studies.estimates import Rates
from mfcl.studies.evaluators import Answer
from mfcl.studies.fine_tuning import jointly, tuned
from mfcl.studies.representations import BC_RESNET, Source, ablated, main_sources, swept, trained_formats
from mfcl.studies.sections import ABLATION, OF_LITERATURE, SECTIONS, SWEEPS, UNLABELLED, Preset
from mfcl.studies.workspace import Workspace
from mfcl.training.tasks.supervised import enough_steps

PROBES_VERSION = 2
"""Version of the label probes; raise it when they change, so that their answers, and nothing else, are made anew."""
COUNTED_VERSION = 2
"""Version of the number of labels at which the section `efficiency` shows a figure of all labels."""
PROBED = ("labels", "efficiency", "robustness")
WHITENING_VERSION = 3
"""Version of the whitenings of parts; raise it when they change, so that what measures cosines is made anew."""
UNWHITENED = ("robustness", "cost")
"""Sections that measure no cosines; trainings with few labels measure none either."""
Ask = Callable[[Workspace, Source], Answer]
UNASKED: dict[str, tuple[str, ...]] = {BASELINE: UNLABELLED, ELSEWHERE: ("cost",)}
"""Kind of source -> sections that it is not asked in."""
TRAINED_VERSION = 2
"""Version of the trainings with few labels; raise it when code changes alter their results."""
ASKED: dict[str, Ask] = {
    "labels": questions.labels,
    "voices": questions.voices,
    "traits": questions.traits,
    "efficiency": questions.efficiency,
    "robustness": questions.robustness,
    "geometry": questions.geometry,
    "maps": questions.maps,
    "cost": questions.costs,
    **{section: questions.sweep(section) for section in (*SWEEPS, ABLATION)},
}


@dataclass(frozen=True)
class Step:
    """One unit of a study's work, cached on its own.

    Attributes:
        section: Its section.
        name: Its name in the progress line.
        source: The evaluated source.
        workspace: Data and folder of its seed.
        ask: The evaluator.
        seconds: Estimated time, without training and embedding the source.
        settings: Further inputs that the answer depends on.
    """

    section: str
    name: str
    source: Source
    workspace: Workspace
    ask: Ask
    seconds: float
    settings: Mapping[str, Any]

    @cached_property  # asked for every step whenever the time left is told
    def basis(self) -> dict[str, Any]:
        """Return all inputs that the answer depends on."""
        data = self.workspace.data
        cosines = self.section not in UNWHITENED and "count" not in self.settings
        return {
            "source": self.workspace.basis(self.source), "named": self.source.name, "section": self.section,
            "label": data.label, "speaker": data.speaker, **self.settings,
            **({"whitening": WHITENING_VERSION} if cosines else {}), **self.source.alone,
        }  # fmt: skip

    @property
    def rank(self) -> int:
        """Return its place in the order: 0 main steps of all seeds, 1 trainings with few labels, 2 sweeps, 3 maps.

        Maps are last because scikit-learn comes with them, and its 70 MB would lie beside every training after that.
        """
        if self.section == "maps":
            return 3
        return 2 if self.section in (*SWEEPS, ABLATION) else int("count" in self.settings)

    @property
    def key(self) -> str:
        """Return the name of its cache file."""
        return f"{self.section}-{slug(self.name)}-seed{self.source.seed}"

    @property
    def done(self) -> bool:
        """Whether the answer is cached."""
        return self.workspace.cache.known(self.key, self.basis)

    def answered(self) -> dict[str, Any]:
        """Return the cached answer as JSON values, computing it first if necessary."""
        return self.workspace.cache.once(self.key, self.basis, self._work)

    def results(self) -> list[Result]:
        """Return the answer's results with their evidence."""
        try:
            found = self._read(self.answered())
        except MfclError as error:
            self.workspace.cache.forget(self.key, self.basis, str(error))
            found = self._read(self.answered())
        evidence = self.workspace.cache.evidence(self.key, self.basis, len(found))
        return [replace(one, evidence=kept) for one, kept in zip(found, evidence, strict=True)]

    def _read(self, answer: Mapping[str, Any]) -> list[Result]:
        data, where = self.workspace.data, str(self.workspace.cache.path(self.key, self.basis))
        rows = [{"command": "", **row} if isinstance(row, dict) else row for row in answer["rows"]]
        about = self.source.representations
        return from_rows(rows, where, labels=data.manifest.label_names, speaker=data.speaker, about=about)

    def _work(self) -> tuple[dict[str, Any], list[Evidence | None]]:
        clock = stopwatch()
        give_back(kept=0)  # what the step before freed; blocks of all sizes follow, so that keeping some is no use
        seconds = 0.0
        try:
            seconds = self.workspace.make(self.source)["seconds"]
            give_back()
            answer = self.ask(self.workspace, self.source)
        except (MeasureError, DivergedError) as error:  # the other steps still run
            tried = self.section in (*SWEEPS, ABLATION)  # a setting that cannot be trained with is an outcome, too
            if isinstance(error, DivergedError) and not tried:
                raise
            answer = Answer(notes=[f"{self.section} of {self.source.name}: not measured: {error}"])
        results = [replace(one, seconds=one.seconds or seconds, seed=self.source.seed) for one in answer.results]
        plain = {"rows": [to_row(one) for one in results], "pictures": answer.pictures, "notes": answer.notes}
        return {**plain, "seconds": round(clock(), 1)}, [one.evidence for one in results]


def steps(
    workspace: Workspace,
    recipe: Recipe,
    preset: Preset,
    sections: Sequence[str],
    seed: int,
    rates: Rates,
    grids: Sequence[Sequence[str]] = (),
) -> list[Step]:
    """Return the steps of one seed, grouped by source so that its embeddings are loaded once."""
    data = workspace.data
    usable = [name for name in sections if _measurable(name, data.label, data.speaker)]
    found: list[Step] = []

    def add(section: str, source: Source, ask: Ask, seconds: float, name: str = "", **settings: Any) -> None:
        found.append(Step(section, name or source.name, source, workspace, ask, seconds, settings))

    elsewhere = {name: one.digest for name, one in workspace.elsewhere.items()}
    labelled = data.label is not None
    for source in main_sources(recipe, seed, labelled=labelled, literature=preset.literature, elsewhere=elsewhere):
        for section in usable:
            if section in (*SWEEPS, ABLATION) or section in UNASKED.get(source.kind, ()):
                continue
            if (
                section == "robustness"
                and source.kind == ELSEWHERE
                and not workspace.elsewhere[source.variant].function
            ):
                continue  # its vectors came in a file: there are none of altered recordings
            if source.variant == BC_RESNET and section not in OF_LITERATURE:
                continue
            seconds = rates.question(section, len(source.representations))
            add(section, source, ASKED[section], seconds, **_probed(section))
    if "efficiency" in usable:
        source = Source("pre-trained", "", seed, recipe, trained_formats(recipe))
        learned = {"supervised": to_dict(recipe.supervised), "method": TRAINED_VERSION}
        for count in (wanted for wanted in preset.tuned if wanted <= rates.fewest):
            for start in ("fine-tuned", "from scratch"):
                settings = enough_steps(recipe.supervised, rates.labelled(count))
                known = not count and start == "from scratch"  # the supervised networks, trained before
                seconds = 0.0 if known else rates.supervised(settings, rates.labelled(count))
                ask = partial(_tuned, per_class=count, start=start)
                add(
                    "efficiency",
                    source,
                    ask,
                    seconds,
                    f"{start}, {count or 'all'} labels a class",
                    **learned,
                    count=count,
                )
        for count in (wanted for wanted in preset.joint if wanted <= rates.fewest):
            ask = partial(_jointly, per_class=count)
            add(
                "efficiency", source, ask, rates.joint(recipe), f"joint, {count} labels a class", **learned, count=count
            )
    for section in usable:
        if section in SWEEPS:
            for source in swept(section, recipe, seed, preset.sweep_epochs):
                seconds = rates.question(section, len(source.representations))
                add(section, source, ASKED[section], seconds, **_probed(section))
    if ABLATION in usable and grids:
        for source in ablated(recipe, seed, grids):
            seconds = rates.question(ABLATION, len(source.representations))
            add(ABLATION, source, ASKED[ABLATION], seconds, **_probed(ABLATION))
    return found


def _probed(section: str) -> dict[str, Any]:
    """Return what else the answers of sections with label probes depend on, such as the kinds of noise."""
    probed: dict[str, Any] = {"probes": PROBES_VERSION} if section in (*PROBED, *SWEEPS, ABLATION) else {}
    if section == "efficiency":
        probed["counted"] = COUNTED_VERSION
    return {**probed, "heard": [list(one) for one in questions.HEARD]} if section == "robustness" else probed


def _tuned(workspace: Workspace, source: Source, *, per_class: int, start: Any) -> Answer:
    return Answer(results=tuned(workspace, source, per_class, start=start))


def _jointly(workspace: Workspace, source: Source, *, per_class: int) -> Answer:
    return Answer(results=jointly(workspace, source, per_class))


def _measurable(section: str, label: str | None, speaker: str | None) -> bool:
    if section in UNLABELLED:
        return True
    if section in ("voices", "traits"):
        return speaker is not None
    if section in (*SWEEPS, ABLATION):
        return label is not None or speaker is not None
    return label is not None


def to_make(planned: Sequence[Step], rates: Rates) -> dict[str, float]:
    """Return the sources that are not embedded yet, with their estimated seconds."""
    wanted = {step.workspace.name(step.source): step for step in planned if not step.done}
    return {
        name: rates.source(step.source) for name, step in wanted.items() if step.workspace.about(step.source) is None
    }


def seconds_left(planned: Sequence[Step], rates: Rates) -> float:
    """Estimate the seconds of all open steps, including training and embedding their sources."""
    return sum((step.seconds for step in planned if not step.done), sum(to_make(planned, rates).values(), 0.0))


def plan_table(planned: Sequence[Step], rates: Rates) -> str:
    """Return the plan as a table: one row per section, with steps, steps done and estimated time."""
    lines: list[tuple[str, str, int, int, str]] = []
    counted: set[str] = set()
    for section in dict.fromkeys(step.section for step in sorted(planned, key=_order)):
        own = [step for step in planned if step.section == section]
        open_ = [step for step in own if not step.done]
        making = {name: cost for name, cost in to_make(own, rates).items() if name not in counted}
        counted |= set(making)
        seconds = sum((step.seconds for step in open_), sum(making.values(), 0.0))
        lines.append((section, SECTIONS[section], len(own), len(own) - len(open_), _about(seconds)))
    total = seconds_left(planned, rates)
    done = sum(line[3] for line in lines)
    lines.append(("all", "", len(planned), done, _about(total)))
    return table(lines, ["section", "what it asks", "steps", "done", "about"])


def _about(seconds: float) -> str:
    return duration(seconds) if seconds >= 0.5 else "-"


def _order(step: Step) -> int:
    return list(SECTIONS).index(step.section)


def left_out(sections: Sequence[str], label: str | None, speaker: str | None) -> Iterator[str]:
    """Yield notes about sections that cannot run without a label or a speaker column."""
    missing = [name for name in sections if not _measurable(name, label, speaker)]
    if label is None and missing:
        yield (
            "no label to predict (a column `digit`, `label`, `word`, `species`, or --label): it would add "
            + ", ".join(name for name in missing if name not in ("voices", "traits"))
            + " and the supervised encoders"
        )
    if speaker is None and {"voices", "traits"} & set(missing):
        yield "no label for the speaker (a column `speaker`, or --speaker): it would add voices and traits"
