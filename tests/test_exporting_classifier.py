"""A classifier of few labels in an exported file answers as `mfcl classify` does, without torch."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mfcl
from mfcl import cli
from mfcl.audio import heard, read_prepared
from mfcl.checkpoint import load_checkpoint
from mfcl.errors import ExportError
from mfcl.exporting import export_onnx, onnx_file
from tests.small_model import RATE, SETTINGS, saved, sound

pytestmark = pytest.mark.timeout(900)  # torch's exporter takes ten seconds of a processor that is not shared
NAMES = ("low", "mid", "hoch ä")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of three pitches, two models, and a classifier by the command from two labels of each pitch."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "clips").mkdir()
    rows = []
    for seed in range(8):
        for pitch, name in enumerate(NAMES):
            clip = 0.7 * sound(0.5 + 0.05 * seed, seed=4 * pitch)
            clip += 0.02 * np.random.default_rng([seed, pitch]).standard_normal(len(clip)).astype(np.float32)
            soundfile.write(folder / "clips" / f"{pitch}_{seed}.wav", clip, RATE)
            rows += [(f"{pitch}_{seed}.wav", name)] if seed < 2 else []
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "pitch"), *rows])
    saved(SETTINGS, folder / "model")
    saved({**SETTINGS, "name": "other", "preparation": {"sample_rate": RATE}}, folder / "other")
    words = ("classify", folder / "model", folder / "clips", "--labels", folder / "labels.csv", "--fit", folder / "c")
    assert cli.main([*map(str, words), "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def exported(desk: Path) -> Path:
    words = ("export", desk / "model", "--onnx", desk / "m.onnx", "--classifier", desk / "c")
    assert cli.main([*map(str, words), "--runner", str(desk / "run.py")]) == 0
    return desk / "m.onnx"


def test_probabilities_and_distances_are_those_of_the_command(desk: Path, exported: Path) -> None:
    wanted = mfcl.classify(desk / "c", desk / "clips").predictions
    session = onnx_file.open_session(exported)
    files = sorted((desk / "clips").glob("*.wav"))
    preparation = load_checkpoint(desk / "model").recipe.preparation
    clips = [np.asarray(heard(read_prepared(file, preparation)[0])) for file in files]
    for some in (range(24), range(3, 4)):
        found = onnx_file.run_session(session, [clips[one] for one in some], ["probabilities", "distance"])
        assert np.abs(found[0] - wanted.probabilities[list(some)]).max() < 1e-4
        assert np.abs(found[1][:, 0] - wanted.distances[list(some)]).max() < 1e-4
    assert wanted.probabilities.max(axis=1).min() < 0.99  # a comparison of ones and zeros would tell little
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == sorted(NAMES) == wanted.classes.tolist()
    assert float(facts["farthest"]) == mfcl.load_classifier(desk / "c").farthest


def test_the_runner_prints_the_classes_of_the_command(desk: Path, exported: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", 0.1 * noise, RATE)
    files = [*sorted((desk / "clips").glob("*_[57].wav")), tmp_path / "noise.wav"]
    blocked = (
        "import sys, runpy; sys.modules.update(dict.fromkeys(('torch', 'mfcl', 'soxr', 'scipy')));"
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    words = [desk / "run.py", exported, *files, "--out", tmp_path / "v.npz"]
    said = subprocess.run(
        [sys.executable, "-c", blocked, *map(str, words)], check=True, capture_output=True, encoding="utf-8",
        env={"PYTHONIOENCODING": "utf-8"},
    ).stdout  # fmt: skip
    for file in files:
        own = mfcl.classify(desk / "c", file).predictions
        found = re.search(rf"^{re.escape(str(file))}: (.+) \((\d\.\d+)\)$", said, re.MULTILINE)
        assert found is not None
        assert found[1] == own.labels[0]
        assert float(found[2]) == pytest.approx(own.confidence[0], abs=1e-3)
    assert len(set(re.findall(r": (.+) \(", said))) > 1


def test_the_runner_refuses_what_the_command_refuses(desk: Path, exported: Path, tmp_path: Path) -> None:
    clip = sound(0.6, seed=4)
    odd = {
        "cancel": np.stack([0.9 * clip, -clip], axis=1), "right": np.stack([0 * clip, clip], axis=1),
        "nan": np.where(np.arange(len(clip)) == 7, np.nan, clip), "infinite": np.where(clip > 0.3, np.inf, clip),
        "silence": 0 * clip, "offset": 0 * clip + 0.25, "one": clip[100:101], "empty": clip[:0],
    }  # fmt: skip
    files = [tmp_path / f"{name}.wav" for name in odd]
    for file, samples in zip(files, odd.values(), strict=True):
        soundfile.write(file, samples, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "slow.wav", clip, 500)
    (tmp_path / "nothing.wav").touch()
    (tmp_path / "text.wav").write_text("no sound")
    files += [tmp_path / f"{name}.wav" for name in ("slow", "nothing", "text", "missing")]
    wanted = mfcl.embed(desk / "model", files, progress=False)
    assert wanted.ids.tolist() == [str(file) for file in files[:2]]  # the command leaves all the others out
    words = [sys.executable, desk / "run.py", exported, *files, "--out", tmp_path / "v.npz"]
    said = subprocess.run([*map(str, words)], check=True, capture_output=True, text=True)
    found = mfcl.load_embeddings(tmp_path / "v.npz")
    assert found.ids.tolist() == wanted.ids.tolist()
    apart = np.linalg.norm(found.vectors - wanted.vectors, axis=1) / np.linalg.norm(wanted.vectors, axis=1)
    assert apart.max() < 1e-4
    told = said.stderr.splitlines()
    assert [line.split(":")[0] for line in told] == [str(files[0]), *map(str, files[2:])]
    assert "channels cancel; the loudest is used" in told[0]
    assert all(line.endswith("; left out") for line in told[1:])
    assert len(re.findall(r": .+ \(\d\.\d+\)$", said.stdout, re.MULTILINE)) == 2
    words = [sys.executable, desk / "run.py", exported, files[4], "--out", tmp_path / "none.npz"]
    none = subprocess.run([*map(str, words)], check=False, capture_output=True, text=True)
    assert (none.returncode, none.stderr) == (2, f"{files[4]}: silent; left out\n")
    assert not (tmp_path / "none.npz").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--runner", "run.py"), "--classifier, --int8 and --runner are for ONNX; give --onnx FILE too"),
        (("--onnx", "m", "--runner", "m"), "m: wanted another name for each file to write, got it twice"),
        (("--onnx", "m", "--runner", "."), "cannot be written"),
    ],
)
def test_a_runner_that_cannot_be_written_is_said_before_the_export(
    words: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ("export", "nowhere", *(words if "--onnx" in words else (*words, "--pt2", "p")))
    assert cli.main([*given]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.iterdir())


def test_a_classifier_that_cannot_be_exported_is_one_line(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model, classifier, message in (
        ("other", desk / "c", r"c: bound to the model \w{12}, but .*other is \w{12}; export the model"),
        ("model", tmp_path, "wanted a classifier, found no classifier.json"),
        ("model", desk / "model", "wanted a classifier, found no classifier.json"),
    ):
        words = ("export", desk / model, "--onnx", tmp_path / "m.onnx", "--classifier", classifier)
        assert cli.main([*map(str, words)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert re.search(message, line)
    with pytest.raises(ExportError, match="classifier: bound to the model"):
        export_onnx(desk / "other", tmp_path / "m.onnx", classifier=mfcl.load_classifier(desk / "c"))
    assert not list(tmp_path.iterdir())
