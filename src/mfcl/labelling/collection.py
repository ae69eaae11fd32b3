"""Recordings prepared for labelling: features and graphs are made once, labels are spread and fitted after each one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float32, Int64, Shaped
from scipy import sparse

from mfcl.data.ids import whole_id
from mfcl.data.manifest import WINDOW_TIMES
from mfcl.embeddings.alignment.ties import as_graph
from mfcl.embeddings.vector_graph import vector_graph
from mfcl.errors import MeasureError, one_of
from mfcl.labelling.choosing import Checked, Way, checked_ways, chosen_way, divides_files, folds_of
from mfcl.labelling.classifier import LabelClassifier
from mfcl.labelling.estimate import known_labels
from mfcl.labelling.features import (
    SIMPLE,
    Features,
    Vectors,
    as_embeddings,
    fit_features,
    ordered_kinds,
    simple_features,
)
from mfcl.labelling.fitting import fitted_classifier, labels_alone
from mfcl.labelling.propagate import Spread
from mfcl.labelling.sources import Sources
from mfcl.labelling.suggest import suggest

ALIGNMENT = "alignment"
"""Name of a graph that is given without a name."""
ALONE = "labels alone"
"""Name of the way that uses no graph."""

DIVIDED = (
    "labels of one recording were hidden and read from others of it, which are alike: how many were read, and "
    "probabilities, are too good; label windows or segments of several recordings of each class"
)

Graph: TypeAlias = sparse.spmatrix | sparse.sparray | Shaped[np.ndarray, "..."]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A classifier, and what is known of the recordings that it was fitted on.

    Attributes:
        classifier: Needs no graph; see `LabelClassifier`.
        spread: Class scores of each recording of the collection.
        way: The graph (or none) by which the labels were spread.
        checked: How many given labels each way read from the others; empty if there were too few labels to tell.
        notes: What a person should know.
    """

    classifier: LabelClassifier
    spread: Spread
    way: str
    checked: tuple[Checked, ...]
    notes: tuple[str, ...]


