import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mfcl.core import distributed
from mfcl.embeddings.diffusion import powered_cosine_graph
from mfcl.errors import MfclError, TrainingError
from mfcl.models.losses import ContrastiveLoss, LossSettings
from mfcl.training.positives import Neighbourhood

ITEMS, SAMPLES = 8, 12
RECORDINGS = np.array([3, 11, 3, 40, 57, 98, 120, 199])

WORKER = """
import gc
import sys
from pathlib import Path
import torch
from torch.nn.parallel import DistributedDataParallel
from mfcl.core import distributed
sys.path.insert(0, sys.argv[1])
from test_distributed import ITEMS, Pair, batch, neighbourhood
from test_losses import Largest
folder = Path(sys.argv[2])
assert distributed.start("cpu", meeting=(folder / "meeting").as_uri()) == torch.device("cpu")
def work():
    number, count = distributed.rank(), distributed.processes()
    share = slice(number * ITEMS // count, (number + 1) * ITEMS // count)
    model = DistributedDataParallel(Pair())
    loss = model(*(part[share] for part in batch()))
    loss.backward()
    hood = neighbourhood()
    near = DistributedDataParallel(Pair())
    with Largest() as largest:
        near_loss = near(*(part[share] for part in batch()), hood)
        near_loss.backward()
    rows = torch.full((2, 1), float(number))
    x = torch.tensor([1.0 + number], requires_grad=True)
    y = distributed.all_reduce_sum(x)
    (y * (3.0 + number)).sum().backward()
    torch.save({
        "loss": loss.detach(), "gradients": [p.grad for p in model.parameters()], "gathered": distributed.gather(rows),
        "near_loss": near_loss.detach(), "near_gradients": [p.grad for p in near.parameters()],
        "largest": largest.values, "y": y.detach(), "x": x.grad, "count": count, "main": distributed.is_main(),
    }, folder / f"{number}.pt")

# in a function: a group that a module still refers to cannot be left in order, and ends the process with an abort
work()
gc.collect()
distributed.barrier()
distributed.stop()
"""


class Pair(nn.Module):
    """Two tiny encoders, the sum over the whole batch that a norm layer needs, and the loss with its temperature."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.wave, self.mel = nn.Linear(SAMPLES, 5), nn.Linear(SAMPLES, 5, bias=False)
        self.loss = ContrastiveLoss(LossSettings(terms="inter+intra", learned=True))

    def forward(self, a: torch.Tensor, b: torch.Tensor, hood: Neighbourhood | None = None) -> torch.Tensor:
        views = [{"wave": self.wave(x), "mel": self.centred(self.mel(x))} for x in (a, b)]
        related = None
        if hood is not None:
            first, second = RECORDINGS, RECORDINGS[::-1].copy()
            mine = distributed.own_rows(len(a))
            places = torch.arange(2 * ITEMS).reshape(2, ITEMS)
            own = None if mine is None else places[:, mine].flatten()
            related = hood.relations(torch.from_numpy(np.concatenate([first, second])), own=own)
        loss: torch.Tensor = self.loss(*views, related)[0]
        return loss

    def centred(self, x: torch.Tensor) -> torch.Tensor:
        return x - distributed.all_reduce_sum(x.sum(dim=0)) / ITEMS


def neighbourhood() -> Neighbourhood:
    made = Neighbourhood(200, positives=5, ambiguous=20, seed=0)
    vectors = np.random.default_rng(2).standard_normal((200, 6)).astype(np.float32)
    made.renew(powered_cosine_graph(vectors))
    return made


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(ITEMS, SAMPLES, generator=draw), torch.randn(ITEMS, SAMPLES, generator=draw)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    folder = tmp_path_factory.mktemp("processes")
    command = [sys.executable, "-c", WORKER, str(Path(__file__).parent), str(folder)]
    workers = []
    for number in range(2):
        environment = os.environ | {"RANK": str(number), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
        workers.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors
    return [torch.load(folder / f"{number}.pt") for number in range(2)]


def test_two_processes_give_one_processs_loss_and_gradients(reports: list[dict[str, object]]) -> None:
    alone = Pair()
    loss = alone(*batch())
    loss.backward()
    wanted = [parameter.grad for parameter in alone.parameters()]
    for report in reports:
        assert torch.allclose(report["loss"], loss, rtol=1e-6)
        for gradient, reference in zip(report["gradients"], wanted, strict=True):
            assert float(gradient.norm() / reference.norm()) == pytest.approx(1, abs=1e-5)
            assert torch.allclose(gradient, reference, rtol=1e-4, atol=1e-7)


def test_with_neighbours_as_positives_two_processes_give_one_processs_gradients(
    reports: list[dict[str, object]],
) -> None:
    alone = Pair()
    loss = alone(*batch(), neighbourhood())
    loss.backward()
    assert float(neighbourhood().relations(torch.from_numpy(RECORDINGS)).same.sum()) > ITEMS
    wanted = [parameter.grad for parameter in alone.parameters()]
    for report in reports:
        assert torch.allclose(report["near_loss"], loss, rtol=1e-6)
        for gradient, reference in zip(report["near_gradients"], wanted, strict=True):
            assert float(gradient.norm() / reference.norm()) == pytest.approx(1, abs=1e-5)
            assert torch.allclose(gradient, reference, rtol=1e-4, atol=1e-7)


def test_each_process_holds_the_rows_of_its_own_views_only(reports: list[dict[str, object]]) -> None:
    views = 4 * ITEMS  # two crops in two formats
    assert [report["largest"] for report in reports] == [views // 2 * views] * 2


def test_gather_brings_all_rows_in_the_order_of_ranks(reports: list[dict[str, object]]) -> None:
    for report in reports:
        assert report["gathered"].flatten().tolist() == [0, 0, 1, 1]
        assert report["count"] == 2
    assert [report["main"] for report in reports] == [True, False]


def test_all_reduce_sums_values_forward_and_gradients_backward(reports: list[dict[str, object]]) -> None:
    for report in reports:
        assert float(report["y"]) == 1 + 2
        assert float(report["x"]) == 3 + 4


def test_one_process_alone_gets_its_own_tensor_back() -> None:
    rows = torch.ones(2, 3)
    assert distributed.gather(rows) is rows
    assert distributed.all_reduce_sum(rows) is rows
    assert distributed.start("cpu") == torch.device("cpu")
    distributed.barrier()
    distributed.stop()
    assert (distributed.rank(), distributed.processes(), distributed.is_main()) == (0, 1, True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA card")
def test_a_card_that_is_not_there_is_an_error_in_one_line() -> None:
    with pytest.raises(TrainingError, match="use device 'cpu'"):
        distributed.start("cuda")


@pytest.mark.parametrize("device", ["tpu", "cpu:x", ""])
def test_a_device_of_no_such_name_is_an_error_in_one_line(device: str) -> None:
    with pytest.raises(MfclError, match="cannot be used here"):
        distributed.start(device)


def test_a_broken_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(TrainingError, match="WORLD_SIZE is 'two'"):
        distributed.start("cpu")
