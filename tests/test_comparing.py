import dataclasses
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mfcl.checkpoint import save_checkpoint
from mfcl.data.dataset import open_data
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest
from mfcl.data.manifest_csv import read_manifest, write_manifest
from mfcl.data.splits import split
from mfcl.embeddings.table import Embeddings
from mfcl.errors import ManifestError, MeasureError, MfclError
from mfcl.evaluation import wording
from mfcl.evaluation.result import ENROLLED, KNN, Question, Result
from mfcl.evaluation.tasks import measure_labels, measure_voices
from mfcl.models.pair import make_model
from mfcl.studies.alike import in_common
from mfcl.studies.comparing import compare, compare_files, run_names
from mfcl.studies.paired import Compared, compare_tables, paired
from tests.small_run import tiny
from tests.small_study import task
from tests.sounds import write_corpus
from tests.test_tasks import corpus as vectors


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two run folders of one split, and their corpus beside them."""
    folder = tmp_path_factory.mktemp("comparing")
    manifest = open_manifest(write_corpus(folder / "corpus", speakers=8, digits=3, takes=4, seconds=0.2))
    made = split(manifest, "label", seed=0, label="speaker", test=0.6)
    recipe = tiny()
    for seed, name in enumerate(("one", "two")):
        save_checkpoint(make_model(recipe.model, seed=seed), recipe, folder / name / "model")
        write_manifest(made, folder / name / "manifest.csv")
    return [folder / "one", folder / "two"]


def test_intervals_over_files_of_segments_are_not_called_ones_over_speakers() -> None:
    made = vectors(digit=0.6)
    cut = np.array([f"{place // 6}.wav#{place % 6}.0-{place % 6 + 1}.0" for place in range(len(made))])
    windows = np.array([f"{place // 6}.wav@{place % 6}.0" for place in range(len(made))])
    timed = dataclasses.replace(made, ids=windows, labels={**made.labels, "start": windows, "end": windows})
    named = {ids: dataclasses.replace(made, ids=own) for ids, own in (("cut", cut), ("whole", made.ids))}
    cases = [("cut", None, "files"), ("whole", None, "recordings"), ("cut", "speaker", "speakers")]
    for one, speaker, over in (*((named[ids], *rest) for ids, *rest in cases), (timed, None, "recordings")):
        found = measure_labels(one, "digit", speaker, seed=0)
        assert f"intervals over {over} in [ ]" in compare_tables(paired({"one": found, "two": found}))
    bare = [dataclasses.replace(one, low=None, high=None) for one in found]
    text = compare_tables(paired({"one": bare, "two": bare}))
    assert "labels: no figure has an interval, all may be chance; in ( ) the difference to one" in text
    assert "in [ ]" not in text


def test_checkpoints_are_measured_alike_and_beside_the_first(runs: list[Path], tmp_path: Path) -> None:
    found = compare(runs, cache=tmp_path, device="cpu", progress=False)
    names = [one.run for one in found]
    assert names == ["one"] * names.count("one") + ["two"] * names.count("one")
    first, second = ([one for one in found if one.run == name] for name in ("one", "two"))
    assert {one.result.question.section for one in found} == {"labels", "voices"}
    for one, other in zip(first, second, strict=True):
        assert one.result.question == other.result.question
        assert (one.difference, one.low, one.high) == (None, None, None)
        assert other.difference == other.result.value - one.result.value
        lacking = other.result.question.metric == "min_dcf"  # it has no draws; five test speakers are enough for others
        assert (other.low is None) == lacking
    assert any(one.difference for one in second)
    text = compare_tables(found)
    assert "difference to one" in text
    assert "digit, linear probe, all labels" in text
    again = compare([run / "model" for run in runs], cache=tmp_path, device="cpu", progress=False)
    assert again == found


def test_a_part_of_runs_is_compared_alone_and_one_that_none_has_is_refused(runs: list[Path], tmp_path: Path) -> None:
    options = {"label": "digit", "cache": tmp_path, "device": "cpu", "progress": False}
    figures = [
        [one.result.value for one in compare(runs, **options, **asked)]
        for asked in ({"part": "wave"}, {"format": "wave"}, {"part": "mel"})
    ]
    assert figures[0] == figures[1] != figures[2]
    with pytest.raises(MeasureError, match="no part is called 'words'; use one of mel, wave"):
        compare(runs, **options, part="words")


def test_labels_are_measured_by_words_and_speakers_by_voices(tmp_path: Path) -> None:
    plain = vectors(digit=2.0)
    noise = np.random.default_rng(1).standard_normal(plain.vectors.shape).astype(np.float32)
    dim = plain.dim
    parts = {"mel words": (0, dim), "mel voices": (dim, 2 * dim)}
    both = dataclasses.replace(plain, vectors=np.hstack([plain.vectors, noise]), parts=parts)
    swapped = dataclasses.replace(both, vectors=np.hstack([noise, plain.vectors]))
    both.save(tmp_path / "both.npz")
    swapped.save(tmp_path / "swapped.npz")
    found = compare_files([tmp_path / "both.npz", tmp_path / "swapped.npz"], label="digit")
    accuracy = {
        one.run: one.result.value for one in found if one.result.question.probe == KNN
    }  # fmt: skip
    assert accuracy["both.npz"] > 80 > accuracy["swapped.npz"]


def test_labels_are_compared_where_voices_cannot_be_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = vectors(digit=2.0)
    alone = dataclasses.replace(made, labels={**made.labels, "speaker": made.ids})
    for name in ("a.npz", "b.npz"):
        alone.save(tmp_path / name)
    found = compare_files([tmp_path / "a.npz", tmp_path / "b.npz"])
    assert {one.result.question.section for one in found} == {"labels"}
    assert {one.run for one in found} == {"a.npz", "b.npz"}
    assert capsys.readouterr().err.count("note: voices are not measured: voices: 2 speakers and 2 clips of one") == 1
    (tmp_path / "bare").mkdir()
    for name in ("a.npz", "b.npz"):
        dataclasses.replace(alone, labels={"speaker": made.ids}).save(tmp_path / "bare" / name)
    with pytest.raises(MeasureError, match="2 speakers and 2 clips of one are wanted"):
        compare_files([tmp_path / "bare" / "a.npz", tmp_path / "bare" / "b.npz"])


def test_an_id_of_several_items_is_refused_as_the_last_of_them_stood_for_all() -> None:
    made = vectors(digit=0.6)
    ids = made.ids.copy()
    ids[:2], ids[4] = ids[2], ids[3]
    twice = dataclasses.replace(made, ids=ids)
    with pytest.raises(MeasureError, match=f"compare: 2 ids are of several items in number 2 .* first '{ids[2]}'"):
        in_common([made, twice])


def test_other_data_can_be_named(runs: list[Path], tmp_path: Path) -> None:
    new = write_corpus(tmp_path / "new", speakers=6, digits=2, takes=4, seconds=0.2)
    found = compare(runs, new, label="digit", cache=tmp_path / "cache", device="cpu", progress=False)
    assert {one.result.n for one in found if one.result.question.section == "labels"} == {
        16
    }  # a quarter of 6 speakers: 2


def test_recordings_that_a_run_was_trained_on_are_no_test(runs: list[Path], tmp_path: Path) -> None:
    data = runs[0].parent / "corpus"
    with pytest.raises(MeasureError, match=r"one: was trained on \d+ of the test recordings"):
        compare(runs, data, split_by="speaker", seed=1, cache=tmp_path, device="cpu", progress=False)


def test_copies_of_what_a_run_was_trained_on_are_no_test(runs: list[Path], tmp_path: Path) -> None:
    shutil.copytree(runs[0].parent / "corpus", tmp_path / "copied")
    settings = {"split_by": "speaker", "seed": 1, "cache": tmp_path / "cache", "device": "cpu", "progress": False}
    with pytest.raises(MeasureError, match=r"one: was trained on \d+ of the test recordings"):
        compare(runs, tmp_path / "copied", **settings)
    for file in (tmp_path / "copied").rglob("*.wav"):
        samples, rate = soundfile.read(file, dtype="int16")
        samples[0] ^= 1  # of the same size, and other sound
        soundfile.write(file, samples, rate)
    assert compare(runs, tmp_path / "copied", **settings)


@pytest.mark.parametrize("whole", [True, False])
def test_a_part_of_a_recording_that_a_run_was_trained_on_is_no_test(
    runs: list[Path], tmp_path: Path, whole: bool
) -> None:
    """Whichever of both is the part: the run's recordings, or those to measure on."""
    listed = read_manifest(runs[0] / "manifest.csv")
    trained = [replace(one, split="train") for one in listed if one.split == "test"]
    measured = [replace(one, id=f"{one.id} cut", start=0.02, end=0.15) for one in listed]
    apart = [replace(one, id=f"{one.id} end", start=0.099, end=0.2) for one in listed]  # times are rounded
    for name in ("one", "two"):
        shutil.copytree(runs[0].parent / name, tmp_path / name)
        own = trained if whole else [replace(one, start=0.0, end=0.1) for one in trained]
        write_manifest(Manifest(tuple(own), tmp_path), tmp_path / name / "manifest.csv")
    kept, settings = [tmp_path / "one", tmp_path / "two"], {"cache": tmp_path / "cache", "progress": False}
    for some, refused in ((measured, True), (apart, whole)):
        write_manifest(Manifest(tuple(some), tmp_path), tmp_path / "data.csv")
        if refused:
            with pytest.raises(MeasureError, match=r"one: was trained on \d+ of the test recordings"):
                compare(kept, tmp_path / "data.csv", protocol="manifest", device="cpu", **settings)
        else:
            assert compare(kept, tmp_path / "data.csv", protocol="manifest", device="cpu", **settings)


