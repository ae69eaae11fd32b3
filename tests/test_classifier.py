"""Classifiers from few labels: what they learn, when they answer `unknown`, and what they refuse."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mfcl
from mfcl.embeddings import whitening
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.vector_graph import vector_graph
from mfcl.errors import MeasureError, MfclError
from mfcl.explore import assistant
from mfcl.labelling import (
    UNKNOWN,
    Collection,
    draw_held_out,
    estimate,
    features,
    fit_classifier,
    load_classifier,
    save_classifier,
)
from mfcl.labelling.choosing import Checked, Way, chosen_way, divides_files, folds_of, hidden_sets
from mfcl.labelling.estimate import wilson
from mfcl.labelling.logistic import as_rows, fit_classifiers, fit_rows, fit_shares
from mfcl.labelling.propagate import propagate_each
from mfcl.labelling.sources import Sources
from tests.small_labels import CLASSES, beside_noise, embeddings, few


@pytest.fixture(scope="module")
def here():
    return embeddings()


@pytest.fixture(scope="module")
def fitted(here):
    return fit_classifier(here, few(here.label("species"), 2))


def test_two_labels_a_class_name_the_clips_of_other_recordings(fitted):
    others = embeddings(seed=1)
    found = fitted.classifier.predict(others)
    assert (found.labels == others.label("species")).mean() > 0.9
    assert found.probabilities.sum(axis=1) == pytest.approx(1)
    assert found.classes.tolist() == list(CLASSES)


def test_a_sound_unlike_every_class_is_unknown_and_the_distance_says_why(fitted):
    strange = embeddings(classes=("frog", "bat"), seed=2)
    found = fitted.classifier.predict(strange)
    assert (found.labels == UNKNOWN).mean() > 0.9
    assert set(found.likeliest) <= set(CLASSES)
    known = fitted.classifier.predict(embeddings(seed=3))
    assert np.median(found.distances) > 1.3 * np.median(known.distances)
    assert (fitted.classifier.predict(strange, farthest=2.0).labels != UNKNOWN).all()
    assert (fitted.classifier.predict(embeddings(seed=3), least=1.0).labels == UNKNOWN).all()


def test_the_threshold_leaves_the_stated_share_of_the_collection(fitted, here):
    refused = fitted.classifier.predict(here).labels == UNKNOWN
    weights = np.where(few(here.label("species"), 2) != "", 1.0, fitted.spread.margins)
    assert 0 < (weights * refused).sum() <= 0.02 * weights.sum()


def test_unknown_can_be_a_label(here):
    truth = np.where(here.label("species") == "wren", UNKNOWN, here.label("species"))
    made = fit_classifier(here, few(truth, 2)).classifier
    others = embeddings(seed=1)
    found = made.predict(others).labels
    assert (found[others.label("species") == "wren"] == UNKNOWN).mean() > 0.9


def test_a_classifier_does_not_depend_on_the_other_recordings_that_are_asked_about(fitted):
    others = embeddings(seed=4)
    whole, alone = fitted.classifier.predict(others), fitted.classifier.predict(others.select(np.array([7])))
    assert alone.probabilities[0] == pytest.approx(whole.probabilities[7], abs=1e-6)
    assert alone.distances[0] == pytest.approx(whole.distances[7], abs=1e-6)


def test_the_part_that_tells_the_labels_is_chosen_by_the_labels_alone(here):
    collection = Collection(here)
    assert [way.name for way in collection.ways] == ["all", "words", "voices", "labels alone"]
    by_voice = few(here.label("speaker"), 4)
    right = {one.way: one.share for one in collection.check(by_voice)}
    assert right["voices"] > 0.9 > right["words"] + 0.3
    assert collection.fit(by_voice).spread.labels.tolist() == here.label("speaker").tolist()


def test_directions_of_noise_do_not_count_as_much_as_what_is_said_where_recordings_are_few(monkeypatch):
    def read():
        labels = few(some.label("species"), 2)
        found = fit_classifier(some, labels, way="words").classifier.predict(others)
        return (found.likeliest == others.label("species")).mean()

    some, others = (noisy_words(count, seed=seed) for seed, count in enumerate((20, 60)))
    floored = read()
    monkeypatch.setattr(features, "CONTENT_FLOOR", whitening.FLOOR)
    monkeypatch.setattr(features, "CONTENT_NOISE", 0.0)
    assert floored > read() + 0.15


def noisy_words(each, *, seed):
    """Clips whose words' part has as many more values of noise as there are clips."""
    told = embeddings(each=each, noise=1.0, seed=seed)
    noise = np.random.default_rng([9, seed]).standard_normal((len(told), 160), dtype=np.float32)
    parts = {"mel words": (0, 176), "mel voices": (176, 192)}
    vectors = np.concatenate([told.vectors[:, :16], noise, told.vectors[:, 16:]], axis=1)
    return dataclasses.replace(told, vectors=vectors, parts=parts)


