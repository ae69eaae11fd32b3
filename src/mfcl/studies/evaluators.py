"""Evaluators of a study's sections: results, chart data and notes for one source."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mfcl.core.blas import one_blas_thread
from mfcl.core.parallel import core_count, in_parallel
from mfcl.data.dataset import Data
from mfcl.data.labels import known_classes
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation.babble import Babble
from mfcl.evaluation.noisy_store import Disturbed
from mfcl.evaluation.result import (
    ALIGNMENT,
    BABBLE,
    BASELINE,
    GAIN,
    LANDMARKS,
    NETWORK,
    NOISE,
    OTHER_NOISE,
    PINK,
    SUPERVISED,
    Question,
    Representation,
    Result,
)
from mfcl.evaluation.result_file import view_row
from mfcl.evaluation.tasks import (
    by_group,
    confusion,
    det,
    measure_geometry,
    measure_labels_in_all,
    measure_nearest,
    measure_traits,
    measure_voices,
    placed,
    unplaced,
)
from mfcl.evaluation.tasks.labelled_rows import tested
from mfcl.evaluation.wording import name, subject
from mfcl.models.cost import cost
from mfcl.studies.fine_tuning import networks
from mfcl.studies.representations import Source
from mfcl.studies.workspace import Workspace, view_of

Found = TypeVar("Found")

NOISE_DB = (20.0, 10.0, 0.0)
OTHER_NOISE_DB = 10.0
GAIN_DB = (-10.0, 10.0)
HEARD: tuple[tuple[str, float], ...] = (
    *((NOISE, snr) for snr in NOISE_DB),
    *((kind, OTHER_NOISE_DB) for kind in OTHER_NOISE),
    *((GAIN, gain) for gain in GAIN_DB),
)
"""How the section `robustness` alters the test recordings: condition and its value in dB."""
TESTED, OTHERS = 1500, 1500
"""Most test recordings and most others on a map: t-SNE of 3,000 takes about ten seconds of one processor."""
DISTANCES = Representation(BASELINE, ALIGNMENT)
"""Nearest clips by the DTW distance itself, which is no vector."""
FEW = 10
"""Labels per class of the few-label probe in the section `robustness`."""
TWO = 1 << 23
"""Values of the largest embeddings of which two representations are measured at once: each takes several tables."""


@dataclass
class Answer:
    """The outcome of one step of a study.

    Attributes:
        results: Results, without seconds and command.
        pictures: Kind of chart in the report -> chart data to append.
        notes: What could not be measured, and why.
    """

    results: list[Result] = field(default_factory=list)
    pictures: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, representation: Representation, found: Iterable[Result], **changed: Any) -> None:
        """Add results of one representation, and their notes."""
        found = list(found)
        self.results += [one.about(representation, **changed) for one in found]
        said = [f"{subject(one.question) or one.question.section}: {one.note}" for one in found if one.note]
        self.notes += [text for text in dict.fromkeys(said) if text not in self.notes]

    def picture(self, kind: str, representation: Representation, source: Source, value: dict[str, Any]) -> None:
        """Add the data of a chart."""
        entry = {**view_row(representation), "seed": source.seed, **value}
        self.pictures.setdefault(kind, []).append(entry)


def labels(workspace: Workspace, source: Source) -> Answer:
    """Measure label accuracy of each representation, with confusion matrix and accuracy by speaker.

    Supervised encoders are also measured by the output layers that they were trained with.
    """
    answer = Answer()
    label = workspace.data.label or ""
    for one, found in each_asked(workspace, source, lambda one: workspace.probes(source, one).measures()):
        answer.add(one, found)
        answer.picture("confusions", one, source, confusion(found[0], label))
        if workspace.data.speaker:
            answer.picture("groups", one, source, by_group(found[0], label, workspace.data.speaker))
    if source.variant == LANDMARKS:
        near, known = workspace.neighbourhood(source, DISTANCES, of=label), workspace.embeddings(source)
        answer.add(DISTANCES, [measure_nearest(near, known, label, workspace.data.speaker, seed=source.seed)])
    if source.kind == SUPERVISED:
        names = known_classes(workspace.data.subset("train"), label, 0, seed=source.seed)[0]
        about = tested(workspace.embeddings(source), label, workspace.data.speaker)
        question = Question("labels", "accuracy", label, NETWORK)
        rows = networks(about, question, workspace.logits(source), names, seed=source.seed)
        for format, row in rows.items():
            answer.add(Representation(source.kind, source.variant, format), [row])
    return answer


def voices(workspace: Workspace, source: Source) -> Answer:
    """Measure speaker identification and verification of each representation."""
    answer = Answer()

    def measured(one: Representation) -> list[Result] | MeasureError:
        embeddings, speaker = workspace.view(source, one), workspace.data.speaker or ""
        try:
            return measure_voices(embeddings, workspace.data.label, speaker, seed=source.seed)
        except MeasureError as error:
            return error

    for one, found in each_asked(workspace, source, measured):
        if isinstance(found, MeasureError):
            answer.notes.append(f"{name(one)}: voices are not measured: {found}")
            continue
        answer.add(one, found)
        for result in found:
            told = result.evidence is not None and result.evidence.curve is not None
            if told and not result.question.apart:  # which would stand in the chart of as many clips by the same name
                answer.picture("det", one, source, det(result))
    return answer


def traits(workspace: Workspace, source: Source) -> Answer:
    """Measure labels that are constant for a speaker, such as gender."""
    answer = Answer()
    data = workspace.data
    others = [label for label in data.manifest.label_names if label not in (data.label, data.speaker)]

    def measured(one: Representation) -> list[Result]:
        embeddings = workspace.view(source, one)
        return measure_traits(embeddings, data.label, data.speaker or "", others=others, seed=source.seed)

    for one, found in each_asked(workspace, source, measured):
        answer.add(one, found)
    return answer


def efficiency(workspace: Workspace, source: Source) -> Answer:
    """Measure label accuracy of frozen embeddings against the number of labels, per class and in all."""
    answer = Answer()
    data = workspace.data
    for one, found in each_asked(workspace, source, lambda one: workspace.probes(source, one).efficiency()):
        answer.add(one, found)

    def in_all(one: Representation) -> list[Result]:
        vectors = workspace.embeddings(source) if one is DISTANCES else workspace.view(source, one)
        near = workspace.neighbourhood(source, one)
        return measure_labels_in_all(
            near, vectors, data.label or "", data.speaker, probed=one is not DISTANCES, seed=source.seed
        )

    for one, found in each_asked(workspace, source, in_all, *([DISTANCES] if source.variant == LANDMARKS else [])):
        answer.add(one, found)
    return answer


def robustness(workspace: Workspace, source: Source) -> Answer:
    """Measure clean-trained probes on test recordings with noise or another gain."""
    answer = Answer()
    heard: list[tuple[str, float, Embeddings]] = []
    for condition, level in HEARD:
        try:
            altered = _altered(workspace.data, condition, level, source.seed)
            heard.append((condition, level, workspace.disturbed(source, altered)))
        except MeasureError as error:  # babble needs recordings of others; the rest is measured without
            if condition != BABBLE:
                raise
            answer.notes.append(f"{condition} at {level:g} dB: not measured: {error}")

    def measured(one: Representation) -> list[Result]:
        probes, found = workspace.probes(source, one), []
        for per_class in (None, FEW) if probes.can_few(FEW) else (None,):
            found.append(probes.clean(per_class))
            for condition, level, whole in heard:
                x = level if condition == NOISE else None
                found.append(
                    probes.under(view_of(whole, one), condition=condition, value=level, x=x, per_class=per_class)
                )
        return found

    for one, found in each_asked(workspace, source, measured):
        for result in found:
            answer.add(one, [result])
    return answer


def each_asked(
    workspace: Workspace, source: Source, ask: Callable[[Representation], Found], *more: Representation
) -> Iterator[tuple[Representation, Found]]:
    """Ask the same of each representation of a source, two at once where their tables are small; keep their order."""
    asked, values = [*source.representations, *more], workspace.embeddings(source).vectors.size
    with one_blas_thread(values):
        found = in_parallel(ask, asked, workers=min(2, core_count()) if values <= TWO else 1, what="", shown=False)
        yield from zip(asked, found, strict=True)


def _altered(data: Data, condition: str, level: float, seed: int) -> Disturbed:
    """Return the test recordings with noise or another gain; babble is made of training recordings."""
    test = data.subset("test")
    if condition == GAIN:
        return Disturbed(test, gain_db=level, seed=seed)
    if condition == BABBLE:
        return Disturbed(test, level, seed=seed, colour="babble", babble=Babble(data.subset("train"), data.speaker))
    return Disturbed(test, level, seed=seed, colour="pink" if condition == PINK else "white")


def geometry(workspace: Workspace, source: Source) -> Answer:
    """Measure the geometry of the test split's embeddings, and cross-format retrieval."""
    answer = Answer()
    projections = workspace.projections(source)
    for one in source.representations:
        whole = one.format == "both" and not one.part
        with one_blas_thread():  # the last digits of matrix products depend on the number of threads
            found = measure_geometry(
                workspace.view(source, one), projections if whole else None, source.seed, speaker=workspace.data.speaker
            )
        answer.add(one, found)
    return answer


