import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mfcl.core.settings import written
from mfcl.errors import RecipeError
from mfcl.views.augment import (
    AugmentSettings,
    MelAugment,
    WaveAugment,
    augment_mel,
    augment_wave,
    mel_draws,
    wave_for_mel,
)
from mfcl.views.random_draws import Numbers

RATE, HOP_SECONDS, BANDS = 1000, 0.01, 24
STILL_WAVE = WaveAugment(0.0, 0.0, 0.0, 10.0, 40.0, 0.0, 0.0)
STILL_MEL = MelAugment(0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0, 0.0)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def waves(lengths: list[int], padding: int = 0) -> Tensor:
    wave = torch.zeros(len(lengths), max(lengths) + padding)
    for row, length in enumerate(lengths):
        wave[row, :length] = 0.1 * drawn(length, seed=row)
    return wave


def mels(lengths: list[int], padding: int = 0, seed: int = 0) -> Tensor:
    mel = torch.full((len(lengths), BANDS, max(lengths) + padding), -7.0)
    for row, length in enumerate(lengths):
        mel[row, :, :length] = drawn(BANDS, length, seed=seed + row)
    return mel


def on_wave(wave: Tensor, lengths: list[int] | None, asked: AugmentSettings, **kind: object) -> Tensor:
    known = {"seed": 0, "epoch": 0, "recordings": np.arange(len(wave))} | kind
    return augment_wave(wave, None if lengths is None else torch.tensor(lengths), asked, RATE, **known)


def for_mel(
    wave: Tensor, lengths: list[int] | None, asked: AugmentSettings, *, view: str = "first", **kind: object
) -> Tensor:
    numbers = Numbers(**({"seed": 0, "epoch": 0, "recordings": np.arange(len(wave))} | kind))
    draw = mel_draws(numbers, view, wave.device)
    return wave_for_mel(wave, None if lengths is None else torch.tensor(lengths), asked, RATE, draw)


def on_mel(mel: Tensor, lengths: list[int] | None, asked: AugmentSettings, **kind: object) -> Tensor:
    known = {"seed": 0, "epoch": 0, "recordings": np.arange(len(mel)), "fill": torch.zeros(BANDS)} | kind
    sizes = None if lengths is None else torch.tensor(lengths)
    return augment_mel(mel, sizes, asked, hop_seconds=HOP_SECONDS, **known)


def wave_only(**changes: float) -> AugmentSettings:
    return AugmentSettings("wave", wave=replace(STILL_WAVE, **changes))


def mel_only(**changes: float) -> AugmentSettings:
    return AugmentSettings("mel", mel=replace(STILL_MEL, **changes))


@pytest.mark.parametrize(("setting", "wave", "mel"), [("none", 0, 0), ("wave", 1, 0), ("mel", 0, 1), ("both", 1, 1)])
def test_a_setting_changes_its_formats_and_gives_the_others_back_themselves(setting: str, wave: int, mel: int) -> None:
    asked, clips, pictures = AugmentSettings(setting), waves([300, 200]), mels([30, 20])
    changed, repainted = on_wave(clips, [300, 200], asked), on_mel(pictures, [30, 20], asked)
    assert (changed is clips, repainted is pictures) == (not wave, not mel)
    assert torch.equal(changed, clips) != bool(wave)
    assert torch.equal(repainted, pictures) != bool(mel)
    assert asked.needs_partner == bool(mel)


def test_effects_that_are_switched_off_change_nothing() -> None:
    assert torch.equal(on_wave(waves([300, 200]), [300, 200], wave_only()), waves([300, 200]))
    assert torch.equal(on_mel(mels([30, 20]), [30, 20], mel_only(), partner=mels([30, 20])), mels([30, 20]))


lengths_of_clips = st.lists(st.integers(1, 60), min_size=1, max_size=6)


