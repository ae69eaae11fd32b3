import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from mfcl.recipe import TrainSettings
from mfcl.training.adam import Adam
from mfcl.training.optim import Ema, make_optimiser, set_rate
from mfcl.training.resume_state import Progress, load_state, save_state
from tests.sounds import write_corpus


class Net(nn.Module):
    """Weights of several shapes, one in another layout of memory and one that never gets a gradient."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            convolution = nn.Conv2d(1, 40, 3).to(memory_format=torch.channels_last)
            self.layers = nn.Sequential(convolution, nn.BatchNorm2d(40), nn.Flatten(), nn.Linear(640, 7))
            self.scale, self.unused = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.ones(3))

    def forward(self, batch):
        return (self.scale * self.layers(batch)).sin().square().mean()


def share(name):
    return 0.25 if name.startswith("layers.0") else 1.0


def of_torch(net, settings):
    """The groups of our optimiser, in torch's own."""
    groups = make_optimiser(net, settings, share).param_groups
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    given = [{name: group[name] for name in ("params", "weight_decay", "share")} for group in groups]
    return kind(given, lr=settings.learning_rate, fused=True)


def advance(net, optimiser, steps):
    """Steps as the loop does them, also of an optimiser of torch's own."""
    for step in steps:
        optimiser.zero_grad()
        net(torch.randn(8, 1, 6, 6, generator=torch.Generator().manual_seed(step))).backward()
        for group in optimiser.param_groups:
            group["lr"] = group["share"] * 1e-2 / (1 + step)
        optimiser.step()


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("settings", [TrainSettings(weight_decay=0.3), TrainSettings(optimiser="adam")])
def test_weights_equal_those_of_torchs_own_optimiser_to_the_bit(settings):
    ours, theirs = Net(), Net()
    mine, other = make_optimiser(ours, settings, share), of_torch(theirs, settings)
    start = copy.deepcopy(ours)
    advance(ours, mine, range(20))
    advance(theirs, other, range(20))
    assert len(mine.param_groups) == 4
    assert same(ours, theirs)
    assert not same(ours, start)
    assert ours.unused not in mine.state
    assert ours.layers[0].weight in mine.state
    for one, moments in zip(
        theirs.parameters(), (mine.state.get(weight, {}) for weight in ours.parameters()), strict=True
    ):
        assert moments.keys() == other.state[one].keys()
        assert all(torch.equal(value, other.state[one][name]) for name, value in moments.items())
        assert all(value.stride() == other.state[one][name].stride() for name, value in moments.items())


def test_a_rate_may_be_a_tensor_as_recorded_steps_have_it():
    numbers, tensors = Net(), Net()
    for net, kind in ((numbers, float), (tensors, torch.tensor)):
        optimiser = make_optimiser(net, TrainSettings(weight_decay=0.3))
        for group in optimiser.param_groups:
            group["lr"] = kind(0.0)
        set_rate(optimiser, 0.25)
        net(torch.ones(8, 1, 6, 6)).backward()
        optimiser.step()
        assert all(isinstance(group["lr"], type(kind(0.0))) for group in optimiser.param_groups)
    assert same(numbers, tensors)
    assert not same(numbers, Net())


def test_a_run_begun_with_torchs_optimiser_goes_on_with_ours(tmp_path):
    settings = TrainSettings(weight_decay=0.3)
    before, after = Net(), Net()
    theirs, ours = of_torch(before, settings), make_optimiser(after, settings, share)
    average, other = Ema(before, 0.9), Ema(after, 0.9)
    advance(before, theirs, range(3))
    as_saved = make_optimiser(before, settings, share)
    as_saved.state.update(theirs.state)
    save_state(tmp_path, Progress(step=3), before, as_saved, average)
    assert load_state(tmp_path, after, ours, other, say=print) == Progress(step=3)
    advance(before, theirs, range(3, 8))
    advance(after, ours, range(3, 8))
    assert same(before, after)


def test_gradients_are_dropped_and_groups_without_one_are_left_alone():
    weight = nn.Parameter(torch.ones(2))
    optimiser = Adam([{"params": [weight]}], lr=0.1)
    optimiser.step()
    assert torch.equal(weight, torch.ones(2))
    weight.sum().backward()
    optimiser.zero_grad()
    assert weight.grad is None
    assert not optimiser.state


TRAINING = """
import os
import sys
from mfcl.cli import main

corpus, run = sys.argv[1:]
short = ["train.least_steps=2", "train.most_steps=2", "model.landmarks.count=4"]
assert main(["train", corpus, "--out", run, "--quiet", "--set", *short]) == 0
unasked = ("torch._dynamo", "sympy", "matplotlib", "sklearn", "pandas")
asked = [os.environ[name] for name in ("THP_MEM_ALLOC_ENABLE", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")]
print(*asked, [name for name in unasked if name in sys.modules])
"""


def test_a_training_asks_for_large_pages_and_few_convolutions_kept_and_does_not_load_torchs_compiler(tmp_path):
    corpus = write_corpus(tmp_path / "corpus")
    command = [sys.executable, "-c", TRAINING, str(corpus), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 128 []"), done.stderr[-2000:]
