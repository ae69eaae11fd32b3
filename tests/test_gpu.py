"""What only a GPU can show; everywhere else these tests are left out, and say so."""

import contextlib
import copy

import numpy as np
import pytest
import torch

from mfcl.errors import TrainingError
from mfcl.training import side_by_side
from mfcl.training.batch_schedule import Plan
from mfcl.training.graphs import Recorded, mapped, on_gpu, shape_of, streams_of, tensors_of
from mfcl.training.optim import make_optimiser, set_rate
from mfcl.training.resident import Resident, resident
from mfcl.training.signals import Interrupted
from mfcl.training.steps import learner, seen
from mfcl.training.tasks import inputs
from tests.small_run import few_are_enough, make_task, open_tiny, run_tiny, send_at, tiny, with_neighbours
from tests.sounds import write_corpus

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA GPU")
GPU = torch.device("cuda")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return open_tiny(write_corpus(tmp_path_factory.mktemp("gpu") / "corpus"), tiny())


def test_tensors_of_a_batch_are_found_copied_and_told_apart_by_shape(store, monkeypatch):
    few_are_enough(monkeypatch.setattr)
    recipe = with_neighbours(tiny())
    task = make_task(store, recipe)
    batch = task.see(task.batch(np.arange(8), 0))
    again = mapped(batch, lambda value: value.clone() if isinstance(value, torch.Tensor) else value)
    pairs = list(zip(tensors_of(batch), tensors_of(again), strict=True))
    assert len(pairs) >= 6
    assert all(torch.equal(one, other) and one is not other for one, other in pairs)
    assert shape_of(batch) == shape_of(again)
    assert shape_of(task.see(task.batch(np.arange(6), 0))) != shape_of(batch)
    hash(shape_of(batch))
    with pytest.raises(RuntimeError, match="ndarray"):
        tensors_of({"a": np.zeros(3)})


@pytest.mark.parametrize("kind", ["pretrain", "classify"])
def test_numbers_drawn_before_give_the_same_inputs(store, monkeypatch, kind):
    few_are_enough(monkeypatch.setattr)
    recipe = with_neighbours(tiny())
    task = make_task(store, recipe, kind=kind)
    streams = streams_of(task.see, task.batch(np.arange(8), 0))
    assert len(streams) == len(set(streams)) > 5
    crops = task.batch(np.arange(3, 11), 1)
    wanted, found = task.see(crops), task.see(on_gpu(crops, streams, torch.device("cpu")))
    pairs = list(zip(tensors_of(wanted), tensors_of(found), strict=True))
    assert all(torch.equal(one, other) for one, other in pairs)
    with pytest.raises(TrainingError, match="no numbers were drawn for 'augment"):
        task.see(on_gpu(crops, (), torch.device("cpu")))


class Stream:
    """A stream of a card, on a machine without any."""

    def __init__(self, device=None):
        self.device = device

    def wait_stream(self, other):
        pass