def test_too_few_labels_choose_nothing(here):
    assert Collection(here).check(few(here.label("species"), 2)) == ()


def test_a_given_graph_comes_first(here):
    collection = Collection(here, graph=vector_graph(here.part("mel words")))
    assert [way.name for way in collection.ways] == ["alignment", "words", "all", "voices", "labels alone"]
    assert collection.fit(few(here.label("species"), 1)).way == "alignment"


def test_a_landmark_part_says_that_alignment_tells(here):
    parts = {"mel words landmarks": (0, 16), "mel voices": (16, 32)}
    assert Collection(dataclasses.replace(here, parts=parts)).ways[0].name == "words"
    silent = here.vectors.copy()
    silent[:, :16] = 0
    assert [way.name for way in Collection(dataclasses.replace(here, parts=parts, vectors=silent)).ways] == [
        "all", "labels alone",
    ]  # fmt: skip


def test_a_matrix_and_none_for_unknown_labels_will_do(here):
    labels = np.array([one or None for one in few(here.label("species"), 3)], dtype=object)
    made = fit_classifier(here.part("mel words"), labels).classifier
    assert made.model == ""
    assert (made.predict(here.part("mel words")).likeliest == here.label("species")).mean() > 0.95


def test_probabilities_are_calibrated_by_hidden_labels_or_said_not_to_be(here):
    truth = here.label("species")
    assert any("not calibrated" in note for note in fit_classifier(here, few(truth, 2)).notes)
    noisy = embeddings(each=60, noise=3.0)
    wrong = np.random.default_rng(0).permutation(few(noisy.label("species"), 20))
    doubtful = fit_classifier(noisy, wrong)  # labels that mean nothing
    assert not doubtful.notes
    sure = fit_classifier(here, few(truth, 15))
    assert doubtful.classifier.predict(noisy).confidence.mean() < 0.6 < sure.classifier.predict(here).confidence.mean()


def test_a_saved_classifier_answers_the_same(fitted, tmp_path):
    save_classifier(fitted.classifier, tmp_path / "made")
    again, others = load_classifier(tmp_path / "made"), embeddings(seed=5)
    for name in ("labels", "likeliest", "probabilities", "distances"):
        assert np.array_equal(getattr(again.predict(others), name), getattr(fitted.classifier.predict(others), name))
    assert again.about["way"] == fitted.way
    assert again.model == fitted.classifier.model


def test_labelling_loads_no_torch():
    code = "import sys, mfcl; mfcl.fit_classifier, mfcl.load_classifier; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_embeddings_of_another_model_are_refused_in_one_line(fitted):
    other = embeddings(model="cd" * 32)
    with pytest.raises(MeasureError, match="bound to the model abababababab, but these embeddings are of cdcd") as said:
        fitted.classifier.predict(other)
    assert "\n" not in str(said.value)
    with pytest.raises(MeasureError, match="do not name theirs"):
        fitted.classifier.predict(dataclasses.replace(other, model=""))
    with pytest.raises(MeasureError, match="abababababab whitened"):
        fitted.classifier.predict(dataclasses.replace(other, model=f"{'ab' * 32} whitened"))
    on_words = Collection(embeddings()).fit(few(embeddings().label("species"), 2), way="words").classifier
    lacking = "wanted embeddings with the part 'mel words' of 16 values, got 0; they are its model's, but lack that"
    with pytest.raises(MeasureError, match=lacking):
        on_words.predict(embeddings(roles=False))


