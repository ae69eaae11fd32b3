import contextlib
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mfcl.recipe import TrainSettings
from mfcl.training.optim import Ema, learning_rate, make_optimiser, set_rate
from mfcl.training.precision import settle
from mfcl.training.steps import learn


def small_net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_norms_and_biases_are_not_decayed():
    net = small_net()
    decayed, plain = make_optimiser(net, TrainSettings(weight_decay=0.3)).param_groups
    assert {id(weight) for weight in decayed["params"]} == {id(net[0].weight), id(net[2].weight)}
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    assert len(plain["params"]) == 4


def test_adam_decays_nothing():
    groups = make_optimiser(small_net(), TrainSettings(optimiser="adam", weight_decay=0.3)).param_groups
    assert {group["weight_decay"] for group in groups} == {0.0}


@settings(deadline=None, max_examples=25)
@given(steps=st.integers(1, 300), warmup=st.floats(0, 0.9))
def test_the_learning_rate_rises_to_its_peak_and_falls_towards_zero(steps, warmup):
    wanted = TrainSettings(learning_rate=2.0, warmup=warmup)
    rates = [learning_rate(step, steps, wanted) for step in range(steps)]
    rising = round(warmup * steps)
    assert all(0 < rate <= 2.0 for rate in rates)
    assert rates[: rising + 1] == sorted(rates[: rising + 1])
    assert rates[rising:] == sorted(rates[rising:], reverse=True)
    assert max(rates) == pytest.approx(2.0)


def test_the_average_is_the_formula_of_an_exponential_average():
    net = small_net()
    ema = Ema(net, 0.6)
    expected = net[0].weight.detach().clone()
    for step in range(12):
        with torch.no_grad():
            net[0].weight += 1 + step
        ema.update(step)
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * net[0].weight.detach()
    torch.testing.assert_close(ema.average["0.weight"], expected)


def test_the_average_holds_norm_statistics_and_counts_too():
    net = small_net()
    ema = Ema(net, 0.5)
    net(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))
    ema.update(100)
    assert ema.average["1.num_batches_tracked"] == 1
    torch.testing.assert_close(ema.average["1.running_mean"], net[1].running_mean / 2)


def test_showing_the_average_gives_the_weights_back():
    net = small_net()
    ema = Ema(net, 0.5)
    with torch.no_grad():
        net[0].weight += 1
    own = net[0].weight.detach().clone()
    with contextlib.suppress(RuntimeError), ema.shown():
        assert torch.equal(net[0].weight, ema.average["0.weight"])
        assert not torch.equal(net[0].weight, own)
        raise RuntimeError("what is shown goes wrong")
    assert torch.equal(net[0].weight, own)


def test_auto_precision_is_bf16_only_where_the_processor_has_it(monkeypatch):
    for present, expected in ((True, "bf16"), (False, "fp32")):
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, name, lambda present=present: present, raising=False)
        assert settle("auto", torch.device("cpu")) == expected
        assert settle("fp32", torch.device("cpu")) == "fp32"


def test_auto_precision_is_fp32_on_an_unknown_device():
    assert settle("auto", torch.device("meta")) == "fp32"
    assert math.isclose(learning_rate(0, 1, TrainSettings()), 1e-3)


def test_a_share_of_the_rate_is_for_the_weights_that_it_names():
    module = nn.ModuleDict({"encoder": nn.Linear(2, 2), "linear": nn.Linear(2, 1)})
    settings = TrainSettings(learning_rate=0.1, weight_decay=0.2)
    optimiser = make_optimiser(module, settings, lambda name: 0.25 if name.startswith("encoder") else 1.0)
    found = {
        name: (group["share"], group["weight_decay"])
        for group in optimiser.param_groups
        for weight in group["params"]
        for name, own in module.named_parameters()
        if own is weight
    }
    assert found == {
        "encoder.weight": (0.25, 0.2),
        "encoder.bias": (0.25, 0.0),
        "linear.weight": (1.0, 0.2),
        "linear.bias": (1.0, 0.0),
    }

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = module

        def forward(self, batch):
            return self.module["linear"](self.module["encoder"](batch)).square().mean(), {}

    set_rate(optimiser, 0.5)
    before = module["linear"].weight.detach().clone()
    learn(Sum(), torch.ones(3, 2), optimiser=optimiser, clip=0.0, networks=[list(module.parameters())])
    assert not torch.equal(module["linear"].weight, before)
    assert [group["lr"] for group in optimiser.param_groups] == [
        0.5 * group["share"] for group in optimiser.param_groups
    ]
