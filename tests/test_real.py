"""Measured on real recordings: skipped where they are absent, and never the only test of a thing."""

import os
from pathlib import Path

import numpy as np
import pytest

from mfcl.audio import Preparation
from mfcl.data.dataset import Data, open_data
from mfcl.embeddings import alignment
from mfcl.embeddings.table import Embeddings
from mfcl.evaluation.baselines import log_mel_picture
from mfcl.evaluation.knn import vote
from mfcl.evaluation.tasks import measure_labels
from tests.recipes import tiny_recipe

BESIDE = Path(__file__).parents[2] / "shared" / "data" / "spoken_digits_az"
DATA = Path(os.environ.get("MFCL_REAL_DATA", BESIDE)) / "manifest.csv"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_file(), reason=f"no real recordings at {DATA}; MFCL_REAL_DATA names their folder"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return open_data(DATA, Preparation(), cache=tmp_path_factory.mktemp("cache"), progress=False)


def test_every_real_recording_is_usable_and_keeps_its_side(data: Data) -> None:
    assert len(data.manifest) == 2499
    assert (data.label, data.speaker) == ("digit", "speaker")
    speakers, sides = data.manifest.column("speaker"), data.manifest.splits
    assert len(np.unique(speakers[sides == "test"])) == 15
    assert len(np.unique(speakers[np.isin(sides, ("train", "valid"))])) == 32
    assert all(len(np.unique(sides[speakers == speaker])) == 1 for speaker in np.unique(speakers))
    assert not data.store.failures


def test_a_log_mel_picture_tells_digits_of_held_out_train_speakers(data: Data) -> None:
    """Validation and some train speakers are scored; the test speakers are not looked at."""
    part = data.subset("train", "valid")
    speakers = part.manifest.column("speaker")
    held, known = (np.unique(speakers[part.manifest.splits == side]) for side in ("valid", "train"))
    asked = [*held[::2], *known[::6]]  # five speakers or more, for an interval
    sides = np.where(np.isin(speakers, asked), "test", part.manifest.splits)
    vectors = log_mel_picture(part, part.sample_rate)
    labels = {name: part.manifest.column(name) for name in ("digit", "speaker")}
    found = measure_labels(
        Embeddings(vectors, part.manifest.ids, labels, {"picture": (0, vectors.shape[1])}, sides),
        "digit",
        "speaker",
        seed=0,
    )
    assert found[0].value > 85
    assert found[0].low > 50


def test_alignment_tells_digits_of_held_out_train_speakers_without_training(data: Data) -> None:
    """The validation speakers are scored; the test speakers are not looked at."""
    part = data.subset("train", "valid")
    digits, splits = part.manifest.column("digit"), part.manifest.splits
    clips = [alignment.frames(part.clip(place), part.sample_rate) for place in range(len(part))]
    held, asked = np.flatnonzero(splits == "train"), np.flatnonzero(splits == "valid")
    places, _ = alignment.nearest([clips[place] for place in asked], [clips[place] for place in held], 5)
    classes, codes = np.unique(digits[held], return_inverse=True)
    predicted = classes[vote(codes[places], len(classes), [5])[0]]
    assert (
        np.mean(predicted == digits[asked]) > 0.94
    )  # 95.0; frames are chosen on words in noise too, and cost 1.9 here


def test_a_pair_of_encoders_learns_on_real_recordings(data: Data, tmp_path: Path) -> None:
    from mfcl.recipe import load_recipe
    from mfcl.training.api import pretrain

    recipe = load_recipe(tiny_recipe(tmp_path), ["train.epochs=1", "train.batch=64"])
    pretrain(data, recipe, tmp_path / "run", seed=0, device="cpu", progress=False)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert "valid_knn" in lines
    assert "valid_pairing" in lines
