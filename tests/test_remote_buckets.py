"""Recordings in buckets of S3 and Google, through a connection that is cut or slow, by commands that read them."""

import csv
import io

import numpy as np
import pytest
import soundfile

from mfcl.audio import read_audio
from mfcl.cli import main
from mfcl.core import remote
from mfcl.core.urls import as_path
from mfcl.data.layouts import open_manifest
from mfcl.embedding_lists import embed
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.part_files import RECEIPT, open_part_files
from mfcl.errors import AudioError, TransferError
from tests.buckets import gcs_storage, moto_serving, remembering_nothing, s3_bucket
from tests.recipes import tiny_recipe
from tests.small_model import SETTINGS, saved
from tests.sounds import write_corpus

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:botocore", "ignore::DeprecationWarning:moto")
both = pytest.mark.parametrize("bucket", ["s3", "gs"], indirect=True)
"""Requests and errors depend on the storage; what a command does with the sound that came does not."""


@pytest.fixture(scope="module")
def moto():
    with moto_serving() as port:
        yield port


@pytest.fixture
def bucket(request, monkeypatch, tmp_path):
    """An empty bucket of S3, or of the storage that a test names."""
    monkeypatch.setenv("MFCL_CACHE", str(tmp_path / "cache"))
    with remembering_nothing(monkeypatch):
        if getattr(request, "param", "s3") == "s3":
            with s3_bucket(monkeypatch, request.getfixturevalue("moto")) as made:
                yield made
        else:
            with gcs_storage(monkeypatch) as (made, _):
                yield made


@pytest.fixture
def corpus(tmp_path, bucket):
    """12 recordings, here and in the bucket with their list; one more that is not there, and one that is no sound."""
    local = open_manifest(write_corpus(tmp_path / "corpus", speakers=3, digits=2, takes=2))
    rows = [("path", "speaker", "digit")]
    for one in local:
        bucket.put(f"all/{one.id}", one.path.read_bytes())
        rows.append((one.id, one.label("speaker"), one.label("digit")))
    bucket.put("all/text.wav", b"no sound")
    rows += [("text.wav", "01", "1"), ("gone.wav", "01", "1")]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    bucket.put("all/list.csv", text.getvalue().encode())
    return local


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    saved(SETTINGS, folder)
    return folder


def wav(seconds, seed=0):
    content = io.BytesIO()
    noise = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * 16000))
    soundfile.write(content, noise, 16000, format="WAV")
    return content.getvalue()


@both
def test_cut_connections_are_made_again_and_the_sound_is_whole(bucket, monkeypatch):
    bucket.put("dawn chorus?.wav", wav(20))
    monkeypatch.setattr(remote, "WHOLE", 200_000)
    monkeypatch.setattr(remote, "NEAR", 50_000)
    path = as_path(f"{bucket.url}/dawn chorus?.wav")
    path.facts()
    remote.forget()
    bucket.line.cuts, bucket.line.after = 3, 30_000
    whole, _ = read_audio(path)
    expected, _ = soundfile.read(io.BytesIO(wav(20)), dtype="float32")
    np.testing.assert_array_equal(whole, expected)
    assert bucket.line.cut >= 2


@both
def test_a_connection_that_is_always_cut_is_an_error_with_the_address(bucket):
    bucket.put("owl.wav", wav(2))
    path = as_path(f"{bucket.url}/owl.wav")
    bucket.line.cuts, bucket.line.after = 10_000, 20_000
    with pytest.raises(TransferError, match=rf"^{bucket.url}/owl\.wav: could not be read, tried 4 times") as caught:
        read_audio(path)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)


@both
def test_a_slow_connection_is_waited_for(bucket):
    bucket.put("owl.wav", wav(4))
    bucket.line.pause = 0.05
    assert len(read_audio(as_path(f"{bucket.url}/owl.wav"))[0]) == 64_000


@both
def test_absent_files_and_buckets_are_told_apart(bucket):
    with pytest.raises(AudioError, match=rf"^{bucket.url}/none\.wav: cannot be opened \(no such file\)"):
        read_audio(as_path(f"{bucket.url}/none.wav"))
    with pytest.raises(TransferError, match=r"://nobody/none\.wav: .*bucket does not exist.*check the credentials"):
        read_audio(as_path(bucket.url.replace("birds", "nobody") + "/none.wav"))


@both
def test_lost_credentials_stop_at_once(bucket):
    bucket.put("owl.wav", wav(2))
    bucket.lock()
    remote.forget()
    with pytest.raises(TransferError, match=rf"^{bucket.url}/owl\.wav: .*credentials"):
        read_audio(as_path(f"{bucket.url}/owl.wav"))


@both
def test_scan_of_a_list_in_a_bucket(bucket, corpus, tmp_path, capsys):
    out = tmp_path / "usable.csv"
    main(["scan", f"{bucket.url}/all/list.csv", "--out", str(out), "--all", "--quiet"])
    told = capsys.readouterr().out
    assert "14 (12 usable)" in told
    assert "gone.wav" in told
    assert "no such file" in told
    again = open_manifest(out)
    assert [one.path.url for one in again] == [f"{bucket.url}/all/{one.id}" for one in corpus]
    assert again.ids.tolist() == corpus.ids.tolist() or again.ids.tolist()[0].endswith(corpus.ids[0])