class Collection:
    """Recordings whose labels are to be found.

    Args:
        vectors: Embeddings of all recordings, labelled or not, or a matrix.
        graph: A graph of the recordings made from their sound (`mfcl.embeddings.alignment.graph`), or several by name;
            it comes first where the labels do not tell which is better. Graphs of the embeddings are made here.

    Raises:
        MeasureError: fewer than two recordings, or vectors or a graph that cannot be used.

    Example:
        >>> points = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1]], dtype=np.float32)
        >>> Collection(points).fit(np.array(["a", "", "", "b", "", ""])).spread.labels.tolist()
        ['a', 'a', 'a', 'b', 'b', 'b']
    """

    def __init__(self, vectors: Vectors, *, graph: Graph | Mapping[str, Graph] | None = None) -> None:
        self.embeddings = as_embeddings(vectors)
        learned = fit_features(self.embeddings)
        simple = simple_features(learned)
        self.features: Sequence[Features] = [*learned, simple] if simple is not None else learned
        self._matrices: dict[str, Float32[np.ndarray, "items features"]] = {}
        given = graph if isinstance(graph, Mapping) else {} if graph is None else {ALIGNMENT: graph}
        self._graphs: dict[str, Any] = {name: self._checked(one, name) for name, one in given.items()}
        self._sources: dict[str, Sources] = {}
        kinds = ordered_kinds(learned, aligned=ALIGNMENT in given)
        self.ways: Sequence[Way] = (
            *(Way(name, name, kinds[0]) for name in given),
            *(Way(kind, kind, kind) for kind in kinds),
            Way(ALONE, "", kinds[0]),
            *((Way(SIMPLE, SIMPLE, SIMPLE, fallback=True),) if simple is not None else ()),
        )

    def __len__(self) -> int:
        return len(self.embeddings)

    @cached_property
    def files(self) -> Shaped[np.ndarray, " items"]:
        """The file that each recording is of, as far as ids tell: windows and segments of one file are alike."""
        windows = all(name in self.embeddings.labels for name in WINDOW_TIMES)
        return np.array([whole_id(name, window=windows) for name in self.embeddings.ids.tolist()], dtype=np.str_)

    def matrix(self, kind: str) -> Float32[np.ndarray, "items features"]:
        """Return the features of all recordings: `words`, `voices` or `all`; made on first use."""
        if kind not in self._matrices:
            self._matrices[kind] = self.kind(kind)(self.embeddings)
        return self._matrices[kind]

    def graph(self, name: str) -> sparse.csr_matrix:
        """Return a graph by its name; that of features is made on first use."""
        if name not in self._graphs:
            self._graphs[name] = vector_graph(self.matrix(name))
        return self._graphs[name]

    def check(self, labels: Shaped[np.ndarray, " _"], *, seed: int = 0) -> tuple[Checked, ...]:
        """Tell by cross-validation over the given labels how many of them each way reads from the others.

        Returns:
            One entry for each way; none if too few labels are of classes with two or more.
        """
        return checked_ways(self, self._known(labels), seed=seed)

    def choose(self, labels: Shaped[np.ndarray, " _"], *, seed: int = 0) -> Way:
        """Return the way that reads the given labels best; the first where they do not tell."""
        return chosen_way(self.ways, self.check(labels, seed=seed))

    def spread(self, labels: Shaped[np.ndarray, " _"], *, way: str | None = None, seed: int = 0) -> Spread:
        """Spread labels to all recordings.

        Args:
            labels: A label per recording; "" or None where it is unknown.
            way: Name of one of `ways`; default: the best by `choose`.
            seed: Seed of the folds.

        Raises:
            MeasureError: no label is known, or there is no such way.
        """
        known = self._known(labels)
        chosen = self.choose(known, seed=seed) if way is None else self.way(way)
        return self.spread_sets(chosen, known[None])[0]

    def spread_sets(self, way: Way, sets: Shaped[np.ndarray, "sets items"]) -> list[Spread]:
        """Spread several sets of known labels in one way."""
        if way.graph:
            if way.graph not in self._sources:
                self._sources.setdefault(way.graph, Sources(self.graph(way.graph)))
            return self._sources[way.graph].spread(sets)
        return [labels_alone(self.matrix(way.features), labels) for labels in sets]

    def suggest(
        self, count: int, labels: Shaped[np.ndarray, " _"] | None = None, *, way: str | None = None, seed: int = 0
    ) -> Int64[np.ndarray, " {count}"]:
        """Return the recordings to label next, the most useful first and none that is silent; see `mfcl.suggest`."""
        known = None if labels is None else self._known(labels)
        chosen = self.ways[0] if way is None else self.way(way)
        heard, ties = self.embeddings.audible, self.graph(chosen.graph or chosen.features)
        if len(heard) < len(self):
            ties, known = ties[heard][:, heard], None if known is None else known[heard]
        return np.asarray(heard[suggest(ties, count, known=known, seed=seed)])

    def fit(self, labels: Shaped[np.ndarray, " _"], *, way: str | None = None, seed: int = 0) -> Fitted:
        """Fit a classifier on spread labels.

        Args:
            labels: A label per recording, "" or None where it is unknown. `unknown` marks recordings of no class.
            way: Name of one of `ways`, which saves the time of choosing; default: the best by `choose`.
            seed: Seed of the folds.

        Raises:
            MeasureError: labels of fewer than two classes, or there is no such way.
        """
        known = self._known(labels)
        classes = len(np.unique(known[known != ""]))
        if classes < 2:
            raise MeasureError(
                f"classifier: wanted labels of 2 or more classes, got {classes}; label more, or mark recordings of "
                "none of them `unknown`"
            )
        found = () if way is not None else self.check(known, seed=seed)
        chosen = chosen_way(self.ways, found) if way is None else self.way(way)
        spread = self.spread_sets(chosen, known[None])[0]
        classifier, notes = fitted_classifier(self, chosen, known, spread, found, seed=seed)
        if chosen.fallback:
            notes = (*notes, told_of_fallback(found))
        fold = folds_of(known, seed=seed, files=self.files) if found or not notes else None
        if fold is not None and divides_files(fold, self.files):
            notes = (*notes, DIVIDED)
        return Fitted(classifier, spread, chosen.name, found, notes)

    def way(self, name: str) -> Way:
        """Return one of `ways` by its name.

        Raises:
            MeasureError: there is none.
        """
        for one in self.ways:
            if one.name == name:
                return one
        raise MeasureError(f"labelling: {one_of('way', name, [one.name for one in self.ways])}")

    def kind(self, name: str) -> Features:
        """Return what makes features of one kind.

        Raises:
            MeasureError: there is no such kind.
        """
        for one in self.features:
            if one.name == name:
                return one
        raise MeasureError(f"labelling: {one_of('kind of features', name, [one.name for one in self.features])}")

    def _known(self, labels: Shaped[np.ndarray, " _"]) -> Shaped[np.ndarray, " items"]:
        return known_labels(labels, len(self))

    def _checked(self, graph: Graph, name: str) -> sparse.csr_matrix:
        ties = as_graph(graph)
        if ties.shape[0] != len(self):
            raise MeasureError(
                f"graph {name!r}: wanted one of the same {len(self)} recordings, got one of {ties.shape[0]}"
            )
        return ties


def told_of_fallback(checked: Sequence[Checked]) -> str:
    """Return what a person should know where the fallback was chosen.

    Args:
        checked: What each way read of hidden labels, the fallback last; may be empty.
    """
    read = ""
    if len(checked) > 1:
        best, simple = max(checked[:-1], key=lambda one: one.right), checked[-1]
        read = f" ({simple.right} of {simple.count} hidden labels read, {best.right} by what it learned)"
    return (
        f"the average spectrum alone tells these labels apart better than what the model learned{read}, so the "
        "classifier reads only that; `mfcl study` says whether a model is better than simple features"
    )


def fit_classifier(
    vectors: Vectors,
    labels: Shaped[np.ndarray, " _"],
    *,
    graph: Graph | Mapping[str, Graph] | None = None,
    way: str | None = None,
    seed: int = 0,
) -> Fitted:
    """Fit a classifier from few labels, which are first spread to all recordings.

    Args:
        vectors: Embeddings of all recordings, labelled or not, or a matrix.
        labels: A label per recording; "" or None where it is unknown.
        graph: See `Collection`.
        way: See `Collection.fit`.
        seed: Seed of the folds.

    Raises:
        MeasureError: see `Collection` and `Collection.fit`.
    """
    return Collection(vectors, graph=graph).fit(labels, way=way, seed=seed)
