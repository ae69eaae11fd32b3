import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mfcl.core import distributed
from mfcl.models.encoders.base import silence_
from mfcl.models.encoders.norm import BatchNorm, GroupNorm, make_norm, normed

CHANNELS, BANDS, WIDTH = 8, 3, 11

WORKER = """
import sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
from mfcl.core import distributed
from test_norm import both_norms
folder = Path(sys.argv[2])
distributed.start("cpu", meeting=(folder / "meeting").as_uri())
torch.save(both_norms(distributed.rank(), distributed.processes()), folder / f"{distributed.rank()}.pt")
distributed.barrier()
distributed.stop()
"""


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 2 + 0.7


def moved(norm: BatchNorm | GroupNorm) -> BatchNorm | GroupNorm:
    """The norm with weights and biases that are not 1 and 0."""
    with torch.no_grad():
        norm.weight.copy_(noise(CHANNELS, seed=8))
        norm.bias.copy_(noise(CHANNELS, seed=9))
    return norm


def packed(grid: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """All own frames of all clips side by side, as one clip."""
    return torch.cat([grid[row, :, :, :count] for row, count in enumerate(lengths)], dim=2)[None]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, WIDTH), min_size=2, max_size=5), st.booleans())
def test_batch_norm_is_torchs_on_the_own_frames_alone(counts: list[int], last: bool) -> None:
    lengths = torch.tensor(counts)
    x = noise(len(counts), CHANNELS, BANDS, WIDTH)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    ours, torchs = moved(BatchNorm(CHANNELS)).train(), nn.BatchNorm2d(CHANNELS).train()
    torchs.load_state_dict(ours.state_dict())
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    got, wanted = ours(mine, lengths), torchs(packed(theirs, lengths))
    assert torch.allclose(packed(got, lengths), wanted, atol=1e-5)
    assert torch.equal(got, silence_(got.clone(), lengths))
    weights = silence_(noise(*x.shape, seed=5), lengths)
    (got * weights).sum().backward()
    (wanted * packed(weights, lengths)).sum().backward()
    assert mine.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(mine.grad, theirs.grad, atol=1e-4)
    for (name, value), reference in zip(ours.state_dict().items(), torchs.state_dict().values(), strict=True):
        assert torch.allclose(value, reference, atol=1e-5), name
    for value, reference in zip(ours.parameters(), torchs.parameters(), strict=True):
        assert torch.allclose(value.grad, reference.grad, atol=1e-3)


def test_batch_norm_without_padding_is_torchs_and_has_its_keys() -> None:
    ours, torchs = BatchNorm(CHANNELS), nn.BatchNorm2d(CHANNELS)
    assert list(ours.state_dict()) == list(torchs.state_dict())
    x = noise(4, CHANNELS, BANDS, WIDTH)
    assert torch.equal(ours(x), torchs(x))
    assert torch.equal(ours.eval()(x), torchs.eval()(x))
    assert torch.equal(ours(x, torch.full((4,), WIDTH)), torchs(x))


def test_statistics_survive_a_mean_far_from_zero_and_much_padding() -> None:
    x, lengths = noise(3, CHANNELS, 1, 400) + 50, torch.tensor([20, 5, 7])
    got = BatchNorm(CHANNELS).train()(x, lengths)
    assert torch.allclose(packed(got, lengths), nn.BatchNorm2d(CHANNELS).train()(packed(x, lengths)), atol=2e-3)


@pytest.mark.parametrize(
    ("name", "training"),
    [("group", True), ("group", False), ("instance", True), ("instance", False), ("batch", False)],
)
def test_a_clip_alone_is_normalised_as_in_a_padded_batch(name: str, training: bool) -> None:
    norm = moved(make_norm(name, CHANNELS)).train(training)  # type: ignore[arg-type]
    x, lengths = noise(3, CHANNELS, BANDS, WIDTH), torch.tensor([WIDTH, 4, 1])
    together = norm(x, lengths)
    assert torch.equal(together, silence_(together.clone(), lengths))
    for row, count in enumerate(lengths):
        assert torch.allclose(together[row, :, :, :count], norm(x[row : row + 1, :, :, :count])[0], atol=1e-5)


def test_norms_are_over_what_their_names_say() -> None:
    x = noise(2, 64, BANDS, WIDTH)
    assert torch.allclose(make_norm("group", 64)(x), nn.GroupNorm(8, 64)(x), atol=1e-6)
    assert torch.allclose(make_norm("instance", 64)(x), nn.InstanceNorm2d(64, eps=1 / (BANDS * WIDTH))(x), atol=1e-5)
    assert isinstance(make_norm("batch", 64), nn.BatchNorm2d)
    groups = {channels: make_norm("group", channels).num_groups for channels in (512, 48, 8, 4)}  # type: ignore[union-attr]
    assert groups == {512: 32, 48: 2, 8: 1, 4: 1}


