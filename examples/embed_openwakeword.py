"""Embed recordings with openWakeWord's speech embedding, to compare: python embed_openwakeword.py LIST OUT.npz.

The network is Google's `speech_embedding` (Apache 2.0; Lin et al., "Training Keyword Spotters with Limited and
Synthesized Speech Data", arXiv:2002.01322), trained with words as labels: 96 values for each 0.76 s, every 80 ms. Its
weights are in the package of version 0.4.0; later ones download them. It is not a dependency; in an environment of its
own, beside mfcl: `pip install onnxruntime; pip install --no-deps openwakeword==0.4.0`.
Then `mfcl probe OUT.npz` where the list has splits and labels, or `mfcl study LIST --also openwakeword=OUT.npz`.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.lib.stride_tricks import sliding_window_view

from mfcl.audio import resample
from mfcl.audio.io import read_audio
from mfcl.data.layouts import open_manifest
from mfcl.embeddings.table import Embeddings

RATE, LEAST = 16_000, 19_200
"""Hz, and the samples to which a shorter clip is padded, with silence at both ends."""
WINDOW, HOP = 76, 8
"""Frames of 10 ms that the network takes, and between two of its answers."""


def main() -> None:
    """Write one vector for each recording of a list: mean and standard deviation of the network's answers."""
    package = find_spec("openwakeword")
    if package is None or package.origin is None:
        raise SystemExit("wanted the package openwakeword: pip install --no-deps openwakeword==0.4.0")
    folder = Path(package.origin).parent / "resources" / "models"
    log_mel, network = (session(folder / f"{name}.onnx") for name in ("melspectrogram", "embedding_model"))
    manifest = open_manifest(sys.argv[1])
    vectors = []
    for recording in manifest:
        samples, rate = read_audio(recording.path, start=recording.start, end=recording.end)
        wave = resample(samples, rate, RATE)
        short = max(0, LEAST - len(wave))
        padded = np.pad(32767 * wave, (short // 2, short - short // 2)).astype(np.float32)  # it wants 16-bit numbers
        (mel,) = log_mel.run(None, {log_mel.get_inputs()[0].name: padded[None]})
        frames = mel.reshape(-1, 32) / 10 + 2  # (frames, bands)
        windows = sliding_window_view(frames, WINDOW, axis=0)[::HOP].transpose(0, 2, 1)  # (windows, frames, bands)
        (found,) = network.run(None, {network.get_inputs()[0].name: np.ascontiguousarray(windows[..., None])})
        answers = found.reshape(len(windows), -1)
        vectors.append(np.concatenate([answers.mean(axis=0), answers.std(axis=0)]))
    labels = {name: manifest.column(name) for name in manifest.label_names}
    Embeddings(np.array(vectors, np.float32), manifest.ids, labels, {}, manifest.splits).save(sys.argv[2])


def session(file: Path) -> onnxruntime.InferenceSession:
    """Return a network on one processor thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
