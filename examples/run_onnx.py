"""Embed recordings with a model that `mfcl export` wrote; needs numpy, soundfile and onnxruntime, nothing else.

python run_onnx.py model.onnx a.wav b.flac --out vectors.npz
python run_onnx.py model.onnx recordings/*.wav --whitened --out vectors.npz

The graph holds everything from the prepared waveform to the embedding. This file holds the step before it, as the
model file's metadata describes it: decode, average the channels, subtract the mean, resample, cut to the sound, set the
level, and round to 16 bits. The result is a file like that of `mfcl embed`.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnxruntime
import soundfile
from numpy.lib.stride_tricks import sliding_window_view

PASS, STOP_DB = 0.9136, 126.0
"""End of the resampler's pass band, as a share of the lower of the two half rates, and its attenuation."""
SILENT, CANCELLED, LARGEST, RATES = 1e-9, 0.01, 1e10, (1000, 1_000_000)
"""What a recording is checked by: mean square of silence (-90 dB); share of the channels' mean power below which their
mix has cancelled; value that is no sample any more; sample rates in Hz."""


def main() -> None:
    """Read the command line, embed, and write; a file that is no sound is left out and said, as by `mfcl embed`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help=".npz file")
    parser.add_argument("--whitened", action="store_true", help="whiten by the training data, for cosine similarity")
    given = parser.parse_args()
    if given.out.suffix != ".npz" or not given.out.absolute().parent.is_dir():
        stop(f"{given.out}: wanted a name that ends in .npz, in a folder that is there")
    output, parts = ("whitened", "whitened_parts") if given.whitened else ("embedding", "parts")
    session = opened(given.model, output)
    facts = session.get_modelmeta().custom_metadata_map
    classes = json.loads(facts.get("classes", "[]"))
    vectors, ids = [], []
    for file in given.files:
        try:
            wave = prepare(*load(file), json.loads(facts["preparation"]))
        except ValueError as error:
            print(f"{file}: {error}; left out", file=sys.stderr)
            continue
        inputs = {"wave": wave[None], "lengths": np.array([len(wave)])}
        vector, *judged = session.run([output, *(["probabilities", "distance"] if classes else [])], inputs)
        vectors.append(vector[0])
        ids.append(str(file))
        if classes:
            chances, distance = judged[0][0], float(judged[1][0, 0])
            name = classes[int(chances.argmax())] if distance <= float(facts["farthest"]) else "unknown"
            print(f"{file}: {name} ({chances.max():.3f})")
    if not vectors:
        sys.exit(2)
    columns, first = {}, 0
    for name, size in json.loads(facts[parts]).items():
        columns[name], first = [first, first + size], first + size
    about = json.dumps({"version": 1, "labels": [], "parts": columns})
    kept = {"vectors": np.array(vectors), "ids": np.array(ids), "splits": np.full(len(ids), ""), "about": about}
    write(given.out, kept)
    print(f"{given.out}: {len(ids)} recording{'' if len(ids) == 1 else 's'} x {len(vectors[0])} values")


def stop(text: str) -> NoReturn:
    """Say in one line what cannot be done, and end with 2."""
    print(text, file=sys.stderr)
    sys.exit(2)


def opened(model: Path, output: str) -> onnxruntime.InferenceSession:
    """Open a model of `mfcl export` that has this output."""
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no class
        stop(f"{model}: wanted a file of mfcl export --onnx, cannot read it ({' '.join(str(error).split())[:200]})")
    found = [one.name for one in session.get_outputs()]
    if "preparation" not in session.get_modelmeta().custom_metadata_map or "embedding" not in found:
        stop(f"{model}: wanted a file of mfcl export --onnx, got another model")
    if output not in found:
        stop(f"{model}: no whitening was learned with this model; leave out --whitened")
    return session


def write(out: Path, arrays: dict[str, Any]) -> None:
    """Write the file whole or not at all."""
    temporary = out.with_name(f".{out.name}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)
        temporary.replace(out)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        stop(f"{out}: cannot be written ({error.strerror or error})")


def load(file: Path) -> tuple[np.ndarray, int]:
    """Return a file's samples as one channel, and its rate.

    Raises:
        ValueError: it is no sound that `mfcl embed` would take: unreadable, empty, not finite or silent.
    """
    try:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (OSError, TypeError, soundfile.LibsndfileError) as error:
        raise ValueError(f"not a readable audio file ({' '.join(str(error).split())})") from None
    if not RATES[0] <= rate <= RATES[1]:
        raise ValueError(f"wanted a sample rate of {RATES[0]} to {RATES[1]} Hz, got {rate} Hz")
    if not len(samples):
        raise ValueError("empty, no sample could be decoded")
    if not np.abs(samples).max() < LARGEST:
        raise ValueError("NaN, infinite or absurdly large samples")
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    power, powers = mono.var(dtype=np.float64), samples.var(axis=0, dtype=np.float64)
    if power < CANCELLED * powers.mean() and powers.max() >= SILENT:
        print(f"{file}: channels cancel; the loudest is used instead of their mean", file=sys.stderr)
        power, mono = powers.max(), samples[:, powers.argmax()]
    if power < SILENT:
        raise ValueError("silent")
    return mono, rate


def prepare(samples: np.ndarray, rate: int, settings: dict) -> np.ndarray:
    """Return a recording as the model was trained on: at its rate, cut to its sound, at its level, in 16 bits."""
    wanted = settings["sample_rate"]
    wave = resample(
        samples - np.float32(samples.mean(dtype=np.float64)) if settings["remove_dc"] else samples, rate, wanted
    )
    if not len(wave):
        raise ValueError(f"{len(samples)} samples at {rate} Hz leave nothing at {wanted} Hz")
    frame, short = wanted // 100, len(wave) <= 30 * wanted
    if settings["trim_db"] is not None:
        power = frame_power(wave, frame)
        loud = np.flatnonzero(power >= power.max() * 10 ** (-settings["trim_db"] / 10))
        wave = wave[loud[0] * frame : (loud[-1] + 1) * frame]
    if settings["endpoints"] and short:
        first, last = sound_span(frame_power(wave, frame))
        wave = wave[first * frame : last * frame]
    if settings["level_db"] is not None:
        level = 10 * np.log10(max(float(np.mean(np.square(wave, dtype=np.float64))), 1e-12))
        gain = 10 ** ((settings["level_db"] - level) / 20)
        wave = wave * np.float32(min(gain, 1 / max(float(np.abs(wave).max()), 1e-6)))
    step = np.float32(max(float(np.abs(wave).max()), 1e-9) / 32767)
    return (np.rint(wave / step).astype(np.int16) * step).astype(np.float32)


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Resample by a sum of sincs under a Kaiser window, with the pass band of soxr's high quality, which mfcl uses."""
    if rate == wanted:
        return samples
    up, down = wanted // math.gcd(rate, wanted), rate // math.gcd(rate, wanted)
    edge = min(1.0, wanted / rate)
    cut = (1 + PASS) / 2 * edge
    half = math.ceil((STOP_DB - 7.95) / (2.285 * math.pi * (1 - PASS) * edge) / 2)
    beta = 0.1102 * (STOP_DB - 8.7)
    views = sliding_window_view(np.pad(samples.astype(np.float64), (half + 1, half + 1 + down)), 2 * half + 1)
    made = np.zeros(round(len(samples) * up / down))
    for phase in range(min(up, len(made))):
        at = np.arange(-half, half + 1) - (phase * down % up) / up
        window = np.i0(beta * np.sqrt(np.maximum(0, 1 - (at / (half + 1)) ** 2))) / np.i0(beta)
        own = made[phase::up]
        own[:] = views[phase * down // up + 1 :: down][: len(own)] @ (cut * np.sinc(cut * at) * window)
    return made.astype(np.float32)


def frame_power(samples: np.ndarray, frame: int) -> np.ndarray:
    """Return the mean square of each frame; the last one may be shorter."""
    edges = np.arange(0, len(samples), frame)
    energy = np.add.reduceat(np.square(samples, dtype=np.float64), edges)
    return energy / np.diff(np.append(edges, len(samples)))


def sound_span(power: np.ndarray) -> tuple[int, int]:
    """Return the first frame of 10 ms of a clip's main sound, and the one after its last, as mfcl.audio.endpoints."""
    frames = len(power)
    if frames < 8 or not power.max() > 0:
        return 0, frames
    smooth = np.convolve(np.pad(power, 2, mode="edge"), np.full(5, 0.2), "valid")
    level = 10 * np.log10(np.maximum(smooth / smooth.max(), 1e-6))
    floor = float(np.percentile(level, 10))
    if floor > -10:
        return 0, frames
    active = np.concatenate([[False], level > max(-32.0, 0.8 * floor), [False]]).astype(np.int8)
    runs = np.flatnonzero(np.diff(active)).reshape(-1, 2)
    runs = runs[runs[:, 1] - runs[:, 0] >= 5]  # shorter ones are clicks
    if not len(runs):
        return 0, frames
    apart = runs[1:, 0] - runs[:-1, 1] > 25  # nearer ones are one
    runs = np.stack([runs[np.append(True, apart), 0], runs[np.append(apart, True), 1]], axis=1)
    total = np.concatenate([[0.0], np.cumsum(power)])
    energy = total[runs[:, 1]] - total[runs[:, 0]]
    first, last = runs[np.argmax(energy >= (1 - 1e-6) * energy.max())]
    first, last = max(first - 5, 0), min(last + 5, frames)
    return (0, frames) if last - first >= 0.75 * frames else (int(first), int(last))


if __name__ == "__main__":
    main()