def test_the_model_travels_with_the_embeddings(tmp_path, here):
    here.save(tmp_path / "e.npz")
    again = load_embeddings(tmp_path / "e.npz")
    assert again.model == here.model == again.select(np.arange(3)).model == again.only("mel").model
    assert again.scaled().model == here.model
    by = dataclasses.replace(here, splits=np.full(len(here), "train"))
    assert by.whiten(by.whitenings()).model == f"{here.model} whitened"
    assert Embeddings.concatenate([here, here]).model == here.model
    assert Embeddings.concatenate([here, dataclasses.replace(here, model="")]).model == ""


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "classifier.json").unlink(), "found no classifier.json"),
        (lambda folder: (folder / "classifier.safetensors").unlink(), "cannot read it"),
        (lambda folder: (folder / "classifier.safetensors").write_bytes(b"x" * 99), "not those that were written"),
        (lambda folder: changed(folder, format=9), "format 1, got 9"),
        (lambda folder: changed(folder, classes=["a", "a"]), "different names as 'classes'"),
        (lambda folder: changed(folder, classes=["a", "b"]), r"wanted weights of shape \(32, 2\), got \(32, 3\)"),
        (
            lambda folder: changed(folder, parts=["mel words", "more", "mel voices"]),
            "mean and directions of the part 'mel voices'",
        ),
        (lambda folder: changed(folder, sharpness=-1), "a sharpness above 0"),
        (lambda folder: changed(folder, model=3), "wanted the entry 'model'"),
    ],
)
def test_a_damaged_classifier_is_one_line(fitted, tmp_path, harm, message):
    save_classifier(fitted.classifier, tmp_path / "made")
    harm(tmp_path / "made")
    with pytest.raises(MfclError, match=message) as said:
        load_classifier(tmp_path / "made")
    assert "\n" not in str(said.value)


def changed(folder, **entries):
    path = folder / "classifier.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (lambda truth: np.full(len(truth), ""), "2 or more classes, got 0"),
        (lambda truth: np.where(truth == "dog", "dog", ""), "2 or more classes, got 1"),
        (lambda truth: truth[:-1], "one label per recording, for 90"),
        (lambda truth: np.zeros(len(truth)), "wanted texts"),
        (lambda truth: np.array([1.5] * len(truth), dtype=object), "wanted texts"),
    ],
)
def test_labels_that_cannot_be_used_are_one_line(here, labels, message):
    with pytest.raises(MeasureError, match=message):
        fit_classifier(here, labels(here.label("species")))


def test_other_faults_are_one_line(here):
    with pytest.raises(MeasureError, match="no way is called 'word'; use one of"):
        Collection(here).fit(few(here.label("species"), 1), way="word")
    with pytest.raises(MeasureError, match="least: wanted a number from 0 to 1, got nan"):
        Collection(here).fit(few(here.label("species"), 1)).classifier.predict(here, least=float("nan"))
    with pytest.raises(MeasureError, match="wanted one of the same 90 recordings, got one of 3"):
        Collection(here, graph=np.ones((3, 3), dtype=np.float32))
    for equal in (np.ones((5, 3)), np.full((300, 3), 3.14)):  # of many the deviation is not 0 but what rounding leaves
        with pytest.raises(MeasureError, match="all are equal"):
            Collection(equal)
    with pytest.raises(MeasureError, match="wanted 2 recordings or more"):
        Collection(np.ones((1, 3)))
    with pytest.raises(MeasureError, match="embeddings or a matrix"):
        Collection(np.array(["a", "b"]))


def test_a_later_way_is_taken_only_if_it_is_clearly_better():
    ways = [Way(name, name, "all") for name in ("first", "second")]

    def checked(way, rights):
        return Checked(way, sum(rights), len(rights), tuple(rights))

    half, all_right = [True, False] * 8, [True] * 16
    assert chosen_way(ways, [checked("first", half), checked("second", all_right)]).name == "second"
    one_more = [True, True, *half[2:]]
    assert chosen_way(ways, [checked("first", half), checked("second", one_more)]).name == "first"
    assert chosen_way(ways, []).name == "first"


