"""The command line on bad input: one line, exit code 2, nothing half-written; and its help, without torch."""

import argparse
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mfcl import cli
from mfcl.core import extras
from mfcl.core.files import replacing
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.table import Embeddings
from tests.recipes import tiny_recipe
from tests.sounds import tone, write_corpus

COMMANDS = (
    "demo",
    "fetch",
    "scan",
    "train",
    "study",
    "report",
    "compare",
    "embed",
    "probe",
    "info",
    "export",
    "import",
    "voices",
)


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


def test_what_is_read_is_not_replaced_by_what_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "list.parquet"
    listed.write_bytes(b"a list of recordings")
    assert "it is read here" in refused(capsys, "embed", tmp_path / "run", listed, "--out", listed)
    assert "it is read here" in refused(capsys, "explore", listed, "--parquet", listed, "--port", 0)
    assert listed.read_bytes() == b"a list of recordings"


def test_a_package_that_the_file_needs_is_missed_before_anything_is_embedded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = extras.need
    monkeypatch.setattr(extras, "need", lambda package, extra: own("no_such_package", extra))
    said = refused(capsys, "embed", tmp_path / "no run", tmp_path, "--out", tmp_path / "vectors.parquet")
    assert "pip install 'mfcl[parquet]'" in said


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
            "voices",
        )
    )
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, mfcl.cli; mfcl.cli.parser(); sys.exit(bool({'numpy', 'scipy', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_says_what_each_argument_is() -> None:
    def silent(parser: argparse.ArgumentParser, words: str) -> Iterator[str]:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, below in action.choices.items():
                    yield from silent(below, f"{words} {name}")
            elif not action.help:
                yield f"{words} {action.dest}"

    assert list(silent(cli.parser(), "mfcl")) == []


def test_words_off_the_list_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["scna"], ["scan"], ["fetch", "imagenet", "x"], ["study", "x", "--preset", "huge", "--out", "y"]):
        with pytest.raises(SystemExit, match="2"):
            cli.main(words)
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["scan", "classify", "voices list", "voices", "label"])
def test_an_unknown_option_names_the_help_that_lists_the_others(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"scan": ["x"], "classify": ["x", "y"], "voices list": ["x"]}.get(command, [])
    with pytest.raises(SystemExit, match="2"):
        cli.main([*command.split(), *given, "--bogus"])
    (line,) = capsys.readouterr().err.strip().splitlines()
    known = command != "label"  # not a command
    assert line.endswith(f"see mfcl {command} --help" if known else "see mfcl --help")
    assert ("--bogus" in line) == bool(given)


@pytest.mark.parametrize("command", ["scan", "train", "study"])
def test_a_missing_path_and_an_empty_folder(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = [] if command == "scan" else ["--out", tmp_path / "out"]
    assert "nowhere" in refused(capsys, command, tmp_path / "nowhere", *out)
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(capsys, command, tmp_path / "empty", *out)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", ["info {}", "similar {} x.wav", "classify {} x --out y.csv"])
def test_a_missing_model_is_asked_for_as_what_else_the_command_takes(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *words.format(tmp_path / "nowhere").split())
    assert "nowhere: wanted a" in line
    assert " or " in line
    assert "there is nothing there" in line


@pytest.mark.parametrize("command", ["train", "study"])
def test_a_folder_with_one_speaker(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_corpus(tmp_path / "corpus", speakers=1)
    line = refused(capsys, command, data, "--out", tmp_path / "out", "--recipe", tiny_recipe(tmp_path), "--quiet")
    assert "speaker" in line
    assert "split_by 'none'" in line
    assert not (tmp_path / "out").exists()


def test_a_misspelt_key_names_the_right_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_corpus(tmp_path / "corpus")
    line = refused(capsys, "train", data, "--out", tmp_path / "out", "--set", "train.epoch=3")
    assert "did you mean 'epochs'" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sound,label\na.wav,x\n", "path"),
        ("path,label,Split\na.wav,x,test\n", "'split'"),
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


def test_a_selection_table_beside_no_recording_is_scanned_with_the_folder_that_its_error_asks_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "day").mkdir()
    (tmp_path / "tables").mkdir()
    soundfile.write(tmp_path / "day" / "a.wav", tone(), 16000)
    table = tmp_path / "tables" / "a.txt"
    table.write_text("Selection\tBegin Time (s)\tEnd Time (s)\tBegin File\tspecies\n1\t0\t0.2\ta.wav\towl\n")
    assert "--data-root" in refused(capsys, "scan", table)
    given = ["--data-root", str(tmp_path / "day"), "--quiet", "--out", str(tmp_path / "list.csv")]
    assert cli.main(["scan", str(table), *given]) == 0
    assert "day/a.wav" in (tmp_path / "list.csv").read_text()


def test_a_table_for_each_recording_is_scanned_as_one_list_that_replaces_none_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = [tmp_path / f"{name}.selections.txt" for name in ("dawn", "dusk")]
    for place, table in enumerate(tables):
        soundfile.write(table.with_name(f"{table.name.partition('.')[0]}.wav"), tone(0.3 + place), 16000)
        table.write_text(f"Selection\tBegin Time (s)\tEnd Time (s)\tspecies\n1\t0\t{0.2 + place}\towl\n")
    assert "it is read here" in refused(capsys, "scan", *tables, "--out", tables[1])
    assert cli.main(["scan", *map(str, tables), "--quiet", "--out", str(tmp_path / "all.csv")]) == 0
    listed = (tmp_path / "all.csv").read_text().splitlines()
    assert listed == ["path,start,end,species", "dawn.wav,0.0,0.2,owl", "dusk.wav,0.0,1.2,owl"]


def test_a_label_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_corpus(tmp_path / "corpus")
    line = refused(capsys, "study", data, "--out", tmp_path / "out", "--label", "digits", "--quiet")
    assert "did you mean 'digit'" in line


def test_strict_scan_fails_on_the_first_problem_and_a_plain_one_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_corpus(tmp_path / "corpus", takes=1)
    (data / "data" / "02" / "1_02_9.wav").write_bytes(b"RIFF not a wave")
    for name in ("good.parquet", "good.txt"):  # a CSV of that name would not be read
        assert f"{name}: wanted a name that ends in .csv" in refused(capsys, "scan", data, "--out", tmp_path / name)
        assert not (tmp_path / name).exists()
    assert cli.main(["scan", str(data), "--quiet", "--out", str(tmp_path / "good.csv")]) == 0
    assert "1_02_9.wav" in capsys.readouterr().out
    assert "1_02_9.wav" not in (tmp_path / "good.csv").read_text()
    assert "1_02_9.wav" in refused(capsys, "scan", data, "--quiet", "--strict")


@pytest.mark.parametrize("options", [[], ["--out", "list.csv"], ["--all"]])
def test_a_folder_in_which_nothing_is_sound_is_one_line_after_the_tables(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("a.wav", "b.flac"):
        (tmp_path / "in" / name).write_text("no sound")
    assert cli.main(["scan", "in", "--quiet", *options]) == 2
    said = capsys.readouterr()
    assert "2 (0 usable)" in said.out
    assert "b.flac" in said.out
    (line,) = said.err.splitlines()
    assert "none of 2 recordings can be used (unreadable: 2; the first: a.wav" in line
    assert "repair the files" in line
    assert not (tmp_path / "list.csv").exists()


@pytest.mark.parametrize("command", ["train", "study"])
def test_training_on_nothing_that_is_sound_is_one_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.wav", "b.flac"):
        (tmp_path / name).write_text("no sound")
    capsys.readouterr()
    assert cli.main([command, str(tmp_path), "--out", str(tmp_path / "out"), "--quiet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "none of 2 recordings can be used" in line
    assert not (tmp_path / "out").exists()


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
    assert all(section in said for section in cli.studying.STUDIED)


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


def test_a_study_under_torchrun_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert cli.main(["study", str(tmp_path), "--out", str(tmp_path / "study")]) == 2
    told = capsys.readouterr().err
    assert "study: it is one process" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "study").exists()


def test_a_study_folder_that_holds_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_corpus(tmp_path / "corpus")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert "other files" in refused(capsys, "study", data, "--out", tmp_path / "out", "--quiet")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_a_study_that_was_killed_in_its_first_write_begins_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_corpus(tmp_path / "corpus")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".study.json.71.0123abcd.tmp").write_text("{")  # what `replacing` leaves
    options = ["--cache", str(tmp_path / "cache"), "--dry-run", "--quiet", "--only", "cost"]
    assert cli.main(["study", str(data), "--out", str(tmp_path / "out"), *options]) == 0


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


@pytest.mark.parametrize("on", ["cuda", "cpu"])
def test_memory_that_torch_does_not_get_is_one_line(
    on: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(_: object) -> None:
        if on == "cuda":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB.\nGPU 0 has too little")
        torch.empty(10**15)

    monkeypatch.setattr(cli.studying, "_train", work)
    assert cli.main(["train", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mfcl: not enough memory (")
    assert said.endswith("; use a smaller batch or shorter sound\n")
    assert said.count("\n") == 1


def test_a_mistake_of_our_own_is_not_taken_for_lack_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(cli.studying, "_train", work)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["train", str(tmp_path), "--out", str(tmp_path / "run")])


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


def test_a_scheduler_that_ends_the_process_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_corpus(tmp_path / "corpus")

    def ended(*_: object, **__: object) -> None:
        with replacing(tmp_path / "list.csv") as temporary:
            temporary.write_text("half of it")
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("mfcl.data.manifest_csv.write_manifest", ended)
    assert cli.main(["scan", str(data), "--quiet", "--out", str(tmp_path / "list.csv")]) == 130
    assert "interrupted; nothing is half-written; `train` goes on with --resume, all else" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    assert signal.getsignal(signal.SIGTERM) is before


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


def test_the_command_alone_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("a", "b"), ("a.npz", "b.npz"), ("a.npz", "mfcc", "--data", "clips")])
@pytest.mark.parametrize("option", [("--protocol", "label"), ("--split-by", "speaker")])
def test_a_way_to_split_is_refused_where_compare_splits_nothing(
    words: tuple[str, ...], option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compare", *words, *option]) == 2
    assert "--protocol and --split-by are for runs on --data" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("run", "a.npz"), ("a.parquet", "run", "mfcc")])
def test_a_file_of_embeddings_beside_a_run_is_refused_before_the_run_is_embedded(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compare", *words]) == 2
    assert "embeddings beside a run, which is embedded anew: give runs alone" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["z", "z.csv", "z.NPZ", "z.npz.txt"])
def test_embeddings_have_a_name_by_which_other_commands_know_them(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["embed", "nowhere", "nothing", "--out", str(tmp_path / name)]) == 2
    assert "wanted a name that ends in .npz or .parquet" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("embed", "m", "x", "--out", "z.npz", "--batch", "-1"),
        ("embed", "m", "x", "--out", "z.npz", "--batch", "9" * 5000),
        ("embed", "m", "x", "--out", "z.npz", "--threads", "0"),
        ("embed", "m", "x", "--out", ""),
        ("train", "x", "--out", "y", "--seed", "-1"),
        ("train", "x", "--out", "y", "--seed", str(2**32)),
        ("train", "x", "--out", "y", "--labels-per-class", "-3"),
        ("study", "x", "--out", "y", "--seeds", "0"),
        ("compare", "x", "--threads", "1.5"),
        ("demo", "x", "--voices", "0"),
        ("demo", "x", "--takes", "-3"),
        ("demo", "x", "--takes", "\u0663"),
        ("probe", "x", "--seed", "1e3"),
        ("scan", ""),
    ],
)
def test_numbers_out_of_range_and_empty_paths_are_refused_where_they_enter(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        cli.main(list(words))
    line = capsys.readouterr().err
    assert "wanted" in line
    assert len(line.strip().splitlines()) == 1
    assert len(line) < 300
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["scan", "embed", "compare", "train", "study", "demo", "fetch"])
def test_a_wrong_place_to_write_is_one_line_before_any_work(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    folders = {"train", "study", "demo", "fetch"}
    for place in ("file" if command in folders else "folder", "file/inside"):
        out = tmp_path / place
        before = {"demo": [], "fetch": ["fsdd"]}.get(command)
        words = (
            [command, *before, out]
            if before is not None
            else [command, "nowhere", "nowhere"][: 2 + (command == "embed")]
        )
        line = refused(capsys, *words, *([] if before is not None else ["--out", out]))
        assert str(out) in line
        assert "file" in line or "folder" in line
    assert (tmp_path / "file").read_text() == "mine"


def run(shell: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command through a shell, for its redirections."""
    command = f"{sys.executable} -m mfcl {shell}"
    given = {**os.environ, **environment}
    return subprocess.run(["sh", "-c", command], env=given, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_hinder_nothing_and_nothing_is_printed_into_files(closed: str, tmp_path: Path) -> None:
    data = write_corpus(tmp_path / "corpus", takes=1)
    (data / "data" / "01" / "bad.wav").write_bytes(b"RIFF not a wave")
    done = run(f"scan {data} --out {tmp_path / 'list.csv'} {closed}")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    listed = (tmp_path / "list.csv").read_text().splitlines()
    assert listed[0].startswith("path")
    assert len(listed) == 13


def test_a_full_standard_output_is_one_line(tmp_path: Path) -> None:
    done = run(f"scan {write_corpus(tmp_path / 'corpus', takes=1)} --quiet >/dev/full")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left on device; free some space" in done.stderr


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_names_that_the_terminal_cannot_show_are_shown_in_some_way(environment: dict[str, str], tmp_path: Path) -> None:
    data = write_corpus(tmp_path / "corpus", takes=1)
    (data / "data" / "01" / "schwül.wav").write_bytes(b"RIFF not a wave")
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/corp\xffus"))
    data.rename(folder)
    done = run(f"scan {tmp_path}/corp*us --quiet", **environment)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "name not UTF-8: 12; the first" in line  # that of the folder is in the name of every file
    assert "schw" in done.stdout
    done = run(f"scan {tmp_path}/corp*us --quiet --out {tmp_path}/list.csv", **environment)
    assert "Traceback" not in done.stderr


def test_the_schema_of_a_recipe_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", "--recipe", "quick"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("train.epochs "))
    assert line.split()[1:6] == ["int", "10", "1", "to", "1000000"]
    assert cli.main(["info", "--recipe"]) == 0
    assert "--recipe" in refused(capsys, "info")


def kept_vectors(folder: Path, **labels: list[str]) -> Path:
    """Embeddings of 8 speakers and 3 words, of which 6 train, 1 chooses and 1 is tested, under names of one's own."""
    rng = np.random.default_rng(0)
    who, word = (np.repeat(np.arange(8), 12), np.tile(np.repeat(np.arange(3), 4), 8))
    vectors = rng.standard_normal((96, 8)) + 2 * rng.standard_normal((3, 8))[word]
    splits = np.array(["train"] * 5 + ["valid"] + ["test"] * 2)[who]
    columns = {"who": who, "word": word}
    named = {name: columns[kind].astype(np.str_) for name, (kind,) in labels.items()}
    ids = np.arange(96).astype(np.str_)
    Embeddings(vectors.astype(np.float32), ids, named, {"wave": (0, 8)}, splits).save(folder / "x.npz")
    return folder / "x.npz"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"speaker": ["who"], "species": ["word"]}, ["--label species", "--speaker speaker"]),
        ({"speaker": ["who"], "utterance": ["word"]}, ["--label utterance", "--speaker speaker"]),
        ({"utterance": ["word"]}, ["--label utterance"]),
    ],
)
def test_a_probe_guesses_what_to_measure_by_and_says_it(
    labels: dict[str, list[str]], said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["probe", str(kept_vectors(tmp_path, **labels))]) == 0
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in err.splitlines()] == said
    assert ("voices, all pairs" in out) == ("speaker" in labels)
    if "speaker" in labels:
        assert "note: no interval of 2 groups (speakers, else recordings); 5 or more are wanted" in out


