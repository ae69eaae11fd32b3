import io
import json
import os
import random
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError


def make(items: int = 4, *, wave: int = 2, mel: int = 3) -> Embeddings:
    numbers = np.random.default_rng(items)
    return Embeddings(
        vectors=numbers.normal(size=(items, wave + mel)).astype(np.float32),
        ids=np.array([f"clips/{place}.wav" for place in range(items)], dtype=np.str_),
        labels={"digit": np.array([str(place % 2) for place in range(items)], dtype=np.str_)},
        parts={"wave": (0, wave), "mel": (wave, wave + mel)},
        splits=np.array(["train"] * items, dtype=np.str_),
    )


def equal(one: Embeddings, other: Embeddings) -> bool:
    columns = [(one.vectors, other.vectors), (one.ids, other.ids), (one.splits, other.splits)]
    columns += [(one.labels[name], other.labels[name]) for name in one.labels]
    same = all(np.array_equal(first, second) for first, second in columns)
    return same and one.parts == other.parts and list(one.labels) == list(other.labels)


@given(items=st.integers(0, 9), label=st.text(min_size=1, max_size=8))
@settings(deadline=None, max_examples=25)
def test_a_file_reads_back_the_same(items: int, label: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("saved") / "vectors.npz"
    kept = replace(make(items), labels={"speaker": np.full(items, "ü"), label: np.full(items, "")})
    kept.save(path)
    assert equal(load_embeddings(path), kept)


def test_a_part_is_one_formats_columns() -> None:
    both = make()
    assert np.array_equal(np.hstack([both.part("wave"), both.part("mel")]), both.vectors)
    mel = both.only("mel")
    assert np.array_equal(mel.part("mel"), both.part("mel"))
    assert mel.dim == 3
    with pytest.raises(MeasureError, match="did you mean 'wave'"):
        both.part("waev")


def test_a_part_of_whitened_embeddings_is_whitened_as_it_would_be_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).standard_normal((60, 9)).astype(np.float32)
    names = np.array([f"{place:02d}" for place in range(60)])
    parts = {"wave words": (0, 2), "wave voices": (2, 5), "mel words": (5, 9)}
    both = Embeddings(vectors, names, {}, parts, np.repeat(["train", "test"], 30))
    alone = {name: both.only(name).whitened for name in ("wave", "mel", "words", "voices")}
    assert both.whitened.shape == (60, 9)
    monkeypatch.setattr(Embeddings, "whitenings", lambda _: pytest.fail("fitted again"))
    for name, wanted in alone.items():
        np.testing.assert_array_equal(both.only(name).whitened, wanted)


def test_scaled_parts_each_have_length_one_and_a_zero_vector_stays_zero() -> None:
    both = make()
    both.vectors[0] = 0
    scaled = both.scaled()
    for name in ("wave", "mel"):
        assert np.linalg.norm(scaled.part(name), axis=1) == pytest.approx([0, 1, 1, 1], abs=1e-6)
    assert scaled.vectors is not both.vectors


def test_selected_items_keep_their_labels_in_the_order_asked_for() -> None:
    some = make().select(np.array([3, 0]))
    assert some.ids.tolist() == ["clips/3.wav", "clips/0.wav"]
    assert some.label("digit").tolist() == ["1", "0"]
    assert np.array_equal(some.vectors, make().vectors[[3, 0]])
    with pytest.raises(MeasureError, match="did you mean 'digit'"):
        some.label("digits")


def test_items_put_together_keep_all_labels() -> None:
    other = replace(make(2), labels={"speaker": np.array(["a", "b"])})
    both = Embeddings.concatenate([make(2), other])
    assert both.labels["digit"].tolist() == ["0", "1", "", ""]
    assert both.labels["speaker"].tolist() == ["", "", "a", "b"]
    assert len(both) == 4
    with pytest.raises(MeasureError, match="2 kinds"):
        Embeddings.concatenate([make(), make(wave=1, mel=4)])


