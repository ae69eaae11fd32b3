"""An exported file gives torch's answers without torch: any length and batch, prepared by the example itself."""

import dataclasses
import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import torch

import mfcl
from mfcl import cli
from mfcl.audio.endpoints import frame_power, sound_span
from mfcl.audio.preparation import Preparation, prepare, resample, rounded
from mfcl.checkpoint import Checkpoint
from mfcl.core import extras
from mfcl.embedder import Embedder
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.table import Embeddings
from mfcl.errors import ExportError, MissingExtraError
from mfcl.exporting import Exported, export_onnx, onnx_file
from mfcl.exporting.graphs import Graph, add_classifier
from mfcl.exporting.network import ConvolvedFilterbank, Network, RealLogMel, multiple
from mfcl.models.encoders.filterbank import Filterbank1d
from mfcl.models.encoders.norm import NormName
from mfcl.models.frontends import LogMel, MelSettings
from mfcl.models.inference import Listed, embed_clips, part_bounds
from mfcl.models.weights_file import digest
from tests.small_model import RATE, SETTINGS, saved, sound

pytestmark = pytest.mark.timeout(900)  # torch's exporter takes ten seconds of a processor that is not shared
EXAMPLE = Path(__file__).parents[1] / "examples" / "run_onnx.py"
OTHERS = {
    "name": "others",
    "model": {
        "mel_format": {"fft": 512, "window": 320, "hop": 160, "bands": 40, "scale": "htk", "ceiling": 100.0},
        "wave": {"name": "reference1d", "pooling": "mean_max", "width": 0.02, "norm": "group"},
        "mel": {"name": "melcnn", "pooling": "statistics", "width": 0.25, "norm": "instance"},
    },
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return saved(SETTINGS, tmp_path_factory.mktemp("small"))


@dataclasses.dataclass
class Linear:
    """A classifier of two parts, as few labels make them."""

    classes: np.ndarray
    features: SimpleNamespace
    weights: np.ndarray
    bias: np.ndarray
    centres: np.ndarray
    sharpness: float = 3.0
    farthest: float = 0.4

    def features_of(self, checkpoint: Checkpoint, vectors: np.ndarray) -> np.ndarray:
        bounds = part_bounds(checkpoint.model, "both")
        return np.concatenate(
            [own(vectors[:, slice(*bounds[name])]) for name, own in self.features.whitenings.items()], axis=1
        )


@pytest.fixture(scope="module")
def classifier(checkpoint: Checkpoint) -> Linear:
    read = {name: checkpoint.whitening[name] for name in ("mel voices", "wave words landmarks")}  # not in their order
    dim, random = sum(own.directions.shape[1] for own in read.values()), np.random.default_rng(0)
    weights = random.standard_normal((dim, 3))
    return Linear(np.array(["a", "b", "ç"]), SimpleNamespace(whitenings=read), weights, weights[0], weights.T)


@pytest.fixture(scope="module")
def exported(checkpoint: Checkpoint, classifier: Linear) -> list[Exported]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_file, "LEAST_QUANTISED", 512)
        folder = checkpoint.folder
        return export_onnx(checkpoint, folder / "m.onnx", int8=folder / "m8.onnx", classifier=classifier)


def apart(found: np.ndarray, wanted: np.ndarray) -> float:
    return float((np.linalg.norm(found - wanted, axis=1) / np.linalg.norm(wanted, axis=1)).max())


def whitened(checkpoint: Checkpoint, vectors: np.ndarray) -> np.ndarray:
    names = np.full(len(vectors), "")
    plain = Embeddings(vectors, names, {}, part_bounds(checkpoint.model, "both"), names)
    return plain.whiten(checkpoint.whitening).vectors


