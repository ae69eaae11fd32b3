"""Embed a list of recordings in part files on a Ray cluster: the parts of `embed_parts`, made by its workers."""

import functools
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mfcl.checkpoint import Checkpoint, load_checkpoint, model_digest
from mfcl.core.extras import need
from mfcl.core.limits import MOST_THREADS
from mfcl.core.machine import pick_device, use_machine
from mfcl.core.progress import progress as progress_bar
from mfcl.core.urls import as_path
from mfcl.data.decoding import LeftOut
from mfcl.data.manifest import Manifest
from mfcl.embedder import Embedder, checkpoint_of, hop_seconds
from mfcl.embedding_lists import Asked
from mfcl.embedding_parts import PartMaker, PartsMade, close_parts, plan_parts
from mfcl.embeddings.part_files import AGAIN, PartFiles
from mfcl.errors import CheckpointError, MeasureError, MfclError, check_number
from mfcl.models.inference import Format

log = logging.getLogger(__name__)

EXTRA = "ray"
STORE_BYTES = 128 * 2**20
"""Memory for what travels, of a cluster that is started here: lists of paths are small."""
AHEAD = 2
"""Parts sent out for each that can be made at once; more would hold their lists in memory."""
ANSWERS = 10.0
"""Seconds within which the machine of an address must answer."""
RETRIES = 3
"""Times that a part is given to another worker after its worker died."""


def embed_parts_on_ray(
    model: Embedder | Checkpoint | str | Path,
    data: str | Path | Manifest,
    out: str | Path,
    *,
    parts: int,
    threads: int = 1,
    parquet: bool = False,
    format: Format | None = None,
    part: str | None = None,
    whiten: bool = False,
    window: int | float | None = None,
    hop: int | float | None = None,
    batch: int = 64,
    strict: bool = False,
    data_root: Path | None = None,
    device: str = "auto",
    progress: bool = True,
) -> PartsMade:
    """Embed recordings into a folder of part files on a Ray cluster; see `mfcl.embed_parts`, whose parts they are.

    This process reads the list and sends each part's rows (paths, segments, labels); workers read the sound and write
    the part. Each worker loads the model once. Model, sound and `out` are on storage that all machines see under the
    same paths, and mfcl is installed on all. A part whose worker dies is given to another.

    Ray that runs in this process is used; else the cluster that the variable RAY_ADDRESS names; else one of this
    machine's cores is started and ended.

    Args:
        model: A trained model, or the folder of a model or a run; workers load its folder.
        data: The recordings.
        out: The folder of parts.
        parts: Number of part files.
        threads: Processor threads, and Ray's CPUs, for each part in the making.
        parquet: See `mfcl.embed_parts`, as the following.
        format: See `mfcl.embed`.
        part: One part of the embedding.
        whiten: Whether to whiten.
        window: Window length in seconds.
        hop: Step between windows in seconds.
        batch: Recordings per forward pass.
        strict: Raise an error at the first unreadable file.
        data_root: For a manifest: the folder that holds the recordings now.
        device: `auto` (a GPU for each part, if the cluster has any), `cpu`, `cuda`, ...
        progress: Show a progress bar.

    Raises:
        MissingExtraError: Ray is not installed.
        MfclError: see `mfcl.embed_parts`; or no cluster can be reached, or a part's worker died again and again.
    """
    ray = need("ray", EXTRA)
    check_number("threads", threads, 1, MOST_THREADS, whole=True)
    asked = Asked(format, part, whiten, window, hop_seconds(window, hop), batch)
    source = as_path(data).absolute() if isinstance(data, str | Path) else data
    loaded = checkpoint_of(model)
    plan = plan_parts(loaded, source, Path(out).absolute(), asked, parts=parts, parquet=parquet, data_root=data_root)
    before = len(plan.files.missing())
    with _cluster(ray) as own:
        _check_room(ray, threads, own=own)
        on_gpu = device.startswith("cuda") or (device == "auto" and ray.cluster_resources().get("GPU", 0) > 0)
        names = plan.listed.embedded_names
        order = ray.put(
            _Order(
                plan.files, loaded.folder.absolute(), plan.asked, names, strict, "cuda" if on_gpu else device, threads
            )
        )
        task = ray.remote(_make).options(
            name="mfcl part", num_cpus=threads, num_gpus=int(on_gpu), max_retries=RETRIES, retry_exceptions=False
        )
        pending: dict[Any, tuple[int, int]] = {}
        try:
            with progress_bar(total=plan.listed.count, what="embedding", unit="clips", shown=progress) as bar:
                for one, manifest in plan.listed.parts(range(parts), parts):
                    while len(pending) >= AHEAD * _at_once(ray, threads, on_gpu=on_gpu):
                        _settle(ray, pending, plan.files, bar)
                    pending[task.remote(order, one, _absolute(manifest))] = (one, len(manifest))
                while pending:
                    _settle(ray, pending, plan.files, bar)
        finally:
            for reference in pending:
                ray.cancel(reference)
    missing = close_parts(plan.files, LeftOut(strict))
    made = before - missing
    return PartsMade(Path(out), parts, made, parts - made - missing, missing, plan.listed.count)


