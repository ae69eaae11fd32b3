"""Which augmentations are applied to waveforms and log-mels, and how strongly."""

from dataclasses import dataclass, field

from mfcl.core.settings import bounded, check_settings, later
from mfcl.errors import RecipeError, one_of

SETTINGS = ("none", "wave", "mel", "both")


@dataclass(frozen=True)
class WaveAugment:
    """Strength of the waveform augmentations; 0 turns one off.

    Their order: speed, shift, fades, reverberation, filter, noise, mask, gain.
    """

    shift_seconds: float = bounded(0.02, 0.0, 3600.0)
    """Largest shift in time, earlier or later; at most half of the clip."""
    fade_seconds: float = bounded(0.1, 0.0, 3600.0)
    """Longest fade-in and fade-out, drawn separately; each at most half of the clip."""
    noise_probability: float = bounded(0.5, 0.0, 1.0)
    """Probability of adding noise, white unless `noise_slope_db` is set."""
    noise_snr_db_low: float = bounded(10.0, -100.0, 200.0)
    """Lowest signal-to-noise ratio of the added noise, in dB."""
    noise_snr_db_high: float = bounded(40.0, -100.0, 200.0)
    """Highest signal-to-noise ratio of the added noise, in dB."""
    mask_seconds: float = bounded(0.1, 0.0, 3600.0)
    """Longest stretch set to zero; at most half of the clip."""
    gain_db: float = bounded(6.0, 0.0, 120.0)
    """Largest gain, up or down."""
    speed: float = later(0.0, 0.0, 0.5)
    """Largest change of speed, as a share: pitch, formants and tempo change together, as with another voice."""
    noise_slope_db: float = later(0.0, 0.0, 12.0)
    """Steepest fall of the added noise's power, in dB per octave, drawn from 0: 3 is pink, 6 brown; 0: white alone."""
    filter_db: float = later(0.0, 0.0, 60.0)
    """Largest gain of a random filter, up or down, at frequencies an octave apart, as of another microphone; the level
    of the clip stays."""
    reverb_probability: float = later(0.0, 0.0, 1.0)
    """Probability of reverberation, as of another room; the level and the length of the clip stay."""
    reverb_seconds_low: float = later(0.1, 0.01, 10.0)
    """Shortest reverberation time: the energy of the room's response falls by 60 dB in it."""
    reverb_seconds_high: float = later(0.6, 0.01, 10.0)
    """Longest reverberation time."""
    reverb_ratio_db_low: float = later(0.0, -60.0, 60.0)
    """Lowest ratio of direct to reverberant energy, in dB."""
    reverb_ratio_db_high: float = later(15.0, -60.0, 60.0)
    """Highest ratio of direct to reverberant energy, in dB."""

    def __post_init__(self) -> None:
        check_settings(self, "augment.wave")
        for name in ("noise_snr_db", "reverb_seconds", "reverb_ratio_db"):
            _check_range("augment.wave", self, f"{name}_low", f"{name}_high")


@dataclass(frozen=True)
class MelAugment:
    """Strength of the log-mel augmentations; 0 turns one off.

    Their order: reverberation, filter and noise before the log-mel; then mixing, resize-crop, fader, masks.
    """

    noise_probability: float = bounded(0.0, 0.0, 1.0)
    """Probability of adding noise to the waveform before its log-mel; SNR range and slope of `augment.wave`."""
    mix: float = bounded(0.2, 0.0, 0.999)
    """Largest share of the power that is mixed in from another recording; 0 turns mixing off."""
    resize_probability: float = bounded(0.5, 0.0, 1.0)
    """Probability of a random resize-crop: a window of the spectrogram is stretched to full size."""
    resize_bands_low: float = bounded(0.9, 0.01, 100.0)
    """Smallest height of the window, as a share of the bands."""
    resize_bands_high: float = bounded(1.1, 0.01, 100.0)
    """Largest height; above 1 the spectrogram shrinks and its margin is filled with the training data's mean."""
    resize_time_low: float = bounded(0.8, 0.01, 100.0)
    """Smallest width of the window, as a share of the clip."""
    resize_time_high: float = bounded(1.2, 0.01, 100.0)
    """Largest width of the window, as a share of the clip."""
    fader_db: float = bounded(4.0, 0.0, 120.0)
    """Largest gain, up or down, at the start and at the end of the clip; linear in dB between; 0 turns it off."""
    mask_bands: int = bounded(15, 0, 1024)
    """Most adjacent mel bands masked; at most half of them."""
    mask_seconds: float = bounded(0.1, 0.0, 3600.0)
    """Longest stretch of time masked; at most half of the clip."""
    filter_db: float = later(0.0, 0.0, 60.0)
    """Largest gain of a random filter on the waveform before its log-mel; see `augment.wave.filter_db`."""
    reverb_probability: float = later(0.0, 0.0, 1.0)
    """Probability of reverberation of the waveform before its log-mel; times and ratios of `augment.wave`."""

    def __post_init__(self) -> None:
        check_settings(self, "augment.mel")
        _check_range("augment.mel", self, "resize_bands_low", "resize_bands_high")
        _check_range("augment.mel", self, "resize_time_low", "resize_time_high")


@dataclass(frozen=True)
class AugmentSettings:
    """Which formats are augmented, and how strongly."""

    setting: str = "none"
    """Formats to augment: "none", "wave", "mel" or "both"."""
    wave: WaveAugment = field(default_factory=WaveAugment)
    mel: MelAugment = field(default_factory=MelAugment)

    def __post_init__(self) -> None:
        check_settings(self, "augment")
        if self.setting not in SETTINGS:
            raise RecipeError(f"augment.setting: {one_of('setting', self.setting, SETTINGS)}")

    @property
    def changes_wave(self) -> bool:
        """Tell whether waveforms are augmented."""
        return self.setting in ("wave", "both")

    @property
    def changes_mel(self) -> bool:
        """Tell whether log-mels are augmented."""
        return self.setting in ("mel", "both")

    @property
    def needs_partner(self) -> bool:
        """Tell whether other recordings are mixed into the log-mels."""
        return self.changes_mel and self.mel.mix > 0


def _check_range(where: str, settings: WaveAugment | MelAugment, low: str, high: str) -> None:
    values = getattr(settings, low), getattr(settings, high)
    if values[0] > values[1]:
        raise RecipeError(f"{where}.{low} {values[0]} must not be above {where}.{high} {values[1]}")