@given(lengths=lengths_of_clips, padding=st.integers(0, 40), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_clip_is_augmented_alike_alone_in_any_batch_and_at_any_padding(
    lengths: list[int], padding: int, seed: int, data: st.DataObject
) -> None:
    row, everything = data.draw(st.integers(0, len(lengths) - 1)), AugmentSettings("both", WaveAugment(speed=0.3))
    samples = [10 * length for length in lengths]
    own, frames = samples[row], lengths[row]
    alone = {"seed": seed, "recordings": np.array([row])}

    wave = on_wave(waves(samples, padding), samples, everything, seed=seed)
    single = on_wave(waves(samples)[row : row + 1, :own], None, everything, **alone)
    assert torch.allclose(wave[row, :own], single[0], rtol=1e-6, atol=1e-7)  # vector units round their own way
    assert all((wave[i, length:] == 0).all() for i, length in enumerate(samples))

    others = [max(1, length - 3) for length in lengths]  # partners shorter than their clips
    partner = mels(others, padding, seed=50)
    mel = on_mel(
        mels(lengths, padding), lengths, everything, partner=partner, partner_lengths=torch.tensor(others), seed=seed
    )
    single = on_mel(
        mels(lengths)[row : row + 1, :, :frames],
        None,
        everything,
        partner=partner[row : row + 1, :, : others[row]],
        **alone,
    )
    assert torch.allclose(mel[row, :, :frames], single[0], rtol=1e-5, atol=1e-5)
    assert all((mel[i, :, length:] == -7).all() for i, length in enumerate(lengths))
    assert torch.isfinite(mel).all()


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}, {"view": "another"}])
def test_seed_epoch_and_view_change_the_draws_and_nothing_else_does(other: dict[str, object]) -> None:
    both, sound, picture = AugmentSettings("both"), waves([300] * 4), mels([30] * 4)
    assert torch.equal(on_wave(sound, None, both), on_wave(sound, None, both))
    assert torch.equal(on_mel(picture, None, both), on_mel(picture, None, both))
    assert not torch.equal(on_wave(sound, None, both), on_wave(sound, None, both, **other))
    assert not torch.equal(on_mel(picture, None, both), on_mel(picture, None, both, **other))


def test_the_input_stays_as_it_was_and_no_global_random_state_is_used() -> None:
    both, sound, picture = AugmentSettings("both"), waves([300, 200]), mels([30, 20])
    state = torch.random.get_rng_state()
    on_wave(sound, [300, 200], both)
    on_mel(picture, [30, 20], both, partner=picture)
    assert torch.equal(sound, waves([300, 200]))
    assert torch.equal(picture, mels([30, 20]))
    assert torch.equal(state, torch.random.get_rng_state())


def test_gradients_flow_or_are_off() -> None:
    both, picture = AugmentSettings("both"), mels([30, 20]).requires_grad_()
    on_mel(picture, [30, 20], both, partner=mels([30, 20])).sum().backward()
    assert torch.isfinite(picture.grad).all()
    with torch.no_grad():
        assert not on_mel(picture, [30, 20], both).requires_grad


@pytest.mark.parametrize("mask_seconds", [0.05, 0.2])
def test_a_time_mask_has_physical_length_and_at_most_half_of_the_clip(mask_seconds: float) -> None:
    lengths = [1000] * 200 + [60] * 200
    masked = on_wave(waves(lengths).abs() + 0.1, lengths, wave_only(mask_seconds=mask_seconds)) == 0
    counts = torch.stack([row[:length].sum() for row, length in zip(masked, lengths, strict=True)])
    assert 0.95 * mask_seconds * RATE < counts[:200].max() <= mask_seconds * RATE
    assert 25 < counts[200:].max() <= 30
    runs = (masked[:200, 1:] & ~masked[:200, :-1]).sum(dim=1) + masked[:200, 0]
    assert runs.max() == 1  # one piece


