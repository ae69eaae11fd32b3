import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.data.balancing import _exchanges, balanced
from mfcl.data.covering import covering
from mfcl.data.manifest import SPLITS, Manifest, Recording
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
    return {split: set(manifest.subset(split).column(label).tolist()) for split in ["train", "valid", "test"]}


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
    assert {split: len(names) for split, names in found.items()} == {"train": 24, "valid": 6, "test": 10}


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
    tested = set(made.subset("test").column("speaker").tolist())
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
        assert {split: len(names) for split, names in found.items()} == {"train": 36, "valid": 12, "test": 12}
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
        ("label", corpus(speakers=2), "needs 3 or more values of 'speaker', there are 2"),
        ("label", corpus(speakers=1), "there is 1;"),
        ("reference", corpus(speakers=2), "needs 3 or more values of 'speaker'"),
        ("reference", corpus(speakers=3, digits=1, takes=1), "too few"),
        (
            "recording",
            corpus(speakers=1, digits=1, takes=2),
            "there are 2; add more, or name the split of each recording in a column `split`",
        ),
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


@pytest.mark.parametrize(("protocol", "what"), [("label", "values of 'speaker'"), ("recording", "files")])
def test_where_copies_leave_too_few_to_split_it_is_said(protocol, what):
    whole = corpus(speakers=5, digits=1, takes=1)
    equal = with_copies(whole, [one.id for one in whole])
    said = f"3 or more {what}, there is 1, not 5, since those that share a copy of a sound count as one; add more"
    with pytest.raises(SplitError, match=said):
        split(equal, protocol, seed=0, label="speaker")


@pytest.mark.parametrize("protocol", ["label", "reference", "becker-2"])
def test_a_recording_without_the_label_comes_on_no_side(protocol):
    nameless = Recording("x", Path("/sounds/x.wav"), labels={"digit": "1"})
    whole = corpus(speakers=60, takes=2)
    made = split(Manifest((*whole.recordings, nameless), Path("/sounds")), protocol, label="speaker")
    assert made.splits[-1] == ""
    assert made.splits[:-1].tolist() == split(whole, protocol, label="speaker").splits.tolist()


def test_a_label_must_be_named():
    with pytest.raises(SplitError, match="give split_by"):
        split(corpus(), "label")
    assert len(PROTOCOLS) == 9


def with_copies(manifest, *groups):
    """The same recordings, some of equal sound."""
    digest = {name: str(number) for number, group in enumerate(groups) for name in group}
    recordings = (dataclasses.replace(r, digest=digest.get(r.id, r.id)) for r in manifest)
    return Manifest(tuple(recordings), manifest.root)


@pytest.mark.parametrize("protocol", ["label", "recording", "reference", "manifest"])
@pytest.mark.parametrize("seed", range(8))
def test_copies_stay_on_one_side(protocol, seed):
    whole = corpus(speakers=8, takes=3)
    if protocol == "manifest":
        whole = whole.with_splits(["test" if r.label("speaker") == "03" else "train" for r in whole])
    groups = [("0_01_0", "0_05_0", "1_06_2"), ("1_05_0", "2_07_0"), ("0_04_0", "0_04_1")]
    made = sides(split(with_copies(whole, *groups), protocol, seed=seed, label="speaker"))
    for group in groups:
        assert len({made[name] for name in group}) == 1
    single = sides(split(with_copies(whole), protocol, seed=seed, label="speaker"))
    assert single == sides(split(whole, protocol, seed=seed, label="speaker"))


def zoo(animals=4, species=5):
    """Every animal is of one species: a draw by animal may leave species out on a side."""
    names = [(f"s{kind}", f"s{kind}-{number}") for kind in range(species) for number in range(animals)]
    recordings = (
        Recording(f"{who}-{take}", Path(f"/z/{who}-{take}.wav"), labels={"species": kind, "animal": who})
        for kind, who in names
        for take in range(2)
    )
    return Manifest(tuple(recordings), Path("/z"))


