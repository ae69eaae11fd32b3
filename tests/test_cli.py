"""The command line on bad input: one line, exit code 2, nothing half-written; and its help, without torch."""

import errno
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mfcl import cli
from tests.recipes import tiny_recipe
from tests.sounds import tone, write_corpus

COMMANDS = ("demo", "fetch", "scan", "train", "study", "report", "compare", "embed", "probe", "info")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFCL_CACHE", str(tmp_path / "cache"))


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must fail: return its one line."""
    capsys.readouterr()
    assert cli.main([str(argument) for argument in arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mfcl: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main([command, "--help"])
    assert f"mfcl {command}" in capsys.readouterr().out


def test_help_and_half_the_library_never_load_torch() -> None:
    modules = ", ".join(
        f"mfcl.{name}"
        for name in (
            "cli",
            "data.scanning",
            "data.store",
            "data.demo",
            "data.fetch",
            "evaluation.tasks",
            "evaluation.baselines",
            "labelling",
        )
    )
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_words_off_the_list_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["scna"], ["scan"], ["fetch", "imagenet", "x"], ["study", "x", "--preset", "huge", "--out", "y"], []):
        with pytest.raises(SystemExit, match="2"):
            cli.main(words)
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["scan", "train", "study"])
def test_a_missing_path_and_an_empty_folder(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = [] if command == "scan" else ["--out", tmp_path / "out"]
    assert "nowhere" in refused(capsys, command, tmp_path / "nowhere", *out)
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(capsys, command, tmp_path / "empty", *out)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["train", "study"])
def test_a_folder_with_one_speaker(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_corpus(tmp_path / "corpus", speakers=1)
    line = refused(capsys, command, data, "--out", tmp_path / "out", "--recipe", tiny_recipe(tmp_path), "--quiet")
    assert "speaker" in line
    assert "--split-by" in line
    assert not (tmp_path / "out").exists()


def test_a_misspelt_key_names_the_right_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_corpus(tmp_path / "corpus")
    line = refused(capsys, "train", data, "--out", tmp_path / "out", "--set", "train.epoch=3")
    assert "did you mean 'epochs'" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,label\na.wav,x\n", "path"),
        ("path,label\n", "no"),
        ("path,start,end\na.wav,2,1\n", "end"),
        ("path,split\na.wav,validation\n", "split"),
    ],
)
def test_a_csv_that_is_wrong(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), 16000)
    (tmp_path / "list.csv").write_text(text)
    line = refused(capsys, "scan", tmp_path / "list.csv")
    assert "list.csv" in line
    assert said in line


def test_a_label_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_corpus(tmp_path / "corpus")
    line = refused(capsys, "study", data, "--out", tmp_path / "out", "--label", "digits", "--quiet")
    assert "did you mean 'digit'" in line


def test_strict_scan_fails_on_the_first_problem_and_a_plain_one_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_corpus(tmp_path / "corpus", takes=1)
    (data / "data" / "02" / "1_02_9.wav").write_bytes(b"RIFF not a wave")
    assert cli.main(["scan", str(data), "--quiet", "--out", str(tmp_path / "good.csv")]) == 0
    assert "1_02_9.wav" in capsys.readouterr().out
    assert "1_02_9.wav" not in (tmp_path / "good.csv").read_text()
    assert "1_02_9.wav" in refused(capsys, "scan", data, "--quiet", "--strict")


@pytest.mark.parametrize("option", ["--only", "--skip"])
def test_a_section_that_does_not_exist(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_corpus(tmp_path / "corpus")
    line = refused(capsys, "study", data, "--out", tmp_path / "out", option, "labels", "geometri")
    assert "did you mean 'geometry'" in line
    assert not (tmp_path / "out").exists()


def test_the_help_of_a_study_names_its_sections(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["study", "--help"])
    said = capsys.readouterr().out
    assert all(section in said for section in cli.STUDIED)


def test_a_dry_run_says_what_would_be_done_and_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_corpus(tmp_path / "corpus", speakers=6)
    options = ["--out", tmp_path / "out", "--recipe", tiny_recipe(tmp_path), "--quiet", "--dry-run"]
    assert cli.main([str(part) for part in ("study", data, *options, "--only", "labels", "cost")]) == 0
    said = capsys.readouterr()
    assert {"labels", "cost", "all"} <= {line.split()[0] for line in said.err.splitlines() if line.strip()}
    assert said.out == ""
    assert not (tmp_path / "out").exists()


def test_a_study_folder_that_holds_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_corpus(tmp_path / "corpus")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert "other files" in refused(capsys, "study", data, "--out", tmp_path / "out", "--quiet")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_a_model_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_corpus(tmp_path / "corpus")
    assert "nowhere" in refused(capsys, "embed", tmp_path / "nowhere", data, "--out", tmp_path / "x.npz")
    assert "nowhere" in refused(capsys, "info", tmp_path / "nowhere")
    assert "x.npz" in refused(capsys, "probe", tmp_path / "x.npz", "--label", "digit")
    (tmp_path / "x.npz").write_bytes(b"not an archive")
    assert "x.npz" in refused(capsys, "probe", tmp_path / "x.npz", "--label", "digit")


def test_a_full_disk_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_corpus(tmp_path / "corpus")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "list.csv"))

    monkeypatch.setattr("mfcl.data.manifest_csv.write_manifest", full)
    line = refused(capsys, "scan", data, "--quiet", "--out", tmp_path / "list.csv")
    assert "No space left on device" in line
    assert "list.csv" in line


def test_an_interrupt_ends_quietly_and_the_run_can_go_on(tmp_path: Path) -> None:
    data = write_corpus(tmp_path / "corpus", speakers=6, takes=3)
    recipe = ["--recipe", tiny_recipe(tmp_path), "--set", "train.epochs=5000"]
    arguments = ["train", data, "--out", tmp_path / "run", *recipe]
    command = [sys.executable, "-m", "mfcl", *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "--resume" in said.splitlines()[-1]
    assert not [path for path in (tmp_path / "run").rglob("*") if path.suffix == ".tmp"]


def test_sound_of_any_kind_passes_through_a_scan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    soundfile.write(folder / "short.wav", tone(0.02), 16000)
    soundfile.write(folder / "eight-bit.wav", tone(0.5, sample_rate=8000), 8000, subtype="PCM_U8")
    soundfile.write(folder / "high.flac", tone(0.5, sample_rate=192000), 192000, subtype="PCM_24")
    soundfile.write(folder / "stereo.ogg", np.stack([tone(0.5), tone(0.5, 660)], axis=1), 16000)
    soundfile.write(folder / "nothing.wav", np.zeros(0, dtype=np.float32), 16000)
    soundfile.write(folder / "silence.wav", np.zeros(8000, dtype=np.float32), 16000)
    soundfile.write(folder / "nan.wav", np.full(8000, np.nan, dtype=np.float32), 16000, subtype="FLOAT")
    (folder / "text.mp3").write_text("words, not sound")
    assert cli.main(["scan", str(folder), "--quiet", "--out", str(tmp_path / "list.csv")]) == 0
    out = capsys.readouterr().out
    for name in ("nothing.wav", "silence.wav", "nan.wav", "text.mp3"):
        assert name in out
    listed = (tmp_path / "list.csv").read_text()
    for name in ("short.wav", "eight-bit.wav", "high.flac", "stereo.ogg"):
        assert name in listed