def test_a_mels_masks_have_physical_size() -> None:
    picture = torch.ones(300, BANDS, 50)
    hidden = on_mel(picture, None, mel_only(mask_bands=5, mask_seconds=0.1)) == 0
    rows, columns = hidden.all(dim=2).sum(dim=1), hidden.all(dim=1).sum(dim=1)
    assert rows.max() == 5
    assert columns.max() == 10  # 0.1 s at a frame each 10 ms
    assert rows.min() == columns.min() == 0
    assert torch.equal(hidden, hidden.all(dim=2)[:, :, None] | hidden.all(dim=1)[:, None, :])
    assert on_mel(picture, None, mel_only(mask_bands=500)).eq(0).all(dim=2).sum(dim=1).max() == BANDS // 2


def test_masked_mels_show_the_mean_that_is_given() -> None:
    fill = torch.arange(BANDS) + 5.0
    shown = on_mel(torch.ones(50, BANDS, 50), None, mel_only(mask_bands=9, mask_seconds=0.2), fill=fill)
    assert ((shown == 1) | (shown == fill[:, None])).all()
    assert (shown == fill[:, None]).any()


def test_speed_is_drawn_evenly_up_to_its_bound_both_ways() -> None:
    place = torch.arange(2001) - 1000.0
    sine = torch.sin(2 * math.pi * place / 100).repeat(400, 1)
    spectrum = torch.fft.rfft(on_wave(sine, None, wave_only(speed=0.25)), n=32_000).abs()
    factor = spectrum.argmax(dim=1) * 100 / 32_000  # frequency over that of the sine
    assert 0.79 < factor.min() < 0.83
    assert 1.22 < factor.max() < 1.26
    assert float((factor > 1).float().mean()) == pytest.approx(0.5, abs=0.08)


def test_gain_is_even_in_db_within_its_bounds() -> None:
    sound = waves([500] * 400)
    ratio_db = 20 * torch.log10(on_wave(sound, None, wave_only(gain_db=6.0))[:, 0] / sound[:, 0])
    assert -6.001 <= ratio_db.min() < -5.9 < 5.9 < ratio_db.max() <= 6.001
    assert abs(ratio_db.mean()) < 0.5


def test_noise_comes_as_often_and_as_loud_as_asked() -> None:
    sound = waves([800] * 300)
    asked = wave_only(noise_probability=0.3, noise_snr_db_low=10.0, noise_snr_db_high=30.0)
    noise = on_wave(sound, None, asked) - sound
    noisy = noise.abs().sum(dim=1) > 0
    assert 0.22 < noisy.float().mean() < 0.38
    snr_db = 10 * torch.log10(sound[noisy].square().sum(dim=1) / noise[noisy].square().sum(dim=1))
    assert 9.99 <= snr_db.min() < 12
    assert 28 < snr_db.max() <= 30.05


def test_shifts_and_fades_stay_within_their_seconds() -> None:
    click = torch.zeros(400, 500)
    click[:, 250] = 1
    moved = on_wave(click, None, wave_only(shift_seconds=0.02)).argmax(dim=1) - 250
    assert (moved.min(), moved.max()) == (-20, 20)
    faded = on_wave(torch.ones(400, 500), None, wave_only(fade_seconds=0.05)) < 1
    rising, falling = faded[:, :250].sum(dim=1), faded[:, 250:].sum(dim=1)
    assert rising.max() == falling.max() == 50
    assert rising.min() == falling.min() == 0
    assert abs(float(torch.corrcoef(torch.stack([rising, falling]).float())[0, 1])) < 0.15


def test_resize_crop_keeps_the_shape_and_touches_as_many_as_asked() -> None:
    picture = mels([40] * 300)
    cut = on_mel(picture, None, mel_only(resize_probability=0.5, resize_bands_low=0.6, resize_time_high=1.5))
    assert cut.shape == picture.shape
    touched = (cut != picture).flatten(1).any(dim=1).float().mean()
    assert 0.4 < touched < 0.6