@pytest.mark.parametrize("lengths", [(0.05,), (0.3, 0.05, 1.1), (10.0, 10.1), (25.0, 0.2), (60.0,), (0.4,) * 8])
def test_the_exported_file_gives_torchs_vectors(
    checkpoint: Checkpoint, exported: list[Exported], lengths: tuple[float, ...]
) -> None:
    clips = [sound(seconds, seed=seed) for seed, seconds in enumerate(lengths)]
    session = onnx_file.open_session(exported[0].path)
    found, white = onnx_file.run_session(session, clips, ["embedding", "whitened"])
    wanted = embed_clips(checkpoint.model, Listed(clips), RATE)
    assert apart(found, wanted) < 1e-5
    assert apart(white, whitened(checkpoint, wanted)) < 1e-4


def test_digital_silence_is_silence_in_the_file_too(checkpoint: Checkpoint, exported: list[Exported]) -> None:
    clips = [np.zeros(8000, dtype=np.float32), np.concatenate([sound(10.0), np.zeros(160_000, dtype=np.float32)])]
    found = onnx_file.run_session(onnx_file.open_session(exported[0].path), clips, ["embedding"])[0]
    assert apart(found, embed_clips(checkpoint.model, Listed(clips), RATE)) < 1e-4


def test_landmarks_and_their_absence_are_in_the_file(checkpoint: Checkpoint, exported: list[Exported]) -> None:
    start, stop = part_bounds(checkpoint.model, "both")["mel words landmarks"]
    found = onnx_file.run_session(onnx_file.open_session(exported[0].path), [sound(0.7)], ["embedding"])[0]
    marks, pieces = found[0, start : start + 12], found[0, start + 12 : stop]
    assert (marks[:10] > 0).all()  # ten landmarks were fitted, of twelve
    assert (marks[10:] == 0).all()
    assert len(pieces) == 6
    assert (pieces > 0).all()
    assert len(np.unique(np.concatenate([marks[:10], pieces]))) == 16


def test_a_classifier_answers_as_it_does_in_numpy(
    checkpoint: Checkpoint, exported: list[Exported], classifier: Linear
) -> None:
    clips = [sound(0.4 + 0.3 * seed, seed=seed) for seed in range(4)]
    session = onnx_file.open_session(exported[0].path)
    found, distance = onnx_file.run_session(session, clips, ["probabilities", "distance"])
    features = classifier.features_of(checkpoint, embed_clips(checkpoint.model, Listed(clips), RATE))
    scores = classifier.sharpness * (features @ classifier.weights + classifier.bias)
    wanted = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    cosines = features @ classifier.centres.T / np.linalg.norm(features, axis=1, keepdims=True)
    cosines /= np.linalg.norm(classifier.centres, axis=1)
    np.testing.assert_allclose(distance[:, 0], 1 - cosines.max(axis=1), atol=1e-4)
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["a", "b", "ç"]
    other = dataclasses.replace(
        classifier, features=SimpleNamespace(whitenings={"mel": checkpoint.whitening["mel words"]})
    )
    with pytest.raises(ExportError, match="of the part 'mel', the model has none"):
        add_classifier(Graph(), {"mel words": 8}, other)


def test_the_file_says_what_it_is(checkpoint: Checkpoint, exported: list[Exported]) -> None:
    facts = onnx_file.open_session(exported[0].path).get_modelmeta().custom_metadata_map
    assert facts["model_sha256"] == digest(checkpoint.folder / "model.safetensors")
    assert facts["sample_rate"] == str(RATE)
    assert json.loads(facts["preparation"])["endpoints"] is True
    sizes = {name: stop - start for name, (start, stop) in part_bounds(checkpoint.model, "both").items()}
    assert json.loads(facts["parts"]) == sizes
    assert exported[0].outputs["embedding"] == sum(sizes.values())
    assert exported[0].outputs["whitened"] == sum(json.loads(facts["whitened_parts"]).values())
    assert {facts["recipe"], facts["opset"], facts["torch_version"]} == {"small", "18", torch.__version__}


