import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mfcl.models.cost import clips_per_second, cost, multiply_adds, parameters, sound
from mfcl.models.pair import MultiFormatModel, make_model
from tests.small_run import tiny


@pytest.fixture(scope="module")
def model() -> MultiFormatModel:
    return make_model(tiny().model, seed=0)


class OneConvolution(torch.nn.Module):
    """A waveform encoder whose arithmetic can be counted by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv1d(1, 8, kernel_size=10, stride=10, bias=False)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        return self.convolution(wave[:, None]).mean(dim=2)


def test_multiply_adds_are_those_of_a_convolution_counted_by_hand(model: MultiFormatModel) -> None:
    whole = model.wave
    try:
        del model.wave
        model.wave = OneConvolution()
        assert multiply_adds(model, 16000, ("wave",)) == pytest.approx(16000 / 10 * 10 * 8)
        assert parameters(model, ("wave",)) == 80
    finally:
        model.wave = whole


@pytest.mark.parametrize("name", ["wave", "mel"])
def test_multiply_adds_are_those_that_torch_counts(model: MultiFormatModel, name: str) -> None:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        getattr(model, name)(sound(model, 1, 10 * 16000))
    assert multiply_adds(model, 16000, (name,)) == counter.get_total_flops() / 2 / 10


COUNTING = """
import sys
from mfcl.models.cost import multiply_adds
from mfcl.models.pair import make_model
from tests.small_run import tiny
print(multiply_adds(make_model(tiny().model, seed=0), 16000) > 0, "torch._dynamo" in sys.modules)
"""


def test_counting_does_not_load_torchs_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", COUNTING], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]


def test_both_formats_cost_what_they_cost_alone(model: MultiFormatModel) -> None:
    one, other = (multiply_adds(model, 16000, (name,)) for name in ("wave", "mel"))
    assert one > 0
    assert other > 0
    assert multiply_adds(model, 16000) == pytest.approx(one + other)
    assert parameters(model) == sum(weight.numel() for weight in model.parameters())


def test_the_rows_are_numbers_and_the_model_is_left_as_it_was(
    model: MultiFormatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfcl.models.cost.CLIPS", 4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for training in (True, False):
        model.train(training)
        found = cost(model, 16000, format="mel")
        assert model.training is training
    assert set(found) == {"parameters", "multiply_adds", "clips_per_second"}
    assert all(isinstance(value, float) and value > 0 for value in found.values())
    assert found["parameters"] == parameters(model, ("mel",)) < parameters(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_batch_is_timed_after_one_that_warms_up(model: MultiFormatModel, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 100.0, 100.0, 102.0, 102.0, 103.0])  # the first round takes 100 seconds, the best takes 1
    monkeypatch.setattr("mfcl.models.cost.time.perf_counter", lambda: next(clock))
    monkeypatch.setattr("mfcl.models.cost.CLIPS", 4)
    assert clips_per_second(model, 16000, ("mel",), rounds=2) == 4
