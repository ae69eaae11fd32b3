"""The main job from end to end on a tiny corpus: every section, resumed, extended, and what needs labels left out."""

import csv
import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

import mfcl.studies
from mfcl.core.locks import alone
from mfcl.data.demo import make_demo
from mfcl.data.manifest import Manifest
from mfcl.data.splits import BECKER_FOLDS
from mfcl.errors import DivergedError, MfclError
from mfcl.evaluation import wording
from mfcl.evaluation.result import (
    ENROLLED,
    JOINT,
    KNN,
    LINEAR,
    NETWORK,
    OTHER_NOISE,
    SPREAD,
    Question,
    Representation,
    Result,
)
from mfcl.evaluation.result_file import COLUMNS, from_rows, to_row
from mfcl.evaluation.summary import summaries
from mfcl.evaluation.tables import tables
from mfcl.studies import SECTIONS, workspace
from mfcl.studies.evaluators import GAIN_DB
from mfcl.studies.representations import BASELINES
from mfcl.studies.workspace import Workspace
from tests.recipes import tiny_recipe
from tests.small_study import CROPS, called, section, small_study, task, write_listed
from tests.sounds import write_corpus
from tests.version_0_1 import COLUMNS as COLUMNS_THEN
from tests.version_0_1 import grow_old

ROOT = Path(__file__).parents[1]
CONTROLS = ["MFCC statistics", "log-mel picture", "Hydra-like features", "average spectrum", "alignment landmarks"]
ENCODERS = [
    f"{kind}, {part}" for kind in ("untrained", "pre-trained", "supervised") for part in ("wave", "mel", "both")
]
FIELDS = ("table", "task", "representation", "metric", "value", "low", "high", "n", "x", "seed", "seconds", "command")
WITHOUT_INTERVAL = {
    *("min_dcf", "rankme", "uniformity", "alignment", "cka"),
    *("seconds", "parameters", "multiply_adds", "clips_per_second"),
}
MEASURED_TIME = {"seconds", "clips_per_second"}
"""Metrics of the cost section that no two runs share."""

LABELS = {"labels": ["digit", "speaker", "gender"], "speaker": "speaker"}

Stamps = dict[str, int]
Whole = tuple[Path, list[Result]]


def stamps(out: Path) -> Stamps:
    """When each file of what is worked out was written."""
    kept = [path for name in ("parts", "embeddings", "runs") for path in (out / name).rglob("*") if path.is_file()]
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in kept}


def written(out: Path, name: str = "results.json") -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((out / name).read_text())
    return found