def test_the_files_tell_no_place_of_the_machine_that_wrote_them(exported: list[Exported]) -> None:
    source = str(Path(mfcl.__file__).parent).encode()
    assert not [one.path for one in exported if source in one.path.read_bytes()]


def test_8_bit_weights_are_smaller_and_near(exported: list[Exported]) -> None:
    plain, small = exported
    assert plain.difference < 1e-4
    weights = [sum(len(one.raw_data) for one in onnx.load(file.path).graph.initializer) for file in (plain, small)]
    assert weights[1] < weights[0]
    assert 1e-6 < small.difference < 0.1


def test_the_example_gives_the_commands_answers_without_torch(
    checkpoint: Checkpoint, exported: list[Exported], tmp_path: Path
) -> None:
    files = []
    for seed, seconds in enumerate((0.06, 0.8, 11.0, 31.0)):
        quiet = 1e-4 * np.random.default_rng(seed).standard_normal(RATE // 2).astype(np.float32)
        files.append(tmp_path / f"{seed}.wav")
        samples = np.concatenate([quiet, sound(seconds, seed=seed), quiet])
        soundfile.write(files[-1], samples if seed % 2 else np.stack([samples, 0.5 * samples], axis=1), RATE)
    blocked = (
        "import sys, runpy; sys.modules.update(dict.fromkeys(('torch', 'mfcl', 'soxr', 'scipy')));"
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    for options, white in (([], False), (["--whitened"], True)):
        out = tmp_path / f"{white}.npz"
        words = [EXAMPLE, exported[0].path, *files, "--out", out, *options]
        said = subprocess.run(
            [sys.executable, "-c", blocked, *map(str, words)], check=True, capture_output=True, text=True
        )
        assert said.stdout.count(": unknown (") == len(files)  # the classifier was fitted on nothing
        found = load_embeddings(out)
        wanted = Embedder(checkpoint, device="cpu").encode(files, whiten=white)
        assert apart(found.vectors, wanted) < 1e-4
        assert found.ids.tolist() == [str(file) for file in files]
        assert list(found.parts) == list(part_bounds(checkpoint.model, "both"))


def test_the_examples_preparation_is_the_librarys() -> None:
    example = runpy.run_path(str(EXAMPLE))
    settings = [
        Preparation(RATE),
        Preparation(RATE, remove_dc=False, endpoints=True),
        Preparation(RATE, trim_db=30.0, level_db=-20.0),
        Preparation(RATE, trim_db=30.0, endpoints=True, level_db=-3.0),
    ]
    for seed in range(12):
        random = np.random.default_rng(seed)
        pieces = [
            (10 ** random.uniform(-4, 0) * 0.5 * random.standard_normal(random.integers(50, 20000))).astype(np.float32)
            for _ in range(random.integers(1, 7))
        ]
        clip = np.concatenate(pieces).clip(-1, 1)
        power = frame_power(clip, 160)
        assert example["sound_span"](power) == tuple(sound_span(power)[:2])
        for chosen in settings:
            wanted = rounded(prepare(clip, RATE, chosen))
            found = example["prepare"](clip, RATE, dataclasses.asdict(chosen))
            assert found.shape == wanted.shape
            np.testing.assert_allclose(found, wanted, atol=2e-4)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_the_examples_resampler_is_near_the_librarys(rate: int) -> None:
    clip = sound(0.5, rate=rate)
    wanted = resample(clip, rate, RATE)
    found = runpy.run_path(str(EXAMPLE))["resample"](clip, rate, RATE)
    assert found.shape == wanted.shape
    assert np.linalg.norm(found - wanted) < 1e-3 * np.linalg.norm(wanted)


def test_real_valued_front_ends_give_what_the_models_own_do(checkpoint: Checkpoint) -> None:
    wave = torch.from_numpy(np.stack([sound(1.0), sound(1.0, seed=1)]))
    lengths = torch.tensor([16000, 7777])
    wave[1, 7777:] = 0
    for settings in (MelSettings(), MelSettings(fft=512, window=333, hop=100, bands=20, low_hz=50.0, high_hz=7000.0)):
        own = LogMel(settings, RATE)
        wanted, frames = own(wave, lengths)
        found, counted = RealLogMel(own)(wave, lengths)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
        assert counted.tolist() == frames.tolist()
    encoder = checkpoint.model.wave.encoder
    wanted = encoder(wave, lengths).values
    changed = Network(checkpoint.model).encoders["wave"].encoder
    assert isinstance(changed, ConvolvedFilterbank)
    torch.testing.assert_close(changed(wave, lengths).values, wanted, rtol=1e-4, atol=1e-4)
    assert multiple(checkpoint.model) % encoder.samples == 0
    assert not isinstance(encoder, ConvolvedFilterbank)  # the model itself stays as it was


@pytest.mark.parametrize("norm", ["group", "instance"])
def test_a_filterbank_before_a_norm_over_each_clip_gives_what_the_models_own_does(norm: NormName) -> None:
    encoder = Filterbank1d(width=0.125, norm=norm).eval()
    wave = torch.from_numpy(np.stack([sound(1.0), 1e-3 * sound(1.0, seed=1)]))
    lengths = torch.tensor([16000, 16000])
    wanted = encoder(wave, lengths).values
    encoder.__class__ = ConvolvedFilterbank
    torch.testing.assert_close(encoder(wave, lengths).values, wanted, rtol=1e-3, atol=1e-3)


def test_other_encoders_norms_and_poolings(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loaded = saved(OTHERS, tmp_path / "model")
    assert cli.main(["export", str(tmp_path / "model"), "--onnx", str(tmp_path / "m.onnx")]) == 0
    assert "MB; embedding " in capfd.readouterr().out
    clips = [sound(0.05), sound(0.33, seed=1), sound(10.5, seed=2)]
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    assert capfd.readouterr().err == ""  # onnxruntime warns of what nothing in the file reads
    found = onnx_file.run_session(session, clips, ["embedding"])[0]
    assert apart(found, embed_clips(loaded.model, Listed(clips), RATE)) < 1e-4


def test_a_model_of_one_format_gives_its_values_alone(tmp_path: Path) -> None:
    loaded = saved(OTHERS, tmp_path / "model")
    loaded.model.default_format = "wave"
    clips = [sound(0.05), sound(0.33, seed=1)]
    export_onnx(loaded, tmp_path / "m.onnx")
    found, white = onnx_file.run_session(
        onnx_file.open_session(tmp_path / "m.onnx"), clips, ["embedding", "whitened"]
    )  # fmt: skip
    wanted = embed_clips(loaded.model, Listed(clips), RATE)
    assert found.shape == wanted.shape == (2, loaded.model.dims["wave"])
    assert apart(found, wanted) < 1e-4
    assert apart(white, loaded.whitening["wave"](wanted)) < 1e-4


def test_a_file_that_differs_is_not_written(
    checkpoint: Checkpoint, exported: list[Exported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = onnx_file.need("onnx", "onnx").load(exported[0].path)
    monkeypatch.setattr(onnx_file, "_model_proto", lambda *_: made)
    with torch.no_grad():
        weights = checkpoint.model.mel.encoder.conv2.weight
        before = weights.clone()
        weights.mul_(1.1)
        try:
            with pytest.raises(ExportError, match=r"differ from torch's by .* nothing was written"):
                export_onnx(checkpoint, tmp_path / "m.onnx")
        finally:
            weights.copy_(before)
    assert not list(tmp_path.iterdir())


def test_without_the_extra_there_is_one_line(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ExportError, match="wanted another file for the 8-bit weights"):
        export_onnx(checkpoint, tmp_path / "m.onnx", int8=tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"onnxruntime.* pip install 'mfcl\[onnx\]'"):
        export_onnx(checkpoint, tmp_path / "m.onnx")
    assert extras.need("json", "onnx") is json
