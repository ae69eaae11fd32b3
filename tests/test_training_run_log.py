import json

import pytest
import torch

from mfcl.errors import CheckpointError, MfclError
from mfcl.training.run_folder import BEGUN, OWN, is_run
from mfcl.training.run_log import Journal, describe_machine, read_metrics

CONFIG = {"seed": 0, "recipe": {"train": {"epochs": 3, "learning_rate": 1e-5}, "augment": {"setting": "none"}}}
DATA = {"fingerprint": "abc", "recordings": 10}


def begun(run):
    journal = Journal(run, shown=False)
    journal.open(CONFIG, DATA, {"precision": {"wave": "fp32"}}, resume=False, overwrite=False)
    return journal


def test_a_run_can_be_continued_with_the_same_choices(tmp_path):
    begun(tmp_path / "run").open(CONFIG, DATA, {"other": "machine"}, resume=True, overwrite=False)
    assert Journal(tmp_path / "run").environment() == {"precision": {"wave": "fp32"}}


@pytest.mark.parametrize(
    ("config", "data", "named"),
    [
        ({**CONFIG, "seed": 1}, DATA, "seed = 0, got 1"),
        (
            {**CONFIG, "recipe": {"train": {"epochs": 4, "learning_rate": 1e-5}, "augment": {"setting": "none"}}},
            DATA,
            "recipe.train.epochs = 3, got 4",
        ),
        (CONFIG, {**DATA, "fingerprint": "xyz"}, "fingerprint 'abc', now 'xyz'"),
        ({**CONFIG, "new": 1}, DATA, "new = None, got 1"),
    ],
)
def test_other_choices_or_data_are_refused_in_one_line(tmp_path, config, data, named):
    journal = begun(tmp_path / "run")
    with pytest.raises(CheckpointError) as error:
        journal.open(config, data, {}, resume=True, overwrite=False)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(CheckpointError, match=r"go on with it \(--resume"):
        Journal(tmp_path, shown=False).open(CONFIG, DATA, {}, resume=False, overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_overwriting_deletes_a_run_and_nothing_else(tmp_path):
    journal = begun(tmp_path)
    journal.record({"step": 1})
    (tmp_path / "letters.txt").write_text("dear")
    (tmp_path / "state.safetensors").write_text("old")
    journal.open({**CONFIG, "seed": 5}, DATA, {}, resume=False, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.yaml",
        "data.json",
        "environment.json",
        "letters.txt",
    ]


def test_resuming_a_run_that_was_killed_before_it_wrote_anything_begins_it(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "environment.json").write_text('{"written_by": "mfcl 0.1.0"}')  # killed between two files
    (tmp_path / "run" / ".config.yaml.123.0123abcd.tmp").write_text("half")
    Journal(tmp_path / "run", shown=False).open(CONFIG, DATA, {}, resume=True, overwrite=False)
    assert json.loads((tmp_path / "run" / "data.json").read_text()) == DATA


def test_an_unreadable_record_is_one_line(tmp_path):
    journal = begun(tmp_path)
    (tmp_path / "config.yaml").write_text("{: [")
    with pytest.raises(CheckpointError, match=r"config\.yaml: cannot be read"):
        journal.check(CONFIG, DATA)


def test_lines_beyond_the_saved_step_are_cut(tmp_path):
    journal = begun(tmp_path)
    for step in range(4):
        journal.record({"step": step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # the kill came here
    journal.cut(2)
    journal.record({"step": 2})
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [0, 1, 2]
    assert journal.lines() == 3


def test_a_figure_that_is_no_number_is_null(tmp_path):
    begun(tmp_path).record({"step": 1, "valid_retrieval": float("nan"), "loss": float("inf")})
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "valid_retrieval": None, "loss": None}


def test_another_process_than_the_main_one_writes_nothing(tmp_path):
    journal = Journal(tmp_path / "run", writes=False)
    journal.record({"step": 1})
    journal.say("hello")
    journal.cut(0)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_while_recording_is_one_line(tmp_path, monkeypatch):
    journal = begun(tmp_path)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.open", full)
    with pytest.raises(MfclError, match="No space left on device"):
        journal.record({"step": 1})


def test_the_machine_is_described_in_plain_values():
    machine = json.loads(json.dumps(describe_machine(torch.device("cpu"), 1)))
    assert machine["versions"]["torch"] == torch.__version__
    assert machine["processes"] == 1


@pytest.mark.parametrize("asked", [{"resume": True}, {"overwrite": True}, {"resume": True, "overwrite": True}])
@pytest.mark.parametrize("name", [*OWN, "letters.txt"])
def test_a_folder_that_is_no_run_is_left_as_it_is(tmp_path, name, asked):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text('{"mine": 1}')
    with pytest.raises(CheckpointError, match="no run of mfcl; nothing was touched"):
        Journal(tmp_path, shown=False).open(CONFIG, DATA, {}, **{"resume": False, "overwrite": False, **asked})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert (tmp_path / name).read_text() == '{"mine": 1}'


def test_a_run_of_version_0_1_is_known_by_what_it_holds(tmp_path):
    for name, content in (
        ("environment.json", '{"command": [], "versions": {"mfcl": "0.1.0"}}'),
        ("config.yaml", "seed: 0\nkind: pretrain\nsettings: {epochs: 1}\nrecipe: {name: a}\n"),  # killed after this one
    ):
        (tmp_path / name[:4]).mkdir()
        (tmp_path / name[:4] / name).write_text(content)
        assert is_run(tmp_path / name[:4])
    assert not is_run(tmp_path)


def test_overwriting_replaces_all_files_of_the_run_and_keeps_others(tmp_path):
    journal = begun(tmp_path)
    (tmp_path / "model").mkdir()
    mine = ("notes.md", "model/notes.md", ".hidden.tmp")
    for name in (*(name for name in OWN if name not in BEGUN), *mine):
        (tmp_path / name).write_text("old")
    journal.open(CONFIG, DATA, {}, resume=False, overwrite=True)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*BEGUN, *mine}


def test_a_run_whose_record_is_gone_is_not_begun_again_over_its_state(tmp_path):
    journal = begun(tmp_path)
    (tmp_path / "config.yaml").unlink()
    (tmp_path / "state.safetensors").write_text("hours of work")
    with pytest.raises(CheckpointError, match=r"config\.yaml: it is missing"):
        journal.open(CONFIG, DATA, {}, resume=True, overwrite=False)
    assert (tmp_path / "state.safetensors").read_text() == "hours of work"


def test_a_file_in_place_of_the_run_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    for run in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(MfclError, match="it is a file"):
            Journal(run, shown=False).open(CONFIG, DATA, {}, resume=True, overwrite=True)


@pytest.mark.parametrize("content", ["&a [*a]", "[" * 5000, "seed: " + "9" * 5000, "\0", "a: 1\na: 2"])
def test_a_record_that_would_hang_or_break_is_one_line(tmp_path, content):
    journal = begun(tmp_path)
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.yaml: cannot be read") as error:
        journal.check(CONFIG, DATA)
    assert "\n" not in str(error.value)


def test_a_line_that_a_full_disk_has_cut_is_left_out_of_the_figures(tmp_path):
    assert read_metrics(tmp_path) == []
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3, "se')
    assert read_metrics(tmp_path) == [{"step": 1}, {"step": 2}]
    for damaged in ('{"step": 1\n{"step": 2}\n', "[1]\n{}\n", "[" * 100_000 + "\n{}\n"):
        (tmp_path / "metrics.jsonl").write_text(damaged)
        with pytest.raises(CheckpointError, match=r"metrics\.jsonl: line 1 is damaged; delete this file"):
            read_metrics(tmp_path)
