"""Per-seed workspace that trains sources and caches their embeddings."""

import dataclasses
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.checkpoint import load_checkpoint, model_digest
from mfcl.core.blas import one_blas_thread
from mfcl.core.files import write_json
from mfcl.core.machine import pick_device, stopwatch
from mfcl.core.memory import give_back
from mfcl.core.progress import Shown
from mfcl.data.dataset import Data
from mfcl.data.labels import known_classes
from mfcl.data.store import Store
from mfcl.data.store.interfaces import StoredClips
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation.aligned import aligned_neighbourhood
from mfcl.evaluation.neighbourhood import (
    DAMAGED,
    Neighbourhood,
    known_and_tested,
    load_neighbourhood,
    vector_neighbourhood,
)
from mfcl.evaluation.noisy_store import Disturbed
from mfcl.evaluation.result import ALIGNMENT, BASELINE, ELSEWHERE, Representation
from mfcl.evaluation.tasks import LabelProbes, with_answers
from mfcl.evaluation.tasks.labelled_rows import having
from mfcl.evaluation.tasks.labels import Fitted
from mfcl.evaluation.wording import PART_WORDS
from mfcl.models.heads import make_heads
from mfcl.models.inference import embed_store
from mfcl.models.pair import MultiFormatModel
from mfcl.models.unlearned import spectrum_alone
from mfcl.models.weights_file import read_weights
from mfcl.studies.cache import Cache, digest, read_object, slug
from mfcl.studies.controls import described
from mfcl.studies.elsewhere import Elsewhere
from mfcl.studies.representations import BASELINES, Describe, Source, Training
from mfcl.training.api import pretrain, untrained
from mfcl.training.projections import head_sizes, projections
from mfcl.training.run_folder import CLASSIFIERS, HEADS
from mfcl.training.run_log import read_metrics
from mfcl.training.supervised_networks import load_classifiers, train_supervised
from mfcl.training.tasks.supervised import content_part