@given(st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=1, max_size=80), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_folds_hide_labels_of_classes_with_several_and_leave_each_class_one(labels, most):
    known = np.array(labels)
    fold = folds_of(known, seed=1, most=most)
    counts = {name: labels.count(name) for name in "abc"}
    hidden = sum(count for count in counts.values() if count >= 2)
    if fold is None:
        assert hidden < 10
        return
    assert (fold >= 0).sum() == hidden
    for part, left in enumerate(hidden_sets(known, fold)):
        assert (left[fold == part] == "").all()
        assert set(left) - {""} == set(known) - {""}


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.integers(0, 12)), min_size=1, max_size=80))
@settings(max_examples=60, deadline=None)
def test_folds_of_files_hide_all_labels_of_a_file_together_and_leave_each_class_one(some):
    known, files = np.array([name for name, _ in some]), np.array([f"{file}.wav" for _, file in some])
    fold, alone = folds_of(known, seed=1, files=files), folds_of(known, seed=1)
    if fold is None or alone is None:
        assert fold is alone  # both None
        return
    assert set(np.unique(fold)) - {-1} == set(range(int(fold.max()) + 1))
    for left in hidden_sets(known, fold):
        assert set(left) - {""} == set(known) - {""}
    if divides_files(fold, files):  # too few labels are of classes of several files
        assert np.array_equal(fold, alone)
    else:
        assert all(len(np.unique(fold[(files == one) & (fold >= 0)])) <= 1 for one in files)
    assert np.array_equal(folds_of(known, seed=1, files=np.arange(len(known)).astype(str)), alone)


def windows_of(recordings, *, noise, seed=0):
    """Vectors of ten windows of each recording, which are like it, of recordings that are hardly like their class."""
    draw = np.random.default_rng(seed)
    classes = 3 * draw.standard_normal((3, 16))
    owners = np.repeat(np.arange(recordings), 10)
    here = classes[np.arange(recordings) % 3] + noise * draw.standard_normal((recordings, 16))
    vectors = (here[owners] + 0.3 * draw.standard_normal((len(owners), 16))).astype(np.float32)
    ids = np.array([f"{owner}.wav@{float(place % 10)}" for place, owner in enumerate(owners)])
    blank = np.full(len(ids), "")
    made = Embeddings(vectors, ids, {"start": blank, "end": blank}, {"wave": (0, 16)}, blank)
    return made, np.array(list("abc"))[owners % 3], owners


def test_labels_of_windows_are_not_read_from_windows_of_the_same_recording():
    made, truth, owners = windows_of(24, noise=6.0)
    known = np.where(owners < 12, truth, "")
    found = fit_classifier(made, known)
    right = float((found.classifier.predict(made).likeliest == truth)[owners >= 12].mean())
    read = max(one.share for one in found.checked)
    assert abs(read - right) < 0.25
    assert right < 0.8
    apart = dataclasses.replace(made, ids=np.arange(len(owners)).astype(str))
    assert max(one.share for one in fit_classifier(apart, known).checked) > 0.95  # of ids that do not tell
    assert not found.notes


def test_labels_of_one_recording_alone_are_said_to_be_read_from_one_another():
    made, truth, owners = windows_of(3, noise=0.5)
    found = fit_classifier(made, np.where(np.arange(len(owners)) % 2, truth, ""))
    assert sum(one.count for one in found.checked[:1]) == 15
    assert any("labels of one recording were hidden and read from others of it" in note for note in found.notes)
    few_files, truth, owners = windows_of(6, noise=0.5)
    found = fit_classifier(few_files, np.where(np.arange(len(owners)) % 4 == 0, truth, ""))
    assert "20 labels of classes in two recordings or more are wanted, 15 are given" in "".join(found.notes)


def test_shares_that_are_certain_give_the_classifier_of_labels():
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((60, 5)), np.repeat(["a", "b", "c"], 20)
    x[:20, 0] += 2
    x[20:40, 1] += 2
    shares = (y[:, None] == np.array(["a", "b", "c"])).astype(np.float64)
    counts = np.ones(60)
    weights, bias = fit_shares(x, shares, counts, strength=1.0)
    chances = np.exp(x @ weights + bias)
    chances /= chances.sum(axis=1, keepdims=True)
    slope = x.T @ (chances - shares) + weights  # of the loss, which is 0 at its lowest
    assert np.abs(slope).max() < 1e-3
    twice, _ = fit_shares(np.concatenate([x, x]), np.concatenate([shares, shares]), np.full(120, 0.5), strength=1.0)
    assert np.abs(twice - weights).max() < 1e-3
    plain = fit_classifiers(x, y, standard=x, strengths=[1.0])[1.0]
    assert (plain.predict(x) == np.array(["a", "b", "c"])[chances.argmax(axis=1)]).mean() > 0.95
    with pytest.raises(MeasureError, match="positive L2 strength"):
        fit_shares(x, shares, counts, strength=0)


