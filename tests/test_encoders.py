"""Promises of every encoder with every way to pool and to normalise, and of each encoder alone."""

import functools
from collections import OrderedDict

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from mfcl.errors import CheckpointError, RecipeError
from mfcl.models.encoders import EncoderSettings, make_encoder
from mfcl.models.encoders.filterbank import FILTERS, KERNEL, Filterbank1d, gabor_filters
from mfcl.models.encoders.mel import MelCnn, ResNet18
from mfcl.models.encoders.norm import BatchNorm
from mfcl.models.encoders.wave import Block, Reference1d, Res1dNet, Res1dNet31
from mfcl.models.pooling import Pooling
from mfcl.models.published import load_panns, load_torchvision

WAVE, MEL = ("filterbank1d", "res1dnet", "res1dnet31", "reference1d"), ("melcnn", "resnet18", "bcresnet")
BANDS = 80
HOP = 160


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(name: str, *, norm: str = "batch", width: float = 0.125, seed: int = 0) -> nn.Module:
    format = "wave" if name in WAVE else "mel"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = make_encoder(EncoderSettings(name, width=width, norm=norm), format, bands=BANDS)  # type: ignore[arg-type]
        for module in encoder.modules():  # as if trained: norms that are not the identity, biases that fill padding
            if isinstance(module, BatchNorm | nn.GroupNorm):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, 0.1, 0.5)
            if isinstance(module, BatchNorm):
                nn.init.uniform_(module.get_buffer("running_mean"), -0.5, 0.5)
    return encoder


def clip(name: str, samples: int, seed: int) -> torch.Tensor:
    """A waveform of so many samples, or a spectrogram as long."""
    return noise(1, samples, seed=seed) if name in WAVE else noise(1, BANDS, 1 + samples // HOP, seed=seed)


def padded(clips: list[torch.Tensor], more: int) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([one.shape[-1] for one in clips])
    widest = int(lengths.max()) + more
    return torch.cat([functional.pad(one, (0, widest - one.shape[-1])) for one in clips]), lengths


def number_of_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", [*WAVE, *MEL])
@pytest.mark.parametrize(
    ("norm", "training"),
    [("batch", False), ("group", False), ("group", True), ("instance", False), ("instance", True)],
)
@settings(deadline=None, max_examples=4)
@example(counts=[800, 800, 4892], more=0)  # of the frames of the last layers little more than one is not zero
@given(counts=st.lists(st.integers(800, 32000), min_size=2, max_size=3), more=st.sampled_from([0, 1, 777]))
def test_a_clip_alone_equals_itself_in_a_padded_batch(
    name: str, norm: str, training: bool, counts: list[int], more: int
) -> None:
    encoder = make(name, norm=norm).train(training)
    clips = [clip(name, count, seed) for seed, count in enumerate(counts)]
    with torch.no_grad():
        frames = encoder(*padded(clips, more))
        assert frames.lengths is not None
        for row, one in enumerate(clips):
            alone = encoder(one)
            count = alone.values.shape[1]
            assert count == frames.lengths[row]
            assert alone.values.shape[2] == encoder.features
            scale = alone.values.abs().max()
            assert (frames.values[row, :count] - alone.values[0]).abs().max() <= 1e-4 * scale
            assert not frames.values[row, count:].any()


@pytest.mark.parametrize("name", WAVE)
@pytest.mark.parametrize("norm", ["batch", "group", "instance"])
def test_a_quiet_clip_alone_equals_itself_in_a_padded_batch(name: str, norm: str) -> None:
    encoder = make(name, norm=norm).eval()
    clips = [level * clip(name, 16000, 0) for level in (1e-2, 1e-3, 0)]
    with torch.no_grad():
        frames = encoder(*padded(clips, 777))
        for row, one in enumerate(clips):
            alone = encoder(one).values[0]
            assert (frames.values[row, : len(alone)] - alone).abs().max() <= 1e-2 * alone.abs().max()


@pytest.mark.parametrize("name", [*WAVE, *MEL])
@pytest.mark.parametrize("pooling", ["mean", "mean_max", "thirds_max", "statistics", "panns"])
def test_an_embedding_alone_equals_itself_in_a_padded_batch(name: str, pooling: str) -> None:
    encoder = make(name).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        pool = Pooling(pooling, int(encoder.features))
    clips = [clip(name, count, seed) for seed, count in enumerate((800, 5171, 32000))]
    with torch.no_grad():
        together = pool(encoder(*padded(clips, 100)))
        for row, one in enumerate(clips):
            alone = pool(encoder(one))[0]
            assert (together[row] - alone).abs().max() <= 1e-4 * alone.abs().max()


@pytest.mark.parametrize("name", [*WAVE, *MEL])
def test_a_clip_of_almost_nothing_still_has_a_frame(name: str) -> None:
    encoder = make(name).eval()
    one = clip(name, 1, 0)
    frames = encoder(*padded([one, clip(name, 3000, 1)], 0))
    assert torch.isfinite(frames.values).all()
    assert encoder(one).values.shape[1] == frames.lengths[0] >= 1


@pytest.mark.parametrize("name", [*WAVE, *MEL])
@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("full", [True, False])
def test_gradients_reach_every_parameter(name: str, norm: str, full: bool) -> None:
    encoder = make(name, norm=norm).train()
    batch, lengths = padded([clip(name, count, seed) for seed, count in enumerate((24000, 16000))], 0)
    frames = encoder(batch, None if full else lengths)
    (frames.values * noise(*frames.values.shape)).sum().backward()
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.any(), key


@pytest.mark.parametrize("name", [*WAVE, *MEL])
def test_all_at_full_length_is_the_same_with_and_without_lengths(name: str) -> None:
    encoder = make(name).eval()
    batch, lengths = padded([clip(name, 9000, seed) for seed in range(2)], 0)
    with_lengths, without = encoder(batch, lengths), encoder(batch)
    assert without.lengths is None
    assert torch.allclose(with_lengths.values, without.values, atol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "millions", "tolerance", "features"),
    [
        (Res1dNet, 11.0, 0.1, 512),
        (Reference1d, 4.7, 0.03, 512),
        (ResNet18, 11.2, 0.02, 512),
        (lambda: MelCnn(80), 0.0189, 0.02, 640),
        (Filterbank1d, 1.10, 0.02, 384),
    ],
)
def test_an_encoder_has_its_number_of_parameters(
    encoder: type[nn.Module], millions: float, tolerance: float, features: int
) -> None:
    with torch.device("meta"):
        made = encoder()
    assert number_of_parameters(made) == pytest.approx(millions * 1e6, rel=tolerance)
    assert made.features == features


