"""Where a study's work is done: embeddings are made once, kept, and asked for by whatever measures them."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file
from threadpoolctl import threadpool_limits

from mfcl.checkpoint import load_checkpoint
from mfcl.core.files import write_json
from mfcl.core.machine import stopwatch
from mfcl.data.dataset import Data
from mfcl.data.store import Store
from mfcl.embeddings.table import Embeddings, load_embeddings
from mfcl.evaluation.noisy_store import Disturbed
from mfcl.evaluation.tasks import LabelProbes
from mfcl.models.heads import make_heads
from mfcl.models.inference import embed_store, pick_device
from mfcl.models.pair import MultiFormatModel
from mfcl.studies.cache import Ledger, digest
from mfcl.studies.representations import CONTROLS, Source
from mfcl.training.api import HEADS, pretrain, train_supervised, untrained
from mfcl.training.tasks.contrastive import head_sizes, projections


class Bench:
    """The data of one seed, the study's folder, and what was made last.

    Attributes:
        data: Opened recordings, with the split of this seed.
        folder: The study's folder.
        ledger: What is known already.
        fingerprint: Of the recordings and their split; another is given for a folder that version 0.1 began.
    """

    def __init__(
        self, data: Data, folder: Path, *, device: str = "auto", progress: bool = True, fingerprint: str | None = None
    ) -> None:
        self.data, self.folder = data, folder
        self.fingerprint = fingerprint or data.manifest.fingerprint()
        self.ledger = Ledger(folder / "parts")
        self.device, self.progress = device, progress
        self._last: tuple[str, Embeddings] | None = None
        self._probes: dict[tuple[str, str], LabelProbes] = {}
        self._views: dict[str, Embeddings] = {}

    def basis(self, source: Source) -> dict[str, Any]:
        """Return everything that a source's vectors depend on."""
        return source.basis(self.fingerprint, self.data.label)

    def name(self, source: Source) -> str:
        """Return the name of a source's files."""
        return f"{source.kind}-seed{source.seed}-{digest(self.basis(source))}"

    def about(self, source: Source) -> dict[str, Any] | None:
        """Return what is known about a source that was made: seconds; None if it was not made."""
        path = self.folder / "embeddings" / f"{self.name(source)}.json"
        if not path.is_file():
            return None
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return known

    def make(self, source: Source) -> dict[str, Any]:
        """Embed all recordings, after whatever training it takes, unless that was done; return what is known."""
        known = self.about(source)
        if known is not None:
            return known
        clock, spent = stopwatch(), self._spent(source)
        if source.kind == "control":
            embeddings = self._control(source, self.data.store)
        else:
            model = self.model(source)
            embeddings = embed_store(model.to(pick_device(self.device)), self.data.store, progress=self.progress)
        file = self.folder / "embeddings" / f"{self.name(source)}.npz"
        embeddings.save(file)
        known = {"seconds": round(spent + clock(), 1)}
        write_json(file.with_suffix(".json"), known)
        return known

    def embeddings(self, source: Source) -> Embeddings:
        """Return a source's embeddings of all recordings; the last ones are kept in memory."""
        name = self.name(source)
        if self._last is None or self._last[0] != name:
            self._probes.clear()
            self._views.clear()
            found = load_embeddings(self.folder / "embeddings" / f"{name}.npz")
            self._last = (name, found)
        return self._last[1]

    def view(self, source: Source, view: str) -> Embeddings:
        """Return one of a source's views: all of its embeddings, a format of them or a part."""
        whole = self.embeddings(source)
        if view not in self._views:
            alone = len(source.formats) == 1 and view not in source.formats
            self._views[view] = view_of(whole, f"{source.formats[0]} {view}" if alone else view)
        return self._views[view]

    def probes(self, source: Source, view: str) -> LabelProbes:
        """Return the probes of one view, fitted once for all sections that ask."""
        embeddings = self.view(source, view)
        key = (self.name(source), view)
        if key not in self._probes:
            assert self.data.label is not None
            self._probes[key] = LabelProbes(embeddings, self.data.label, self.data.speaker, seed=source.seed)
        return self._probes[key]

    def disturbed(self, source: Source, disturbed: Disturbed) -> Embeddings:
        """Return a source's embeddings of the test recordings as they sound disturbed."""
        if source.kind == "control":
            return self._control(source, disturbed)
        store: Any = disturbed
        return embed_store(self.model(source).to(pick_device(self.device)), store)

    def model(self, source: Source) -> MultiFormatModel:
        """Return a source's encoders, trained if it takes training; a training that was stopped goes on."""
        run = self.run(source)
        if source.kind == "untrained":
            return untrained(self.data, source.recipe, seed=source.seed)
        if source.kind == "supervised":
            found = train_supervised(
                self.data, source.recipe, run, label=self.data.label or "", seed=source.seed, device=self.device,
                progress=self.progress,
            )  # fmt: skip
            return found.model
        if (run / "model" / "config.json").is_file() and (run / HEADS).is_file():
            return load_checkpoint(run).model
        return pretrain(
            self.data, source.recipe, run, seed=source.seed, resume=run.exists(), device=self.device,
            progress=self.progress,
        ).model  # fmt: skip

    def projections(self, source: Source) -> dict[str, np.ndarray] | None:
        """Return what a pre-trained source's heads make of its embeddings; None for others: they have no heads."""
        if source.kind != "pre-trained":
            return None
        embeddings, shape = self.embeddings(source), source.recipe.model
        sizes = {name: end - start for name, (start, end) in embeddings.parts.items()}
        heads = make_heads(head_sizes(shape, sizes), source.recipe.head, seed=source.seed)
        heads.load_state_dict(load_file(self.run(source) / HEADS))
        return projections(embeddings, heads, shape.neck)

    def run(self, source: Source) -> Path:
        """Return the run folder of a source's training."""
        return self.folder / "runs" / self.name(source)

    def _spent(self, source: Source) -> float:
        """Return the seconds of training before now, of a study that was stopped in the midst of it."""
        last = 0.0
        for path in self.run(source).rglob("metrics.jsonl"):
            times = [json.loads(line).get("seconds", 0.0) for line in path.read_text(encoding="utf-8").splitlines()]
            last += max(times, default=0.0)
        return last

    def say(self, line: str) -> None:
        """Tell a person something."""
        print(line, file=sys.stderr)  # noqa: T201

    def _control(self, source: Source, store: Store | Disturbed) -> Embeddings:
        manifest = store.manifest
        with threadpool_limits(1):  # many small products in threads of their own: a second layer only gets in the way
            vectors = CONTROLS[source.name](store, store.sample_rate, source.seed).astype(np.float32)
        labels = {label: manifest.column(label) for label in manifest.label_names}
        return Embeddings(vectors, manifest.ids, labels, {source.name: (0, vectors.shape[1])}, manifest.splits)


def view_of(embeddings: Embeddings, view: str) -> Embeddings:
    """Return the columns of a view: "" and "both" are all, another word is a format's or a part's."""
    return embeddings if view in ("", "both") else embeddings.only(view)