@given(st.integers(1, 400), st.data(), st.floats(0.5, 0.99))
@settings(max_examples=80, deadline=None)
def test_an_interval_holds_the_accuracy_and_more_labels_narrow_it(count, data, level):
    right = data.draw(st.integers(0, count))
    low, high = wilson(right, count, level=level)
    assert 0 <= low <= right / count <= high <= 1
    found = estimate(np.array(["a"] * count), np.array(["a"] * right + ["b"] * (count - right)), level=level)
    assert (found.right, found.count) == (right, count)
    more = found.more_for(0.1)
    total = count + more
    narrow = wilson(found.accuracy * total, total, level=level)
    assert narrow[1] - narrow[0] <= 0.1 + 1e-9
    if more > 1:
        wide = wilson(found.accuracy * (total - 1), total - 1, level=level)
        assert wide[1] - wide[0] > 0.1 - 1e-9


def test_as_many_labels_are_asked_for_as_an_interval_takes():
    found = estimate(np.array(["a"] * 100), np.array(["a"] * 50 + ["b"] * 50), level=0.999)
    total = 100 + found.more_for(1e-3)  # the narrowest and surest that can be asked for
    low, high = wilson(total / 2, total, level=0.999)
    assert high - low <= 1e-3
    ten = estimate(np.array(["a"] * 10), np.array(["a"] * 9 + ["b"]))
    assert 10 + ten.more_for(assistant.WIDTH) == assistant.FIRST  # told before any label is there


def test_an_interval_is_as_often_right_as_it_says():
    draw = np.random.default_rng(0)
    inside = []
    for _ in range(2000):
        low, high = wilson(int(draw.binomial(30, 0.85)), 30)
        inside.append(low <= 0.85 <= high)
    assert 0.92 < np.mean(inside) < 0.98


def test_an_estimate_leaves_out_what_is_not_known_and_counts_unknown_as_wrong():
    found = estimate(np.array(["a", "b", UNKNOWN, "a"]), np.array(["a", "a", "a", None], dtype=object))
    assert (found.right, found.count) == (1, 3)
    with pytest.raises(MeasureError, match="none is known"):
        estimate(np.array(["a"]), np.array([""]))
    with pytest.raises(MeasureError, match="one predicted and one true label"):
        estimate(np.array(["a"]), np.array(["a", "b"]))
    with pytest.raises(MeasureError, match="width: wanted a number from"):
        found.more_for(0)


def test_held_out_recordings_are_unlabelled_and_a_larger_draw_goes_on():
    labels = np.array(["a", "", "", "b", *[""] * 20])
    first, more = draw_held_out(labels, 5, seed=3), draw_held_out(labels, 12, seed=3)
    assert (labels[more] == "").all()
    assert len(set(more.tolist())) == 12
    assert more[:5].tolist() == first.tolist()
    with pytest.raises(MeasureError, match="from 1 to 22"):
        draw_held_out(labels, 23)
    with pytest.raises(MeasureError, match="from 1 to 22"):
        draw_held_out(labels, True)
    with pytest.raises(MeasureError, match="all 2 recordings have a label"):
        draw_held_out(np.array(["a", "b"]), 1)


def test_the_public_names_are_there():
    for name in (
        "Collection",
        "LabelClassifier",
        "estimate",
        "fit_classifier",
        "load_classifier",
        "classify",
        "similar",
    ):
        assert callable(getattr(mfcl, name)), name


def test_the_start_of_a_fit_changes_the_steps_and_not_the_answer() -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((40, 60)).astype(np.float32)  # more features than recordings
    shares, counts = rng.dirichlet(np.ones(3), size=40), rng.uniform(0.1, 1, size=40)
    weights, bias = fit_shares(rows, shares, counts, strength=2.0)
    again = fit_shares(rows, shares, counts, strength=2.0, start=(weights + rng.standard_normal(weights.shape), bias))
    assert np.allclose(again[0], weights, atol=1e-4)
    assert np.allclose(again[1], bias, atol=1e-4)
    scores = rows @ weights + bias  # at the minimum the gradient of the loss is 0
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    wrong = counts[:, None] * (chances - shares)
    assert np.abs(rows.T @ wrong + 2.0 * weights).max() < 1e-3
    assert np.abs(wrong.sum(axis=0) + 2.0 * bias).max() < 1e-3


