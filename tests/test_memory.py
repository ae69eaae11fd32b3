"""What a process has freed goes back to the system, and what it makes on the way is bounded."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mfcl.core import memory
from mfcl.models import inference
from mfcl.models.encoders.recomputing import recomputed
from mfcl.models.pair import make_model
from mfcl.recipe import load_recipe
from mfcl.training import steps
from mfcl.training.optim import make_optimiser
from mfcl.training.tasks import contrastive
from tests.small_run import make_task, open_tiny, tiny
from tests.sounds import write_corpus

GAPS = """
import numpy as np
from mfcl.core.memory import give_back, keep_blocks, held_bytes
keep_blocks()
blocks = [np.ones(1 << 15) for _ in range(400)]  # 256 KiB each
del blocks[::2]
before = held_bytes()
give_back(above=1 << 40)
unchanged = held_bytes()
give_back()
print(before, unchanged, held_bytes(), sum(len(block) for block in blocks))
"""

LARGE = """
import sys
import numpy as np
from mfcl.core.memory import give_back, keep_blocks, held_bytes
keep_blocks()
give_back(**({"kept": 0} if sys.argv[1] == "0" else {}))
before = held_bytes()
block, guard = np.ones(1 << 22), np.ones(1 << 18)  # 32 MiB, and a later block that keeps it off the heap's end
del block
print(held_bytes() - before)
"""

THREADS = """
import threading
import numpy as np
from mfcl.core.memory import give_back, keep_blocks, held_bytes
keep_blocks()
made = []
thread = threading.Thread(target=lambda: made.extend(np.ones(1 << 15) for _ in range(400)))
thread.start()
thread.join()
before = held_bytes()
made.clear()
again = [np.ones(1 << 15) for _ in range(400)]
print(held_bytes() - before)
"""

OUTLINE = """
import sys
from mfcl.models.pair import outline
from mfcl.recipe import load_recipe
from mfcl.training.tasks import contrastive
from tests.small_run import make_task, open_tiny, tiny
from tests.sounds import write_corpus
made = outline(load_recipe("default").model)
print("torch._dynamo" in sys.modules, next(made.mel.parameters()).is_meta)
"""


def test_an_outline_of_a_model_does_not_load_torchs_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", OUTLINE], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"]


def test_gaps_between_blocks_go_back_to_the_system_only_above_a_limit() -> None:
    if not memory.held_bytes() or memory._glibc() is None:
        pytest.skip("another system or C library gives memory back by itself")
    done = subprocess.run([sys.executable, "-c", GAPS], check=True, capture_output=True, text=True)
    before, unchanged, after, _ = map(int, done.stdout.split())
    assert abs(before - unchanged) < 8 << 20
    assert before - after > 30 << 20  # of 50 MiB that were freed


@pytest.mark.parametrize(("kept", "pages", "returned"), [("0", "0", True), ("default", "0", False), ("0", "1", True)])
def test_a_small_process_keeps_large_blocks_until_it_is_told_not_to(kept: str, pages: str, returned: bool) -> None:
    if not memory.held_bytes() or memory._glibc() is None:
        pytest.skip("another system or C library gives memory back by itself")
    told = {**os.environ, "THP_MEM_ALLOC_ENABLE": pages}
    done = subprocess.run([sys.executable, "-c", LARGE, kept], check=True, capture_output=True, text=True, env=told)
    assert (int(done.stdout) < 8 << 20) == returned


@pytest.mark.parametrize(
    ("asked", "system", "large"),
    [
        ("1", "always [madvise] never", True), ("1", "[always] madvise never", True),
        ("1", "always madvise [never]", False), ("1", None, False),
        ("0", "always [madvise] never", False), (None, "[always] madvise never", False),
    ],
)  # fmt: skip
def test_blocks_that_lie_in_large_pages_are_not_kept(
    asked: str | None, system: str | None, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE", raising=False)
    if asked is not None:
        monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", asked)
    if system is not None:
        (tmp_path / "enabled").write_text(f"{system}\n")
    monkeypatch.setattr(memory, "LARGE_PAGES", tmp_path / "enabled")
    assert memory.large_pages() == large
    told: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *what: told.append(what) or 1)
    monkeypatch.setattr(memory, "_glibc", lambda: library)
    memory.keep_blocks()
    assert dict(told)[memory.M_MMAP_THRESHOLD] == (memory.RETURNED if large else memory.KEPT)


def test_an_older_c_library_keeps_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before 2.35 glibc takes no threshold above 32 MiB, and after a refusal its own would stay at 128 KiB."""
    limits: dict[int, int] = {}

    def mallopt(name: int, value: int) -> int:
        if name == memory.M_MMAP_THRESHOLD and value > 32 << 20:
            return 0
        limits[name] = value
        return 1

    monkeypatch.setattr(memory, "_glibc", lambda: SimpleNamespace(mallopt=mallopt))
    monkeypatch.setattr(memory, "large_pages", lambda: False)
    memory.keep_blocks()
    assert limits[memory.M_MMAP_THRESHOLD] == 32 << 20
    assert limits[memory.M_TRIM_THRESHOLD] == memory.KEPT