def test_the_1d_encoder_spends_few_multiplications_and_leaves_twenty_frames_of_a_word() -> None:
    encoder, spent = Res1dNet().eval(), []
    for module in encoder.modules():
        if isinstance(module, nn.Conv1d):
            module.register_forward_hook(lambda m, _, out: spent.append(m.weight.numel() * out.shape[-1]))
    with torch.no_grad():
        frames = encoder(noise(1, round(0.64 * 16000)))
    assert sum(spent) <= 300e6
    assert 20 <= frames.values.shape[1] <= 25


def test_random_weights_neither_lose_the_level_nor_blow_it_up() -> None:
    for name in (*WAVE, *MEL):
        format = "wave" if name in WAVE else "mel"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            encoder = make_encoder(EncoderSettings(name), format, bands=BANDS).eval()  # type: ignore[arg-type]
        with torch.no_grad():
            values = encoder(clip(name, 20480, 0)).values
        assert 0.1 < float(values.square().mean().sqrt()) < 1000, name


def torchvision_resnet18(colours: int) -> OrderedDict[str, torch.Size]:
    """The keys and shapes of torchvision's ResNet18, written from its layout."""
    shapes: OrderedDict[str, tuple[int, ...]] = OrderedDict()

    def norm(key: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{key}.{part}"] = (channels,)
        shapes[f"{key}.num_batches_tracked"] = ()

    shapes["conv1.weight"] = (64, colours, 7, 7)
    norm("bn1", 64)
    wide_in = 64
    for layer, wide in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            key = f"layer{layer}.{block}"
            shapes[f"{key}.conv1.weight"] = (wide, wide_in, 3, 3)
            norm(f"{key}.bn1", wide)
            shapes[f"{key}.conv2.weight"] = (wide, wide, 3, 3)
            norm(f"{key}.bn2", wide)
            if wide_in != wide:
                shapes[f"{key}.downsample.0.weight"] = (wide, wide_in, 1, 1)
                norm(f"{key}.downsample.1", wide)
            wide_in = wide
    return OrderedDict((key, torch.Size(shape)) for key, shape in shapes.items())


def filled(shapes: dict[str, torch.Size]) -> dict[str, torch.Tensor]:
    return {
        key: noise(*shape, seed=index) if shape else torch.tensor(3)
        for index, (key, shape) in enumerate(shapes.items())
    }


def test_resnet18_has_torchvisions_keys_and_shapes() -> None:
    with torch.device("meta"):
        own = ResNet18().state_dict()
    assert {key: value.shape for key, value in own.items()} == torchvision_resnet18(colours=1)
    assert list(own) == list(torchvision_resnet18(colours=1))


def test_torchvisions_weights_load_with_the_colours_summed() -> None:
    weights = filled(torchvision_resnet18(colours=3)) | {"fc.weight": noise(1000, 512), "fc.bias": noise(1000)}
    encoder = ResNet18()
    load_torchvision(encoder, weights)
    own = encoder.state_dict()
    assert torch.equal(own["layer4.1.conv2.weight"], weights["layer4.1.conv2.weight"])
    grey = noise(1, 1, 32, 40)
    wanted = functional.conv2d(grey.expand(-1, 3, -1, -1), weights["conv1.weight"], stride=2, padding=3)
    assert torch.allclose(encoder.conv1(grey), wanted, atol=1e-4)


def test_weights_that_do_not_fit_are_refused_with_the_key() -> None:
    weights = filled(torchvision_resnet18(colours=3))
    encoder = ResNet18()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    wrong = [
        ({key: value for key, value in weights.items() if key != "bn1.bias"}, "lack 'bn1.bias' \\(1 such\\)"),
        (weights | {"layer5.0.conv1.weight": noise(1)}, "have an unknown 'layer5.0.conv1.weight'"),
        (weights | {"bn1.bias": noise(3)}, r"'bn1.bias' is \(3,\), wanted \(64,\)"),
        (weights | {"conv1.weight": noise(64, 2, 7, 7)}, r"'conv1.weight' is \(64, 2, 7, 7\), wanted \(64, 1, 7, 7\)"),
    ]
    for given_weights, said in wrong:
        with pytest.raises(CheckpointError, match=said):
            load_torchvision(encoder, given_weights)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def panns_res1dnet31() -> dict[str, torch.Size]:
    """The keys and shapes of the published Res1dNet31, written from its layout."""
    shapes: dict[str, tuple[int, ...]] = {"conv0.weight": (64, 1, 11)}

    def norm(key: str, channels: int) -> None:
        shapes.update({f"{key}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{key}.num_batches_tracked"] = ()

    norm("bn0", 64)
    wide_in = 64
    for layer, wide in enumerate((64, 128, 256, 512, 1024, 1024, 2048), start=1):
        for block in range(2):
            key = f"resnet.layer{layer}.{block}"
            shapes[f"{key}.conv1.weight"] = (wide, wide_in, 3)
            norm(f"{key}.bn1", wide)
            shapes[f"{key}.conv2.weight"] = (wide, wide, 3)
            norm(f"{key}.bn2", wide)
            if layer > 1 and block == 0:
                shapes[f"{key}.downsample.1.weight"] = (wide, wide_in, 1)
                norm(f"{key}.downsample.2", wide)
            wide_in = wide
    shapes |= {
        "fc1.weight": (2048, 2048),
        "fc1.bias": (2048,),
        "fc_audioset.weight": (527, 2048),
        "fc_audioset.bias": (527,),
    }
    return {key: torch.Size(shape) for key, shape in shapes.items()}


def panns_embedding(weights: dict[str, torch.Tensor], wave: torch.Tensor) -> torch.Tensor:
    """PANNs' embedding as plain calls, by their figure: the formula that the modules must give."""

    def norm(x: torch.Tensor, key: str) -> torch.Tensor:
        parts = (weights[f"{key}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *parts)

    x = norm(functional.conv1d(wave[:, None], weights["conv0.weight"], stride=5, padding=5), "bn0")
    for layer in range(1, 8):
        for block in range(2):
            key, size = f"resnet.layer{layer}.{block}", 4 if layer > 1 and block == 0 else 1
            inner = functional.max_pool1d(x, size)
            inner = norm(functional.conv1d(inner, weights[f"{key}.conv1.weight"], padding=1), f"{key}.bn1").relu()
            inner = norm(functional.conv1d(inner, weights[f"{key}.conv2.weight"], padding=2, dilation=2), f"{key}.bn2")
            if size > 1:
                x = functional.conv1d(functional.avg_pool1d(x, size), weights[f"{key}.downsample.1.weight"])
                x = norm(x, f"{key}.downsample.2")
            x = (x + inner).relu()
    pooled = x.amax(2) + x.mean(2)
    return functional.linear(pooled, weights["fc1.weight"], weights["fc1.bias"]).relu()


@functools.cache
def panns_weights() -> dict[str, torch.Tensor]:
    weights = {}
    for index, (key, shape) in enumerate(panns_res1dnet31().items()):
        scale = 1 / max(shape[1:].numel(), 1) ** 0.5 if len(shape) > 1 else 0.1
        weights[key] = noise(*shape, seed=index) * scale if shape else torch.tensor(3)
        if key.endswith("running_var") or (".bn" in key and key.endswith("weight")):
            weights[key] = weights[key].abs() + 0.7
    return weights


def test_panns_published_weights_load_key_by_key_and_give_its_embedding() -> None:
    weights = panns_weights()
    encoder, pooling = Res1dNet31().eval(), Pooling("panns", 2048)
    load_panns(encoder, pooling, {"iteration": 1, "model": weights})
    taken = set(encoder.state_dict()) | set(pooling.state_dict())
    assert taken == set(weights) - {"fc_audioset.weight", "fc_audioset.bias"}
    wave = 0.1 * noise(2, 43333)
    with torch.no_grad():
        got, wanted = pooling(encoder(wave)), panns_embedding(weights, wave)
    assert wanted.any()
    assert torch.allclose(got, wanted, rtol=1e-3, atol=1e-4 * float(wanted.max()))


def test_panns_weights_without_their_pooling_and_without_a_part() -> None:
    weights = panns_weights()
    load_panns(Res1dNet31(), Pooling("thirds_max", 2048), weights)
    with pytest.raises(CheckpointError, match=r"Res1dNet31: the weights lack 'fc1.weight'"):
        load_panns(Res1dNet31(), Pooling("panns", 2048), {k: v for k, v in weights.items() if k != "fc1.weight"})
    with pytest.raises(CheckpointError, match=r"'conv0.weight' is \(64, 1, 11\), wanted \(32, 1, 11\)"):
        load_panns(Res1dNet31(width=0.5), Pooling("mean", 1024), weights)


def test_a_last_window_that_is_not_full_is_left_out_in_a_batch_as_alone() -> None:
    block = Block(8, 8, 4, "batch").eval()
    x = noise(1, 8, 1, 11)
    alone, _ = block(x, None)
    together, lengths = block(torch.cat([functional.pad(x, (0, 5)), noise(1, 8, 1, 16)]), torch.tensor([11, 16]))
    assert lengths.tolist() == [2, 4]
    assert torch.allclose(together[0, :, :, :2], alone[0], atol=1e-5)


@pytest.mark.parametrize(("format", "name"), [("wave", "resnet18"), ("mel", "res1dnet"), ("mel", "melcn")])
def test_an_unknown_encoder_names_those_of_its_format(format: str, name: str) -> None:
    known = WAVE if format == "wave" else MEL
    with pytest.raises(
        RecipeError, match=f"no encoder of .* is called '{name}'; use one of {', '.join(sorted(known))}"
    ):
        make_encoder(EncoderSettings(name), format, bands=80)  # type: ignore[arg-type]


def test_a_width_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"width: wanted a number from 0.001 to 16, got 0"):
        EncoderSettings("melcnn", width=0.0)


def test_each_filter_lets_its_own_frequency_through_and_others_less() -> None:
    filters = gabor_filters(FILTERS, KERNEL).double()
    cosines, sines = filters[:FILTERS], filters[FILTERS:]
    time = torch.arange(KERNEL, dtype=torch.float64)
    hertz = torch.linspace(50, 7900, 1571, dtype=torch.float64)
    tones = torch.cos(2 * torch.pi * hertz[:, None] / 16000 * time)  # (frequencies, samples)
    power = (tones @ cosines.T).square() + (tones @ sines.T).square()
    best = hertz[power.argmax(dim=0)]
    assert (best.diff() > 0).all()
    assert 50 <= best[0] < 120
    assert 7300 < best[-1] < 7800
    peaks = power.amax(dim=0)
    assert torch.allclose(peaks[5:], torch.full_like(peaks[5:], 0.25), atol=0.02)
    assert (power[:, 40][(hertz - best[40]).abs() > 1000] < 1e-3).all()


def test_the_filterbank_learns_its_filters() -> None:
    encoder = Filterbank1d(width=0.125)
    encoder(torch.randn(4, 3200)).values.square().mean().backward()
    assert encoder.filters.grad is not None
    assert (encoder.filters.grad.abs().sum(dim=1) > 0).all()