def test_runs_are_compared_on_recordings_that_were_moved(runs: list[Path], tmp_path: Path) -> None:
    for run in runs:
        shutil.copytree(run, tmp_path / "kept" / run.name)
        text = (run / "manifest.csv").read_text().replace(str(runs[0].parent), "/gone/away")
        (tmp_path / "kept" / run.name / "manifest.csv").write_text(text)
    kept = [tmp_path / "kept" / run.name for run in runs]
    with pytest.raises(ManifestError, match=r"none of its 96 files exists.*data_root"):
        compare(kept, cache=tmp_path, device="cpu", progress=False)
    found = compare(kept, data_root=runs[0].parent / "corpus", cache=tmp_path, device="cpu", progress=False)
    assert {one.run for one in found} == {"one", "two"}


def test_a_run_that_is_not_there_is_said_before_any_work(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked: list[str] = []
    monkeypatch.setattr("mfcl.studies.comparing.open_suited", lambda *_, **__: worked.append("opened"))
    with pytest.raises(MfclError, match="none: wanted a checkpoint or a run folder, found nothing there"):
        compare([runs[0], tmp_path / "none"], cache=tmp_path, device="cpu", progress=False)
    assert not worked


def test_runs_without_a_list_want_data(runs: list[Path], tmp_path: Path) -> None:
    recipe = tiny()
    for name in ("bare", "other"):
        save_checkpoint(make_model(recipe.model, seed=0), recipe, tmp_path / name)
    with pytest.raises(MeasureError, match=r"wanted a run folder with manifest.csv, found none"):
        compare([tmp_path / "bare", tmp_path / "other"], progress=False)
    with pytest.raises(MeasureError, match="wanted 2 or more runs, got 1"):
        compare(runs[:1], progress=False)
    with pytest.raises(MeasureError, match="one is given twice"):
        compare([runs[0], runs[0] / "model"], progress=False)


def test_controls_are_embedded_and_compared_by_name(runs: list[Path], tmp_path: Path) -> None:
    names = ["mfcc", "logmel", "hydra", "spectrum", "untrained", "alignment"]
    found = compare([runs[0], *map(Path, names)], cache=tmp_path, device="cpu", progress=False)
    assert list(dict.fromkeys(one.run for one in found)) == ["one", *names]
    asked = Question("labels", "accuracy", "digit", KNN)
    values = {one.run: one.result.value for one in found if one.result.question == asked}
    assert len(values) == 7
    assert len(set(values.values())) > 2
    own = compare([Path("untrained"), runs[0]], cache=tmp_path, device="cpu", progress=False)  # a control may be first
    again = {one.run: one.result.value for one in own if one.result.question == asked}
    assert again["untrained"] == values["untrained"]
    assert {one.difference is None for one in own if one.run == "one"} == {False}
    corpus = runs[0].parent / "corpus"
    alone = compare([Path("mfcc"), Path("logmel")], corpus, cache=tmp_path, device="cpu", progress=False)
    assert {one.run for one in alone} == {"mfcc", "logmel"}
    with pytest.raises(MeasureError, match="compare: wanted recordings; give the recordings to measure on as data"):
        compare([Path("mfcc"), Path("logmel")], cache=tmp_path, progress=False)


def test_a_control_beside_a_file_of_embeddings_has_the_files_splits(runs: list[Path], tmp_path: Path) -> None:
    opened = open_data(runs[0].parent / "corpus", tiny().preparation, cache=tmp_path / "cache", progress=False, seed=5)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((len(opened.store), 8)).astype(np.float32)
    labels = {name: opened.manifest.column(name) for name in opened.manifest.label_names}
    file = tmp_path / "noise.npz"
    made = Embeddings(noise, opened.manifest.ids, labels, {"wave": (0, 8)}, opened.manifest.splits)
    made.save(file)
    settings = {"cache": tmp_path / "cache", "progress": False}
    data = runs[0].parent / "corpus"
    found = compare_files([file, Path("logmel")], data=data, **settings)
    asked = Question("labels", "accuracy", "digit", KNN)
    values = {one.run: one for one in found if one.result.question == asked}
    assert values["logmel"].result.value > values["noise.npz"].result.value
    tested = values["logmel"].result.evidence.ids.tolist()
    assert tested == made.ids[made.splits == "test"].tolist()
    with pytest.raises(MeasureError, match="a control wants its recordings as data"):
        compare_files([file, Path("logmel")])
    with pytest.raises(MeasureError, match=r"untrained wants a run instead of noise\.npz"):
        compare_files([file, Path("untrained")], data=data, **settings)


def by_name(**found: list[Result]) -> dict[str, dict[str, Compared]]:
    return {
        name: {f"{task(one.result)}, {one.result.question.metric}": one for one in paired(found) if one.run == name}
        for name in found
    }


def everything(embeddings: Embeddings) -> list[Result]:
    found = measure_labels(embeddings, "digit", "speaker", seed=0)
    return found + measure_voices(embeddings, "digit", "speaker", seed=0)


def test_files_of_embeddings_are_compared_whole_or_by_a_part(tmp_path: Path) -> None:
    plain, better = vectors(digit=0.6, voice=1.0), vectors(digit=2.0, voice=1.0)
    files = [tmp_path / "plain.npz", tmp_path / "better.npz"]
    for file, one in zip(files, (plain, better), strict=True):
        one.save(file)
    whole = {(one.run, one.result.question): one for one in compare_files(files)}
    asked = Question("labels", "accuracy", "digit", KNN)
    assert whole[("better.npz", asked)].difference > 0
    assert whole[("better.npz", asked)].low > 0
    alone = {(one.run, one.result.question): one for one in compare_files(files, part="wave")}
    by_hand = {m.question: m.value for m in measure_labels(plain.only("wave"), "digit", "speaker", seed=0)}
    assert alone[("plain.npz", asked)].result.value == by_hand[asked] != whole[("plain.npz", asked)].result.value
    unnamed = dataclasses.replace(plain, labels={})
    unnamed.save(files[0])
    with pytest.raises(MeasureError, match=r"plain\.npz: no label to predict"):
        compare_files(files)


def test_files_without_a_split_say_what_to_embed(tmp_path: Path) -> None:
    bare = dataclasses.replace(vectors(digit=2.0), splits=np.full(208, ""))
    for name in ("a.npz", "b.npz"):
        bare.save(tmp_path / name)
    with pytest.raises(
        MeasureError, match=r"a\.npz: none of its recordings is of the split train, .* a column `split`"
    ):
        compare_files([tmp_path / "a.npz", tmp_path / "b.npz"])


def test_files_with_other_labels_or_splits_of_the_same_recordings_are_refused(tmp_path: Path) -> None:
    plain = vectors(digit=2.0)
    plain.save(tmp_path / "plain.npz")
    for name, message in (("digit", "labels 'digit' differ"), ("speaker", "labels 'speaker' differ"), ("", "splits")):
        column = (plain.labels[name] if name else plain.splits).copy()
        column[[3, 7]] = ["9", "8"] if name else ["valid", ""]
        changed = {"labels": {**plain.labels, name: column}} if name else {"splits": column}
        dataclasses.replace(plain, **changed).save(tmp_path / "other.npz")
        with pytest.raises(
            MeasureError, match=rf"other\.npz: its {message}.* of plain\.npz in 2 of 208 recordings; embed"
        ):
            compare_files([tmp_path / "plain.npz", tmp_path / "other.npz"])
    plain.select(np.arange(len(plain))[::-1]).save(tmp_path / "other.npz")  # the order does not count
    assert {one.difference for one in compare_files([tmp_path / "plain.npz", tmp_path / "other.npz"])} == {None, 0.0}


def test_what_is_equal_differs_by_nothing_and_what_is_better_differs_for_certain() -> None:
    weak, strong = everything(vectors(digit=0.3, voice=0.3)), everything(vectors(digit=2.0, voice=2.0))
    found = by_name(a=weak, b=weak, c=strong)
    for name, one in found["b"].items():
        assert (name, one.difference) == (name, 0)
        assert (one.low, one.high) == (None, None)  # there is no spread to tell of
    for name, one in found["c"].items():
        if one.low is None or one.high is None:
            continue
        assert one.low <= one.difference <= one.high
        assert one.high < 0 if name.endswith("eer") else one.low > 0


def test_a_paired_interval_is_narrower_than_that_of_two_figures() -> None:
    plain = vectors(digit=0.6)
    noise = 0.2 * np.random.default_rng(2).standard_normal(plain.vectors.shape)
    near = dataclasses.replace(plain, vectors=(plain.vectors + noise).astype(np.float32))
    found = by_name(a=everything(plain), b=everything(near))
    name = "voices, all pairs of unseen speakers, eer"
    one, other = found["a"][name].result, found["b"][name]
    assert other.high - other.low < 0.7 * (one.high - one.low + other.result.high - other.result.low)


def test_of_few_speakers_the_table_tells_no_interval_and_why() -> None:
    few = [view.select(np.flatnonzero(~np.isin(view.labels["speaker"], ["08", "09", "10"]))) for view in
           (vectors(digit=0.3, voice=0.3), vectors(digit=2.0, voice=2.0))]  # fmt: skip
    found = paired({"a": everything(few[0]), "b": everything(few[1])})
    assert all(one.low is one.result.low is None for one in found)
    text = compare_tables(found)
    assert "[" not in text.replace("in [ ]", "")
    assert "- no interval of 2 groups (speakers, else recordings); 5 or more are wanted" in text


def test_figures_of_other_recordings_have_no_difference() -> None:
    whole = vectors(digit=1.0)
    digits = whole.labels["digit"].copy()
    digits[-1] = ""
    part = dataclasses.replace(whole, labels={**whole.labels, "digit": digits})
    found = paired({"a": everything(whole), "b": everything(part)})
    (one,) = [
        one
        for one in found
        if one.run == "b" and wording.task(one.result.question) == "digit, linear probe, all labels"
    ]
    assert (one.difference, one.low) == (None, None)
    assert "b: digit, linear probe, all labels is of other recordings than the first's" in compare_tables(found)


def test_only_what_all_could_read_is_compared() -> None:
    whole = vectors()
    part = whole.select(np.array([5, 3, 9]))
    one, other = in_common([whole, part])
    assert one.ids.tolist() == other.ids.tolist() == whole.ids[[3, 5, 9]].tolist()
    np.testing.assert_array_equal(one.vectors, other.vectors)
    with pytest.raises(MeasureError, match="no recording could be read by all"):
        in_common([part, whole.select(np.array([0]))])


def test_a_table_has_a_column_a_run_and_a_dash_where_nothing_was_measured() -> None:
    figure = Result(Question("labels", "accuracy", "digit", KNN), 90.0, 88.0, 92.0, 10)
    cost = Result(Question("voices", "min_dcf", "speaker", ENROLLED, enrolled=1), 0.5, None, None, 10)
    found = [Compared("a", figure), Compared("a", cost), Compared("b", figure, 1.5, 0.5, 2.5)]
    lines = compare_tables(found, style="github").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    assert cells[0] == ["task", "metric", "a", "b"]
    assert cells[1] == [
        "digit, 5-NN, no training",
        "accuracy",
        "90.0 [88.0, 92.0]",
        "90.0 [88.0, 92.0] (+1.5 [+0.5, +2.5])",
    ]
    assert cells[3] == ["voices, 1 clip enrolled", "min_dcf", "0.500", "-"]
    assert found[2].row()["difference_low"] == 0.5
    assert run_names([Path("x/one/model"), Path("y/one"), Path("y/two")]) == ["x/one", "y/one", "y/two"]
