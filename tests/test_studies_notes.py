"""What a study says of what it could not measure, and what it draws."""

from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np

from mfcl.embeddings.table import Embeddings
from mfcl.evaluation.result import ENROLLED, Question, Representation, Result
from mfcl.studies.evaluators import Answer, voices
from mfcl.studies.outputs import said_once, training_warnings
from mfcl.studies.planner import Step
from mfcl.studies.representations import Source
from mfcl.studies.workspace import Workspace

MFCC = Representation("baseline", "MFCC statistics", "")


def test_a_note_on_what_has_no_label_begins_with_its_section() -> None:
    answer = Answer()
    found = Result(Question("geometry", "alignment"), 1.0, None, None, 1, note="no interval of 2 groups")
    answer.add(Representation("untrained", "", "both"), [found])
    assert answer.notes == ["geometry: no interval of 2 groups"]


def test_what_is_true_of_several_representations_is_said_once() -> None:
    views = [Representation("untrained", "", format) for format in ("wave", "mel")]
    steps = [Mock(spec=Step, source=SimpleNamespace(representations=[one])) for one in (*views, MFCC)]
    missing, odd = "voices are not measured: one clip of each speaker", "voices are not measured: a vector is infinite"
    notes = ["digit: few", f"untrained, wave: {missing}", f"untrained, mel: {missing}", f"{MFCC.variant}: {odd}"]
    told = ["digit: few", f"untrained, wave and 1 more: {missing}", f"{MFCC.variant}: {odd}"]
    assert said_once([*notes, *notes], steps) == told
    assert said_once([missing, notes[1]], steps) == [missing]


def test_warnings_of_every_training_of_a_source_become_notes_with_its_name(tmp_path: Path) -> None:
    runs = {"pre-trained-seed0-ab": "epoch 2: collapsed", "pre-trained-seed0-ab-fine-tuned-10": "two recordings"}
    for name, text in {**runs, "pre-trained-seed1-cd": "of another seed"}.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        log = f"2026-01-02 03:04:05 begun\n2026-01-02 03:04:06 warning: {text}\n"
        (tmp_path / "runs" / name / "train.log").write_text(log)
    workspace = SimpleNamespace(folder=tmp_path, name=lambda _: "pre-trained-seed0-ab")
    step = Mock(spec=Step)
    step.workspace, step.source = workspace, SimpleNamespace(name="pre-trained", seed=0)
    assert training_warnings([step]) == [
        "warning: pre-trained, seed 0: epoch 2: collapsed",
        "warning: pre-trained, fine-tuned-10, seed 0: two recordings",
    ]


def test_a_representation_has_one_line_in_the_chart_of_a_number_of_enrolled_clips() -> None:
    draw = np.random.default_rng(0)
    speakers, words = np.repeat(list("abcdef"), 24), np.tile(np.repeat(["one", "two"], 12), 6)
    names = np.array([f"{place}.wav" for place in range(len(speakers))])
    vectors = draw.standard_normal((len(speakers), 8)).astype(np.float32)
    splits = np.where(np.isin(speakers, ["a", "b"]), "train", "test")
    held = Embeddings(vectors, names, {"digit": words, "speaker": speakers}, {}, splits)
    workspace, source = Mock(spec=Workspace), Mock(spec=Source)
    workspace.data, workspace.view = SimpleNamespace(label="digit", speaker="speaker"), lambda *_: held
    workspace.embeddings = lambda _: held
    source.representations, source.seed = (Representation("pre-trained", "", "both"),), 0
    answer = voices(workspace, source)
    apart = [one.question.enrolled for one in answer.results if one.question.probe == ENROLLED and one.question.apart]
    assert apart == [5]  # measured, but of another question
    assert [entry["clips"] for entry in answer.pictures["det"]] == [1, 5]
