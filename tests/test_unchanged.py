"""Parts of embeddings whose recordings were replaced, copied or exchanged since they were made."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mfcl import embedding_parts
from mfcl.data import unchanged
from mfcl.data.layouts import open_manifest
from mfcl.data.shards.writing import pack
from mfcl.embedding_parts import embed_parts
from mfcl.errors import ManifestError, MeasureError
from tests.small_model import RATE, SETTINGS, saved, sound


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    saved(SETTINGS, folder)
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    for name in "abcd":
        soundfile.write(tmp_path / "corpus" / f"{name}.wav", sound(0.3, seed=ord(name)), RATE)
    return tmp_path / "corpus"


def later(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))


def test_a_recording_replaced_by_one_of_the_same_size_is_noticed(model: Path, corpus: Path, tmp_path: Path) -> None:
    embed_parts(model, corpus, tmp_path / "parts", parts=2, progress=False)
    size = (corpus / "c.wav").stat().st_size
    soundfile.write(corpus / "c.wav", sound(0.3, seed=1), RATE)
    later(corpus / "c.wav")
    assert (corpus / "c.wav").stat().st_size == size
    with pytest.raises(MeasureError, match=r"part-000001-of-000002\.npz: some of its recordings changed since it was"):
        embed_parts(model, corpus, tmp_path / "parts", parts=2, progress=False)
    (tmp_path / "parts" / "part-000001-of-000002.npz").unlink()
    done = embed_parts(model, corpus, tmp_path / "parts", parts=2, progress=False)
    assert (done.made, done.kept) == (1, 1)


def test_two_recordings_whose_files_are_exchanged_in_the_list_are_noticed(
    model: Path, corpus: Path, tmp_path: Path
) -> None:
    later(corpus / "a.wav")
    manifest = open_manifest(corpus)
    embed_parts(model, manifest, tmp_path / "parts", parts=1, progress=False)
    first, second, *rest = manifest.recordings
    exchanged = replace(
        manifest, recordings=(replace(first, path=second.path), replace(second, path=first.path), *rest)
    )
    with pytest.raises(MeasureError, match="changed since it was made"):
        embed_parts(model, exchanged, tmp_path / "parts", parts=1, progress=False)


def test_a_corpus_that_was_copied_keeps_its_parts_and_other_times_alone_have_files_read(
    model: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed_parts(model, corpus, tmp_path / "parts", parts=2, progress=False)
    before = [path.read_bytes() for path in sorted((tmp_path / "parts").iterdir())]
    shutil.copytree(corpus, tmp_path / "copy")
    for path in (tmp_path / "copy").iterdir():
        later(path)
    done = embed_parts(model, tmp_path / "copy", tmp_path / "parts", parts=2, progress=False)
    assert (done.made, done.kept) == (0, 2)
    assert before == [path.read_bytes() for path in sorted((tmp_path / "parts").iterdir())]
    monkeypatch.setattr(unchanged, "content_of", lambda _: pytest.fail("read"))
    assert embed_parts(model, corpus, tmp_path / "parts", parts=2, progress=False).kept == 2


def test_a_part_of_before_is_known_by_sizes(model: Path, corpus: Path, tmp_path: Path) -> None:
    told = embedding_parts.PartMaker._receipt

    def without(self: embedding_parts.PartMaker, *rest: object) -> dict[str, object]:
        return {name: value for name, value in told(self, *rest).items() if name not in ("times", "contents")}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding_parts.PartMaker, "_receipt", without)
        embed_parts(model, corpus, tmp_path / "parts", parts=2, progress=False)
    later(corpus / "a.wav")
    assert embed_parts(model, corpus, tmp_path / "parts", parts=2, progress=False).kept == 2


def test_a_recording_that_changes_while_it_is_read_makes_no_part(
    model: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = unchanged.Contents.add

    def changed(self: unchanged.Contents, recordings: tuple) -> None:
        add(self, recordings)
        later(corpus / "a.wav")

    monkeypatch.setattr(unchanged.Contents, "add", changed)
    with pytest.raises(MeasureError, match=r"part-000000-of-000001\.npz: some of its recordings changed while they"):
        embed_parts(model, corpus, tmp_path / "parts", parts=1, progress=False)
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["parts.json"]


def test_long_files_are_read_once_for_all_their_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(1000), RATE)
    opened = []
    open_path = unchanged.open_path
    monkeypatch.setattr(unchanged, "open_path", lambda path: (opened.append(path), open_path(path))[1])
    monkeypatch.setattr(unchanged, "LONG", 1)
    assert unchanged.content_of(tmp_path / "long.wav") == unchanged.content_of(tmp_path / "long.wav") != ""
    assert len(opened) == 1
    assert unchanged.content_of(tmp_path / "no.wav") == ""


def test_a_pack_knows_its_recordings_by_time_and_content_too(corpus: Path, tmp_path: Path) -> None:
    made = pack(corpus, tmp_path / "pack", progress=False)
    for path in corpus.iterdir():
        later(path)
    assert pack(corpus, tmp_path / "pack", progress=False).made == 0
    soundfile.write(corpus / "c.wav", sound(0.3, seed=1), RATE)
    later(corpus / "c.wav")
    with pytest.raises(ManifestError, match=r"shard-000000\.tar: some of its recordings changed since it was made"):
        pack(corpus, tmp_path / "pack", progress=False)
    receipt = tmp_path / "pack" / "shard-000000.json"
    kept = json.loads(receipt.read_text())
    receipt.write_text(json.dumps({name: one for name, one in kept.items() if name not in ("times", "contents")}))
    assert made.made == 1
    assert pack(corpus, tmp_path / "pack", progress=False).made == 0  # of an earlier version: by sizes alone
