"""The files of a study that others read."""

import json
import shutil

import pytest

from mfcl.data.dataset import open_data
from mfcl.evaluation.result import KNN, Question, Representation, Result
from mfcl.recipe import load_recipe
from mfcl.studies import outputs as written
from mfcl.studies.evaluators import Answer
from mfcl.studies.planner import Step
from mfcl.studies.representations import Source
from mfcl.studies.workspace import Workspace
from tests.recipes import tiny_recipe
from tests.small_study import called, small_study, write_listed

ABOUT = {
    "command": "mfcl study clips --out a", "notes": ["first"], "parts": {"train": {"recordings": 48, "speakers": 4}},
    "speaker": "speaker", "fingerprint": "f", "seeds": [0, 1], "machine": "m",
}  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    data = write_listed(folder / "data", unlabelled=("3",))
    recipe = load_recipe(tiny_recipe(folder))
    return Workspace(open_data(data, recipe.preparation, cache=folder / "cache", progress=False), folder / "out")


def step(workspace, name, section="labels", *, kind="baseline", variant="", seed=0, value=50.0, notes=()):
    """A step that makes nothing and answers one result."""
    recipe = load_recipe(workspace.folder.parent / "tiny.yaml")
    baseline = kind == "baseline"
    source = Source(kind, "MFCC statistics" if baseline else variant, seed, recipe, () if baseline else ("wave",))
    about = Representation(kind, name if baseline else variant)
    one = Result(Question(section, "accuracy", "digit", KNN), value, None, None, 1, representation=about)
    made = Step(
        section, name, source, workspace, lambda *_: Answer([one], {"maps": [{"of": name}]}, list(notes)), 1.0, {}
    )
    workspace.make = lambda _: {"seconds": 1.5}
    return made


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("mfcl study clips --out a", "mfcl study clips --out a --only maps"),
        ("mfcl study clips --only labels voices --out a", "mfcl study clips --out a --only maps"),
        ("mfcl study clips --out a --skip crops formats", "mfcl study clips --out a --only maps"),
        ("mfcl study --skip crops --only labels --seeds 2 clips", "mfcl study --seeds 2 clips --only maps"),
        ("mfcl study 'my clips' --out 'a b'", "mfcl study 'my clips' --out 'a b' --only maps"),
    ],
)
def test_the_command_of_a_row_works_out_its_section_alone(command, expected):
    assert written.with_only(command, "maps") == expected


def test_a_line_of_figures_that_a_full_disk_has_cut_is_left_out_of_curve_and_seconds(workspace):
    trained = step(workspace, "pre-trained", kind="pre-trained", seed=77)
    run = workspace.run(trained.source)
    run.mkdir(parents=True)
    line = {"step": 1, "loss": 2.0, "learning_rate": 0.1, "seconds": 3.0, "chance": 4.0}
    lines = [json.dumps(line), json.dumps({"step": 1, "epoch": 1}), '{"step": 2, "seco']
    (run / "metrics.jsonl").write_text("\n".join(lines))
    assert [epoch["loss"] for epoch in written.curve(trained)["epochs"]] == [2.0]
    assert workspace._spent(trained.source) == 3.0
    shutil.rmtree(run)


def test_what_is_known_is_written_whatever_was_planned_now(workspace, tmp_path):
    one, two, three = (
        step(workspace, name, section) for name, section in (("a", "labels"), ("b", "voices"), ("c", "maps"))
    )
    assert written.write_results(tmp_path, [one, two], [one, two, three], ABOUT) == []
    two.answered()
    rows = written.write_results(tmp_path, [one], [one, two, three], ABOUT)
    assert [(called(row), row.seconds, row.seed) for row in rows] == [("b", 1.5, 0)]
    assert rows[0].command == "mfcl study clips --out a --only voices"
    about = json.loads((tmp_path / "about.json").read_text())
    assert (about["done"], about["planned"]) == (0, 1)
    one.answered()
    written.write_results(tmp_path, [one], [one, two, three], ABOUT)
    assert [row["representation"] for row in json.loads((tmp_path / "results.json").read_text())] == ["a", "b"]
    pictures = json.loads((tmp_path / "pictures.json").read_text())
    assert pictures["maps"] == [{"of": "a"}, {"of": "b"}]
    about = json.loads((tmp_path / "about.json").read_text())
    assert (about["done"], about["planned"]) == (1, 1)


def test_differences_of_fewer_seeds_than_their_figures_are_noted_while_a_seed_is_missing(workspace, tmp_path):
    every = [step(workspace, "ours", kind="pre-trained", seed=seed, value=60.0 + seed) for seed in (0, 1)]
    every += [step(workspace, "s", seed=seed) for seed in (0, 1)]
    for one in every[:3]:
        one.answered()
    written.write_results(tmp_path, every, every, ABOUT)
    notes = json.loads((tmp_path / "about.json").read_text())["notes"]
    assert notes[0].startswith("warning: 1 of 1 paired difference is of fewer seeds than the figures beside them")
    assert [row["seeds"] for row in json.loads((tmp_path / "differences.json").read_text())] == [[0]]
    assert notes[0] in (tmp_path / "results.md").read_text()
    every[3].answered()
    written.write_results(tmp_path, every, every, ABOUT)
    assert json.loads((tmp_path / "about.json").read_text())["notes"] == ["first"]