def test_columns_that_do_not_fit_the_vectors_are_refused() -> None:
    with pytest.raises(MeasureError, match="4 vectors, but ids has shape"):
        replace(make(), ids=np.array(["a"]))
    with pytest.raises(MeasureError, match="4 vectors, but label 'digit'"):
        replace(make(), labels={"digit": np.array(["1"])})
    with pytest.raises(MeasureError, match="part 'wave' is columns 0 to 9"):
        replace(make(), parts={"wave": (0, 9)})


def test_files_that_are_not_whole_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npz"
    with pytest.raises(MeasureError, match="no such file"):
        load_embeddings(path)
    make(400).save(path)
    whole = path.read_bytes()
    np.savez(tmp_path / "other.npz", vectors=np.zeros(3))
    np.save(tmp_path / "array.npy", np.zeros(3))
    foreign = [(tmp_path / name).read_bytes() for name in ("other.npz", "array.npy")]
    for content in (whole[: len(whole) // 2], whole[:10], b"", b"text", *foreign):
        path.write_bytes(content)
        with pytest.raises(MeasureError, match="not a valid embeddings file") as raised:
            load_embeddings(path)
        assert "\n" not in str(raised.value)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vectors.npz"
    np.savez(path, about=np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(MeasureError, match="not a valid embeddings file"):
        load_embeddings(path)


def test_a_file_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfcl.embeddings.table.FILE_VERSION", 2)
    make().save(tmp_path / "new.npz")
    monkeypatch.undo()
    with pytest.raises(MeasureError, match="version 1, got 2"):
        load_embeddings(tmp_path / "new.npz")


def test_embeddings_are_told_in_a_line_and_equal_only_themselves(tmp_path: Path) -> None:
    one = make()
    assert repr(one) == "<Embeddings: 4 items x 5; parts: wave 2, mel 3; labels: digit; splits: train 4>"
    assert one == one
    assert one != make()
    assert len({one, make()}) == 2
    one.save(str(tmp_path / "a.npz"))
    assert equal(load_embeddings(str(tmp_path / "a.npz")), one)


def refused(path: Path) -> str:
    """What the error of reading a file says, on one short line."""
    with pytest.raises(MeasureError) as raised:
        load_embeddings(path)
    text = str(raised.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


def test_no_other_array_than_what_was_saved_is_in_the_file(tmp_path: Path) -> None:
    make().save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as archive:
        assert sorted(archive.files) == ["about", "ids", "label_0", "splits", "vectors"]


def npy(header: str, content: bytes = b"") -> bytes:
    """An array's bytes with a header of one's own."""
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def with_entry(path: Path, name: str, content: bytes, *, method: int = zipfile.ZIP_STORED) -> Path:
    """Put another content in place of one entry of saved embeddings."""
    plain = io.BytesIO()
    make().save(path)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(plain, "w", method) as other:
        for entry in whole.namelist():
            other.writestr(entry, content if entry == name else whole.read(entry))
    path.write_bytes(plain.getvalue())
    return path


@pytest.mark.parametrize(
    ("name", "header", "said"),
    [
        ("vectors.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}", "claims the shape"),
        ("vectors.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -5)}", "claims the shape"),
        ("vectors.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 0)}", "not a valid embeddings file"),
        ("vectors.npy", "{'descr': '|O', 'fortran_order': False, 'shape': (4, 5)}", "holds"),
        ("vectors.npy", "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (0,)}", "holds"),
        ("vectors.npy", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (0,)}", "holds"),
        (
            "vectors.npy",
            "{'descr': ('<f4', (2,)), 'fortran_order': False, 'shape': (0, 5)}",
            "not a valid embeddings file",
        ),
        (
            "vectors.npy",
            "{'descr': '<U9999999999', 'fortran_order': False, 'shape': (0,)}",
            "not a valid embeddings file",
        ),
        ("vectors.npy", "{'descr': '<f4'}", "not a valid embeddings file"),
        ("vectors.npy", "(" * 5000, "not a valid embeddings file"),
        ("about.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}", "not a valid embeddings file"),
        ("ids.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}", "wanted text"),
    ],
)
def test_a_header_that_claims_what_is_not_there_is_refused_before_memory_is_taken(
    name: str, header: str, said: str, tmp_path: Path
) -> None:
    assert said in refused(with_entry(tmp_path / "a.npz", name, npy(header)))


@pytest.mark.parametrize("order", "<>")
def test_characters_that_do_not_exist_are_refused(order: str, tmp_path: Path) -> None:
    header = f"{{'descr': '{order}U1', 'fortran_order': False, 'shape': (1,)}}"
    beyond, last = (code.to_bytes(4, "little" if order == "<" else "big") for code in (0x110000, 0x10FFFF))
    text = refused(with_entry(tmp_path / "a.npz", "ids.npy", npy(header, beyond)))
    assert "characters that do not exist" in text
    assert "characters" not in refused(with_entry(tmp_path / "a.npz", "ids.npy", npy(header, last)))


@pytest.mark.parametrize(
    "about",
    [
        *({}, [], 3, {"version": 1}, {"version": [1]}),
        {"version": 1, "labels": "digit", "parts": {}},
        {"version": 1, "labels": [["a"]], "parts": {}},
        {"version": 1, "labels": ["a", "a"], "parts": {}},
        {"version": 1, "labels": ["a", "b"], "parts": {}},
        {"version": 1, "labels": [], "parts": []},
        {"version": 1, "labels": [], "parts": {"wave": [0, 10**400]}},
        {"version": 1, "labels": [], "parts": {"wave": [0.0, 1.5]}},
        {"version": 1, "labels": [], "parts": {"wave": ["0", "2"]}},
        {"version": 1, "labels": [], "parts": {"wave": [0, 1, 2]}},
    ],
)
def test_a_description_of_another_form_is_refused(about: object, tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.array(json.dumps(about)))
    refused(with_entry(tmp_path / "a.npz", "about.npy", content.getvalue()))


def test_a_description_that_is_very_deep_is_refused(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, np.array("[" * 100_000))
    refused(with_entry(tmp_path / "a.npz", "about.npy", content.getvalue()))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_numpy_does_not_use_is_refused_and_a_usual_one_is_read(method: int, tmp_path: Path) -> None:
    content = io.BytesIO()
    np.save(content, make().vectors)
    plain = with_entry(tmp_path / "a.npz", "vectors.npy", content.getvalue(), method=zipfile.ZIP_DEFLATED)
    assert equal(load_embeddings(plain), make())
    assert "method" in refused(with_entry(tmp_path / "a.npz", "vectors.npy", content.getvalue(), method=method))


def test_vectors_that_are_not_finite_are_named(tmp_path: Path) -> None:
    some = make()
    some.vectors[2, 1] = np.nan
    some.save(tmp_path / "a.npz")
    assert "1 vector holds NaN or infinity, the first that of 'clips/2.wav'" in refused(tmp_path / "a.npz")


def test_damaged_bytes_are_noticed_and_refused_in_one_line(tmp_path: Path) -> None:
    path, draw = tmp_path / "a.npz", random.Random(0)
    make().save(path)
    whole = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(draw.randrange(1, 4)):
            damaged[draw.randrange(len(whole))] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            assert equal(load_embeddings(path), make())  # what does not matter, such as a date
        except MeasureError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017


def test_a_folder_and_a_pipe_are_no_files_of_embeddings(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        assert "not a regular file" in refused(path)


def test_more_than_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make().save(tmp_path / "a.npz")
    monkeypatch.setattr("mfcl.embeddings.npz_file.memory_bytes", lambda: 100)
    assert "more than the memory of this machine" in refused(tmp_path / "a.npz")
