"""A recipe small enough for tests: seconds, not minutes."""

from pathlib import Path

TINY = """
name: tiny
model:
  mel_format: {fft: 512, window: 400, hop: 160, bands: 32}
  wave: {name: res1dnet, pooling: mean_max, width: 0.125}
  mel: {name: melcnn, pooling: mean_max, width: 0.25}
crops: {length: 0.8, unit: fraction, placement: free}
augment: {setting: both}
head: {layers: 2, width: 32, out: 16}
loss: {terms: inter, temperature: 0.1}
train: {epochs: 2, batch: 16, learning_rate: 1.0e-3}
supervised: {epochs: 2, batch: 16, learning_rate: 1.0e-3}
"""


def tiny_recipe(folder: Path) -> Path:
    """Write the recipe into a folder and return its path."""
    path = folder / "tiny.yaml"
    path.write_text(TINY)
    return path