@pytest.mark.parametrize("seed", range(10))
def test_every_side_gets_every_class_where_it_can_and_shares_stay(seed):
    whole = zoo(animals=5)
    made = split(whole, "label", seed=seed, label="animal", digit="species", valid=0.3)
    plain = split(whole, "label", seed=seed, label="animal", valid=0.3)
    assert {split: len(made.subset(split)) for split in SPLITS} == {split: len(plain.subset(split)) for split in SPLITS}
    assert all(set(made.subset(split).column("species")) == {f"s{kind}" for kind in range(5)} for split in SPLITS)
    found = values_of(made, "animal")
    assert sum(len(names) for names in found.values()) == len(set.union(*found.values())) == 25
    again = whole.select(np.random.default_rng(1).permutation(len(whole)))
    assert sides(split(again, "label", seed=seed, label="animal", digit="species", valid=0.3)) == sides(made)


def test_a_draw_by_speakers_who_say_everything_equally_often_stays():
    whole = corpus(speakers=12)
    assert split(whole, "label", seed=3, label="speaker") == split(
        whole, "label", seed=3, label="speaker", digit="none"
    )


def uneven(manifest):
    """The same recordings without nine in ten of the first digit: a rare class."""
    return manifest.select([n for n, r in enumerate(manifest) if r.label("digit") != "0" or n % 10 == 0])


@pytest.mark.parametrize("seed", range(5))
def test_files_are_drawn_with_equal_shares_of_each_class(seed):
    whole = uneven(corpus(speakers=12, takes=10))
    made = split(whole, "recording", seed=seed)
    plain = split(whole, "recording", seed=seed, digit="none")
    assert Counter(made.splits.tolist()) == Counter(plain.splits.tolist())
    total = Counter(whole.column("digit").tolist())
    for name in SPLITS:
        own = Counter(made.subset(name).column("digit").tolist())
        share = len(made.subset(name)) / len(whole)
        assert all(abs(own[digit] - share * count) <= 1 for digit, count in total.items()), (name, own)
    again = split(whole.select(np.random.default_rng(seed).permutation(len(whole))), "recording", seed=seed)
    assert sides(again) == sides(made)


def speakers_of_other_words(count=24, seed=0):
    """Speakers who say each of four words some times, or never."""
    draw = np.random.default_rng(seed)
    recordings = [
        Recording(f"{who}{word}{take}", Path(f"/s/{who}{word}{take}.wav"), labels={"speaker": str(who), "digit": word})
        for who in range(count)
        for word in "abcd"
        for take in range(int(draw.integers(0, 9)))
    ]
    return Manifest(tuple(recordings), Path("/s"))


def unevenness(manifest, splits):
    """Largest distance of a class's share in a split to its share of all recordings."""
    whole = manifest.column("digit")
    parts = [whole[splits == name] for name in SPLITS]
    return max(abs((part == word).mean() - (whole == word).mean()) for part in parts for word in "abcd")


def test_of_speakers_those_are_drawn_whose_words_have_equal_shares():
    better = []
    for seed in range(10):
        whole = speakers_of_other_words(seed=seed)
        made = split(whole, "label", seed=seed, label="speaker")
        plain = split(whole, "label", seed=seed, label="speaker", digit="none")
        assert {name: len(set(made.subset(name).column("speaker"))) for name in SPLITS} == {
            name: len(set(plain.subset(name).column("speaker"))) for name in SPLITS
        }
        better.append((unevenness(whole, made.splits), unevenness(whole, plain.splits)))
    assert sum(made <= plain for made, plain in better) >= 9
    assert np.mean([made for made, _ in better]) < 0.3 * np.mean([plain for _, plain in better])


