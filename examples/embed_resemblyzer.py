"""Embed recordings with Resemblyzer, to measure it beside a gallery's model: python embed_resemblyzer.py LIST OUT.npz.

Resemblyzer (Apache 2.0; https://github.com/resemble-ai/Resemblyzer) is a speaker encoder of 256 values, trained with
labels on thousands of people. It is not a dependency; in an environment of its own, beside mfcl:
`pip install webrtcvad "setuptools<80"; pip install --no-deps resemblyzer`.
Then `mfcl voices evaluate GALLERY LIST --also resemblyzer=OUT.npz`, or `mfcl probe OUT.npz` where the list has splits.
"""

import sys

import numpy as np

from mfcl.audio import resample
from mfcl.audio.io import read_audio
from mfcl.data.layouts import open_manifest
from mfcl.embeddings.table import Embeddings

RATE = 16_000


def main() -> None:
    """Write one vector for each recording of a list that can be read."""
    from resemblyzer import VoiceEncoder, preprocess_wav

    manifest, encoder = open_manifest(sys.argv[1]), VoiceEncoder("cpu", verbose=False)
    vectors = []
    for recording in manifest:
        samples, rate = read_audio(recording.path, start=recording.start, end=recording.end)
        wave = resample(samples, rate, RATE)
        spoken = preprocess_wav(wave, RATE)  # pauses cut by its own detector, which may find nothing in a short word
        vectors.append(encoder.embed_utterance(spoken if len(spoken) >= RATE // 10 else wave))
    labels = {name: manifest.column(name) for name in manifest.label_names}
    Embeddings(np.array(vectors, np.float32), manifest.ids, labels, {}, manifest.splits).save(sys.argv[2])


if __name__ == "__main__":
    main()