def test_the_deviation_of_two_values_does_not_blow_up_rounding() -> None:
    x = torch.tensor([1.0, 1.0 + 1e-6]).expand(1, CHANNELS, 1, 2)
    assert make_norm("instance", CHANNELS)(x).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["batch", "group", "instance"])
def test_bf16_comes_out_as_bf16_and_near(name: str) -> None:
    norm = make_norm(name, CHANNELS).train()  # type: ignore[arg-type]
    x, lengths = noise(3, CHANNELS, BANDS, WIDTH), torch.tensor([WIDTH, 6, 3])
    half = x.bfloat16().requires_grad_()
    got = norm(half, lengths)
    got.sum().backward()
    assert got.dtype == torch.bfloat16
    assert torch.allclose(got.float(), norm(x, lengths), atol=0.05)


def both_norms(rank: int, processes: int) -> dict[str, torch.Tensor]:
    """This process's share of a batch through two batch norms, as training does it: one loss over everybody's rows."""
    net = nn.ModuleList([moved(BatchNorm(CHANNELS)), moved(BatchNorm(CHANNELS))]).train()
    wrapped = DistributedDataParallel(Stack(net)) if processes > 1 else Stack(net)
    x, lengths = noise(4, CHANNELS, BANDS, WIDTH), torch.tensor([WIDTH, 9, 2, 5])
    share = slice(rank * 4 // processes, (rank + 1) * 4 // processes)
    mine = x[share].clone().requires_grad_()
    rows = distributed.gather(wrapped(mine, lengths[share]).sum((2, 3)))
    (rows * noise(4, CHANNELS, seed=7)).sum().square().backward()
    assert mine.grad is not None
    named = {name: value.grad for name, value in net.named_parameters()} | dict(net.named_buffers())
    return named | {"input": mine.grad / processes, "rows": rows.detach()}


class Stack(nn.Module):
    def __init__(self, net: nn.ModuleList) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.net[1](self.net[0](x, lengths).relu(), lengths)
        return result


def test_two_processes_normalise_as_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(Path(__file__).parent), str(tmp_path)]
    workers = []
    for number in range(2):
        environment = os.environ | {"RANK": str(number), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
        workers.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
    wanted = both_norms(0, 1)
    for number in range(2):
        report = torch.load(tmp_path / f"{number}.pt")
        for name, value in report.items():
            reference = wanted[name][number * 2 :][:2] if name == "input" else wanted[name]
            assert (value - reference).abs().max() <= 1e-4 * reference.abs().max(), name


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("by_convolution", [False, True])
def test_a_norm_made_again_in_the_backward_pass_changes_nothing(padded: bool, by_convolution: bool) -> None:
    lengths = torch.tensor([5, WIDTH, 7]) if padded else None
    convolution = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
    found = []
    for again in (False, True):
        norm = moved(BatchNorm(CHANNELS)).train()
        x = silence_(noise(3, CHANNELS, BANDS, WIDTH), lengths).requires_grad_()
        convolution.zero_grad()
        if not again:
            y = norm(convolution(x), lengths).relu()
        elif by_convolution:
            y = normed(norm, x, lengths, torch.relu_, made_by=convolution)
        else:
            y = normed(norm, convolution(x), lengths, torch.relu_)
        (y * noise(*y.shape, seed=1)).sum().backward()
        weights = (norm.weight, norm.bias, *convolution.parameters(), x)
        found.append([y, *(weight.grad.clone() for weight in weights), *norm.buffers()])
    for plain, made_again in zip(*found, strict=True):
        torch.testing.assert_close(made_again, plain, rtol=1e-5, atol=1e-5)
    assert int(norm.num_batches_tracked) == 1


def test_of_a_normalised_grid_that_is_made_again_only_the_input_is_kept() -> None:
    kept: dict[int, int] = {}

    def pack(value: torch.Tensor) -> torch.Tensor:
        kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    norm, x = BatchNorm(CHANNELS).train(), noise(4, CHANNELS, BANDS, 100).requires_grad_()
    sizes = []
    for make in (lambda: norm(x).relu(), lambda: normed(norm, x, None, torch.relu_)):
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
            y = make()
        sizes.append(sum(kept.values()))
        y.sum().backward()
    assert sizes[0] >= 2 * x.nbytes  # the input, and what the rectifier keeps
    assert sizes[1] < 1.1 * x.nbytes