@dataclass(frozen=True)
class _Order:
    """What all parts have in common; sent to each machine once."""

    files: PartFiles
    model: Path
    asked: Asked
    label_names: tuple[str, ...]
    strict: bool
    device: str
    threads: int


class _NoBar:
    def update(self, _: int = 1) -> None:
        """Show nothing: a worker has no terminal."""


def _make(order: _Order, part: int, manifest: Manifest) -> MfclError | None:
    """Make one part in a worker; return what a person has to mend, if anything."""
    try:
        loaded = _model(order.model, order.files.receipt.model, order.device, order.threads)
        left_out = LeftOut(order.strict)
        PartMaker(order.files, loaded, order.asked, order.label_names, left_out).make(part, manifest, _NoBar())
    except MfclError as error:
        return error
    return None


@functools.lru_cache(maxsize=1)
def _model(folder: Path, digest: str, device: str, threads: int) -> Checkpoint:
    """Load the model, once in each worker.

    Raises:
        CheckpointError: this machine has another model, or none, in its folder.
    """
    use_machine(threads)
    loaded = load_checkpoint(folder)
    found = model_digest(loaded)
    if found != digest:
        raise CheckpointError(
            f"{folder}: a worker found another model there ({found[:12]}, not {digest[:12]}); give a folder that all "
            "machines see"
        )
    loaded.model.to(pick_device(device))
    return loaded


@contextmanager
def _cluster(ray: Any) -> Iterator[bool]:
    """Connect to a cluster, or start one on this machine's cores; yield whether it was started here.

    What was connected or started here is left at the end.

    Raises:
        MfclError: there is none where it should be.
    """
    if ray.is_initialized():
        yield False
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it would report to its makers
    address = os.environ.get("RAY_ADDRESS")
    own = {} if address else {"object_store_memory": STORE_BYTES, "include_dashboard": False}
    _check_address(address)
    try:
        ray.init(log_to_driver=False, logging_level="error", **own)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"RAY_ADDRESS={address}" if address else "this machine"
        raise MfclError(f"ray: no cluster at {where} ({str(error).splitlines()[0][:200]}); see `ray status`") from None
    try:
        yield not address
    finally:
        ray.shutdown()


def _check_address(address: str | None) -> None:
    """Refuse an address at which nothing listens; Ray would try for minutes.

    Raises:
        MfclError: see above.
    """
    host, colon, port = (address or "").rpartition(":")
    if not (colon and port.isdecimal()) or "/" in host:  # `auto`, or an address of another kind
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS):
            return
    except (OSError, OverflowError) as error:
        raise MfclError(
            f"ray: nothing answers at RAY_ADDRESS={address} ({error}); start the cluster there (`ray start`), or unset "
            "the variable"
        ) from None


def _check_room(ray: Any, threads: int, *, own: bool) -> None:
    """Refuse a part that no machine can make, or say that the cluster waits for a larger one.

    Raises:
        MfclError: the cluster is this machine alone.
    """
    most = max((int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]), default=0)
    if most < threads and own:
        raise MfclError(f"threads: wanted at most {most}, the CPUs that Ray counts here, got {threads}")
    if most < threads:
        log.warning("no machine of the cluster has %d CPUs for a part (--threads), the largest has %d; waiting for one",
                    threads, most)  # fmt: skip


def _at_once(ray: Any, threads: int, *, on_gpu: bool) -> int:
    """Return how many parts can be made at once by the machines that are there now."""
    found = ray.cluster_resources()
    slots = int(found.get("CPU", 0)) // threads
    return max(min(slots, int(found.get("GPU", 0))) if on_gpu else slots, 1)


def _settle(ray: Any, pending: dict[Any, tuple[int, int]], files: PartFiles, bar: Any) -> None:
    """Wait for a part, and take it off the list.

    Raises:
        MfclError: a person has to mend something, or its workers died.
    """
    (done,), _ = ray.wait(list(pending), num_returns=1)
    part, clips = pending.pop(done)
    try:
        fault = ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise MeasureError(
            f"{files.path(part).name}: its worker died {RETRIES + 1} times, maybe for lack of memory ({reason}); parts "
            f"that are there are kept: {AGAIN}, with a smaller batch or more parts"
        ) from None
    if fault is not None:
        raise fault
    bar.update(clips)


def _absolute(manifest: Manifest) -> Manifest:
    """Return recordings with paths that mean the same in another process."""
    return Manifest(
        tuple(replace(one, path=one.path.absolute(), labels=dict(one.labels)) for one in manifest),
        manifest.root.absolute(),
    )
