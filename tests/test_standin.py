"""The stand-in corpus of the benchmarks has the layout, the sound and the quirks of the real one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import standin
from mfcl.data.layouts import open_manifest
from tests.recipes import tiny_recipe

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return standin.write_standin(tmp_path_factory.mktemp("standin"), speakers=5, takes=2)


def test_it_has_audiomnists_layout_and_sound(small: Path) -> None:
    manifest = open_manifest(small)
    assert len(manifest) == 5 * 10 * 2
    assert manifest.ids[0] == "data/01/0_01_0.wav"
    assert set(manifest.column("digit")) == set("0123456789")
    assert set(manifest.column("speaker")) == {"01", "02", "03", "04", "05"}
    assert {"gender", "age", "accent"} <= set(manifest.label_names)
    lengths = []
    for recording in manifest:
        info = soundfile.info(recording.path)
        assert (info.samplerate, info.channels, info.subtype) == (48_000, 1, "PCM_16")
        lengths.append(info.duration)
    assert np.mean(lengths) == pytest.approx(0.64, abs=0.03)
    assert len(set(lengths)) > 20
    sound, _ = soundfile.read(small / "data/02/7_02_1.wav")
    assert 0.1 < np.abs(sound).max() < 1


def test_takes_speakers_and_digits_differ_and_a_second_call_writes_the_same(small: Path, tmp_path: Path) -> None:
    again = standin.write_standin(tmp_path, speakers=5, takes=2)
    names = [path.relative_to(small) for path in sorted(small.rglob("*")) if path.is_file()]
    assert [path.relative_to(again) for path in sorted(again.rglob("*")) if path.is_file()] == names
    contents = [(small / name).read_bytes() for name in names]
    assert contents == [(again / name).read_bytes() for name in names]
    assert len(set(contents)) == len(contents)


def test_the_description_has_the_public_files_slips() -> None:
    facts = {number: standin._facts(number) for number in range(1, 61)}
    assert facts[1]["age"] == 30
    assert facts[1]["accent"] == "german"
    assert facts[45]["age"] == "1234"
    assert {facts[number]["recordingroom"] for number in facts} >= {"vr-romm", "VR-Room", "vr-room"}
    assert sum(entry["gender"] == "female" for entry in facts.values()) == 12


@pytest.mark.slow
def test_the_first_commands_are_timed(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "benchmarks.standin", str(tmp_path / "data"), "--speakers", "5", "--takes", "2"),
        *(
            "--measure",
            "--recipe",
            str(tiny_recipe(tmp_path)),
            "--threads",
            "1",
            "--json",
            str(tmp_path / "found.json"),
        ),
    ]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found) == 5
    for row in found:
        assert row["what"] in done.stdout
        assert row["seconds"] > 0
    assert all(20 < row["peak_mb"] < 5000 for row in found[1:])
    assert found[-1]["steps"] >= 1
    assert found[-1]["recordings_per_second"] > 0
    assert found[-1]["cache_mb"] > 0
    assert not (tmp_path / "data-study").exists()
