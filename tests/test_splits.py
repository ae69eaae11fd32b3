from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.data.manifest import Manifest, Recording
from mfcl.data.splits import (
    PROTOCOLS,
    draw_validation,
    split,
    split_becker,
    split_by_label,
    split_by_recording,
    split_reference,
)
from mfcl.errors import SplitError


def corpus(*, speakers=6, digits=3, takes=5, root="/sounds", splits=None):
    names = [f"{number:02d}" for number in range(1, speakers + 1)]
    recordings = [
        Recording(
            f"{d}_{s}_{t}", Path(root) / f"{d}_{s}_{t}.wav", labels={"speaker": s, "digit": str(d), "take": str(t)}
        )
        for s in names
        for d in range(digits)
        for t in range(takes)
    ]
    return Manifest(tuple(recordings), Path(root))


def sides(manifest):
    return dict(zip(manifest.ids.tolist(), manifest.splits.tolist(), strict=True))


def values_of(manifest, label="speaker"):
    return {part: set(manifest.part(part).column(label).tolist()) for part in ["train", "valid", "test"]}


@settings(deadline=None, max_examples=25)
@given(st.integers(3, 40), st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1))
def test_no_value_of_the_label_is_on_two_sides_and_no_side_is_empty(speakers, seed, test, valid):
    found = values_of(
        split_by_label(corpus(speakers=speakers, digits=1, takes=2), "speaker", seed=seed, test=test, valid=valid)
    )
    assert all(found.values())
    assert sum(len(names) for names in found.values()) == speakers == len(set.union(*found.values()))


def test_shares_are_met():
    found = values_of(split_by_label(corpus(speakers=40, takes=1), "speaker", seed=0, test=0.25, valid=0.2))
    assert {part: len(names) for part, names in found.items()} == {"train": 24, "valid": 6, "test": 10}


@pytest.mark.parametrize("protocol", ["label", "recording", "reference", "manifest"])
def test_a_split_depends_on_values_and_seed_and_not_on_order_or_place(protocol):
    def made(manifest, seed):
        if protocol == "manifest":
            manifest = manifest.with_splits(["test" if r.label("speaker") == "03" else "train" for r in manifest])
        return sides(split(manifest, protocol, seed=seed, label="speaker"))

    whole = corpus(speakers=12)
    shuffled = whole.select(np.random.default_rng(0).permutation(len(whole)))
    assert made(whole, 1) == made(shuffled, 1) == made(corpus(speakers=12, root="/elsewhere"), 1)
    assert made(whole, 1) != made(whole, 2)


def test_without_labels_files_are_split_and_parts_of_a_file_stay_together():
    parts = tuple(
        Recording(f"{n}-{part}", Path(f"/s/{n}.wav"), part, part + 1.0) for n in range(20) for part in (0.0, 1.0, 2.0)
    )
    made = split_by_recording(Manifest(parts, Path("/s")), seed=3)
    files = {}
    for recording in made:
        files.setdefault(recording.path, set()).add(recording.split)
    assert all(len(found) == 1 for found in files.values())
    assert Counter(next(iter(found)) for found in files.values()) == {"train": 12, "valid": 3, "test": 5}


def test_the_reference_split_measures_a_third_of_the_speakers_and_stratifies_the_rest():
    made = split_reference(corpus(speakers=60, digits=10, takes=10), seed=0)
    tested = set(made.part("test").column("speaker").tolist())
    assert len(tested) == 20
    rest = made.select(made.splits != "test")
    assert not tested & set(rest.column("speaker").tolist())
    cells = Counter((r.label("speaker"), r.label("digit"), r.split) for r in rest)
    assert {count for (*_, part), count in cells.items() if part == "valid"} == {2}
    assert {count for (*_, part), count in cells.items() if part == "train"} == {8}


def test_the_reference_split_gives_a_fifth_also_of_few_takes():
    made = split_reference(corpus(speakers=60, digits=10, takes=3), seed=0)
    rest = made.splits[made.splits != "test"]
    assert np.mean(rest == "valid") == pytest.approx(0.2, abs=0.03)


def test_beckers_rotations_measure_every_speaker_once():
    tested, chosen = [], []
    for rotation in range(5):
        found = values_of(split_becker(corpus(speakers=60, digits=1, takes=1), rotation))
        assert {part: len(names) for part, names in found.items()} == {"train": 36, "valid": 12, "test": 12}
        tested += sorted(found["test"])
        chosen += sorted(found["valid"])
    assert sorted(tested) == sorted(chosen) == [f"{number:02d}" for number in range(1, 61)]
    first = values_of(split(corpus(speakers=60, digits=1, takes=1), "becker-0"))
    assert {"26", "52", "05", "51"} <= first["test"]
    assert {"12", "50"} <= first["valid"]
    assert {"28", "36", "43"} <= first["train"]


def test_a_manifests_own_sides_are_obeyed_and_validation_is_drawn_from_train():
    own = corpus(speakers=12)
    own = own.with_splits({"01": "test", "02": ""}.get(r.label("speaker"), "train") for r in own)
    made = split(own, "manifest", seed=0, label="speaker")
    found = values_of(made)
    assert found["test"] == {"01"}
    assert len(found["valid"]) == 2
    assert len(found["train"]) == 8
    assert not found["train"] & found["valid"]
    assert set(made.splits[made.column("speaker") == "02"]) == {""}
    assert split(made, "manifest", seed=5, label="speaker") == made
    by_file = draw_validation(own, None, seed=0)
    assert Counter(by_file.splits.tolist())["valid"] == 30


@pytest.mark.parametrize(
    ("protocol", "manifest", "message"),
    [
        ("label", corpus(speakers=2), "needs 3 or more values of 'speaker', here are 2"),
        ("label", corpus(speakers=1), "here are 1"),
        ("reference", corpus(speakers=2), "needs 3 or more values of 'speaker'"),
        ("reference", corpus(speakers=3, digits=1, takes=1), "too few"),
        ("recording", corpus(speakers=1, digits=1, takes=2), "needs 3 or more files"),
        ("becker-0", corpus(speakers=59), "AudioMNIST's 60 speakers"),
        ("manifest", corpus(), "no recording has the split 'train'"),
        ("manifest", corpus(speakers=1).with_splits(["train"] * 15), "2 or more values of 'speaker'"),
        ("becker-5", corpus(), "no protocol is called 'becker-5'"),
        ("speaker", corpus(), "no protocol"),
    ],
)
def test_what_cannot_be_split_is_an_error_of_one_line(protocol, manifest, message):
    with pytest.raises(SplitError) as caught:
        split(manifest, protocol, seed=1, label="speaker")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", ["label", "reference", "becker-2"])
def test_a_recording_without_the_label_comes_on_no_side(protocol):
    nameless = Recording("x", Path("/sounds/x.wav"), labels={"digit": "1"})
    whole = corpus(speakers=60, takes=2)
    made = split(Manifest((*whole.recordings, nameless), Path("/sounds")), protocol, label="speaker")
    assert made.splits[-1] == ""
    assert made.splits[:-1].tolist() == split(whole, protocol, label="speaker").splits.tolist()


def test_a_label_must_be_named():
    with pytest.raises(SplitError, match="say which"):
        split(corpus(), "label")
    assert len(PROTOCOLS) == 9
