import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.errors import RecipeError
from mfcl.models.encoders import EncoderSettings
from mfcl.models.frontends import MelSettings
from mfcl.models.heads import NeckSettings
from mfcl.models.pair import ModelSettings, MultiFormatModel, make_model, without

SMALL = ModelSettings(
    mel_format=MelSettings(bands=40),
    wave=EncoderSettings("res1dnet", "thirds_max", width=0.125),
    mel=EncoderSettings("melcnn", "thirds_max", width=0.25),
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def named(model: MultiFormatModel) -> dict[str, int]:
    return {str(part): dim for part, dim in model.parts.items()}


def fitted(settings: ModelSettings = SMALL, *, seed: int = 0) -> MultiFormatModel:
    model = make_model(settings, seed=seed)
    for encoder in (model.wave, model.mel):
        encoder.front.fit_normalisation([(noise(2, 8000), None)])
    return model


def test_the_model_takes_waveforms_and_gives_both_embeddings() -> None:
    model = fitted().eval()
    embeddings = model(noise(3, 9000))
    assert dict(model.dims) == {"wave": 4 * 64, "mel": 4 * 16 * 5}
    assert {name: tuple(value.shape) for name, value in embeddings.items()} == {"wave": (3, 256), "mel": (3, 320)}
    assert model.dims["wave"] == model.wave.dim == model.wave.poolings["words"].dim


@settings(deadline=None, max_examples=8)
@given(counts=st.lists(st.integers(800, 32000), min_size=2, max_size=3), more=st.sampled_from([0, 1, 500]))
def test_an_embedding_depends_on_its_own_clip_alone(counts: list[int], more: int) -> None:
    model = fitted().eval()
    wave = torch.zeros(len(counts), max(counts) + more)
    for row, count in enumerate(counts):
        wave[row, :count] = noise(count, seed=row)
    with torch.no_grad():
        together = model(wave, torch.tensor(counts))
        for row, count in enumerate(counts):
            for name, alone in model(wave[row : row + 1, :count]).items():
                assert (together[name][row] - alone[0]).abs().max() <= 1e-4 * alone.abs().max()


def test_going_through_the_format_is_the_same_as_going_straight() -> None:
    model = fitted().eval()
    wave, lengths = noise(2, 9000), torch.tensor([9000, 4000])
    wave[1, 4000:] = 0
    for encoder in (model.wave, model.mel):
        straight = encoder(wave, lengths)
        assert torch.equal(encoder.encode(*encoder.front(wave, lengths)), straight)
        frames = encoder.frames(wave, lengths)
        assert torch.equal(encoder.pooling("content")(frames), straight)
        assert frames.values.shape[2] == encoder.encoder.features


def test_the_seed_alone_gives_the_weights_and_the_global_generator_stays() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (make_model(SMALL, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(value, same[key]) for key, value in one.items())
    assert not torch.equal(one["wave.encoder.conv0.weight"], other["wave.encoder.conv0.weight"])
    assert not torch.equal(one["mel.encoder.conv0.weight"], other["mel.encoder.conv0.weight"])


def test_a_model_rebuilt_from_its_state_gives_the_same_embeddings() -> None:
    model, other = fitted().eval(), make_model(SMALL, seed=5).eval()
    other.load_state_dict(model.state_dict())
    for name, value in model(noise(1, 5000)).items():
        assert torch.equal(value, other(noise(1, 5000))[name])


def test_a_training_step_moves_every_parameter() -> None:
    model = fitted().train()
    wave, lengths = noise(3, 9000), torch.tensor([9000, 6000, 800])
    sum((value * noise(*value.shape, seed=3)).sum() for value in model(wave, lengths).values()).backward()  # type: ignore[union-attr]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("format", ["wave", "mel"])
@pytest.mark.parametrize("norm", ["batch", "group", "instance"])
def test_an_evaluation_changes_no_weight_and_no_buffer(format: str, norm: str) -> None:
    chosen = {
        "wave": EncoderSettings("res1dnet", "mean", width=0.125, norm=norm),  # type: ignore[arg-type]
        "mel": EncoderSettings("resnet18", "mean", width=0.125, norm=norm),  # type: ignore[arg-type]
    }
    encoder = getattr(fitted(ModelSettings(**chosen)).eval(), format)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    encoder(noise(2, 5000), torch.tensor([5000, 3000]))
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_the_pair_of_the_reference_study_has_embeddings_of_512() -> None:
    settings = ModelSettings(wave=EncoderSettings("reference1d", norm="group"), mel=EncoderSettings("resnet18"))
    with torch.device("meta"):
        assert dict(MultiFormatModel(settings).dims) == {"wave": 512, "mel": 512}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"wave": EncoderSettings("melcnn")}, r"model\.wave\.name: no encoder of waveforms is called 'melcnn'"),
        ({"mel": EncoderSettings("melcnn", "maen")}, r"no pooling is called 'maen'.*did you mean 'mean'"),
    ],
)
def test_a_wrong_name_is_refused(wrong: dict[str, EncoderSettings], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        make_model(ModelSettings(**wrong), seed=0)  # type: ignore[arg-type]


VOICED = dataclasses.replace(SMALL, voices="statistics")


def test_a_part_for_voices_stands_beside_that_of_words() -> None:
    model, plain = fitted(VOICED).eval(), fitted().eval()
    sound = noise(3, 9000)
    assert named(model) == {"wave words": 256, "wave voices": 128, "mel words": 320, "mel voices": 160}
    assert named(plain) == {"wave": 256, "mel": 320}
    assert dict(model.dims) == {"wave": 384, "mel": 480}
    with torch.no_grad():
        both, words = model(sound), plain(sound)
        for name, encoder in (("wave", model.wave), ("mel", model.mel)):
            voices = encoder.poolings["voices"](encoder.frames(sound))
            assert torch.equal(both[name], torch.cat([words[name], voices], dim=1))


def test_both_parts_depend_on_their_own_clip_alone() -> None:
    model = fitted(VOICED).eval()
    wave = torch.zeros(2, 12000)
    wave[0, :12000], wave[1, :5000] = noise(12000, seed=1), noise(5000, seed=2)
    with torch.no_grad():
        together = model(wave, torch.tensor([12000, 5000]))
        for name, alone in model(wave[1:, :5000]).items():
            assert (together[name][1] - alone[0]).abs().max() <= 1e-4 * alone.abs().max()


def test_the_average_spectrum_of_loud_frames_stands_beside_the_voices_of_the_log_mel() -> None:
    plain, model = fitted(VOICED).eval(), fitted(dataclasses.replace(VOICED, spectrum=True)).eval()
    bands = VOICED.mel_format.bands
    assert named(model) == {**named(plain), "mel voices spectrum": bands}
    quiet, loud = 1e-3 * noise(1, 6000), noise(1, 6000, seed=1)
    sound = torch.cat([quiet, loud, quiet], dim=1)
    with torch.no_grad():
        with_it, without_it = model(sound), plain(sound)
        assert torch.equal(with_it["wave"], without_it["wave"])
        assert torch.equal(with_it["mel"][:, :-bands], without_it["mel"])
        mel, _ = model.mel.front(sound)
        power, _ = model.mel.front.log_power(sound)
        level = power.mean(dim=1)[0]
        own = level >= level.max() - 25 * math.log(10) / 10
        assert 0.25 < own.float().mean() < 0.45  # about the loud third
        torch.testing.assert_close(with_it["mel"][0, -bands:], mel[0][:, own].mean(dim=1))
        padded = model(torch.cat([sound, torch.zeros(1, 5000)], dim=1), torch.tensor([sound.shape[1]]))
        torch.testing.assert_close(padded["mel"], with_it["mel"], rtol=1e-4, atol=1e-4)
    assert (
        make_model(dataclasses.replace(SMALL, spectrum=True), seed=0).parts == fitted().parts
    )  # no voices, no spectrum


def test_an_unknown_pooling_for_voices_is_refused() -> None:
    with pytest.raises(RecipeError, match="no pooling is called 'statistic'"):
        make_model(dataclasses.replace(SMALL, voices="statistic"), seed=0)


def test_saved_weights_keep_the_names_of_version_0_1() -> None:
    learned = dataclasses.replace(VOICED, wave=EncoderSettings("res1dnet", "panns", width=0.125), voices="panns")
    names = {name for name in make_model(learned, seed=0).state_dict() if ".poolings." in name and "weight" in name}
    assert names == {f"{place}.fc1.weight" for place in (
        "wave.poolings.words", "wave.poolings.voices", "mel.poolings.voices",
    )}  # fmt: skip


def test_a_neck_shortens_the_words_part_and_leaves_the_voices_alone() -> None:
    necked = dataclasses.replace(VOICED, neck=NeckSettings(layers=2, width=32, out=8, directions=4))
    model = fitted(necked).eval()
    sound = noise(3, 9000)
    names = ["wave words", "wave words projection", "wave voices", "mel words", "mel words projection", "mel voices"]
    assert named(model) == dict(zip(names, (4, 8, 128, 4, 8, 160), strict=True))
    with torch.no_grad():
        found = model(sound)
        with without(model, "neck", "landmarks"):
            assert model.parts == fitted(VOICED).parts
            whole = model(sound)
        for name, encoder in (("wave", model.wave), ("mel", model.mel)):
            assert found[name].shape == (3, encoder.dim)
            words = encoder.pooled["content"]
            assert torch.equal(found[name][:, :12], encoder.neck(whole[name][:, :words]))
            assert torch.equal(found[name][:, 12:], whole[name][:, words:])
    assert named(model) == dict(zip(names, (4, 8, 128, 4, 8, 160), strict=True))