class Workspace:
    """The data and folder of one seed, with the last used embeddings in memory.

    Attributes:
        data: Opened recordings, with the split of this seed.
        folder: The study's folder.
        cache: Cached answers of the study's steps.
        fingerprint: Fingerprint of the recordings and their split; by file size for a folder of version 0.1.
        elsewhere: Representations made elsewhere, by name.
    """

    def __init__(
        self, data: Data, folder: Path, *, device: str = "auto", progress: Shown = True, fingerprint: str | None = None,
        elsewhere: Mapping[str, Elsewhere] | None = None,
    ) -> None:  # fmt: skip
        self.data, self.folder = data, folder
        self.fingerprint = fingerprint or data.manifest.fingerprint()
        self.cache = Cache(folder / "parts")
        self.device, self.progress = device, progress
        self.elsewhere = dict(elsewhere or {})
        self._lock = threading.RLock()  # several representations are measured at once
        self._last: tuple[str, Embeddings] | None = None
        self._probed: dict[Representation, Fitted] = {}
        self._view: tuple[Representation, Embeddings] | None = None
        self._fitted: tuple[str, Describe] | None = None
        self._ready: tuple[str, MultiFormatModel] | None = None

    def basis(self, source: Source) -> dict[str, Any]:
        """Return all inputs that a source's vectors depend on."""
        return source.basis(self.fingerprint, self.data.label)

    def name(self, source: Source) -> str:
        """Return the base name of a source's files."""
        named = source.kind if source.encodes else slug(source.variant)
        named = f"{ELSEWHERE}-{named}" if source.kind == ELSEWHERE else named
        return f"{named}-seed{source.seed}-{digest(self.basis(source))}"

    def about(self, source: Source) -> dict[str, Any] | None:
        """Return the saved facts of an embedded source (its seconds); None if it is not embedded yet."""
        known = read_object(self._file(source).with_suffix(".json"))
        return known if known is not None and isinstance(known.get("seconds"), int | float) else None

    def make(self, source: Source) -> dict[str, Any]:
        """Train a source if necessary and embed all recordings, unless already done; return the facts of `about`."""
        known = self.about(source)
        if known is not None:
            return known
        self.make_room(self.name(source))
        clock, spent = stopwatch(), self._spent(source)
        if not source.encodes:
            embeddings = self._described(source, self.data.store)
        else:
            embeddings = self._embedded(source, self.data.store, progress=bool(self.progress))
            embeddings = dataclasses.replace(embeddings, model=self._digest(source))
        file = self._file(source)
        embeddings.save(file)
        known = {"seconds": round(spent + clock(), 1)}
        write_json(file.with_suffix(".json"), known)
        return known

    def embeddings(self, source: Source) -> Embeddings:
        """Return a source's embeddings of all recordings; those of the last source stay in memory."""
        name = self.name(source)
        with self._lock:
            if self._last is None or self._last[0] != name:
                self._forget(name)
                self._last = (name, self._kept(source))
            return self._last[1]

    def make_room(self, name: str = "") -> None:
        """Give back what is kept in memory before a training, whose own comes on top; encoders of `name` stay."""
        self._forget(name)
        give_back()

    def _forget(self, name: str) -> None:
        """Drop the embeddings in memory, what was made of them, and the encoders of all sources but the named one."""
        self._last = self._view = None
        self._probed.clear()
        if self._ready is not None and self._ready[0] != name:
            self._ready = None

    def _kept(self, source: Source) -> Embeddings:
        """Load the saved embeddings; a damaged file is made again, once."""
        path = self._file(source)
        try:
            return load_embeddings(path)
        except MeasureError as error:
            print(f"{error}; they are made again", file=sys.stderr)  # noqa: T201
            path.with_suffix(".json").unlink(missing_ok=True)
            self.make(source)
        return load_embeddings(path)

    def view(self, source: Source, one: Representation) -> Embeddings:
        """Return the embeddings of one representation of a source: all columns, or those of a format or part.

        The last one stays in memory: of all at once, each column would be there several times.
        """
        whole = self.embeddings(source)
        with self._lock:
            if self._view is None or self._view[0] != one:
                self._view = None  # freed before the next is made
                if len(source.representations) > 1:
                    _ = whole.whitened  # each part once: views take its columns
                self._view = (one, view_of(whole, one))
            return self._view[1]

    def probes(self, source: Source, one: Representation) -> LabelProbes:
        """Return the probes of one representation; what they fit is shared by all sections."""
        assert self.data.label is not None
        with self._lock:
            embeddings = self.view(source, one)  # first: another source's drops what was fitted
            fitted = self._probed.setdefault(one, Fitted())
        return LabelProbes(embeddings, self.data.label, self.data.speaker, seed=source.seed, fitted=fitted)

    def neighbourhood(self, source: Source, one: Representation, *, of: str | None = None) -> Neighbourhood:
        """Return the nearest recordings of a representation: by alignment, saved once found, or by its vectors.

        Args:
            source: Whose recordings.
            one: The representation.
            of: A label: by alignment only recordings that have it are neighbours, as only they can answer what it is.
        """
        if one.variant != ALIGNMENT:
            return vector_neighbourhood(self.view(source, one))
        known = self.embeddings(source)
        splits = known.splits if of is None else with_answers(known, of)
        all_answer = bool((splits == known.splits).all())
        path = self._file(source).with_suffix(".neighbours.npz" if all_answer else ".labelled-neighbours.npz")
        try:
            found = load_neighbourhood(path)
            if np.array_equal(found.known, known_and_tested(splits)[0]):
                return found
        except FileNotFoundError:
            pass
        except DAMAGED as error:
            print(f"{path}: damaged ({error}); it is made again", file=sys.stderr)  # noqa: T201
        store = self.data.store
        with one_blas_thread():
            found = aligned_neighbourhood(store, store.sample_rate, known.vectors, splits)
        found.save(path)
        return found

    def disturbed(self, source: Source, disturbed: Disturbed) -> Embeddings:
        """Return a source's embeddings of noisy or re-levelled recordings."""
        if not source.encodes:
            return self._described(source, disturbed)
        return self._embedded(source, disturbed)

    def _embedded(self, source: Source, store: StoredClips, *, progress: bool = False) -> Embeddings:
        model = self.ready(source)
        with spectrum_alone(model):
            return embed_store(model, store, progress=progress)

    def ready(self, source: Source) -> MultiFormatModel:
        """Return a source's encoders on the device, to embed with and not to train; the last ones stay in memory.

        Untrained ones are saved nowhere, and to choose their landmarks takes longer than to embed all recordings.
        """
        name = self.name(source)
        if self._ready is None or self._ready[0] != name:
            self._ready = (name, self.model(source).to(pick_device(self.device)))
        return self._ready[1]

    def model(self, source: Source) -> MultiFormatModel:
        """Return new encoders of a source, training them if necessary; a stopped training is resumed."""
        self._ready = None  # a training needs the memory
        run = self.run(source)
        if source.kind == "untrained":
            return untrained(self.data, source.recipe, seed=source.seed)
        if source.kind == "supervised":
            if (run / "model" / "config.json").is_file() and (run / CLASSIFIERS).is_file():
                return load_checkpoint(run).model
            return train_supervised(
                self.data, source.recipe, run, label=self.data.label or "", formats=source.formats, seed=source.seed,
                device=self.device, progress=self.progress,
            ).model  # fmt: skip
        if (run / "model" / "config.json").is_file() and (run / HEADS).is_file():
            return load_checkpoint(run).model
        return pretrain(
            self.data, source.recipe, run, seed=source.seed, resume=run.exists(), device=self.device,
            progress=self.progress,
        ).model  # fmt: skip

    def projections(self, source: Source) -> dict[str, np.ndarray] | None:
        """Return the projection-head outputs of a pre-trained source of both formats; None for others.

        Those have no heads, or no other format to compare the outputs with.
        """
        if source.kind != "pre-trained" or len(source.formats) == 1:
            return None
        embeddings, shape = self.embeddings(source), source.recipe.model
        heads = make_heads(head_sizes(shape, embeddings.sizes), source.recipe.head, seed=source.seed)
        file = self.run(source) / HEADS
        heads.load_state_dict(read_weights(file, heads.state_dict(), do=f"delete {file.parent} to train it again"))
        return projections(embeddings, heads, shape.neck)

    def logits(self, source: Source) -> dict[str, np.ndarray]:
        """Return the class scores of a supervised source's networks for the tested recordings, by format."""
        embeddings, label = self.embeddings(source), self.data.label or ""
        test = having(embeddings, label, "test")
        content = {format: content_part(embeddings, format) for format in source.formats}
        classes = len(known_classes(self.data.subset("train"), label, 0, seed=source.seed)[0])
        dims = {format: own.shape[1] for format, own in content.items()}
        if not (self.run(source) / CLASSIFIERS).is_file():
            self.model(source)  # deleted, or its training was stopped
        layers = load_classifiers(self.run(source), dims, classes)
        return {format: layers[format].logits(own[test]) for format, own in content.items()}

    def run(self, source: Source) -> Path:
        """Return the run folder of a source's training."""
        return self.folder / "runs" / self.name(source)

    def _file(self, source: Source) -> Path:
        """Return the file of a source's embeddings; version 0.1 called the file of every baseline `control`."""
        name = self.name(source)
        old = self.folder / "embeddings" / f"control-seed{source.seed}-{digest(self.basis(source))}.npz"
        known = source.kind == BASELINE and old.with_suffix(".json").is_file()
        return old if known else self.folder / "embeddings" / f"{name}.npz"

    def _digest(self, source: Source) -> str:
        """Return the digest of a trained model; "" for an untrained one, which is not kept and can do nothing more."""
        run = self.run(source)
        return "" if source.kind == "untrained" else model_digest(load_checkpoint(run))

    def _spent(self, source: Source) -> float:
        """Return the seconds already spent on a training that was stopped."""
        last = 0.0
        for path in self.run(source).rglob("metrics.jsonl"):
            last += max((entry.get("seconds", 0.0) for entry in read_metrics(path.parent)), default=0.0)
        return last

    def _described(self, source: Source, store: Store | Disturbed) -> Embeddings:
        if source.kind == ELSEWHERE:
            return described(self.elsewhere[source.variant].describe, source.variant, store)
        with one_blas_thread():  # baselines run their own threads; BLAS threads on top would slow them down
            return described(self._describe(source), source.variant, store)

    def _describe(self, source: Source) -> Describe:
        """Return a baseline fitted on the clean training recordings, whatever it is to describe."""
        name = self.name(source)
        if self._fitted is None or self._fitted[0] != name:
            store, known = self.data.store, self.data.manifest.splits == "train"
            given = Training(store, known, store.sample_rate, source.seed)
            self._fitted = (name, BASELINES[source.variant](given))
        return self._fitted[1]


def view_of(embeddings: Embeddings, one: Representation) -> Embeddings:
    """Return the columns of a representation: all, or those of a format or part."""
    format = "" if one.format == "both" else one.format
    chosen = " ".join(word for word in (format, PART_WORDS[one.part]) if word)
    return embeddings.only(chosen) if chosen else embeddings
