"""What a whole training leaves behind, and what it refuses before it begins."""

import json
import os
import shutil

import pytest
import soundfile

import mfcl
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest
from mfcl.data.manifest_csv import read_manifest
from mfcl.errors import CheckpointError, ManifestError, MfclError
from mfcl.training import api
from tests.recipes import tiny_recipe
from tests.sounds import word, write_corpus


def trained(data, folder, **options):
    given = {"recipe": tiny_recipe(folder), "overrides": ["train.epochs=1"], "cache": folder / "cache"}
    return mfcl.train(data, folder / "runs/one", progress=False, **given, **options)


def test_a_file_whose_name_is_not_utf_8_is_left_out_and_the_rest_is_trained_on(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for number in range(24):
        soundfile.write(tmp_path / f"in/{number}.wav", word(number % 4, number % 3, number), 16000)
    (tmp_path / "in/0.wav").rename(tmp_path / "in" / os.fsdecode(b"caf\xe9.wav"))
    trained(tmp_path / "in", tmp_path)
    assert "caf\\xe9.wav: name not UTF-8" in capsys.readouterr().err
    listed = read_manifest(tmp_path / "runs/one/manifest.csv")
    assert len(listed) == 23


def test_a_label_that_no_list_can_hold_is_refused_before_training(tmp_path, monkeypatch):
    data = write_corpus(tmp_path / "in", speakers=6)
    monkeypatch.setattr(api, "fit", lambda *_, **__: pytest.fail("was trained"))
    with monkeypatch.context() as patch:
        opened = open_manifest(data)
        odd = (recording.labels | {"stop": "x"} for recording in opened)
        changed = [type(one)(one.id, one.path, labels=labels) for one, labels in zip(opened, odd, strict=True)]
        patch.setattr("mfcl.data.dataset.open_manifest", lambda *_, **__: Manifest(tuple(changed), data))
        with pytest.raises(ManifestError, match="'stop'"):
            trained(data, tmp_path)
    assert not (tmp_path / "runs/one").exists()


def test_a_project_that_moves_keeps_its_runs_and_a_run_finds_moved_data(tmp_path):
    write_corpus(tmp_path / "old/in", speakers=6)
    (tmp_path / "old").joinpath("project").mkdir()
    trained(tmp_path / "old/in", tmp_path / "old/project")
    shutil.move(tmp_path / "old", tmp_path / "new")
    run = tmp_path / "new/project/runs/one"
    assert len(mfcl.embed(run, run / "manifest.csv", progress=False).ids) == 36
    shutil.move(tmp_path / "new/in", tmp_path / "elsewhere")
    with pytest.raises(ManifestError, match="data_root"):
        mfcl.embed(run, run / "manifest.csv", progress=False)
    again = mfcl.embed(run, run / "manifest.csv", data_root=tmp_path / "elsewhere", progress=False)
    assert again.ids[0] == "data/01/0_01_0.wav"


def test_a_run_that_was_begun_with_a_fingerprint_of_sizes_goes_on(tmp_path):
    data = write_corpus(tmp_path / "in", speakers=6)
    trained(data, tmp_path)
    run = tmp_path / "runs/one"
    about = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(
        json.dumps(about | {"fingerprint": read_manifest(run / "manifest.csv").fingerprint_of_sizes()})
    )
    trained(data, tmp_path, resume=True)
    sound = word(9, 9)
    path = data / "data/01/0_01_0.wav"
    soundfile.write(path, sound[: soundfile.info(path).frames], 16000)
    later = (run / "data.json").stat().st_mtime + 5
    os.utime(path, (later, later))
    with pytest.raises(CheckpointError, match="fingerprint"):
        trained(data, tmp_path, resume=True)


def test_the_model_is_written_before_the_other_files(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(api, "save_file", full)
    with pytest.raises(MfclError, match="No space left"):
        trained(write_corpus(tmp_path / "in", speakers=6), tmp_path)
    assert mfcl.load(tmp_path / "runs/one").dim() > 0
