"""Empty buckets of local servers of S3 and of Google Cloud Storage, behind a connection that can be cut and slow."""

import base64
import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from mfcl.core import remote
from tests.bad_storage import Fault, Proxy, Storage, proxied, serving

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "hush-testing", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclasses.dataclass
class Bucket:
    """An empty bucket.

    Attributes:
        url: Its URL.
        line: The connection to it.
        put: Writes a file by its key.
        lock: Takes the caller's permission for all of its files away.
    """

    url: str
    line: Proxy
    put: Callable[[str, bytes], None]
    lock: Callable[[], None]


@contextlib.contextmanager
def moto_serving() -> Iterator[int]:
    """Yield the port of moto's server of S3."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield server._server.server_port
    server.stop()


@contextlib.contextmanager
def s3_bucket(patch: pytest.MonkeyPatch, port: int) -> Iterator[Bucket]:
    """Yield `s3://birds` of moto's server; the files of anybody's home are not read."""
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed (the extra `remote`)")
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (of moto's server)")
    for name, value in KEYS.items():
        patch.setenv(name, value)
    patch.setenv("AWS_CONFIG_FILE", "/dev/null")
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    patch.setenv("AWS_MAX_ATTEMPTS", "1")  # no tries of botocore and s3fs inside ours
    patch.setattr(s3fs.S3FileSystem, "retries", 1)
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
    client.create_bucket(Bucket="birds")

    def put(key: str, content: bytes) -> None:
        client.put_object(Bucket="birds", Key=key, Body=content)

    def lock() -> None:
        for name in KEYS:
            patch.delenv(name)

    with proxied(port) as line:
        patch.setenv("AWS_ENDPOINT_URL", line.url)
        yield Bucket("s3://birds", line, put, lock)
    for one in client.list_objects_v2(Bucket="birds").get("Contents", []):
        client.delete_object(Bucket="birds", Key=one["Key"])


class GoogleStorage:
    """What gcsfs asks of Google's JSON API to read files, on a server whose answers can be faults.

    Attributes:
        server: The server, with its requests.
    """

    def __init__(self, server: Storage) -> None:
        self.server = server
        server.files["/storage/v1/b/birds"] = b'{"name": "birds"}'

    def put(self, key: str, content: bytes, **about: Any) -> None:
        """Write a file; `about` are more of its facts."""
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        facts = {"name": key, "size": str(len(content)), "md5Hash": digest, "generation": "1", **about}
        self.server.files[self.facts(key)] = json.dumps(facts).encode()
        self.server.files["/download" + self.facts(key)] = content

    def facts(self, key: str) -> str:
        """Return the path at which a file's facts are asked for; its bytes are at the same below `/download`."""
        return f"/storage/v1/b/birds/o/{quote(key, safe='')}"

    def refuse(self, status: int, reason: str = "", message: str = "", *, times: int = 1000) -> None:
        """Answer with an error whatever is asked for."""
        said = {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}
        fault = Fault(times, status=status, body=json.dumps(said).encode(), methods=("GET", "POST"))
        self.server.faults = dict.fromkeys((*self.server.files, "/token"), fault)


@contextlib.contextmanager
def gcs_storage(patch: pytest.MonkeyPatch) -> Iterator[tuple[Bucket, GoogleStorage]]:
    """Yield `gs://birds` of a local server, which is asked without credentials, and what it stores."""
    pytest.importorskip("gcsfs", reason="gcsfs is not installed (the extra `gcs`)")
    config = pytest.importorskip("fsspec.config")
    patch.setitem(config.conf, "gs", {"token": "anon"})  # else Google is asked whether this is a machine of its own
    with serving() as server, proxied(server.http.server_address[1]) as line:
        storage = GoogleStorage(server)
        patch.setenv("STORAGE_EMULATOR_HOST", line.url)
        refuse = functools.partial(storage.refuse, 401, "required", "no credentials")
        yield Bucket("gs://birds", line, storage.put, refuse), storage


@contextlib.contextmanager
def remembering_nothing(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ask without waits between tries, and forget what other tests learned."""
    patch.setenv("no_proxy", "127.0.0.1")
    patch.setattr(remote, "WAITS", (0.0, 0.0, 0.0))
    remote.forget()
    yield
    remote.forget()
