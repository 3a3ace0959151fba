"""`s3://`: a bucket of S3 or of a store that speaks its protocol; credentials and endpoint are the environment's.

An upload that is killed can leave parts behind that no listing shows: let the bucket's lifecycle rules abort
incomplete multipart uploads.
"""

import errno
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from botocore import exceptions as botocore
from s3fs import S3FileSystem
from s3fs.core import S3_RETRYABLE_ERRORS

from artifacts.errors import InputError
from artifacts.remote import RemoteRoot
from artifacts.retries import Unanswered

_PART = 32 << 20
_PARTS_AT_ONCE = 4  # each is held in memory

_NO_ANSWER = (OSError, botocore.ConnectionError, botocore.IncompleteReadError, *S3_RETRYABLE_ERRORS)
_AGAIN_STATUSES = (408, 409, 425, 429)
_AGAIN_CODES = ("RequestTimeout", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "NoSuchUpload")
_REFUSED_CODES = ("ExpiredToken", "InvalidToken", "TokenRefreshRequired")


class S3Root(RemoteRoot):
    """A prefix of a bucket."""

    def _filesystem(self) -> tuple[Any, str]:
        base = self.url.partition("://")[2]
        if not base.partition("/")[0]:
            raise self._wrong("names no bucket", "write s3://bucket/prefix")
        ambient = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
        try:
            return _client(os.getpid(), ambient), base
        except (botocore.BotoCoreError, ValueError) as error:
            raise self._wrong(str(error), "check the AWS_… variables and ~/.aws/config") from None

    def read(self, path: str) -> bytes:
        data: bytes = self._call("cat_file", self._path(path), max_concurrency=1)  # else it asks for the size first
        return data

    def _put(self, local: Path, path: str) -> None:
        self._call("put_file", str(local), self._path(path), chunksize=_PART, max_concurrency=_PARTS_AT_ONCE)

    def _wrong(self, problem: str, remedy: str) -> InputError:
        return InputError(f"location {self.url}", problem, remedy)

    def _meaning(self, error: Exception) -> Exception | None:
        code, status = _answer(error)
        if not status:
            return self._meaning_without_answer(error)
        if code == "NoSuchKey":
            return None
        if status == 412:
            return FileExistsError(errno.EEXIST, "exists already", self.url)
        if status in _AGAIN_STATUSES or (status >= 500 and status != 501) or code in _AGAIN_CODES:
            return Unanswered(f"{status} {code}")
        return self._wrong(*_refusal(code, status))

    def _meaning_without_answer(self, error: Exception) -> Exception | None:
        if isinstance(error, FileNotFoundError) or getattr(error, "filename", None):
            return None  # s3fs listed a prefix and found nothing, or it is about a local file
        if isinstance(error, botocore.NoCredentialsError):
            remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            return self._wrong("there are no credentials for it", remedy)
        if isinstance(error, botocore.ParamValidationError):
            return self._wrong("has no valid bucket name", "write s3://bucket/prefix")
        if isinstance(error, _NO_ANSWER):
            return Unanswered(f"{type(error).__name__}: {error}")
        if isinstance(error, botocore.BotoCoreError):
            return self._wrong(str(error), "check the AWS_… variables and ~/.aws/config")
        return None


def _refusal(code: str, status: int) -> tuple[str, str]:
    """The problem and the remedy that a reply tells which will not change."""
    if code == "NoSuchBucket":
        return "its bucket does not exist", "create it, or check its name and AWS_ENDPOINT_URL"
    if status in (401, 403) or code in _REFUSED_CODES:
        remedy = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they allow in this bucket"
        return f"access is refused ({code})", remedy
    return f"the request is answered by {status} {code}", "check the URL, AWS_ENDPOINT_URL and AWS_DEFAULT_REGION"


@lru_cache(maxsize=8)
def _client(process: int, ambient: tuple[tuple[str, str], ...]) -> S3FileSystem:
    """One for a process (a forked one must not share it) and an environment: making one takes 0.1 s.

    Its cached listings would never expire, and s3fs and botocore would retry on their own what `attempt` counts.
    """
    fs = S3FileSystem(
        use_listings_cache=False, skip_instance_cache=True, config_kwargs={"retries": {"total_max_attempts": 1}}
    )
    fs.retries = 1
    fs.connect()
    return fs


def _answer(error: Exception) -> tuple[str, int]:
    """Code and HTTP status of the store's reply; the status is 0 where there was none."""
    response = getattr(error.__cause__, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return str(response.get("Error", {}).get("Code", "")), int(status)