def test_a_note_is_told_once_after_those_of_the_study(workspace, tmp_path):
    noted = [step(workspace, name, "cost", notes=["no voices", "first"]) for name in ("x", "y")]
    for one in noted:
        one.answered()
    written.write_results(tmp_path, noted, noted, ABOUT)
    assert json.loads((tmp_path / "about.json").read_text())["notes"] == ["first", "no voices"]
    page = (tmp_path / "results.md").read_text()
    assert page.count("- note: ") == 2
    assert "- data: 48 train (4 speakers); fingerprint f" in page
    assert "- seeds: 0, 1" in page


def test_a_training_shared_with_a_sweep_keeps_the_name_of_the_main_one(workspace, tmp_path):
    main, same = (
        step(workspace, name, "geometry", kind="pre-trained", variant=variant, seed=4)
        for name, variant in (("pre-trained", ""), ("pre-trained, augmented both", "augmented both"))
    )
    for one in (main, same):
        one.answered()
    written.write_results(tmp_path, [main, same], [main, same], ABOUT)
    curves = json.loads((tmp_path / "pictures.json").read_text())["training"]
    assert [(curve["run"], curve["seed"]) for curve in curves] == [("pre-trained", 4)]


def test_a_training_curve_is_an_epoch_a_point_with_the_loss_of_its_end(workspace):
    one = step(workspace, "pre-trained", kind="pre-trained", seed=5)
    assert written.curve(one)["epochs"] == []  # not begun
    run = workspace.run(one.source)
    run.mkdir(parents=True)
    lines = []
    for epoch in (1, 2):
        for number in (1, 2):
            seconds = 10.0 * epoch + number
            figures = {"loss": 5 - epoch - number / 10, "seconds": seconds, "learning_rate": 0.1 / epoch, "chance": 3.5}
            lines.append({"step": 2 * epoch + number, **figures})
        lines.append({"step": 2 * epoch, "epoch": epoch, "valid_knn": 50.0 + epoch})
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = written.curve(one)
    assert found["epochs"] == [
        {"epoch": 1, "loss": 3.8, "seconds": 12.0, "lr": 0.1, "valid_knn": 51.0},
        {"epoch": 2, "loss": 2.8, "seconds": 22.0, "lr": 0.05, "valid_knn": 52.0},
    ]
    assert (found["run"], found["seed"], found["chance_loss"]) == ("pre-trained", 5, 3.5)
    assert found["chance_knn"] == pytest.approx(100 / 3)  # no digit is no class


def test_the_pictured_recording_has_both_formats_and_its_crops_lie_inside(workspace):
    recipe = load_recipe(workspace.folder.parent / "tiny.yaml")
    store = workspace.data.subset("test")
    found = written.method_picture(store, recipe)
    assert found["id"] in store.manifest.ids
    place = store.manifest.ids.tolist().index(found["id"])
    assert found["seconds"] == pytest.approx(store.lengths[place] / 16000)
    assert sorted(store.lengths)[len(store) // 2] == store.lengths[place]
    assert len(found["mel"]) == found["bands"] == recipe.model.mel_format.bands
    shades = [shade for band in found["mel"] for shade in band]
    assert all(isinstance(shade, int) for shade in shades)
    assert min(shades) >= 0
    assert max(shades) == 255
    assert len(found["mel"][0]) == 1 + int(store.lengths[place]) // recipe.model.mel_format.hop
    assert found["hop_seconds"] == 0.01
    assert len(found["wave"]) == 400
    assert all(-1 <= low <= high <= 1 for low, high in found["wave"])
    assert max(max(abs(low), abs(high)) for low, high in found["wave"]) == 1
    assert len(found["crops"]) == 2
    for start, end in found["crops"]:
        assert 0 <= start < end <= found["seconds"] + 1e-4
        assert end - start == pytest.approx(0.8 * found["seconds"], abs=0.001)
    assert found["labels"]["speaker"] in ("04", "08")


def test_the_seconds_of_a_training_that_was_stopped_are_those_of_all_attempts(tmp_path):
    data = write_listed(tmp_path / "data")
    rows = small_study(data, tmp_path, only=["cost"])
    out = tmp_path / "out"
    for folder in ("parts", "embeddings"):
        shutil.rmtree(out / folder)
    for path in (out / "runs").rglob("metrics.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            if "seconds" in line:
                line["seconds"] = 500.0
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = small_study(data, tmp_path, only=["cost"])
    seconds = {called(row): row.value for row in again if row.question.metric == "seconds"}
    assert 500 <= seconds["pre-trained, both"] < 520
    assert 500 <= seconds["supervised, both"] < 520  # one training of both formats
    assert seconds["untrained, both"] < 20
    assert all(row.value < 60 for row in rows if row.question.metric == "seconds")
