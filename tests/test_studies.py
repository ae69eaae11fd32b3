"""The main job from end to end on a tiny corpus: train, measure, resume, and what needs labels or voices left out."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mfcl.demo import make_demo
from mfcl.errors import MfclError
from mfcl.results import Row, tables
from mfcl.studies import study
from tests.recipes import tiny_recipe
from tests.sounds import write_corpus

REPRESENTATIONS = [
    *("MFCC statistics", "log-mel picture", "Hydra-like features"),
    *(f"{kind}, {part}" for kind in ("untrained", "pre-trained", "supervised") for part in ("wave", "mel", "both")),
]


def tiny_study(data: Path, folder: Path) -> list[Row]:
    """A study of seconds, kept in `folder / "out"`."""
    recipe = tiny_recipe(folder)
    return study(data, folder / "out", recipe=recipe, seeds=1, cache=folder / "cache", progress=False)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), speakers=9, digits=4, takes=4)


@pytest.fixture(scope="module")
def results(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    folder = tmp_path_factory.mktemp("study")
    return folder, tiny_study(corpus, folder)


def test_every_control_stands_beside_every_encoder(results: tuple[Path, list[Row]]) -> None:
    _, rows = results
    for task in {row.task for row in rows}:
        assert [row.representation for row in rows if row.task == task] == REPRESENTATIONS
    assert {row.table for row in rows} == {"labels", "voices"}
    assert all(row.low <= row.value <= row.high for row in rows if row.metric == "accuracy")
    assert all(0 <= row.value <= 100 for row in rows)


def test_results_are_written_as_the_fields_that_are_promised(results: tuple[Path, list[Row]]) -> None:
    folder, rows = results
    written = json.loads((folder / "out" / "results.json").read_text())
    assert len(written) == len(rows)
    fields = ("table", "task", "representation", "metric", "value", "low", "high", "n", "seed", "seconds", "command")
    assert all(set(row) == set(fields) for row in written)
    page = (folder / "out" / "results.md").read_text()
    assert "pre-trained, both" in page
    for line in ("- command: `", "- data: ", "- seeds: 0", "- seconds: ", "- machine: "):
        assert line in page


def test_no_speaker_is_on_two_sides(results: tuple[Path, list[Row]]) -> None:
    folder, _ = results
    lines = (folder / "out" / "manifest.csv").read_text().splitlines()
    names = lines[0].split(",")
    speakers: dict[str, set[str]] = {}
    for line in lines[1:]:
        values = dict(zip(names, line.split(","), strict=True))
        speakers.setdefault(values["speaker"], set()).add(values["split"])
    assert all(len(sides) == 1 for sides in speakers.values())
    assert set().union(*speakers.values()) == {"train", "valid", "test"}


def test_a_second_call_computes_nothing_again(results: tuple[Path, list[Row]], corpus: Path) -> None:
    folder, rows = results
    before = {path: path.stat().st_mtime_ns for path in (folder / "out" / "parts").iterdir()}
    again = study(corpus, folder / "out", recipe=folder / "tiny.yaml", seeds=1, cache=folder / "cache", progress=False)
    assert again == rows
    assert {path: path.stat().st_mtime_ns for path in (folder / "out" / "parts").iterdir()} == before


def test_a_study_of_other_settings_is_refused_in_the_same_folder(results: tuple[Path, list[Row]], corpus: Path) -> None:
    folder, _ = results
    with pytest.raises(MfclError, match="other data or settings"):
        study(corpus, folder / "out", recipe=folder / "tiny.yaml", overrides=["train.epochs=3"], progress=False)


@pytest.mark.slow
def test_a_study_killed_anywhere_ends_with_the_same_figures(
    results: tuple[Path, list[Row]], corpus: Path, tmp_path: Path
) -> None:
    folder, rows = results
    shutil.copytree(folder / "cache", tmp_path / "cache")
    command = [
        *(sys.executable, "-m", "mfcl", "study", str(corpus), "--out", str(tmp_path / "out"), "--quiet"),
        *("--recipe", str(folder / "tiny.yaml"), "--seeds", "1", "--cache", str(tmp_path / "cache")),
    ]
    stops = ("parts/MFCC*", "runs/pretrained-seed0/metrics.jsonl", "runs/supervised-seed0/mel")
    for pattern in stops:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 100
        while not list((tmp_path / "out").glob(pattern)) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = json.loads((tmp_path / "out" / "results.json").read_text())

    def figures(row: dict[str, object]) -> dict[str, object]:
        return {key: value for key, value in row.items() if key not in ("seconds", "command")}

    assert [figures(row) for row in found] == [figures(vars(row)) for row in rows]


def test_tables_show_the_mean_over_seeds_and_a_dash_where_nothing_was_measured() -> None:
    def row(task: str, who: str, value: float, seed: int) -> Row:
        return Row("labels", task, who, "accuracy", value, value - 1, value + 1, 10, seed, 2.0, "mfcl study x")

    rows = [row("digit, all", "a", 90.0, 0), row("digit, all", "a", 80.0, 1), row("digit, few", "b", 70.0, 0)]
    lines = tables(rows, style="github").splitlines()
    assert lines[0].startswith("digit: ")
    assert "mean of 2 seed(s)" in lines[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert cells[0] == ["representation", "all", "few", "seconds"]
    assert cells[2:] == [["a", "85.0 [84.0, 86.0]", "-", "2"], ["b", "-", "70.0 [69.0, 71.0]", "2"]]


def test_labels_without_voices_and_recordings_without_labels(tmp_path: Path) -> None:
    source = write_corpus(tmp_path / "source", speakers=6, digits=2, takes=4)
    folder = tmp_path / "calls"
    for path in (source / "data").rglob("*.wav"):
        kind = ("finch", "robin")[int(path.name[0])]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / kind / path.name)
    rows = tiny_study(folder, tmp_path)
    assert {row.table for row in rows} == {"labels"}
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (source / "data").rglob("*.wav"):
        shutil.copy(path, flat / path.name.replace("_", "-"))
    with pytest.raises(MfclError, match="no label to measure by"):
        study(flat, tmp_path / "flat-out", recipe=tiny_recipe(tmp_path), cache=tmp_path / "cache", progress=False)


def test_the_demo_corpus_from_end_to_end(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")
    make_demo(tmp_path / "demo", voices=9, takes=2, progress=False)
    rows = study(
        tmp_path / "demo",
        tmp_path / "out",
        recipe=tiny_recipe(tmp_path),
        seeds=1,
        cache=tmp_path / "cache",
        progress=False,
    )
    assert {row.representation for row in rows} == set(REPRESENTATIONS)
    best = max(row.value for row in rows if "all labels" in row.task)
    assert best > 50  # of 10 digits by voices never heard: chance is 10


def test_one_clip_of_each_speaker_leaves_voices_out_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_corpus(tmp_path / "source", speakers=30, digits=2, takes=1)
    for number, path in enumerate(sorted((source / "data").rglob("*.wav"))):
        if int(path.name[0]) != (number // 2) % 2:
            path.unlink()
    rows = study(
        source, tmp_path / "out", recipe=tiny_recipe(tmp_path), seeds=1, cache=tmp_path / "cache", progress=False
    )
    assert {row.table for row in rows} == {"labels"}
    assert "voices are not measured" in capsys.readouterr().err