def test_validation_is_stratified_too():
    whole = uneven(corpus(speakers=12, takes=10))
    own = whole.with_splits("test" if r.label("speaker") == "03" else "train" for r in whole)
    made = draw_validation(own, None, seed=1, classes="digit")
    train = own.subset("train")
    total, valid = (Counter(part.column("digit").tolist()) for part in (train, made.subset("valid")))
    share = len(made.subset("valid")) / len(train)
    assert all(abs(valid[digit] - share * count) <= 1 for digit, count in total.items())
    assert made.subset("test") == own.subset("test")


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_balancing_keeps_sizes_makes_nothing_less_even_and_leaves_what_is_even(data):
    units = [f"u{number}" for number in range(data.draw(st.integers(3, 12)))]
    drawn = {unit: data.draw(st.sampled_from(SPLITS)) for unit in units}
    counts = {unit: data.draw(st.dictionaries(st.sampled_from("abc"), st.integers(1, 5))) for unit in units}
    made = balanced(drawn, counts)

    def uneven_by(sides):
        found = 0.0
        for word in "abc":
            total = sum(own.get(word, 0) for own in counts.values())
            for side in set(drawn.values()):
                own = sum(counts[unit].get(word, 0) for unit in units if sides[unit] == side)
                share = list(drawn.values()).count(side) / len(units)
                found += (own - share * total) ** 2 / max(total, 1)
        return found

    assert Counter(made.values()) == Counter(drawn.values())
    assert uneven_by(made) <= uneven_by(drawn) + 1e-9
    swapped = [
        {**made, one: made[other], other: made[one]} for one in units for other in units if made[one] != made[other]
    ]
    assert all(uneven_by(other) >= uneven_by(made) - 1e-6 for other in swapped)  # no exchange would help
    assert balanced(made, counts) == made


@pytest.mark.parametrize("seed", range(8))
def test_of_equal_exchanges_the_last_bits_of_sums_do_not_choose(seed):
    """They differ from one kind of processor to another, and the splits of one seed did."""
    draw = np.random.default_rng(seed)
    kinds = np.concatenate([np.eye(7), 2 * np.eye(7), np.eye(7) + np.roll(np.eye(7), 1, axis=0)])
    held = draw.integers(0, 4, (3, len(kinds)))
    plain = list(_exchanges(kinds, held.copy()))
    assert plain
    for _ in range(5):
        rounded = kinds * (1 + 1e-15 * draw.integers(-3, 4, kinds.shape))
        assert list(_exchanges(rounded, held.copy())) == plain


def test_thirty_thousand_files_are_stratified_in_a_moment_and_too_many_kinds_are_left():
    draw = np.random.default_rng(0)
    drawn = {f"f{n}": str(draw.choice(SPLITS, p=[0.6, 0.15, 0.25])) for n in range(30_000)}
    counts = {unit: {str(draw.integers(0, 30)): 1} for unit in drawn}
    made = balanced(drawn, counts)
    test = Counter(next(iter(counts[unit])) for unit, side in made.items() if side == "test")
    total = Counter(next(iter(own)) for own in counts.values())
    share = sum(test.values()) / 30_000
    assert all(abs(test[name] - share * count) <= 1 for name, count in total.items())
    many = {f"u{n}": SPLITS[n % 3] for n in range(2_100)}
    assert balanced(many, {unit: {"a": n + 1} for n, unit in enumerate(many)}) == many


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_exchanges_keep_sizes_and_take_no_class_from_a_side(data):
    units = [f"u{number}" for number in range(data.draw(st.integers(3, 12)))]
    drawn = {unit: data.draw(st.sampled_from(SPLITS)) for unit in units}
    classes = {unit: data.draw(st.sets(st.sampled_from("abcd"))) for unit in units}
    made = covering(drawn, classes)

    def held(sides, wanted):
        return {(one, sides[unit]) for unit in units for one in classes[unit] if sides[unit] in wanted}

    assert Counter(made.values()) == Counter(drawn.values())
    assert held(drawn, {"train"}) <= held(made, {"train"})  # for training, a class may leave the others
    assert len(held(made, SPLITS)) >= len(held(drawn, SPLITS))
    if held(drawn, SPLITS) == {(one, side) for one in set().union(*classes.values()) for side in set(drawn.values())}:
        assert made == drawn


def test_classes_of_one_unit_and_too_many_classes_leave_the_draw_alone():
    drawn = {f"u{number}": SPLITS[number % 3] for number in range(3000)}
    assert covering(drawn, {unit: {unit} for unit in drawn}) == drawn
    pairs = {f"u{number}": {f"c{number // 2}"} for number in range(3000)}
    assert covering(drawn, pairs) == drawn
