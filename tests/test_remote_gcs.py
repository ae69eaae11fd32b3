"""What is asked of Google Cloud Storage, and what its refusals mean; commands are in `test_remote_buckets.py`."""

import json
import sys

import pytest

from mfcl.audio import read_audio
from mfcl.core import gcs, remote
from mfcl.core.urls import as_path
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.scanning import scan
from mfcl.errors import AudioError, TransferError
from tests.buckets import gcs_storage, remembering_nothing
from tests.test_remote_buckets import wav

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (the extra `gcs`)")
OWL = as_path("gs://birds/owl.wav")


@pytest.fixture
def storage(monkeypatch):
    with remembering_nothing(monkeypatch), gcs_storage(monkeypatch) as (_, made):
        made.put("owl.wav", wav(2))
        yield made


def test_a_file_takes_one_request_for_its_facts_and_one_for_a_range(storage, monkeypatch):
    monkeypatch.setattr(remote, "WHOLE", 30_000)
    monkeypatch.setattr(remote, "NEAR", 16_000)
    assert len(read_audio(OWL)[0]) == 32_000
    first, *ranges = storage.server.requests
    assert first[:2] == ("GET", storage.facts("owl.wav"))
    assert {path for _, path, _ in ranges} == {"/download" + storage.facts("owl.wav")}
    assert ranges[0][2] == "bytes=0-15999"


def test_the_version_is_that_of_the_contents(storage):
    version = OWL.facts().version
    storage.put("owl.wav", wav(2), generation="2", metageneration="5")
    remote.forget()
    assert OWL.facts().version == version  # the same sound, written again
    storage.put("owl.wav", wav(2, 1))
    remote.forget()
    assert OWL.facts().version != version
    storage.put("owl.wav", wav(2), md5Hash=None, generation="7")  # put together of parts
    remote.forget()
    assert OWL.facts().version == "7"


@pytest.mark.parametrize(
    ("status", "reason"), [(503, "backendError"), (429, "rateLimitExceeded"), (403, "userRateLimitExceeded")]
)
def test_what_passes_is_tried_again(storage, status, reason):
    storage.refuse(status, reason, times=3)
    assert len(read_audio(OWL)[0]) == 32_000
    storage.refuse(status, reason)
    remote.forget()
    with pytest.raises(TransferError, match=rf"owl\.wav: could not be read, tried 4 times .*HTTP {status}"):
        read_audio(OWL)


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (401, "required", "Anonymous caller does not have storage.objects.get access"),
        (401, "authError", "Invalid Credentials"),  # gcsfs itself would try this for half a minute
        (400, "required", "Bucket is a requester pays bucket but no user project provided."),
        (403, "accountDisabled", "The billing account for the owning project is disabled"),
    ],
)
def test_what_concerns_all_files_stops_at_the_first_request(storage, status, reason, message):
    storage.refuse(status, reason, message)
    with pytest.raises(TransferError, match=rf"^gs://birds/owl\.wav: .*{message}.*check the credentials") as caught:
        read_audio(OWL)
    assert "\n" not in str(caught.value)
    assert len(storage.server.requests) == 1


def test_a_file_that_may_not_be_read_is_left_out_and_nothing_is_listed(storage):
    storage.put("hen.wav", wav(1))
    storage.refuse(403, "forbidden", "me@example.org does not have storage.objects.get access")
    storage.server.faults = {storage.facts("hen.wav"): storage.server.faults[storage.facts("hen.wav")]}
    rows = [Recording(name, as_path(f"gs://birds/{name}")) for name in ("hen.wav", "none.wav", "gone.wav", "owl.wav")]
    report = scan(Manifest(tuple(rows), root=OWL.parent), progress=False)
    assert [name for name, _ in report.failures] == ["hen.wav", "none.wav", "gone.wav"]
    assert "no permission to read it" in report.failures[0][1]
    assert "me@example.org" not in report.failures[0][1]
    asked = storage.server.asked()
    assert not [path for path in asked if path.endswith("/o")]
    assert asked.count("/storage/v1/b/birds") <= 2  # whether there is such a bucket is asked once, or by two readers


def test_who_may_not_ask_for_the_bucket_learns_that_a_file_is_missing(storage):
    for status in (401, 403):
        storage.refuse(status)
        remote.forget()
        with pytest.raises(AudioError, match="no such file"):
            read_audio(as_path("gs://birds/none.wav"))


def test_a_folder_and_a_file_stored_compressed_are_refused(storage):
    with pytest.raises(IsADirectoryError):
        as_path("gs://birds").facts()
    assert storage.server.requests == []
    storage.put("owl.wav", wav(2), contentEncoding="gzip")
    with pytest.raises(AudioError, match="stored with Content-Encoding gzip"):
        read_audio(OWL)


def with_keys(storage, tmp_path, monkeypatch):
    """Make a service account whose tokens come from the local server."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account", "client_email": "me@example.org", "private_key": key.decode(), "project_id": "p",
        "token_uri": f"{storage.server.url}/token",
    }  # fmt: skip
    (tmp_path / "key.json").write_text(json.dumps(account))
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": str(tmp_path / "key.json")})


def test_credentials_are_sent_and_those_that_are_no_longer_good_stop_at_once(storage, tmp_path, monkeypatch):
    with_keys(storage, tmp_path, monkeypatch)
    storage.server.files["/token"] = b'{"access_token": "hush", "expires_in": 3600, "token_type": "Bearer"}'
    assert len(read_audio(OWL)[0]) == 32_000
    assert storage.server.keys == [None, "Bearer hush", "Bearer hush"]
    remote.forget()
    storage.refuse(400, "invalid_grant")
    with pytest.raises(TransferError, match=r"^gs://birds/owl\.wav: .*check the credentials"):
        read_audio(OWL)
    storage.refuse(503)
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)  # tries of its own
    remote.forget()
    with pytest.raises(TransferError, match="tried 4 times"):
        read_audio(OWL)


def test_credentials_that_cannot_be_read_are_no_fault_of_a_recording(storage, tmp_path, monkeypatch):
    for token in (tmp_path, tmp_path / "bad.json"):
        (tmp_path / "bad.json").write_text("{")
        monkeypatch.setitem(fsspec.config.conf, "gs", {"token": str(token)})
        remote.forget()
        with pytest.raises(TransferError, match=r"^gs://birds/owl\.wav: "):
            read_audio(OWL)


def test_credentials_that_cannot_be_renewed_stop_at_once(storage, monkeypatch):
    from google.oauth2.credentials import Credentials

    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": Credentials(None)})
    with pytest.raises(TransferError, match=r"^gs://birds/owl\.wav: .*check the credentials"):
        read_audio(OWL)
    assert storage.server.requests == []


def test_another_filesystem_that_is_registered_for_the_scheme_is_used_as_it_is(monkeypatch):
    memory = fsspec.get_filesystem_class("memory")
    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, "gs", memory)
    with remembering_nothing(monkeypatch):
        assert gcs.reading_class(memory) is memory
        with pytest.raises(FileNotFoundError):
            as_path("gs://birds/none.wav").facts()
