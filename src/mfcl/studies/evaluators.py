"""What is asked of one source in one section: rows, pictures, and notes of what could not be measured."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from threadpoolctl import threadpool_limits

from mfcl.errors import MeasureError
from mfcl.evaluation.noisy_store import Disturbed
from mfcl.evaluation.tasks import (
    Measure,
    by_group,
    confusion,
    det,
    measure_geometry,
    measure_traits,
    measure_voices,
    points,
)
from mfcl.models.cost import cost
from mfcl.studies.representations import Source
from mfcl.studies.workspace import Bench, view_of

NOISE_DB = (20.0, 10.0, 0.0)
GAIN_DB = (-10.0, 10.0)
FEW = 10
"""Labels a class of the probe that meets noise."""


@dataclass
class Answer:
    """What one part of a study found.

    Attributes:
        rows: Plain rows without seed and command.
        pictures: Name of a list of the report's pictures -> what is added to it.
        notes: What could not be measured, and why.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    pictures: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, representation: str, found: list[Measure], **changed: Any) -> None:
        """Add figures of one representation."""
        self.rows += [{**measure.row(), "representation": representation, **changed} for measure in found]
        said = [f"{measure.task.split(', ')[0]}: {measure.left_out}" for measure in found if measure.left_out]
        said += [measure.no_interval for measure in found if measure.no_interval]
        self.notes += [text for text in dict.fromkeys(said) if text not in self.notes]

    def picture(self, kind: str, representation: str, source: Source, value: dict[str, Any]) -> None:
        """Add the data of a picture."""
        entry = {"representation": representation, "seed": source.seed, **value}
        self.pictures.setdefault(kind, []).append(entry)


def labels(bench: Bench, source: Source) -> Answer:
    """Ask how much of the label lies in each view, and who is told worst."""
    answer = Answer()
    label = bench.data.label or ""
    for view in source.views:
        name = source.called(view)
        found = bench.probes(source, view).measures()
        answer.add(name, found)
        answer.picture("confusions", name, source, confusion(found[0], label))
        if bench.data.speaker:
            answer.picture("groups", name, source, by_group(found[0], label, bench.data.speaker))
    return answer


def voices(bench: Bench, source: Source) -> Answer:
    """Ask how much of the speaker lies in each view."""
    answer = Answer()
    for view in source.views:
        name = source.called(view)
        try:
            found = measure_voices(
                bench.view(source, view), bench.data.label, bench.data.speaker or "", seed=source.seed
            )
        except MeasureError as error:
            answer.notes.append(f"{name}: voices are not measured: {error}")
            continue
        answer.add(name, found)
        for measure in found:
            if measure.curve is not None:
                answer.picture("det", name, source, det(measure))
    return answer


def traits(bench: Bench, source: Source) -> Answer:
    """Ask for what is the same in all recordings of a speaker, such as gender."""
    answer = Answer()
    data = bench.data
    for view in source.views:
        others = [name for name in data.manifest.label_names if name not in (data.label, data.speaker)]
        embeddings = bench.view(source, view)
        answer.add(
            source.called(view),
            measure_traits(embeddings, data.label, data.speaker or "", others=others, seed=source.seed),
        )
    return answer


def efficiency(bench: Bench, source: Source) -> Answer:
    """Ask what frozen embeddings are worth with few labels."""
    answer = Answer()
    for view in source.views:
        name = source.called(view) if source.kind == "control" else f"{source.called(view)}, frozen"
        answer.add(name, bench.probes(source, view).efficiency())
    return answer


def robustness(bench: Bench, source: Source) -> Answer:
    """Ask the probe of clean sound about test recordings in noise and at another level."""
    answer = Answer()
    label = bench.data.label or ""
    settings: list[tuple[str, float | None, float, float | None]] = [
        *((f"noise at {snr:g} dB", snr, 0.0, snr) for snr in NOISE_DB),
        *((f"gain {gain:+g} dB", None, gain, None) for gain in GAIN_DB),
    ]
    test = bench.data.part("test")
    heard = [
        (task, x, bench.disturbed(source, Disturbed(test, snr, gain, seed=source.seed)))
        for task, snr, gain, x in settings
    ]
    for view in source.views:
        probes = bench.probes(source, view)
        few = probes.can_few(FEW)
        for per_class in (None, FEW) if few else (None,):
            known = f"{label}, linear probe" + (f", {probes.few_words(FEW)}" if per_class else ", all labels")
            clean = probes.by_few("robustness", f"{known}, clean", FEW) if per_class else None
            answer.add(source.called(view), [clean or probes.by_all("robustness", f"{known}, clean")])
            for task, x, whole in heard:
                noisy = view_of(whole, view)
                found = probes.under(noisy, task=f"{known}, {task}", x=x, per_class=per_class)
                answer.add(source.called(view), [found])
    return answer


def geometry(bench: Bench, source: Source) -> Answer:
    """Ask how the test part's embeddings lie, and whether a waveform finds its own log-mel."""
    answer = Answer()
    projections = bench.projections(source)
    for view in source.views:
        with threadpool_limits(1):  # the last digits of a product depend on the number of threads
            found = measure_geometry(
                bench.view(source, view),
                projections if view == "both" else None,
                source.seed,
                speaker=bench.data.speaker,
            )
        answer.add(source.called(view), found)
    return answer


def maps(bench: Bench, source: Source) -> Answer:
    """Draw the test recordings: near in the picture, near by cosine."""
    answer = Answer()
    for view in source.views:
        wanted = [name for name in (bench.data.label, bench.data.speaker) if name]
        answer.picture("maps", source.called(view), source, points(bench.view(source, view), wanted, seed=source.seed))
    return answer


def costs(bench: Bench, source: Source) -> Answer:
    """Ask what it took to have the encoders, and what embedding with them takes."""
    answer = Answer()
    known = bench.make(source)
    model = bench.model(source)
    for view in (view for view in source.views if view in (*source.formats, "both")):
        found = cost(model, bench.data.store.sample_rate, format=view)  # type: ignore[arg-type]
        found["seconds"] = known["seconds"]
        for metric, value in found.items():
            row = {"table": "cost", "task": "cost", "metric": metric, "value": value, "low": None, "high": None}
            answer.rows.append({**row, "n": 1, "x": None, "representation": source.called(view)})
    return answer


def sweep(section: str) -> Callable[[Bench, Source], Answer]:
    """Return the question of a sweep: the label and the speaker from frozen embeddings."""

    def ask(bench: Bench, source: Source) -> Answer:
        answer = Answer()
        for view in source.views:
            name = source.called(view)
            if bench.data.label:
                answer.add(name, bench.probes(source, view).measures(), table=section, x=source.x)
            if bench.data.speaker:
                try:
                    found = measure_voices(
                        bench.view(source, view), bench.data.label, bench.data.speaker, seed=source.seed, enrolled=()
                    )
                except MeasureError as error:
                    answer.notes.append(f"{name}: voices are not measured: {error}")
                    continue
                answer.add(name, found, table=section, x=source.x)
        return answer

    return ask