def test_where_a_model_learned_nothing_the_average_spectrum_is_read_and_it_is_said() -> None:
    table, truth = beside_noise(learned=False)
    fitted = fit_classifier(table, few(truth, 8))
    assert fitted.way == "spectrum"
    assert [one.way for one in fitted.checked] == ["all", "words", "voices", "labels alone", "spectrum"]
    assert any("average spectrum alone" in note and "mfcl study" in note for note in fitted.notes)
    assert list(fitted.classifier.features.whitenings) == ["mel voices spectrum"]
    assert np.mean(fitted.classifier.predict(table).likeliest == truth) > 0.9


def test_where_a_model_learned_the_average_spectrum_is_not_even_tried() -> None:
    table, truth = beside_noise(learned=True)
    fitted = fit_classifier(table, few(truth, 8))
    assert fitted.way != "spectrum"
    assert "spectrum" not in [one.way for one in fitted.checked]
    assert not any("spectrum" in note for note in fitted.notes)


def test_a_classifier_of_the_average_spectrum_is_saved_and_answers_alike(tmp_path) -> None:
    table, truth = beside_noise(learned=False)
    made = fit_classifier(table, few(truth, 8)).classifier
    save_classifier(made, tmp_path / "made")
    assert np.allclose(
        load_classifier(tmp_path / "made").predict(table).probabilities, made.predict(table).probabilities, atol=1e-6
    )


def test_rows_that_count_nothing_are_as_if_they_were_not_there_with_classes_of_unequal_size() -> None:
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((200, 30)).astype(np.float32)
    shares = rng.dirichlet([20.0, 2.0, 0.2, 0.02], size=200)
    counts = np.where(np.arange(200) < 150, rng.uniform(0.1, 1, size=200), 0.0)
    weights, bias = fit_rows(as_rows(rows), shares, counts, strength=2.0)
    fewer, own = fit_shares(rows[:150], shares[:150], counts[:150], strength=2.0)
    assert np.allclose(weights, fewer, atol=1e-5)
    assert np.allclose(bias, own, atol=1e-5)
    assert np.abs(weights.sum(axis=1)).max() < 1e-6
    chances = np.exp(rows @ weights + bias)
    wrong = counts[:, None] * (chances / chances.sum(axis=1, keepdims=True) - shares)
    assert np.abs(rows.T @ wrong + 2.0 * weights).max() < 1e-3
    rough, _ = fit_rows(as_rows(rows), shares, counts, strength=2.0, tolerance=1e-6)
    assert 0 < np.abs(rough - weights).max() < 1e-2


def test_labels_spread_item_by_item_are_spread_as_all_at_once(here, monkeypatch: pytest.MonkeyPatch) -> None:
    ties, truth = vector_graph(here.vectors), here.label("species")
    sources, known = Sources(ties), few(truth, 2)
    spread: list[int] = []
    alone = Sources._spread_alone
    monkeypatch.setattr(Sources, "_spread_alone", lambda own, new: spread.append(len(new)) or alone(own, new))

    def check(labels: np.ndarray) -> None:
        fold = folds_of(labels, seed=0)
        sets = labels[None] if fold is None else np.concatenate([labels[None], hidden_sets(labels, fold)])
        for one, other in zip(sources.spread(sets), propagate_each(ties, sets), strict=True):
            assert one.classes.tolist() == other.classes.tolist()
            assert np.abs(one.scores - other.scores).max() < 1e-12

    check(known)
    first = int((known != "").sum())
    free = np.flatnonzero(known == "")
    known[free[0]] = truth[free[0]]
    check(known)
    assert spread == [first, 1]  # only what is new was spread
    check(np.where(known == CLASSES[0], "another name", known))
    check(np.where(np.arange(len(known)) == free[0], "", known))
    assert spread == [first, 1]
    monkeypatch.setattr("mfcl.labelling.sources.MOST_VALUES", (first + 1) * len(known))
    moved = known.copy()
    moved[free[0]], moved[free[1]] = "", truth[free[1]]
    check(moved)  # there is no room for both: the one without a label is dropped
    check(known)
    assert spread == [first, 1, 1, 1]
    known[free[1]] = truth[free[1]]
    check(known)
    assert spread == [first, 1, 1, 1]  # too many labels: all at once
    with pytest.raises(MeasureError, match="at least one known label"):
        sources.spread(np.full((1, len(known)), ""))
    with pytest.raises(MeasureError, match="one label per item"):
        sources.spread(known[None, 1:])