def test_a_training_on_a_bucket_is_that_on_the_files(bucket, corpus, tmp_path, capsys):
    recipe = ["--recipe", str(tiny_recipe(tmp_path)), "--set", "train.epochs=1"]
    for data, out in ((f"{bucket.url}/all/list.csv", "there"), (corpus.root, "here")):
        code = main(["train", str(data), "--out", str(tmp_path / out), "--quiet", *recipe])
        assert code in (0, None), capsys.readouterr().err
    here, there = (embed(tmp_path / name / "model", corpus, progress=False) for name in ("here", "there"))
    np.testing.assert_allclose(here.vectors, there.vectors, atol=1e-6)
    listed = (tmp_path / "there" / "manifest.csv").read_text()
    assert f"{bucket.url}/all/data/01/0_01_0.wav" in listed


@both
def test_embed_whole_and_in_parts_with_receipts(bucket, corpus, model, tmp_path, capsys):
    local = embed(model, corpus, progress=False)
    listed = f"{bucket.url}/all/list.csv"
    bucket.line.cuts, bucket.line.after = 3, 5_000
    main(["embed", str(model), listed, "--out", str(tmp_path / "all.npz"), "--quiet"])
    whole = load_embeddings(tmp_path / "all.npz")
    assert whole.ids.tolist() == local.ids.tolist()
    np.testing.assert_allclose(whole.vectors, local.vectors, atol=1e-6)
    folder = tmp_path / "parts"
    main(["embed", str(model), listed, "--out", str(folder), "--parts", "3", "--quiet"])
    np.testing.assert_allclose(load_embeddings(folder).vectors, local.vectors, atol=1e-6)
    reasons = (folder / "failures.csv").read_text()
    assert "no such file" in reasons
    assert "not a readable audio file" in reasons
    assert (folder / RECEIPT).is_file()
    capsys.readouterr()
    main(["embed", str(model), listed, "--out", str(folder), "--parts", "3", "--quiet"])
    assert "0 made, 3 kept" in capsys.readouterr().out
    first = open_part_files(folder).read_receipt(0)["sizes"]
    key, other = f"all/{corpus.ids[0]}", corpus.recordings[0].path.read_bytes()
    bucket.put(key, other[:-2] + b"\x01\x01")  # as long, with another ETag
    remote.forget()
    assert main(["embed", str(model), listed, "--out", str(folder), "--parts", "3", "--quiet"]) == 2
    assert "changed since it was made" in capsys.readouterr().err
    assert open_part_files(folder).read_receipt(0)["sizes"] == first


@both
def test_a_storage_that_goes_away_leaves_the_parts_that_were_made(bucket, corpus, model, tmp_path, capsys):
    folder = tmp_path / "parts"
    command = ["embed", str(model), f"{bucket.url}/all/list.csv", "--out", str(folder), "--parts", "2", "--quiet"]
    main([*command, "--share", "1/2"])
    bucket.line.cuts, bucket.line.after = 10_000, 300
    remote.forget()
    assert main(command) == 2
    told = capsys.readouterr().err.strip()
    assert "\n" not in told
    assert "run the same command again" in told
    assert len(list(folder.glob("part-*"))) == 1
    bucket.line.cuts = 0
    remote.forget()
    assert main(command) in (0, None)
    assert "1 made, 1 kept" in capsys.readouterr().out


def test_a_classifier_is_fitted_and_used_on_a_bucket(bucket, corpus, model, tmp_path, capsys):
    listed = f"{bucket.url}/all/list.csv"
    labels = "path,digit\n" + "".join(f"{bucket.url}/all/{one.id},{one.label('digit')}\n" for one in corpus)
    (tmp_path / "labels.csv").write_text(labels)
    made, out = tmp_path / "digits", tmp_path / "answers.csv"
    fitted = ["classify", str(model), listed, "--fit", str(made), "--labels", str(tmp_path / "labels.csv")]
    assert main([*fitted, "--label", "digit"]) in (0, None), capsys.readouterr().err
    assert main(["classify", str(made), listed, "--out", str(out)]) in (0, None), capsys.readouterr().err
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) == len(corpus)
    assert rows[0]["path"] == f"{bucket.url}/all/{corpus.ids[0]}"
    assert main(["classify", str(made), f"{bucket.url}/all/{corpus.ids[0]}"]) in (0, None), capsys.readouterr().err


@both
def test_a_bucket_is_not_listed_and_nothing_is_written_to_a_url(bucket, model, tmp_path, capsys):
    for command in (["scan", bucket.url], ["embed", str(model), f"{bucket.url}/all", "--out", str(tmp_path / "x.npz")]):
        assert main(command) == 2
        assert "is not listed: write a CSV with a column `path`" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["embed", str(model), f"{bucket.url}/all/list.csv", "--out", f"{bucket.url}/x.npz"])
    assert stopped.value.code == 2
    assert f"wanted a local path, got the URL {bucket.url}/x.npz" in capsys.readouterr().err
