import errno
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from mfcl.errors import CheckpointError, MfclError
from mfcl.training import resume_state as state
from mfcl.training.adam import Adam
from mfcl.training.optim import Ema
from mfcl.training.resume_state import CHECKSUM, NAME, PREVIOUS, Progress, load_state, save_state


class Net(nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)

    def forward(self, x):
        return self.layers(x)


def parts(seed=0, steps=0):
    net = Net(seed)
    optimiser, ema = Adam([{"params": list(net.parameters())}], lr=0.1), Ema(net, 0.9)
    advance(net, optimiser, ema, range(steps))
    return net, optimiser, ema


def advance(net, optimiser, ema, steps):
    for step in steps:
        optimiser.zero_grad()
        x = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(step))
        (net(x) * torch.linspace(-1, 1, 4)[:, None, None]).sin().sum().backward()
        optimiser.step()
        ema.update(step)


def never(line):
    raise AssertionError(line)


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_restored_run_goes_on_to_the_last_bit(tmp_path):
    net, optimiser, ema = parts(steps=3)
    save_state(tmp_path, Progress(step=3, lines=2, seconds=1.5, recent=[{"loss": 0.1}]), net, optimiser, ema)
    other, other_optimiser, other_ema = parts(seed=1)
    progress = load_state(tmp_path, other, other_optimiser, other_ema, say=never)
    assert progress == Progress(step=3, lines=2, seconds=1.5, recent=[{"loss": 0.1}])
    advance(net, optimiser, ema, range(3, 6))
    advance(other, other_optimiser, other_ema, range(3, 6))
    assert same(net.state_dict(), other.state_dict())
    assert same(ema.average, other_ema.average)


def test_moments_come_back_in_the_memory_layout_of_their_weights(tmp_path):
    save_state(tmp_path, Progress(step=3), *parts(steps=3))
    net, optimiser, ema = parts(seed=1)
    load_state(tmp_path, net, optimiser, ema, say=never)
    kernel = net.layers[0].weight
    assert optimiser.state[kernel]["exp_avg"].stride() == kernel.stride()


def test_nothing_saved_is_nothing_restored(tmp_path):
    assert load_state(tmp_path, *parts(), say=never) is None


@pytest.mark.parametrize("damage", ["half", "empty", "noise", "bit"])
def test_a_damaged_file_is_named_and_the_one_before_it_taken(tmp_path, damage):
    net, optimiser, ema = parts(steps=1)
    save_state(tmp_path, Progress(step=1), net, optimiser, ema)
    kept = {name: value.clone() for name, value in net.state_dict().items()}
    advance(net, optimiser, ema, range(1, 2))
    save_state(tmp_path, Progress(step=2), net, optimiser, ema)
    whole = (tmp_path / NAME).read_bytes()
    flipped = bytes([*whole[:-50], whole[-50] ^ 1, *whole[-49:]])
    damaged = {"half": whole[: len(whole) // 2], "empty": b"", "noise": b"\xff" * 500, "bit": flipped}
    (tmp_path / NAME).write_bytes(damaged[damage])
    other, other_optimiser, other_ema = parts(seed=1)
    said = []
    progress = load_state(tmp_path, other, other_optimiser, other_ema, say=said.append)
    assert progress.step == 1
    assert same(other.state_dict(), kept)
    assert len(said) == 1
    assert said[0].startswith("warning: ")
    assert NAME in said[0]
    assert "\n" not in said[0]


def test_no_whole_file_is_an_error_and_not_a_new_beginning(tmp_path):
    (tmp_path / NAME).write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="begin again"):
        load_state(tmp_path, *parts(), say=lambda line: None)


def test_a_state_of_another_model_is_not_used(tmp_path):
    save_state(tmp_path, Progress(step=1), *parts(steps=1))
    net = nn.Linear(2, 2)
    said = []
    with pytest.raises(CheckpointError):
        load_state(tmp_path, net, Adam([{"params": list(net.parameters())}], lr=0.1), None, say=said.append)
    assert "wanted task." in said[0]


def test_a_state_of_another_version_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "VERSION", "99")
    save_state(tmp_path, Progress(step=1), *parts(steps=1))
    monkeypatch.undo()
    said = []
    with pytest.raises(CheckpointError):
        load_state(tmp_path, *parts(), say=said.append)
    assert "wanted a state of version 1, got 99" in said[0]


