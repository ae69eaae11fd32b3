"""The log-mel: seconds of sound a second, against librosa and kaldi-native-fbank, by one thread and by two."""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.timing import in_turn
from mfcl.models.frontends import LogMel, MelSettings

RATE = 16_000
CLIPS, SECONDS = 64, 1.0
SETTINGS = MelSettings(fft=512, window=400, hop=160, bands=80)


def measure(*, rounds: int = 15, tiny: bool = False) -> dict[str, Any]:
    """Return seconds of sound that each turns into log-mels in a second; None: it is not installed."""
    clips = 4 if tiny else CLIPS
    sound = 0.1 * torch.randn(clips, round(SECONDS * RATE), generator=torch.Generator().manual_seed(0))
    works = {name: work for name, work in _works(sound).items() if work is not None}
    found: dict[str, Any] = {}
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            seconds = in_turn(works, rounds=rounds)
            rates = {name: clips * SECONDS / seconds[name] if name in seconds else None for name in _works(sound)}
            found[f"threads_{threads}"] = rates
            for other in ("librosa", "kaldi_native_fbank"):
                theirs = rates[other]
                found[f"ratio_over_{other}_threads_{threads}"] = rates["mfcl"] / theirs if theirs else None  # type: ignore[operator]
    finally:
        torch.set_num_threads(before)
    return found


def _works(sound: torch.Tensor) -> dict[str, Callable[[], Any] | None]:
    ours, arrays = LogMel(SETTINGS, RATE), sound.numpy()

    def mfcl() -> None:
        with torch.inference_mode():
            ours.log_power(sound)

    def librosa() -> None:
        import librosa

        power = librosa.feature.melspectrogram(
            y=arrays, sr=RATE, n_fft=512, win_length=400, hop_length=160, n_mels=80, center=True
        )
        np.log(np.maximum(power, 1e-6))

    def kaldi_native_fbank() -> None:
        import kaldi_native_fbank

        options = kaldi_native_fbank.FbankOptions()
        options.frame_opts.dither = 0
        options.mel_opts.num_bins = 80
        for clip in arrays:
            made = kaldi_native_fbank.OnlineFbank(options)
            made.accept_waveform(RATE, clip)
            made.input_finished()
            for frame in range(made.num_frames_ready):
                made.get_frame(frame)

    peers = {"librosa": librosa, "kaldi_native_fbank": kaldi_native_fbank}
    return {"mfcl": mfcl, **{name: work if importlib.util.find_spec(name) else None for name, work in peers.items()}}


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    lines = []
    for threads in (1, 2):
        for name, rate in found[f"threads_{threads}"].items():
            said = f"{rate:.0f}" if rate else "not installed"
            lines.append((f"log-mel, {name}, {threads} thread{'s' * (threads > 1)}: seconds of sound a second", said))
    lines += [(key.replace("_", " "), f"{value:.1f}") for key, value in found.items() if key[:5] == "ratio" and value]
    return lines