@pytest.fixture
def recordings(monkeypatch):
    """The device that is the present one, and that of the stream, of each recording; all of them fail."""
    present, found = [None], []

    @contextlib.contextmanager
    def on(device):
        present.append(device)
        try:
            yield
        finally:
            present.pop()

    def recording(graph, *, pool, stream, capture_error_mode):
        found.append((present[-1], stream.device))
        raise RuntimeError("there is no card")

    monkeypatch.setattr(torch.cuda, "device", on)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: Stream(present[-1]))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Stream(present[-1]))
    monkeypatch.setattr(torch.cuda, "stream", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    return found


@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_steps_that_cannot_be_recorded_are_done_once_and_tried_on_the_card_of_the_weights(recordings, fails_at):
    learned, said = [], []
    for recorded in (True, False):
        torch.manual_seed(0)
        task = torch.nn.Linear(2, 1)
        optimiser = make_optimiser(task, tiny().train)
        calls = iter(range(1, 9))

        def step(batch, task=task, optimiser=optimiser, calls=calls, recorded=recorded):
            if recorded and next(calls) == fails_at:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            loss = task(batch["x"]).sum()
            loss.backward()
            optimiser.step()
            return {"loss": loss.detach()}

        do = Recorded(step, task, optimiser, say=said.append)
        do.failed = not recorded
        do({"x": torch.ones(3, 2)})
        moments = optimiser.state[task.weight]
        learned.append((task.weight.detach(), *(moments[name] for name in ("step", "exp_avg", "exp_avg_sq"))))
    assert all(torch.equal(one, other) for one, other in zip(*learned, strict=True))
    assert len(said) == 1
    here = learned[0][0].device
    assert recordings == ([] if fails_at in (1, 2) else [(here, here)])


def steps_of(store, recipe, kind: str, *, recorded: bool, steps: int = 6):
    """Losses of some steps, and the weights after them."""
    task = make_task(store, recipe, kind=kind)
    task.to(GPU).train()
    task.prepare()
    task.begin(0, 1)
    task.clips = resident(store, GPU)
    settings = recipe.train if kind == "pretrain" else recipe.supervised
    optimiser = make_optimiser(task, settings)
    learned = learner(task, task, optimiser, clip=settings.clip, where=GPU)
    assert isinstance(learned, Recorded)
    learned.failed = not recorded
    losses = []
    plan = Plan(store.lengths, 8, steps, 0)
    for step, batch in seen(task, plan, range(steps), GPU):
        set_rate(optimiser, 1e-3 * (step + 1))
        losses.append(float(learned(batch)["loss"]))
    assert bool(learned.graphs) == recorded
    return losses, copy.deepcopy(task.state_dict())


@on_a_gpu
@pytest.mark.parametrize("kind", ["pretrain", "classify"])
def test_recorded_steps_do_what_steps_one_by_one_do(store, monkeypatch, kind):
    few_are_enough(monkeypatch.setattr)
    recipe = with_neighbours(tiny())
    wanted, weights = steps_of(store, recipe, kind, recorded=False)
    found, same = steps_of(store, recipe, kind, recorded=True)
    assert found == pytest.approx(wanted, rel=1e-3)
    for name, value in weights.items():
        assert torch.allclose(value.float(), same[name].float(), rtol=1e-2, atol=1e-3), name


@on_a_gpu
@pytest.mark.parametrize("recorded", [False, True])
def test_formats_with_a_stream_each_learn_what_one_after_the_other_does(store, monkeypatch, recorded):
    few_are_enough(monkeypatch.setattr)
    recipe = with_neighbours(tiny())
    found, same = steps_of(store, recipe, "pretrain", recorded=recorded)
    for module in (side_by_side, inputs):
        monkeypatch.setattr(module, "on_streams", lambda works, device: [work() for work in works])
    wanted, weights = steps_of(store, recipe, "pretrain", recorded=recorded)
    assert found == pytest.approx(wanted, rel=1e-3)
    for name, value in weights.items():
        assert torch.allclose(value.float(), same[name].float(), rtol=1e-2, atol=1e-3), name


@on_a_gpu
def test_works_of_other_streams_are_done_when_they_are_used():
    large = torch.randn(2048, 2048, device=GPU, generator=torch.Generator(GPU).manual_seed(0)) / 45

    def work(times):
        made = large
        for _ in range(times):
            made = made @ large
        return [made, None]

    for _ in range(3):
        found = [own.sum() for own, _ in side_by_side.on_streams([lambda n=n: work(n) for n in (1, 40, 20)], GPU)]
        wanted = [work(n)[0].sum() for n in (1, 40, 20)]
        assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


@on_a_gpu
def test_samples_lie_on_the_gpu(store):
    kept = resident(store, GPU)
    assert isinstance(kept, Resident)
    found = kept.gather(np.arange(3), np.zeros(3, dtype=np.int64), store.lengths[:3])
    wanted = store.gather(np.arange(3), np.zeros(3, dtype=np.int64), store.lengths[:3])
    assert np.array_equal(found.cpu().numpy()[:, : wanted.shape[1]], wanted)


@on_a_gpu
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(store, tmp_path, monkeypatch):
    few_are_enough(monkeypatch.setattr)
    recipe = with_neighbours(tiny())
    whole = make_task(store, recipe)
    run_tiny(whole, recipe, tmp_path / "whole", device="cuda")
    stopped = make_task(store, recipe)
    send_at(stopped, 2, 2)
    with pytest.raises(Interrupted):
        run_tiny(stopped, recipe, tmp_path / "stopped", device="cuda")
    resumed = make_task(store, recipe)
    run_tiny(resumed, recipe, tmp_path / "stopped", device="cuda", resume=True)
    for name, value in whole.state_dict().items():
        assert torch.allclose(value.float(), resumed.state_dict()[name].float(), rtol=1e-2, atol=1e-3), name


@on_a_gpu
def test_a_run_on_a_gpu_ends_near_that_on_the_processor(store, tmp_path):
    recipe = tiny()
    losses = [
        run_tiny(make_task(store, recipe), recipe, tmp_path / device, device=device).loss for device in ("cpu", "cuda")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