@pytest.mark.parametrize("where", ["write", "sync"])
def test_a_full_disk_leaves_the_old_state_whole(tmp_path, monkeypatch, where):
    net, optimiser, ema = parts(steps=1)
    save_state(tmp_path, Progress(step=1), net, optimiser, ema)
    before = (tmp_path / NAME).read_bytes()

    def full(*arguments, **_):
        if where == "write":
            arguments[1].write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((state, "save_file") if where == "write" else ("os.fsync",)), full)
    with pytest.raises(MfclError, match="No space left on device") as error:
        save_state(tmp_path, Progress(step=2), net, optimiser, ema)
    monkeypatch.undo()
    assert "\n" not in str(error.value)
    found = load_state(tmp_path, *parts(), say=never)
    assert found.step == 1
    assert not list(tmp_path.glob(".*tmp"))
    assert before in [path.read_bytes() for path in tmp_path.iterdir()]


def test_the_library_s_own_word_for_a_full_disk_is_one_line_too(tmp_path, monkeypatch):
    from safetensors import SafetensorError

    def full(*_, **__):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(state, "save_file", full)
    with pytest.raises(MfclError, match="No space left on device"):
        save_state(tmp_path, Progress(), *parts())


def test_a_finished_run_keeps_its_weights_and_no_moments(tmp_path):
    net, optimiser, ema = parts(steps=2)
    save_state(tmp_path, Progress(step=1), net, optimiser, ema)
    big = (tmp_path / NAME).stat().st_size
    save_state(tmp_path, Progress(step=2, finished=True), net, optimiser, ema)
    assert (tmp_path / NAME).stat().st_size < big / 2
    assert not (tmp_path / PREVIOUS).exists()
    other, other_optimiser, other_ema = parts(seed=1)
    assert load_state(tmp_path, other, other_optimiser, other_ema, say=never).finished
    assert same(net.state_dict(), other.state_dict())


def resaved(path, change):
    """Write a state again with other tensors and another header, without a checksum, as before there was one."""
    with safe_open(path, framework="pt") as file:
        header, tensors = dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del header[CHECKSUM]
    change(header, tensors)
    save_file(tensors, path, metadata=header)


def progress_with(**entries):
    def change(header, _tensors):
        header["progress"] = json.dumps({**json.loads(header["progress"]), **entries})

    return change


def tensor_with(**entries):
    def change(_header, tensors):
        for name, value in entries.items():
            tensors.pop(name, None)
            if value is not None:
                tensors[name] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        *(progress_with(step=step) for step in (-1, 1.5, "3", None, True, [])),
        *(progress_with(lines=-1), progress_with(seconds="long"), progress_with(finished=1), progress_with(other=1)),
        *(progress_with(recent=3), progress_with(recent=[3]), progress_with(latest=[])),
        lambda header, _: header.update(progress="[" * 100_000),
        lambda header, _: header.update(progress="[]"),
        lambda header, _: header.pop("progress"),
        *(tensor_with(**{"task.layers.0.weight": value}) for value in (None, torch.zeros(4, 1, 3, 3).int())),
        tensor_with(**{"task.layers.0.weight": torch.full((4, 1, 3, 3), float("nan"))}),
        *(tensor_with(**{"optimiser.0.exp_avg": value}) for value in (None, torch.zeros(2))),
        *(
            tensor_with(**{name: torch.zeros(1)})
            for name in ("optimiser.99.exp_avg", "optimiser.x.step", "other", "ema.x")
        ),
        tensor_with(**{"ema.layers.0.weight": None}),
    ],
)
def test_a_state_of_another_form_is_not_used_and_nothing_of_it_is_taken(tmp_path, change):
    save_state(tmp_path, Progress(step=1), *parts(steps=1))
    resaved(tmp_path / NAME, change)
    net, optimiser, ema = parts(seed=1)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    said = []
    with pytest.raises(CheckpointError, match=f"delete {NAME}"):
        load_state(tmp_path, net, optimiser, ema, say=said.append)
    assert len(said) == 1
    assert "\n" not in said[0]
    assert same(net.state_dict(), before)