def test_what_one_thread_has_freed_another_uses() -> None:
    if not memory.held_bytes() or memory._glibc() is None:
        pytest.skip("another C library has its own ways")
    done = subprocess.run([sys.executable, "-c", THREADS], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 50 << 20  # of 100 MiB that the other thread has freed


def test_where_the_c_library_is_another_one_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    memory.keep_blocks()
    memory.give_back()


def test_what_is_computed_again_has_the_same_gradient_and_keeps_its_input_alone() -> None:
    kept: list[int] = []
    x = torch.linspace(0.1, 2, 50, requires_grad=True)

    def curve(value: torch.Tensor) -> torch.Tensor:
        return value.square().exp().log1p().sqrt()

    found = []
    for apply in (curve, lambda value: recomputed(curve, value)):
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(lambda value: (kept.append(value.nbytes), value)[1], lambda v: v):
            y = apply(x)
        found.append((torch.autograd.grad(y.sum(), x)[0], sum(kept)))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] >= 4 * x.nbytes > found[1][1]


def test_what_is_computed_again_has_the_gradients_of_weights_in_the_arithmetic_of_its_time() -> None:
    """Weights are no inputs, half precision is on in the forward pass alone, and a graph may be used twice."""
    layer = torch.nn.Conv1d(3, 5, 3, padding=1)
    x = torch.randn(2, 3, 40, generator=torch.Generator().manual_seed(0), requires_grad=True)

    def made(value: torch.Tensor) -> torch.Tensor:
        return layer(value).relu().float().square()

    found = []
    for apply in (made, lambda value: recomputed(made, value)):
        with torch.autocast("cpu", torch.bfloat16):
            y = apply(x)
        once, again = (torch.autograd.grad(y.sum(), (x, *layer.parameters()), retain_graph=True) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
        found.append((y, *once))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_what_was_changed_in_place_is_not_computed_again_in_silence() -> None:
    x = torch.ones(4, requires_grad=True)
    doubled = x * 2
    y = recomputed(torch.exp, recomputed(torch.sin, doubled)) + recomputed(torch.cos, doubled)
    with torch.no_grad():
        doubled.mul_(3)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_a_step_gives_back_after_each_encoder_on_the_way_there_and_before_it_on_the_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(contrastive, "give_back", lambda *, above: calls.append(above))
    task = make_task(open_tiny(write_corpus(tmp_path / "corpus"), tiny()), tiny())
    task.prepare()
    loss, _ = task(task.see(task.batch(np.arange(8), 0)))
    assert len(calls) == 4  # two crops, two formats
    loss.backward()
    assert len(calls) == 8


@pytest.mark.parametrize(("held", "most"), [(100 << 20, memory.HELD), (900 << 20, (900 << 20) + memory.GROWTH)])
def test_learning_gives_back_only_what_comes_on_top_of_a_process_that_holds_much(
    held: int, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(memory, "held_bytes", lambda: held)
    monkeypatch.setattr(contrastive, "give_back", lambda *, above: calls.append(above))
    monkeypatch.setattr(steps, "give_back", lambda *, above: calls.append(above))
    task = make_task(open_tiny(write_corpus(tmp_path / "corpus"), tiny()), tiny())
    task.prepare()
    optimiser = make_optimiser(task, tiny().train)
    step = steps.learner(task, task, optimiser, clip=1.0, where=torch.device("cpu"))
    monkeypatch.setattr(memory, "held_bytes", lambda: 5000 << 20)  # what the work itself comes to hold does not count
    step(task.see(task.batch(np.arange(8), 0)))
    assert set(calls) == {most}
    assert len(calls) == 10  # eight of the encoders, before the backward pass, after it


def test_embedding_gives_back_batch_by_batch_what_is_more_than_before(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    monkeypatch.setattr(inference, "give_back", lambda *, above: limits.append(above))
    monkeypatch.setattr(memory, "held_bytes", lambda: 3 << 30)
    model = make_model(load_recipe("quick").model, seed=0)
    clips = inference.Listed([np.zeros(8000, np.float32)] * 5)
    inference.embed_clips(model, clips, 16000, format="wave", batch=2)
    assert limits == [(3 << 30) + inference.KEPT_MORE] * 3 + [memory.HELD]


def test_a_batch_to_embed_is_bounded_by_its_samples() -> None:
    lengths = np.array([16000] * 10 + [160_000] * 40 + [900_000])
    plan = list(inference._plan(lengths, 160_000, 64))
    windows = sorted(window for batch in plan for window in batch)
    assert [item for item, _, _ in windows] == [*range(50), *[50] * 6]
    for batch in plan:
        longest = max(stop - start for _, start, stop in batch)
        assert len(batch) == 1 or len(batch) * longest <= inference.MOST_SAMPLES <= 2**20