def test_a_window_that_is_inside_shows_no_fill_and_one_that_is_larger_shows_all_of_the_clip() -> None:
    fill = torch.full((BANDS,), 99.0)
    zoomed = on_mel(mels([40] * 100), None, mel_only(resize_probability=1.0, resize_time_low=0.5), fill=fill)
    assert (zoomed != 99).all()
    ramp = torch.arange(40.0).expand(100, BANDS, 40)
    wide = mel_only(resize_probability=1.0, resize_time_low=1.5, resize_time_high=1.5)
    shrunk = on_mel(ramp.contiguous(), None, wide, fill=fill)
    inside = shrunk != 99
    assert ((inside.sum(dim=2) >= 26) & (inside.sum(dim=2) <= 27)).all()  # 40 frames in 1 / 1.5 of the width
    assert shrunk.masked_fill(~inside, 50.0).amin(dim=2).max() < 1
    assert shrunk.masked_fill(~inside, -50.0).amax(dim=2).min() > 38


def test_a_partner_is_mixed_up_to_the_asked_share() -> None:
    silence, loud = torch.full((300, BANDS, 8), -20.0), torch.zeros(300, BANDS, 8)
    share = on_mel(silence, None, mel_only(mix=0.4), partner=loud).exp()[:, 0, 0]
    assert share.min() < 0.01
    assert 0.39 < share.max() <= 0.4 + 1e-6


def test_fader_ends_are_within_their_db() -> None:
    level_db = on_mel(torch.zeros(300, BANDS, 9), None, mel_only(fader_db=4.0)) * 10 / math.log(10)
    assert torch.allclose(level_db[:, :, 4], (level_db[:, :, 0] + level_db[:, :, 8]) / 2, atol=1e-5)
    for end in (0, 8):
        assert 3.9 < level_db[:, 0, end].max() <= 4.001
        assert -4.001 <= level_db[:, 0, end].min() < -3.9


def test_switching_one_effect_off_moves_no_other() -> None:
    sound = waves([400] * 8)
    gained = on_wave(sound, None, wave_only(gain_db=6.0))
    with_mask = on_wave(sound, None, wave_only(gain_db=6.0, mask_seconds=0.1))
    assert torch.equal(with_mask[with_mask != 0], gained[with_mask != 0])


@pytest.mark.parametrize("length", [1, 2, 3])
def test_clips_of_a_few_samples_are_no_trouble(length: int) -> None:
    both = AugmentSettings("both")
    assert torch.isfinite(on_wave(waves([length] * 9), None, both)).all()
    assert torch.isfinite(on_mel(mels([length] * 9), None, both, partner=mels([1] * 9))).all()