def maps(workspace: Workspace, source: Source) -> Answer:
    """Make a 2D t-SNE map: of test recordings for a single format, else of training and validation ones too.

    t-SNE of more recordings is slower, so the second kind is kept to the representations that a reader looks at first.
    """
    answer = Answer()
    wanted = [label for label in (workspace.data.label, workspace.data.speaker) if label]
    alone, found = len(source.formats) == 1, []
    for one in source.representations:
        others = OTHERS if alone or one.format == "both" else 0
        found.append(unplaced(workspace.view(source, one), wanted, seed=source.seed, most=TESTED, others=others))
    for one, picture in zip(source.representations, placed(found, seed=source.seed), strict=True):
        answer.picture("maps", one, source, picture)
    return answer


def costs(workspace: Workspace, source: Source) -> Answer:
    """Measure the training time and the inference cost of the encoders."""
    answer = Answer()
    known = workspace.make(source)
    model = workspace.ready(source)  # what embeds is what is timed
    for one in (one for one in source.representations if not one.part):
        found = cost(model, workspace.data.store.sample_rate, format=one.format)  # type: ignore[arg-type]
        found["seconds"] = known["seconds"]
        answer.add(one, [Result(Question("cost", metric), value, None, None, 1) for metric, value in found.items()])
    return answer


def sweep(section: str) -> Callable[[Workspace, Source], Answer]:
    """Return the evaluator of a sweep: label and speaker tasks on frozen embeddings."""

    def ask(workspace: Workspace, source: Source) -> Answer:
        answer = Answer()
        for one in source.representations:
            found = workspace.probes(source, one).measures() if workspace.data.label else []
            if workspace.data.speaker:
                try:
                    found += measure_voices(
                        workspace.view(source, one),
                        workspace.data.label,
                        workspace.data.speaker,
                        seed=source.seed,
                        enrolled=(),
                    )
                except MeasureError as error:
                    answer.notes.append(f"{name(one)}: voices are not measured: {error}")
            answer.add(one, [result.asked(section=section) for result in found], x=source.x)
        return answer

    return ask
