"""The benchmark of exported files: sizes, speeds and, of a model and recordings that are given, its accuracy."""

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from benchmarks import exported
from benchmarks.__main__ import main
from mfcl.checkpoint import Checkpoint
from mfcl.embeddings.table import Embeddings
from mfcl.exporting import onnx_file
from mfcl.models.inference import Listed, embed_clips
from tests.small_model import RATE, SETTINGS, saved, sound

pytestmark = pytest.mark.timeout(900)  # torch's exporter takes ten seconds of a processor that is not shared
ENGINES = {"torch", "ONNX", "ONNX, 8-bit weights", "torch.export"}


def corpus(folder: Path, speakers: dict[str, str]) -> Path:
    """Three words by each speaker, twice; speakers have a split."""
    rows = []
    for number, (speaker, split) in enumerate(speakers.items()):
        for word in range(3):
            for take in range(2):
                path = folder / f"{speaker}-{word}-{take}.wav"
                samples = sound(0.4 + 0.02 * number, seed=3 * word) + 0.003 * sound(0.4 + 0.02 * number, seed=take)
                soundfile.write(path, samples * (1 - 0.1 * number), RATE)
                rows.append((path.name, f"word {word}", speaker, split))
    with (folder / "list.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "word", "speaker", "split"), *rows])
    return folder / "list.csv"


def test_a_model_is_embedded_with_by_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "LEAST_QUANTISED", 512)  # the smallest layer of 8-bit weights
    own = {"neck": {"layers": 2, "width": 256, "out": 16, "directions": 8}}  # weights that 8 bits save something of
    own |= {"landmarks": None, "spectrum": False}  # and nothing that has the exporters work long
    checkpoint = saved(SETTINGS | {"model": SETTINGS["model"] | own}, tmp_path / "model")
    checkpoint.model.default_format = "mel"
    encoders, sizes = exported._encoders(checkpoint, tmp_path)
    assert encoders.keys() == ENGINES
    assert sizes.keys() == ENGINES - {"torch"}
    assert 0 < sizes["ONNX, 8-bit weights"] < sizes["ONNX"]
    clips = [sound(0.3 + 0.1 * (seed % 3), seed=seed) for seed in range(10)]
    wanted = embed_clips(checkpoint.model, Listed(clips), RATE)
    for name, encode in encoders.items():
        found = exported._encoded(encode, clips)
        assert np.allclose(found, wanted, rtol=0, atol=(0.1 if "8-bit" in name else 1e-4) * np.abs(wanted).max()), name


def test_accuracy_is_measured_by_each_file_and_the_test_part_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = saved(SETTINGS, tmp_path / "model")
    speakers = {**{f"a{place}": "train" for place in range(5)}, "b0": "valid", "b1": "valid", "c0": "test"}
    listed = corpus(tmp_path, speakers)
    seen: list[np.ndarray] = []
    real = exported.measure_labels

    def measured(table: Embeddings, *given: object, seed: int) -> object:
        seen.append(table.ids)
        return real(table, *given, seed=seed)

    def encoders(loaded: Checkpoint, _: Path) -> object:
        def shifted(clips: list[np.ndarray], by: float) -> np.ndarray:
            return embed_clips(loaded.model, Listed(clips), RATE) * np.float32(1 + by)

        made = {"torch": 0.0, "ONNX": 0.25, "torch.export": 0.5}
        return {name: partial(shifted, by=by) for name, by in made.items()}, {"ONNX": 2.0, "torch.export": 3.0}

    monkeypatch.setattr(exported, "measure_labels", measured)
    monkeypatch.setattr(exported, "_encoders", encoders)
    words = ["onnx", "--tiny", "--rounds", "1", "--model", str(checkpoint.folder), "--data", str(listed)]
    assert main([*words, "--threads", str(torch.get_num_threads()), "--json", str(tmp_path / "bench.json")]) == 0
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["median_difference"] == pytest.approx({"ONNX": 0.25, "torch.export": 0.5}, rel=1e-4)
    assert all(rate > 0 for rate in found["clips_per_processor_second"].values())
    assert found["accuracy"].keys() == {"torch", "ONNX"}  # torch.export's file takes 10 s at most
    own = found["accuracy"]["torch"]
    what = "word, linear probe, all labels, accuracy"
    assert own[what] > 90  # three tones, which random encoders tell apart
    assert any(name.endswith(", eer") for name in own)
    assert found["accuracy"]["ONNX"] == pytest.approx(own)
    assert dict(exported.rows(found))[f"exported, ONNX, {what}, %"] == f"{own[what]:.2f}"
    assert {name[:2] for name in seen[0]} == set(speakers) - {"c0"}


def test_without_a_model_a_random_one_has_landmarks_and_accuracy_is_said_to_be_left_out(tmp_path: Path) -> None:
    loaded = exported._random(tmp_path, tiny=True)
    assert (loaded.model.mel.landmarks.lengths > 0).all()
    found = {"sizes_mb": {"ONNX": 1.0}, "clips_per_processor_second": {}, "median_difference": {}, "said": "no data"}
    assert exported.rows(found) == [("exported, ONNX: MB", "1.0"), ("exported, accuracy", "no data")]