def test_a_probe_measures_each_task_by_the_part_that_is_made_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = np.random.default_rng(0)
    digits, voices, splits = (np.tile(column, 4) for column in (np.arange(48) % 3, np.arange(48) // 3, ["x"] * 48))
    splits = np.where(voices < 8, "train", np.where(voices < 10, "valid", "test"))
    said, heard = np.eye(3)[digits], drawn.standard_normal((16, 8))[voices]
    vectors = np.concatenate([said, heard], axis=1) + 0.05 * drawn.standard_normal((192, 11))
    ids = np.arange(192).astype(np.str_)
    labels = {"digit": digits.astype(np.str_), "speaker": voices.astype(np.str_)}
    parts = {"wave words": (0, 3), "wave voices": (3, 11)}
    Embeddings(vectors.astype(np.float32), ids, labels, parts, splits).save(tmp_path / "x.npz")
    assert cli.main(["probe", str(tmp_path / "x.npz"), "--label", "digit", "--speaker", "speaker"]) == 0
    told = capsys.readouterr()
    assert "speakers by the voices' part" in told.err
    figures = {line.split("  ")[0]: line.split()[-4] for line in told.out.splitlines() if "%" not in line}
    assert figures["digit, 5-NN, no training"] == figures["voices, kNN, half of each enrolled"] == "100.0"


def test_a_probe_that_cannot_guess_names_the_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "probe", kept_vectors(tmp_path, utterance=["word"], person=["who"]))
    assert "its labels are utterance, person" in line


def test_a_probe_without_a_train_part_or_labels_says_what_to_embed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = kept_vectors(tmp_path, word=["word"])
    whole = load_embeddings(path)
    whole.select(np.flatnonzero(whole.splits != "train")).save(path)
    line = refused(capsys, "probe", path, "--label", "word")
    assert "x.npz: none of its recordings is of the split train" in line
    assert "x.npz: no label is called 'word'; it has no labels" in refused(
        capsys, "probe", kept_vectors(tmp_path), "--label", "word"
    )


def test_a_probe_measures_the_label_where_the_voices_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = kept_vectors(tmp_path, speaker=["who"], word=["word"])
    whole = load_embeddings(path)
    whole.select(np.flatnonzero(whole.labels["speaker"] != "7")).save(path)
    assert cli.main(["probe", str(path)]) == 0
    out = capsys.readouterr().out
    assert "word, linear probe, all labels" in out
    assert "note: not measured: voices: 2 speakers and 2 clips of one are wanted" in out


def test_a_scan_says_what_is_odd_about_a_split_that_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_corpus(tmp_path / "corpus", speakers=3, digits=2, takes=2)
    names = sorted(path.relative_to(data) for path in (data / "data").rglob("*.wav"))
    rows = [f"{name},{name.stem[2:4]},{side}" for name, side in zip(names, ["train", "test"] * 6, strict=True)]
    (data / "list.csv").write_text("\n".join(["path,speaker,split", *rows]) + "\n")
    assert cli.main(["scan", str(data / "list.csv"), "--quiet"]) == 0
    assert "note: 3 of 3 values of 'speaker' are in the test split and in another" in capsys.readouterr().out
