"""Tell the failures of a storage apart: the file's own, those that pass, and those that more tries do not mend."""

import errno

from mfcl.core import gcs
from mfcl.core.urls import WEB, UrlPath, safe_text
from mfcl.errors import MfclError, MissingExtraError, TransferError

PASSING = (408, 425, 429)
"""HTTP statuses below 500 after which the same request may succeed."""
KEYS = (
    "AuthorizationHeaderMalformed", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "NoSuchBucket",
    "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired",
    "accountDisabled", "countryBlocked",
)  # fmt: skip
"""Error codes of S3, and Google's reasons, that concern every file of a bucket, whatever their HTTP status."""
LIMITS = ("rateLimitExceeded", "userRateLimitExceeded")
"""Google's reasons with status 403 after which the same request may succeed."""
EXTRAS = {**dict.fromkeys(("s3", "s3a", *WEB), "remote"), **dict.fromkeys(gcs.SCHEMES, gcs.EXTRA)}
"""The extra of mfcl with the packages of a scheme."""


class Again(Exception):  # noqa: N818  # it is no error yet
    """A failure that may pass."""


def failure(path: UrlPath, error: Exception) -> Exception:
    """Return what an error of a filesystem means.

    Args:
        path: The file.
        error: What was raised.

    Returns:
        `FileNotFoundError`, `PermissionError` or another `OSError` if the file is not there or may not be read;
        `Again` if network or storage failed and may not fail the next time; an `MfclError` if it concerns all files
        and does not pass, such as credentials or a package that is not installed.
    """
    if isinstance(error, MfclError | Again):
        return error
    # fsspec turns every failure to ask a web server, also of the network, into FileNotFoundError
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else None
    hidden = path.scheme in WEB and isinstance(error, FileNotFoundError) and cause is not None
    real = cause if hidden and cause is not None else error
    status, code = _status(real), _code(real)
    told = safe_text(str(real), path.url) or type(real).__name__
    if isinstance(real, ImportError):
        extra = EXTRAS.get(path.scheme)
        advice = f"pip install 'mfcl[{extra}]'" if extra else "install it"
        return MissingExtraError(f"{path}: wanted a package for {path.scheme}:// ({told}); {advice}")
    if any(getattr(one, "retryable", False) is True for one in (real, real.__cause__)):
        return Again(told)  # google-auth could not ask for new credentials now
    if code in KEYS or status in (400, 401) or _without_keys(real):
        return TransferError(f"{path}: cannot be read ({told}); check the credentials and settings of the storage")
    if code in LIMITS:
        return Again(f"{code}, HTTP {status}")
    if status in (404, 410) or (status is None and isinstance(real, FileNotFoundError)):
        return FileNotFoundError(errno.ENOENT, "no such file")
    if status == 403 or (status is None and isinstance(real, PermissionError)):
        return PermissionError(errno.EACCES, "no permission to read it, or no such file")
    if isinstance(real, IsADirectoryError | NotADirectoryError) or getattr(real, "errno", None) == errno.ESPIPE:
        return real
    if status is not None:
        passing = status >= 500 or status in PASSING
        return (
            Again(f"HTTP {status}") if passing else TransferError(f"{path}: cannot be read (HTTP {status}); {ADVICE}")
        )
    if isinstance(real, ValueError | TypeError | LookupError | NotImplementedError):
        return TransferError(f"{path}: cannot be read ({told}); {ADVICE}")
    return Again(told)


ADVICE = "check the URL and the settings of the storage"


def _without_keys(error: BaseException) -> bool:
    """Return whether an error of botocore, google-auth or gcsfs says that there are no credentials, or expired ones."""
    names = [type(one).__name__ for one in (error, error.__cause__)]
    return "Credentials" in names[0] or "RefreshError" in names


def _status(error: BaseException) -> int | None:
    """Return the HTTP status of an error of aiohttp, botocore, s3fs or gcsfs; None if it has none."""
    named = "status" if hasattr(error, "status") else "code"  # aiohttp warns of its `code`
    found = [getattr(error, named, None)]
    for one in (error, error.__cause__):  # s3fs translates the errors of botocore, and keeps these as the cause
        response = getattr(one, "response", None)
        found.append(response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None)
    return next((value for value in found if isinstance(value, int) and 100 <= value < 600), None)


def _code(error: BaseException) -> str:
    """Return the error code of S3 or Google's reason; empty for other errors."""
    for one in (error, error.__cause__):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return error.reason if isinstance(error, gcs.Refused) else ""
