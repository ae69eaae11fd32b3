"""Google Cloud Storage through gcsfs: one plain request for a file's facts and one for each range, and no listing."""

import errno
import json
from functools import cache
from typing import Any

from mfcl.core.extras import need

EXTRA = "gcs"
SCHEMES = ("gs", "gcs")
FIELDS = "size,md5Hash,generation,contentEncoding"
"""What is asked about a file; composite objects have no MD5, their generation changes when they are written again."""


class Refused(Exception):  # noqa: N818  # what it means is said by `mfcl.core.transfer_errors`
    """An answer of the storage that is an error.

    Args:
        status: HTTP status.
        reason: Google's word for it, such as `rateLimitExceeded`; may be empty.
        message: What the storage says.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


def reading_class(kind: Any) -> Any:
    """Return a filesystem class to read files with: for gcsfs's own one with fewer requests, any other as it is.

    Args:
        kind: The class that fsspec has for `gs://`.

    Raises:
        MissingExtraError: gcsfs is not installed.
    """
    return _reading() if kind.__module__.partition(".")[0] == "gcsfs" else kind


@cache
def _reading() -> Any:
    """Return the class; it is made here because gcsfs is loaded when it is first needed.

    gcsfs's class for `gs://` asks by gRPC for the kind of a bucket before it reads, and again each time if it is not
    told. Its plain class lists a bucket to learn of one file, tries up to six times within a call, for half a minute
    where credentials have expired, and tells neither an unknown bucket from a missing file nor a limit from a refusal.
    """
    plain: Any = need("gcsfs.core", EXTRA).GCSFileSystem

    class Reading(plain):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._known_buckets: set[str] = set()

        async def _request(self, method: str, path: str, *args: str, headers: Any = None, **params: Any) -> Any:
            session = await self._set_session()
            params = {name: value for name, value in params.items() if name not in ("json", "data")}  # of writes
            url, sent = self._format_path(path, args), self._get_headers(headers)
            async with session.request(method, url, params=self._get_params(params), headers=sent) as answer:
                content = await answer.read()
                if answer.status >= 400:
                    raise _refused(answer.status, content)
                return answer.status, answer.headers, answer.request_info, content

        async def _info(self, path: str, **_: Any) -> dict[str, Any]:
            bucket, key, generation = self.split_path(path)
            if not key:
                return {"type": "directory"}
            try:
                found = await self._call(
                    "GET", "b/{}/o/{}", bucket, key, json_out=True, fields=FIELDS, generation=generation
                )
            except Refused as error:
                if error.status == 404:
                    await self._check_bucket(bucket)
                raise
            if found.get("contentEncoding") == "gzip":  # its size is not that of the bytes that come
                raise OSError(errno.ESPIPE, "it is stored with Content-Encoding gzip, so that no part can be asked for")
            return {"type": "file", **found}

        async def _check_bucket(self, bucket: str) -> None:
            """Raise an error that concerns all files if there is no such bucket; each is asked for once."""
            if bucket in self._known_buckets:
                return
            try:
                await self._call("GET", "b/{}", bucket, json_out=True, fields="name")
            except Refused as error:
                if error.status == 404:
                    raise Refused(404, "NoSuchBucket", f"the bucket does not exist: {bucket}") from None
                if error.status not in (401, 403):  # who may read files may not be allowed to ask for the bucket
                    raise
            self._known_buckets.add(bucket)

    return Reading


def _refused(status: int, content: bytes) -> Refused:
    """Return an answer as an error; it is mostly JSON."""
    try:
        said = json.loads(content)["error"]
        return Refused(status, str(said["errors"][0].get("reason", "")), str(said.get("message", "")))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return Refused(status, "", f"HTTP {status}")