def figures(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows without what depends on the clock and the command line."""
    return [
        {key: value for key, value in row.items() if key not in ("seconds", "command")}
        for row in rows
        if row["metric"] not in MEASURED_TIME
    ]


def representations(rows: list[Result], table: str, about: str = "") -> list[str]:
    """The representations of a table in the order of its rows, each once."""
    return list(dict.fromkeys(called(row) for row in rows if section(row) == table and about in ("", task(row))))


TESTED = ["04", "05", "06", "10", "11", "12"]
"""The speakers of the test side of a list."""


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_listed(tmp_path_factory.mktemp("listed"))


@pytest.fixture(scope="module")
def whole(listed: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The folder and the rows of a study of every section."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, small_study(listed, folder, preset="default")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), speakers=6, digits=2, takes=3)


@pytest.fixture(scope="module")
def grown(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Stamps], list[list[dict]]]:
    """A study of labels, then of geometry beside them, then of a second seed of that: its files and rows each time."""
    folder, seen, rows = tmp_path_factory.mktemp("grown"), [], []
    for only, seeds in ((["labels"], 1), (["geometry"], 1), (["geometry"], 2)):
        small_study(corpus, folder, only=only, seeds=seeds)
        seen.append(stamps(folder / "out"))
        rows.append(written(folder / "out"))
    return folder, seen, rows


# What a whole study holds


def test_every_section_of_the_default_preset_has_its_rows_or_its_pictures(whole: Whole) -> None:
    folder, rows = whole
    assert {section(row) for row in rows} == set(SECTIONS) - {"maps", "ablation"}
    pictures = json.loads((folder / "out" / "pictures.json").read_text())
    assert [entry["representation"] for entry in pictures["maps"]] == ENCODERS


def test_every_control_stands_beside_every_encoder(whole: Whole) -> None:
    _, rows = whole
    for table in ("labels", "voices", "traits", "robustness"):
        tasks = {task(row) for row in rows if section(row) == table}
        assert tasks
        for text in tasks:
            own = text == "digit, own output layer, all labels"
            aligned = ["alignment"] if text == "digit, 5-NN, no training" else []  # by the distance itself
            every = [name for name in ENCODERS if name.startswith("supervised")]
            every = every if own else [*CONTROLS, *aligned, *ENCODERS]
            assert representations(rows, table, text) == every, text
    assert {task(row) for row in rows if section(row) == "traits"} == {"gender, linear probe, all labels"}
    assert {task(row) for row in rows if section(row) == "labels"} == {
        *("digit, linear probe, all labels", "digit, linear probe, 10 labels a class", "digit, 5-NN, no training"),
        "digit, own output layer, all labels",
    }


def test_label_efficiency_has_the_curves_of_frozen_fine_tuned_and_from_scratch(
    whole: Whole,
) -> None:
    _, rows = whole
    trained = [f"pre-trained, {name}, fine-tuned" for name in ("wave", "mel", "both")]
    trained += [f"{name}, from scratch" for name in ("wave", "mel", "both")]
    frozen = [f"{name}, frozen" for name in ENCODERS]
    assert set(representations(rows, "efficiency")) == {
        *CONTROLS,
        "alignment",
        *frozen,
        *trained,
        "pre-trained, both, joint",
    }
    joint = [row for row in rows if called(row) == "pre-trained, both, joint"]
    assert [(row.x, task(row)) for row in joint] == [(1, "digit, 1 labels a class"), (10, "digit, 10 labels a class")]
    for name, counts in ((trained[0], [1, 16]), (trained[3], [1, 16]), (frozen[3], [1, 5, 10, 24])):
        own = [row for row in rows if section(row) == "efficiency" and called(row) == name and row.x is not None]
        assert [row.x for row in own] == counts  # 4 speakers with 4 takes, for a probe those of the validation, too
        assert task(own[0]) == "digit, 1 labels a class"
        assert task(own[-1]) == "digit, all labels"


def test_robustness_is_told_clean_and_at_every_level_of_noise(whole: Whole) -> None:
    _, rows = whole
    own = [row for row in rows if section(row) == "robustness" and called(row) == "pre-trained, both"]
    at = {
        task(row).removeprefix("digit, linear probe, all labels, "): row.x for row in own if "all labels" in task(row)
    }
    levels = {f"gain {gain:+g} dB": None for gain in GAIN_DB}
    assert levels
    others = {"pink noise at 10 dB": None, "babble at 10 dB": None}
    assert at == {"clean": None, "noise at 20 dB": 20, "noise at 10 dB": 10, "noise at 0 dB": 0, **others, **levels}
    few = [task(row) for row in own if "10 labels a class" in task(row)]
    assert {text.split(", ")[-1] for text in few} == set(at)
    clean = next(row for row in own if task(row).endswith("all labels, clean"))
    label = next(row for row in rows if section(row) == "labels" and called(row) == "pre-trained, both")
    assert (clean.value, clean.low, clean.high) == (label.value, label.low, label.high)  # one probe, one figure


def test_geometry_is_of_every_view_and_retrieval_of_what_has_heads(whole: Whole) -> None:
    _, rows = whole
    found = defaultdict(set)
    for row in rows:
        if section(row) == "geometry":
            found[called(row)].add(row.question.metric)
    assert list(found) == ENCODERS
    for name, metrics in found.items():
        wanted = {"rankme", "uniformity"}
        wanted |= {"cka"} if name.endswith("both") else set()
        wanted |= {"alignment", "r_at_1", "r_at_5"} if name == "pre-trained, both" else set()
        assert metrics == wanted, name


def test_cost_is_told_of_every_encoder(whole: Whole) -> None:
    _, rows = whole
    assert representations(rows, "cost") == ENCODERS
    both, wave = (
        {
            row.question.metric: row.value
            for row in rows
            if section(row) == "cost" and called(row) == f"pre-trained, {view}"
        }
        for view in ("both", "wave")
    )
    assert set(both) == {"seconds", "parameters", "multiply_adds", "clips_per_second"}
    assert both["parameters"] > wave["parameters"] > 0


def test_sweeps_have_their_names_and_their_places(whole: Whole) -> None:
    _, rows = whole
    views = ("wave", "mel", "both")
    assert representations(rows, "formats") == [
        *("pre-trained, wave-wave, wave", "pre-trained, mel-mel, mel"),
        *(f"pre-trained, wave-mel, {view}" for view in views),
    ]
    assert representations(rows, "augmentation") == [
        f"pre-trained, augmented {setting}, {view}" for setting in ("none", "wave", "mel", "both") for view in views
    ]
    crops = {(called(row), row.x) for row in rows if section(row) == "crops"}
    assert CROPS == ((45, 45, "disjoint"), (80, 100, "free"))
    placed = {"pre-trained, crops 45 % disjoint": 45.0, "pre-trained, crops 80-100 % free": 90.0}
    assert crops == {(f"{name}, {view}", x) for name, x in placed.items() for view in views}
    tasks = {task(row) for row in rows if section(row) == "crops"}
    assert {"digit, linear probe, all labels", "digit, 5-NN, no training"} < tasks
    assert any(text.startswith("voices, ") for text in tasks)


def asked_in_0_1(row: Result) -> bool:
    """Whether version 0.1, whose columns are read without the new ones, asked this."""
    question = row.question
    new = question.probe == SPREAD or question.labels_in_all is not None or question.condition in OTHER_NOISE
    own = question.section == "labels" and question.probe == NETWORK
    return not (new or own or row.representation.kind == JOINT)  # joint encoders are judged by another probe now


def test_results_are_written_as_the_fields_that_are_promised(whole: Whole) -> None:
    folder, rows = whole
    found = written(folder / "out")
    assert from_rows(found, "results.json") == rows
    old = [(plain, row) for plain, row in zip(found, rows, strict=True) if asked_in_0_1(row)]
    assert from_rows([{key: plain[key] for key in FIELDS} for plain, _ in old], "results.json", **LABELS) == [
        dataclasses.replace(row, evidence=None, note="") for _, row in old
    ]
    assert all(set(row) == set(COLUMNS) > set(FIELDS) for row in found)
    for row in rows:
        assert math.isfinite(row.value), row
        if row.question.metric in WITHOUT_INTERVAL:
            assert row.low is None, row
            assert row.high is None, row
        elif row.low is None:  # all test speakers are alike
            assert row.high is None, row
        else:
            assert 0 <= row.low < row.high <= 100, row
            assert row.question.metric == "eer" or row.low - 1e-9 <= row.value <= row.high + 1e-9, row
        assert row.command == f"mfcl study --only {section(row)}"
        assert row.n > 0
    assert sum(row.low is not None for row in rows if section(row) == "voices" and row.question.metric == "eer") > 10
    page = (folder / "out" / "results.md").read_text()
    for text in ("pre-trained, both", "- command: `", "- data: ", "- seeds: 0", "- seconds: ", "- machine: "):
        assert text in page


def test_about_tells_what_the_study_was(whole: Whole, listed: Path) -> None:
    folder, _ = whole
    about = json.loads((folder / "out" / "about.json").read_text())
    assert about["parts"] == {
        "train": {"recordings": 48, "speakers": 4},
        "valid": {"recordings": 24, "speakers": 2},
        "test": {"recordings": 72, "speakers": 6},
    }
    assert (about["label"], about["speaker"], about["seeds"]) == ("digit", "speaker", [0])
    assert (about["data"], about["preset"], about["recipe"], about["protocol"]) == (
        str(listed),
        "default",
        "tiny",
        None,
    )
    assert about["done"] == about["planned"] > len(SECTIONS)
    assert about["seconds"] > 0
    assert {"command", "fingerprint", "machine", "version", "notes"} <= set(about)


def test_pictures_show_the_test_recordings_and_every_training(whole: Whole) -> None:
    folder, rows = whole
    pictures = json.loads((folder / "out" / "pictures.json").read_text())
    assert set(pictures) == {"maps", "confusions", "groups", "det", "training", "method"}
    for entry in pictures["maps"]:
        others = 72 if entry["format"] == "both" else 0  # of the 72 others, which a single format's map leaves out
        lengths = {len(entry[key]) for key in ("ids", "x", "y")} | {len(entry["labels"]["digit"])}
        assert lengths == {72 + others}
        assert {name.split("/")[1] for name in entry["ids"][:72]} == set(TESTED)
        splits = entry.get("splits", ["test"] * 72)
        assert [splits.count(part) for part in ("test", "train", "valid")] == [72, 2 * others // 3, others // 3]
        assert set(splits[:72]) == {"test"}
    for entry in pictures["confusions"]:
        assert entry["classes"] == ["0", "1", "2"]
        assert [sum(row) for row in entry["counts"]] == [24, 24, 24]
    for entry in pictures["groups"]:
        assert (entry["label"], entry["by"], entry["names"]) == ("digit", "speaker", TESTED)
        row = next(row for row in rows if section(row) == "labels" and called(row) == entry["representation"])
        assert sum(entry["accuracy"]) / len(TESTED) == pytest.approx(row.value, abs=0.01)
    for entry in pictures["det"]:
        assert entry["clips"] in (1, 5)
        assert len(entry["false_accept"]) == len(entry["false_reject"]) > 1
    epochs = {entry["run"]: [epoch["epoch"] for epoch in entry["epochs"]] for entry in pictures["training"]}
    assert epochs["pre-trained"] == [1, 2]
    assert epochs["pre-trained, mel-mel"] == epochs["pre-trained, augmented none"] == [1]
    main = next(entry for entry in pictures["training"] if entry["run"] == "pre-trained")
    assert main["chance_loss"] > 0
    assert main["chance_knn"] == pytest.approx(100 / 3)
    for epoch in main["epochs"]:
        assert set(epoch) == {"epoch", "loss", "valid_knn", "valid_pairing", "seconds", "lr"}
    assert main["epochs"][0]["loss"] != main["epochs"][1]["loss"]
    assert main["epochs"][0]["seconds"] < main["epochs"][1]["seconds"]


def test_the_report_and_its_table_lie_beside_the_figures(whole: Whole) -> None:
    folder, rows = whole
    assert "pre-trained" in (folder / "out" / "report.html").read_text(encoding="utf-8")
    with (folder / "out" / "results.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(rows)


# Going on


def test_a_second_call_computes_nothing_again(whole: Whole, listed: Path) -> None:
    folder, rows = whole
    before = stamps(folder / "out")
    assert {name.split("/")[0] for name in before} == {"parts", "embeddings", "runs"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "make", lambda *_: pytest.fail("a source was made again"))
        assert small_study(listed, folder, preset="default") == rows
    assert stamps(folder / "out") == before


def test_one_more_section_is_worked_out_alone_and_the_others_stay(
    grown: tuple[Path, list[Stamps], list[list[dict[str, object]]]],
) -> None:
    _, (labels, both, _), (first, second, _) = grown
    assert {row["table"] for row in first} == {"labels"}
    assert {row["table"] for row in second} == {"labels", "geometry"}
    assert figures([row for row in second if row["table"] == "labels"]) == figures(first)
    added = {name for name in both if both[name] != labels.get(name)}
    assert added
    assert all(name.startswith("parts/geometry-") for name in added)
    assert labels.items() <= both.items()


def test_one_more_seed_is_worked_out_alone(grown: tuple[Path, list[Stamps], list[list[dict[str, object]]]]) -> None:
    _, (_, both, seeds), (_, second, third) = grown
    assert both.items() <= seeds.items()
    added = set(seeds) - set(both)
    assert {name.split("/")[0] for name in added} == {"parts", "embeddings", "runs"}
    assert all("seed1" in name for name in added)
    assert not any("MFCC" in name or "labels" in name for name in added)  # geometry asks for no control
    assert {(row["table"], row["seed"]) for row in third} == {("labels", 0), ("geometry", 0), ("geometry", 1)}
    assert figures([row for row in third if row["seed"] == 0]) == figures(second)


def test_no_speaker_is_on_two_sides(grown: tuple[Path, list[Stamps], list[list[dict[str, object]]]]) -> None:
    folder, _, _ = grown
    speakers: dict[str, set[str]] = defaultdict(set)
    with (folder / "out" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            speakers[row["speaker"]].add(row["split"])
    assert len(speakers) == 6
    assert all(len(sides) == 1 for sides in speakers.values())
    assert set().union(*speakers.values()) == {"train", "valid", "test"}


def test_a_study_of_other_settings_is_refused_in_the_same_folder(whole: Whole, listed: Path) -> None:
    folder, _ = whole
    with pytest.raises(MfclError, match="other data or settings"):
        small_study(listed, folder, overrides=["train.epochs=3"])


def test_two_studies_never_work_in_one_folder(whole: Whole, listed: Path) -> None:
    folder, rows = whole
    before = stamps(folder / "out")
    with alone(folder / "out" / ".lock", MfclError("")), pytest.raises(MfclError, match="another study is at work"):
        small_study(listed, folder, preset="default")
    assert stamps(folder / "out") == before
    assert small_study(listed, folder, preset="default") == rows
    assert not (folder / "out" / ".lock").exists()


def test_a_dry_run_prints_the_plan_and_does_nothing(
    whole: Whole, listed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(Workspace, "make", lambda *_: pytest.fail("a dry run made something"))
    assert small_study(listed, tmp_path, dry_run=True, skip=["crops", "voices"]) == []
    assert not (tmp_path / "out").exists()
    said = capsys.readouterr().err
    assert "95 % intervals over the 6 values of 'speaker' in the test part are somewhat too narrow" in said
    assert "about 79 % of cases" in said
    lines = {line.split()[0]: line for line in said.splitlines() if line.strip()}
    assert set(SECTIONS) - {"crops", "voices", "ablation"} <= set(lines)
    assert not {"crops", "voices"} & set(lines)
    assert lines["all"].split()[-1] in ("s", "min", "h")
    assert float(lines["all"].split()[-2]) > 0
    folder, _ = whole  # of a study that is done there is nothing to do
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")}
    assert small_study(listed, folder, dry_run=True, preset="default") == []
    assert {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")} == before
    done = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("all")).split()
    assert done[1] == done[2]
    assert done[-1] == "-"


def test_an_ablation_adds_its_rows_and_a_later_one_keeps_them(corpus: Path, tmp_path: Path) -> None:
    first = small_study(corpus, tmp_path, seeds=1, ablate=[["model.voices=statistics"]])
    assert {section(row) for row in first} == {"ablation"}
    names = {called(row) for row in first}
    voiced = "pre-trained, model.voices=statistics"
    assert {f"{voiced}, {view}" for view in ("wave", "mel", "both", "words", "voices")} <= names
    assert {"untrained, model.voices=statistics, both", "pre-trained, as it is, both"} <= names
    second = small_study(corpus, tmp_path, seeds=1, ablate=[["train.batch=6"]])
    assert {called(row) for row in second} > names
    assert any("train.batch=6" in called(row) for row in second)


def test_a_setting_whose_training_diverges_is_named_and_the_study_goes_on(
    corpus: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    whole = workspace.pretrain

    def training(data, recipe, *given, **named):
        if recipe.train.batch == 6:
            raise DivergedError("step 3: the loss is nan")
        return whole(data, recipe, *given, **named)

    monkeypatch.setattr(workspace, "pretrain", training)
    rows = small_study(corpus, tmp_path, seeds=1, ablate=[["train.batch=6"]])
    assert {section(row) for row in rows} == {"ablation"}
    assert "pre-trained, as it is, both" in {called(row) for row in rows}
    assert not any(called(row).startswith("pre-trained, train.batch=6") for row in rows)
    assert "train.batch=6" in (said := capsys.readouterr().err)
    assert "not measured: step 3: the loss is nan" in said


def test_an_ablation_without_choices_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(MfclError, match="give ablate, such as"):
        small_study(corpus, tmp_path, only=["ablation"])


def test_a_section_that_does_not_exist_is_named_before_anything_is_done(tmp_path: Path) -> None:
    for choice in ("only", "skip"):
        with pytest.raises(MfclError, match="did you mean 'voices'"):
            small_study(tmp_path / "nowhere", tmp_path, **{choice: ["voice"]})
    with pytest.raises(MfclError, match="nothing to do"):
        small_study(tmp_path / "nowhere", tmp_path, only=["maps"], skip=["maps"])
    with pytest.raises(MfclError, match="seeds: wanted a whole number from 1"):
        small_study(tmp_path / "nowhere", tmp_path, seeds=0)
    assert not (tmp_path / "out").exists()


STOPS = (
    "embeddings/MFCC-statistics-*.npz",
    "runs/pre-trained-seed0-????????????/metrics.jsonl",
    "embeddings/pre-trained-*.npz",
    "runs/*-from-scratch-*",
    "parts/formats-*.json",
)
"""What a study has written when it is killed: in the midst of a control, a training, and between part and part."""


@pytest.mark.slow
def test_a_study_killed_anywhere_ends_with_the_same_figures(whole: Whole, listed: Path, tmp_path: Path) -> None:
    folder, rows = whole
    sections = ("efficiency", "geometry", "formats")
    shutil.copytree(folder / "cache", tmp_path / "cache")
    command = [
        *(sys.executable, "-m", "tests.small_study", "study", str(listed), "--out", str(tmp_path / "out"), "--quiet"),
        *("--recipe", str(folder / "tiny.yaml"), "--seeds", "1", "--cache", str(tmp_path / "cache")),
        *("--only", *sections),
    ]
    for pattern in STOPS:
        with (tmp_path / "said.txt").open("w") as said:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, cwd=ROOT)
        deadline = time.monotonic() + 100
        while not list((tmp_path / "out").glob(pattern)) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        early = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert early, f"ended before {pattern}: {(tmp_path / 'said.txt').read_text()}"
    assert not (tmp_path / "out" / "report.html").exists()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    expected = [to_row(row) for row in rows if section(row) in sections]
    assert figures(written(tmp_path / "out")) == figures(expected)
    assert (tmp_path / "out" / "report.html").is_file()


# Recordings that lack something


def test_labels_without_voices_are_measured_and_it_is_said_what_voices_would_add(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "calls"
    for path in (corpus / "data").rglob("*.wav"):
        kind = ("finch", "robin")[int(path.name[0])]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / kind / path.name)
    rows = small_study(folder, tmp_path, only=["labels", "voices", "traits"])
    assert {section(row) for row in rows} == {"labels"}
    assert {called(row) for row in rows} == {*CONTROLS, "alignment", *ENCODERS}
    assert "no label for the speaker" in capsys.readouterr().err
    assert not json.loads((tmp_path / "out" / "pictures.json").read_text()).get("groups")
    assert "would add voices and traits" in (tmp_path / "out" / "results.md").read_text()


def test_without_any_label_geometry_maps_cost_retrieval_and_training_are_there(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (corpus / "data").rglob("*.wav"):
        shutil.copy(path, flat / path.name.replace("_", "-"))
    rows = small_study(flat, tmp_path, preset="default")
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("no label")]
    assert len(said) == 2
    for word in ("labels", "efficiency", "robustness", "formats", "supervised", "--label"):
        assert word in said[0]
    assert {section(row) for row in rows} == {"geometry", "cost"}
    assert {called(row) for row in rows} == {name for name in ENCODERS if not name.startswith("supervised")}
    assert {"r_at_1", "r_at_5", "alignment"} <= {row.question.metric for row in rows}
    pictures = json.loads((tmp_path / "out" / "pictures.json").read_text())
    assert {len(entry["ids"]) for entry in pictures["maps"]} == {9, 36}  # one format: test clips; both: all
    assert [entry["run"] for entry in pictures["training"]] == ["pre-trained"]
    assert "chance_knn" not in pictures["training"][0]
    assert pictures["method"]["labels"] == {}
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_section_that_the_recordings_cannot_answer_leaves_an_empty_study_with_its_reason(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (corpus / "data").rglob("*.wav"):
        shutil.copy(path, flat / path.name.replace("_", "-"))
    assert small_study(flat, tmp_path, only=["labels"]) == []
    assert "no label to predict" in capsys.readouterr().err
    assert "no label to predict" in (tmp_path / "out" / "about.json").read_text()


def test_a_recipe_of_one_format_is_measured_by_it_in_every_section(corpus: Path, tmp_path: Path) -> None:
    alone = ["loss.terms=mel-mel", "train.epochs=1", "supervised.epochs=1"]
    sections = ["labels", "voices", "efficiency", "geometry"]
    rows = small_study(corpus, tmp_path, preset="default", only=sections, overrides=alone)
    asked = {
        section: {
            (one.representation.kind, one.representation.format) for one in rows if one.question.section == section
        }
        for section in sections
    }
    three = {("untrained", "mel"), ("pre-trained", "mel"), ("supervised", "mel")}
    learned = {("fine-tuned", "mel"), ("from scratch", "mel"), ("joint", "mel")}
    for name, found in asked.items():
        assert {one for one in found if one[1]} == (three | learned if name == "efficiency" else three)
    assert not any("not measured" in note for note in written(tmp_path / "out", "about.json")["notes"])


def test_an_unlabelled_recording_is_never_a_class(tmp_path: Path) -> None:
    data = write_listed(tmp_path / "data", unlabelled=("3",))
    rows = small_study(data, tmp_path, only=["labels", "efficiency", "geometry"])
    pictures = json.loads((tmp_path / "out" / "pictures.json").read_text())
    for entry in pictures["confusions"]:
        assert entry["classes"] == ["0", "1", "2"]
        assert sum(map(sum, entry["counts"])) == 54
    assert {row.n for row in rows if section(row) != "geometry"} == {54}  # a fourth of the 72 test recordings has none
    assert {row.n for row in rows if section(row) == "geometry"} == {72}  # which asks for none
    assert {row.x for row in rows if section(row) == "efficiency" and task(row).endswith("all labels")} == {
        12,
        18,
    }  # a network's, and a probe's that has the validation labels, too
    for config in (tmp_path / "out" / "runs").rglob("config.yaml"):
        text = config.read_text()
        assert "task: classify" not in text or "\nclasses: 3\n" in text
    training = next(entry for entry in pictures["training"] if entry["run"] == "pre-trained")
    assert training["chance_knn"] == pytest.approx(100 / 3)


@pytest.mark.parametrize("values", [0, 1])
def test_a_label_that_training_recordings_lack_is_not_used_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: int
) -> None:
    data = write_listed(tmp_path / "data")
    with (data / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row if row["split"] == "test" else {**row, "digit": "0" * values} for row in csv.DictReader(file)]
    with (data / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    assert small_study(data, tmp_path, dry_run=True) == []
    said = capsys.readouterr().err
    assert f"label 'digit': wanted 2 or more values in the train split to learn from, got {values}" in said
    planned = {line.split()[0] for line in said.splitlines() if line.strip()}
    assert {"voices", "traits", "geometry"} <= planned
    assert not {"labels", "efficiency", "robustness"} & planned


def test_recordings_without_a_speaker_are_not_counted_as_one(tmp_path: Path) -> None:
    data = write_listed(tmp_path / "data")
    text = (data / "manifest.csv").read_text(encoding="utf-8")
    (data / "manifest.csv").write_text(text.replace(",01,female,train", ",,female,train"), encoding="utf-8")
    small_study(data, tmp_path, only=["cost"])
    about = json.loads((tmp_path / "out" / "about.json").read_text())
    assert about["parts"]["train"] == {"recordings": 48, "speakers": 3}


def test_one_clip_of_each_speaker_leaves_voices_out_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_corpus(tmp_path / "source", speakers=30, digits=2, takes=1)
    for number, path in enumerate(sorted((source / "data").rglob("*.wav"))):
        if int(path.name[0]) != (number // 2) % 2:
            path.unlink()
    rows = small_study(source, tmp_path, only=["labels", "voices", "traits"])
    assert {section(row) for row in rows} == {"labels"}
    assert capsys.readouterr().err.count("voices are not measured") == 1  # and not once for each representation
    assert (tmp_path / "out" / "about.json").read_text().count("voices are not measured") == 1


def test_beckers_protocol_is_five_rotations_each_with_test_speakers_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_corpus(tmp_path / "sixty", speakers=60, digits=2, takes=1, seconds=0.1)
    tested, fingerprints, whole = [], set(), mfcl.studies.steps

    def steps(
        workspace: Workspace, recipe: object, preset: object, sections: object, seed: int, *more: object
    ) -> object:
        speakers = workspace.data.subset("test").manifest.column("speaker")
        tested.append((seed, {int(speaker) for speaker in speakers}))
        assert (
            set(workspace.data.store.manifest.splits)
            == set(workspace.data.manifest.splits)
            == {"train", "valid", "test"}
        )
        fingerprints.add(workspace.fingerprint)
        return whole(workspace, recipe, preset, sections, seed, *more)

    monkeypatch.setattr(mfcl.studies, "steps", steps)
    assert small_study(data, tmp_path, seeds=None, protocol="becker", only=["labels"], dry_run=True) == []
    assert [seed for seed, _ in tested] == [0, 1, 2, 3, 4]
    folds = [set(fold) for fold in BECKER_FOLDS]
    assert all(speakers in folds for _, speakers in tested)
    assert set().union(*(speakers for _, speakers in tested)) == set(range(1, 61))
    assert len(fingerprints) == 5  # nothing of one rotation is taken for another's
    lines = [line.split() for line in capsys.readouterr().err.splitlines() if line.startswith("labels")]
    assert lines[0][-4:-2] == ["40", "0"]  # steps: 5 controls and 3 kinds of encoders, five times; done: none


def test_beckers_protocol_on_other_speakers_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(MfclError, match="60 speakers"):
        small_study(corpus, tmp_path, seeds=None, protocol="becker")
    assert not (tmp_path / "out").exists()


def test_the_demo_corpus_from_end_to_end(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")
    make_demo(tmp_path / "demo", voices=9, takes=2, progress=False)
    rows = small_study(tmp_path / "demo", tmp_path, only=["labels", "voices"], recipe=tiny_recipe(tmp_path))
    assert {called(row) for row in rows} == {*CONTROLS, "alignment", *ENCODERS}
    best = max(row.value for row in rows if "all labels" in task(row))
    assert best > 50  # of 10 digits by voices never heard: chance is 10


def test_beckers_rotations_are_the_seeds(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(MfclError, match=r"seeds: protocol becker"):
        small_study(corpus, tmp_path, seeds=2, protocol="becker")


# Tables


def test_tables_show_the_mean_over_seeds_and_a_dash_where_nothing_was_measured() -> None:
    every, few, near = (
        Question("labels", "accuracy", "digit", probe, count)
        for probe, count in ((LINEAR, None), (LINEAR, 10), (KNN, None))
    )

    def row(asked: Question, who: str, value: float, seed: int, low: float | None, high: float | None) -> Result:
        about = Representation("baseline", who)
        return Result(asked, value, low, high, 10, None, about, seed, 2.0, "mfcl study x")

    rows = [row(every, "a", 90.0, 0, 89.0, 91.0), row(every, "a", 80.0, 1, 79.0, 81.0)]
    rows += [row(few, "b", 70.0, 0, 69.0, 71.0), row(near, "b", 60.0, 0, None, None)]
    summed = [dataclasses.replace(one, low=84.0, high=86.0) if len(one.seeds) == 2 else one for one in summaries(rows)]
    lines = tables(summed, style="github").splitlines()
    assert lines[0] == "labels: mean of 1 to 2 seeds, 95 % interval over speakers and seeds"
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    heads = [f"{text}: accuracy, %" for text in map(wording.task, (every, few, near))]
    assert cells[0] == ["representation", *heads, "seconds"]
    assert cells[2:] == [["a", "85.0 [84.0, 86.0]", "-", "-", "2"], ["b", "-", "70.0 [69.0, 71.0]", "60.0", "2"]]
    plain = tables(rows, style="github")
    assert "| a | 85.0 |" in " ".join(plain.split())  # nothing is known of the items, so no interval over seeds


def test_each_table_has_its_own_block_and_a_figure_its_own_unit() -> None:
    def row(asked: Question, value: float) -> Result:
        about = Representation("baseline", "a")
        return Result(asked, value, None, None, 10, None, about, 0, 2.0, "mfcl study x")

    rows = [
        row(Question("voices", "eer", "speaker", ENROLLED, enrolled=5), 4.0),
        row(Question("voices", "min_dcf", "speaker", ENROLLED, enrolled=5), 0.25),
        row(Question("cost", "parameters"), 1234567.0),
        row(Question("geometry", "rankme"), 150.25),
    ]
    text = tables(rows, style="github")
    blocks = text.split("\n\n")
    assert [block.split(":")[0] for block in blocks[::2]] == ["voices", "cost", "geometry"]
    assert "5 clips enrolled: equal error rate, %" in blocks[1]
    assert [cell.strip() for cell in blocks[1].splitlines()[-1].split("|")[2:4]] == ["4.0", "0.250"]
    assert "1,234,567" in blocks[3]
    assert "150.2" in blocks[5]


def test_a_study_of_version_0_1_goes_on_unless_its_sound_changed(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shutil.copytree(corpus, tmp_path / "data")
    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "fingerprint", Manifest.fingerprint_of_sizes)
        small_study(data, tmp_path, only=["geometry"])
    before = sorted(path.name for path in (tmp_path / "out" / "parts").iterdir())
    small_study(data, tmp_path, only=["geometry"])
    assert sorted(path.name for path in (tmp_path / "out" / "parts").iterdir()) == before
    path = next((data / "data").rglob("*.wav"))
    later = (tmp_path / "out" / "about.json").stat().st_mtime + 5
    os.utime(path, (later, later))
    capsys.readouterr()
    small_study(data, tmp_path, only=["geometry"])
    assert "or the sound changed; starting anew" in capsys.readouterr().err
    assert len(list((tmp_path / "out" / "parts").iterdir())) == 2 * len(before)


def test_what_is_odd_about_the_data_stands_in_the_results(corpus: Path, tmp_path: Path) -> None:
    data = shutil.copytree(corpus, tmp_path / "data")
    names = sorted(path.relative_to(data).as_posix() for path in (data / "data").rglob("*.wav"))
    sides = ["train", "valid", "test"] * len(names)
    rows = [f"{name},{name[8]},{name[5:7]},{side}" for name, side in zip(names, sides, strict=False)]
    (data / "manifest.csv").write_text("\n".join(["path,word,speaker,split", *rows]) + "\n")
    found = small_study(data, tmp_path, only=["voices"])
    assert "results are not for unseen speakers" in (tmp_path / "out" / "results.md").read_text()
    assert all("seen in training" in task(row) for row in found)


# What version 0.1 left

MEASURED_THEN = ["labels", "voices", "traits", "efficiency", "robustness"]


@pytest.fixture(scope="module")
def old(whole: Whole, listed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of version 0.1, with the parts of an embedding and one more choice of the recipe."""
    folder = shutil.copytree(whole[0], tmp_path_factory.mktemp("old"), dirs_exist_ok=True)
    ablate = [["model.voices=statistics", "loss.terms=mel-mel"]]
    small_study(listed, folder, only=MEASURED_THEN, ablate=ablate)
    grow_old(folder / "out")
    return folder


def test_a_study_of_version_0_1_goes_on_and_nothing_is_worked_out_again(old: Path, listed: Path) -> None:
    before, rows = stamps(old / "out"), written(old / "out")
    assert len([name for name in before if "control-seed" in name]) == 2 * len(BASELINES) + 1  # neighbours
    assert not [name for name in before if name.startswith("parts/") and name.endswith(".npz")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "make", lambda *_: pytest.fail("a source was made again"))
        found = small_study(listed, old, only=MEASURED_THEN)
    assert stamps(old / "out") == before
    assert [{key: row[key] for key in COLUMNS_THEN} for row in written(old / "out")] == rows
    assert {*MEASURED_THEN, "ablation"} <= {section(one) for one in found}
    assert all(one.evidence is None for one in found)
    single = [one.representation for one in found if section(one) == "ablation" and one.representation.part]
    assert {one.format for one in single} == {"mel"}  # what the source knows, and its old name does not tell
    assert any(one.representation == Representation("fine-tuned", "", "mel") for one in found)


def test_another_section_takes_the_embeddings_of_version_0_1(old: Path, listed: Path) -> None:
    small_study(listed, old, only=MEASURED_THEN)
    before = {name: stamp for name, stamp in stamps(old / "out").items() if not name.startswith("parts/")}
    for path in (old / "out" / "parts").glob("labels-MFCC*"):  # as if the section had not been asked for
        path.unlink()
    rows = small_study(listed, old, only=["labels"])
    known = [one for one in rows if section(one) == "labels" and one.representation.variant == "MFCC statistics"]
    assert known
    assert all(one.evidence is not None for one in known)
    assert {name: stamp for name, stamp in stamps(old / "out").items() if not name.startswith("parts/")} == before