@pytest.mark.parametrize(
    ("make", "wrong", "word"),
    [
        (AugmentSettings, {"setting": "waves"}, "did you mean 'wave'"),
        (WaveAugment, {"gain_db": -1.0}, "augment.wave.gain_db"),
        (WaveAugment, {"speed": 0.6}, "augment.wave.speed: wanted a number from 0 to 0.5"),
        (WaveAugment, {"noise_probability": 1.5}, "from 0 to 1"),
        (WaveAugment, {"noise_slope_db": 13.0}, "augment.wave.noise_slope_db: wanted a number from 0 to 12"),
        (WaveAugment, {"filter_db": -1.0}, "augment.wave.filter_db"),
        (WaveAugment, {"reverb_probability": 1.5}, "augment.wave.reverb_probability"),
        (WaveAugment, {"reverb_seconds_low": 0.0}, "augment.wave.reverb_seconds_low"),
        (WaveAugment, {"reverb_seconds_low": 2.0}, "reverb_seconds_low 2.0 must not be above"),
        (WaveAugment, {"reverb_ratio_db_high": -5.0}, "reverb_ratio_db_low 0.0 must not be above"),
        (MelAugment, {"filter_db": float("inf")}, "augment.mel.filter_db"),
        (MelAugment, {"reverb_probability": -0.1}, "augment.mel.reverb_probability"),
        (WaveAugment, {"noise_snr_db_low": 50.0}, "noise_snr_db_high"),
        (WaveAugment, {"mask_seconds": float("nan")}, "augment.wave.mask_seconds"),
        (MelAugment, {"mix": 1.0}, "mix: wanted a number from 0 to 0.999"),
        (MelAugment, {"mask_bands": -1}, "augment.mel.mask_bands"),
        (MelAugment, {"resize_time_low": 2.0}, "resize_time_high"),
        (MelAugment, {"resize_bands_low": 0.0}, "resize_bands_low: wanted a number from 0.01"),
        (MelAugment, {"resize_probability": 2.0}, "from 0 to 1"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(make: type, wrong: dict[str, object], word: str) -> None:
    with pytest.raises(RecipeError, match=word) as caught:
        make(**wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("setting", "noisy"), [("none", 0), ("wave", 0), ("mel", 1), ("both", 1)])
def test_noise_for_log_mels_is_as_loud_as_said_and_each_recordings_own(setting: str, noisy: int) -> None:
    asked = AugmentSettings(setting, wave=replace(STILL_WAVE, noise_snr_db_low=20.0, noise_snr_db_high=20.0),
                            mel=replace(STILL_MEL, noise_probability=1.0))  # fmt: skip
    clips, lengths = waves([4000, 3000]), [4000, 3000]
    found = for_mel(clips, lengths, asked)
    assert (found is clips) == (not noisy)
    if noisy:
        noise = (found - clips)[:, :3000].square().mean(dim=1) / clips[:, :3000].square().mean(dim=1)
        assert torch.allclose(10 * noise.log10(), torch.tensor(-20.0), atol=0.5)
        assert not found[1, 3000:].any()
        alone = for_mel(clips[1:], lengths[1:], asked, recordings=np.array([1]))
        assert torch.equal(alone[0], found[1])
        second = for_mel(clips, lengths, asked, view="second")
        assert not torch.equal(second, found)


def test_noise_for_log_mels_comes_as_often_as_said() -> None:
    asked = mel_only(noise_probability=0.3)
    clips = waves([200] * 500)
    found = for_mel(clips, None, asked)
    assert 110 < int((found != clips).any(dim=1).sum()) < 190
    with pytest.raises(RecipeError, match=r"augment\.mel\.noise_probability: wanted a number from 0 to 1"):
        MelAugment(noise_probability=1.2)


FAR_MEL = replace(STILL_MEL, filter_db=12.0, reverb_probability=0.6, noise_probability=0.6)
FAR = AugmentSettings(
    "both",
    wave=replace(STILL_WAVE, filter_db=12.0, reverb_probability=0.6, noise_probability=0.6, noise_slope_db=6.0),
    mel=FAR_MEL,
)


@pytest.mark.parametrize("change", [on_wave, for_mel])
@given(
    lengths=st.lists(st.integers(1, 700), min_size=1, max_size=5),
    padding=st.integers(0, 300),
    seed=st.integers(0, 99),
    data=st.data(),
)
@settings(max_examples=15, deadline=None)
def test_a_clip_sounds_the_same_elsewhere_alone_in_any_batch_and_at_any_padding(
    change: Callable[..., Tensor], lengths: list[int], padding: int, seed: int, data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(lengths) - 1))
    own = lengths[row]
    changed = change(waves(lengths, padding), lengths, FAR, seed=seed)
    alone = change(waves(lengths)[row : row + 1, :own], None, FAR, seed=seed, recordings=np.array([row]))
    assert torch.allclose(changed[row, :own], alone[0], rtol=1e-5, atol=2e-6)
    assert all((changed[i, length:] == 0).all() for i, length in enumerate(lengths))
    assert torch.isfinite(changed).all()


@pytest.mark.parametrize("change", [on_wave, for_mel])
def test_rooms_filters_and_colours_are_drawn_by_seed_epoch_recording_and_view(change: Callable[..., Tensor]) -> None:
    sound = waves([600]).repeat(6, 1)
    found = change(sound, None, FAR)
    assert torch.equal(found, change(sound, None, FAR))
    assert len({tuple(row.tolist()) for row in found}) == 6  # the same sound, another recording each
    for other in ({"seed": 1}, {"epoch": 1}, {"view": "another"}):
        assert not torch.isclose(found, change(sound, None, FAR, **other)).all(dim=1).any()


@pytest.mark.parametrize("change", [on_wave, for_mel])
@pytest.mark.parametrize("kind", [{"reverb_probability": 1.0}, {"filter_db": 20.0}])
def test_a_room_and_a_filter_leave_the_level_and_silence(change: Callable[..., Tensor], kind: dict[str, float]) -> None:
    asked = AugmentSettings("both", wave=replace(STILL_WAVE, **kind), mel=replace(STILL_MEL, **kind))
    lengths = [1, 2, 30, 500, 500]
    sound = waves(lengths)
    sound[4] = 0
    changed = change(sound, lengths, asked)
    assert torch.allclose(changed.square().sum(dim=1), sound.square().sum(dim=1), rtol=1e-5)
    assert not changed[4].any()
    assert not torch.isclose(changed[3], sound[3]).all()


def test_as_many_clips_are_in_another_room_as_asked_and_all_have_a_filter() -> None:
    sound = waves([200] * 400)
    reverberant = (on_wave(sound, None, wave_only(reverb_probability=0.3)) - sound).abs().amax(dim=1) > 1e-4
    assert 0.23 < reverberant.float().mean() < 0.37
    assert ((on_wave(sound, None, wave_only(filter_db=6.0)) - sound).abs().amax(dim=1) > 1e-4).all()
    assert torch.equal(on_wave(sound, None, wave_only(reverb_probability=1e-9)), sound)


def test_a_filters_gains_lie_evenly_within_their_bounds() -> None:
    click = torch.zeros(500, 1024)
    click[:, 0] = 1
    spectrum_db = 20 * torch.fft.rfft(on_wave(click, None, wave_only(filter_db=8.0))).abs().log10()
    gains_db = spectrum_db[:, [2, 4, 8, 16, 32, 64, 128, 256, 512]]
    # the level of the whole is taken away: the differences of two gains, each between -8 and 8, tell
    apart = (gains_db[:, 1:] - gains_db[:, :-1]).flatten()
    assert apart.abs().max() <= 16.001
    assert apart.abs().max() > 14
    assert apart.std() == pytest.approx(16 / math.sqrt(12) * math.sqrt(2), rel=0.05)


def test_noise_slopes_are_drawn_up_to_their_bound_and_white_noise_stays_as_it_was() -> None:
    sound = waves([4096] * 200)
    kind = {"noise_probability": 1.0, "noise_snr_db_low": 0.0, "noise_snr_db_high": 0.0}
    white = on_wave(sound, None, wave_only(**kind))
    noise = on_wave(sound, None, wave_only(**kind, noise_slope_db=6.0)) - sound
    power_db = 10 * torch.fft.rfft(noise).abs().square().log10()
    slope = (mean_db(power_db, 64, 128) - mean_db(power_db, 1024, 2048)) / 4  # four octaves apart
    assert slope.min() == pytest.approx(0, abs=0.4)
    assert slope.max() == pytest.approx(6, abs=0.4)
    assert slope.mean() == pytest.approx(3, abs=0.4)
    assert torch.allclose(noise.square().sum(dim=1), sound.square().sum(dim=1), rtol=1e-4)
    assert torch.equal(white, on_wave(sound, None, wave_only(**kind, noise_slope_db=0.0)))


def mean_db(power_db: Tensor, low: int, high: int) -> Tensor:
    return power_db[:, low:high].mean(dim=1)


def test_settings_that_earlier_recipes_had_not_are_left_out_of_files_while_off() -> None:
    names = {field.name for kind in (WaveAugment(), MelAugment()) for field in written(kind)}
    assert not {"filter_db", "noise_slope_db", "reverb_probability", "reverb_seconds_low"} & names
    assert "filter_db" in {field.name for field in written(MelAugment(filter_db=3.0))}
