import os
import pickle
from pathlib import Path

import pytest

from mfcl.core.files import check_file_place, check_folder_place
from mfcl.core.urls import UrlPath, as_path, safe_text, without_secrets
from mfcl.data.manifest import Recording
from mfcl.data.manifest_csv import read_manifest, write_manifest
from mfcl.errors import ManifestError, MfclError


def test_a_url_stands_where_a_path_does():
    path = as_path("s3://birds/2024/May/owl 1.WAV")
    assert isinstance(path, UrlPath)
    assert isinstance(path, Path)
    assert (path.name, path.suffix, path.stem, path.parts[-2]) == ("owl 1.WAV", ".WAV", "owl 1", "May")
    assert str(path) == path.as_posix() == path.url == "s3://birds/2024/May/owl 1.WAV"
    assert path.parent == as_path("s3://birds/2024/May")
    assert path.parent.parent.parent == as_path("s3://birds")
    assert as_path("s3://birds").parent == as_path("s3://birds")
    assert path.resolve() is path
    assert pickle.loads(pickle.dumps(path)) == path
    assert len({path, as_path(path.url), as_path("s3://birds/2024//May/owl 1.WAV")}) == 2
    assert path != Path("s3:/birds/2024/May/owl 1.WAV")


def test_rows_of_a_remote_list_are_relative_to_its_folder():
    root = as_path("https://example.org/lists/a.csv?token=1").parent
    assert (root / "x/b.wav").url == "https://example.org/lists/x/b.wav"
    assert (root / "./b.wav").url == "https://example.org/lists/b.wav"
    assert (root / "../b.wav").url == "https://example.org/b.wav"
    assert (root / "gs://other/b.wav").url == "gs://other/b.wav"
    assert (root / "/data/b.wav") == Path("/data/b.wav")
    assert (root / "x/b.wav").is_relative_to(root)
    assert (root / "x/b.wav").relative_to(root) == Path("x/b.wav")
    assert not as_path("https://example.org/listsb/c.wav").is_relative_to(root)
    assert not (root / "x/b.wav").is_relative_to(Path("/"))


def test_file_urls_are_local_paths_and_local_paths_stay_themselves():
    given = Path("a/../b.wav")
    assert as_path(given) is given
    assert type(as_path("a/b.wav")) is type(given)
    assert as_path("file:///data/owl.wav") == as_path("file://localhost/data/owl.wav") == Path("/data/owl.wav")
    assert type(as_path("file:///data/owl.wav")) is type(given)
    with pytest.raises(MfclError, match="wanted file:/// and an absolute path"):
        as_path("file://owl.wav")


def test_keys_are_not_shown():
    path = as_path("https://me:pass@example.org/a/b.wav?X-Signature=abc#part")
    other = as_path("https://me:pass@example.org/a/b.wav?X-Signature=abd")
    for text in (str(path), repr(path), path.as_posix(), str(path.parent), f"{path}"):
        assert not any(word in text for word in ("me:", "pass", "abc", "Signature"))
    assert path.secret
    assert str(path) != str(other)  # two files, two names
    assert without_secrets("abfs://container@account.dfs.core.windows.net/a.wav").startswith("abfs://container@account")
    told = safe_text(
        "404, url='https://me:pass@example.org/a/b.wav?X-Signature=abc', /a/b.wav?X-Signature=abc", path.url
    )
    assert not any(word in told for word in ("pass", "X-Signature"))


def test_what_needs_a_local_file_says_so(tmp_path):
    path = as_path("s3://birds/owl.wav")
    for use in (
        open,
        os.listdir,
        os.path.getsize,
        check_file_place,
        check_folder_place,
        lambda one: one.rename(tmp_path),
    ):
        with pytest.raises(MfclError, match=r"^s3://birds/owl\.wav: .*URL.*; .*copy"):
            use(path)
    with pytest.raises(MfclError, match="only read"):
        path.open("wb")


def test_a_written_list_names_urls_whole(tmp_path):
    local = tmp_path / "here.wav"
    local.write_bytes(b"x")
    listed = tmp_path / "list.csv"
    listed.write_text("path,id,label\nhere.wav,,a\nhttps://h.org/x.wav?key=1,one,b\n s3://birds/y.wav,,c\n")
    manifest = read_manifest(listed)
    assert [one.id for one in manifest] == ["here.wav", "one", "s3://birds/y.wav"]
    assert manifest.recordings[1].path == as_path("https://h.org/x.wav?key=1")
    assert manifest.recordings[2].path == as_path("s3://birds/y.wav")
    assert "1 URLs hold a password or a query" in " ".join(manifest.notes)
    write_manifest(manifest, tmp_path / "deep" / "again.csv", relative=True)
    again = read_manifest(tmp_path / "deep" / "again.csv")
    assert again.recordings == manifest.recordings
    assert "../here.wav" in (tmp_path / "deep" / "again.csv").read_text()
    with pytest.raises(ManifestError, match="only local files are found again"):
        read_manifest(listed, data_root=tmp_path)


def test_default_ids_hide_queries_and_equal_ids_are_an_error(tmp_path):
    listed = tmp_path / "list.csv"
    (tmp_path / "a.wav").write_bytes(b"x")
    listed.write_text("path\na.wav\nhttps://h.org/get.wav?n=1\nhttps://h.org/get.wav?n=2\n")
    with pytest.raises(
        ManifestError, match=r"2 recordings have the id 'https://h.org/get.wav'; give each a unique one"
    ):
        read_manifest(listed)


def test_a_path_that_lost_a_slash_is_told(tmp_path, monkeypatch):
    from mfcl.data.layouts import open_manifest

    monkeypatch.chdir(tmp_path)
    with pytest.raises(ManifestError, match="a URL is given as text"):
        open_manifest(Path("s3://birds/list.csv"))
    with pytest.raises(ManifestError, match="what is below a bucket or folder is not listed: write a CSV"):
        open_manifest("s3://birds/2024")


def test_recordings_compare_by_url():
    first, second = (Recording("a", as_path(f"https://h.org/a.wav?n={n}")) for n in (1, 2))
    assert first != second
    assert first == Recording("a", as_path("https://h.org/a.wav?n=1"))
