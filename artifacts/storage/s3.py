"""`s3://`: a bucket of S3 or of a compatible store. Credentials and endpoint come from the environment.

A killed upload can leave parts that no listing shows. Let the bucket's lifecycle rules abort incomplete multipart
uploads.
"""

import errno
import os
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from botocore import exceptions as botocore
from fsspec.callbacks import Callback
from s3fs import S3FileSystem
from s3fs.core import S3_RETRYABLE_ERRORS

from nerbench.artifacts.digests import sha256_file
from nerbench.artifacts.errors import InputError
from nerbench.artifacts.storage.filesystem import ProgressCallback
from nerbench.artifacts.storage.remote import FsspecRoot
from nerbench.artifacts.storage.retries import Unanswered

_PART = 16 << 20
_PARTS_AT_ONCE = 4  # each is held in memory, for each of `transfers.AT_ONCE` files
_MAX_COPY = 5 << 30

_SHA256 = "sha256"
"""The metadata key under which an object has the digest of its content."""

_NO_ANSWER = (OSError, botocore.ConnectionError, botocore.IncompleteReadError, *S3_RETRYABLE_ERRORS)
_AGAIN_STATUSES = (408, 409, 425, 429)
_AGAIN_CODES = ("RequestTimeout", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "NoSuchUpload")
_REFUSED_CODES = ("ExpiredToken", "InvalidToken", "TokenRefreshRequired")


class S3Root(FsspecRoot):
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
        data: bytes = self._call(
            "cat_file", self._path(path), max_concurrency=1
        )  # otherwise it asks for the size first
        return data

    def modified(self, path: str) -> datetime:
        when: datetime = self._head(path)["LastModified"]
        return when

    def swap(self, path: str, data: bytes, expected: bytes | None) -> bool:
        if expected is None:
            return super().swap(path, data, None)
        try:
            tag = self._head(path)["ETag"]  # requested first, so that it is never newer than the content read
            if self._start(path, expected) != expected:
                return False
            self._replace_tagged(path, data, tag)
        except FileNotFoundError:
            return False
        except FileExistsError:
            return self._start(path, data) == data  # our own write, whose reply was lost
        return True

    def _replace_tagged(self, path: str, data: bytes, tag: str) -> None:
        """Replace the object that has this tag. Raises FileExistsError if its tag has changed."""
        self._call("pipe_file", self._path(path), data, IfMatch=tag)

    def refuses_outdated_swap(self, path: str) -> bool:
        self.replace(path, b"before")
        tag = self._head(path)["ETag"]
        self.replace(path, b"now")  # another writer's change after the comparison of `swap`
        try:
            self._replace_tagged(path, b"outdated", tag)
        except FileExistsError:
            return self._start(path, b"now") == b"now"
        return False

    def _below(self, folder: str) -> list[str]:
        names: list[str] = self._call("find", folder)  # which lists by prefix, and raises
        return names

    def _put(self, local: Path, path: str, sha256: str, progress: ProgressCallback) -> str:
        options = {"chunksize": _PART, "max_concurrency": _PARTS_AT_ONCE, "Metadata": {_SHA256: sha256}}
        self._call("put_file", str(local), self._path(path), callback=_Telling(progress), **options)
        return sha256_file(local)

    def _holds(self, path: str, size: int, sha256: str) -> bool:
        """Compares the digest that the upload wrote as metadata; an object without one is read.

        Reading everything would cost a download for every upload. A store shows an object only when it is complete and
        its checksums match. `Store.verify` reads everything.
        """
        found = self._head(path)
        if found["ContentLength"] != size:
            return False
        return found.get("Metadata", {}).get(_SHA256) == sha256 or self.sha256(path) == sha256

    def _renew(self, local: Path, path: str, sha256: str) -> None:
        if local.stat().st_size > _MAX_COPY:
            self._put(local, path, sha256, lambda done: None)
            return
        bucket, key = self._bucket_and_key(path)
        source = {"Bucket": bucket, "Key": key}
        new = {
            "Metadata": {_SHA256: sha256},
            "MetadataDirective": "REPLACE",
        }  # a copy onto itself must change something
        self._call("call_s3", "copy_object", CopySource=source, **source, **new)

    def _head(self, path: str) -> dict[str, Any]:
        """The metadata of an object. Raises FileNotFoundError."""
        bucket, key = self._bucket_and_key(path)
        found: dict[str, Any] = self._call("call_s3", "head_object", Bucket=bucket, Key=key)
        return found

    def _bucket_and_key(self, path: str) -> tuple[str, str]:
        bucket, _, key = self._path(path).partition("/")
        return bucket, key

    def _once(self, method: str, *arguments: Any, **options: Any) -> Any:
        try:
            return super()._once(method, *arguments, **options)
        except FileExistsError as error:
            if "IfMatch" in options or options.get("mode") == "create":
                raise
            raise Unanswered("412 for a request without a condition") from error

    def _wrong(self, problem: str, remedy: str) -> InputError:
        return InputError(f"location {self.url}", problem, remedy)

    def _meaning(self, error: Exception) -> Exception | None:
        code, status = _answer(error)
        if not status:
            return self._meaning_without_answer(error)
        if code in ("NoSuchKey", "404") and isinstance(error, FileNotFoundError):  # a HEAD request gets no error code
            return None
        if status == 412:
            return FileExistsError(errno.EEXIST, "exists already", self.url)
        if status in _AGAIN_STATUSES or (status >= 500 and status != 501) or code in _AGAIN_CODES:
            return Unanswered(f"{status} {code}")
        return self._wrong(*_refusal(code, status))

    def _meaning_without_answer(self, error: Exception) -> Exception | None:
        if isinstance(error, FileNotFoundError) or getattr(error, "filename", None):
            return None  # s3fs listed a prefix and found nothing, or the error is about a local file
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
    """The problem and the remedy for a reply that a retry will not change."""
    if code == "NoSuchBucket":
        return "its bucket does not exist", "create it, or check its name and AWS_ENDPOINT_URL"
    if status in (401, 403) or code in _REFUSED_CODES:
        remedy = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they allow in this bucket"
        return f"access is refused ({code})", remedy
    return f"the request is answered by {status} {code}", "check the URL, AWS_ENDPOINT_URL and AWS_DEFAULT_REGION"


class _Telling(Callback):  # type: ignore[misc]
    """Reports how many bytes of a file were sent; a new attempt starts at 0."""

    def __init__(self, progress: ProgressCallback) -> None:
        super().__init__()
        self._told = progress

    def set_size(self, size: int) -> None:
        self.value = 0

    def relative_update(self, inc: int = 1) -> None:
        self.value += inc
        self._told(self.value)


class _Client(S3FileSystem):  # type: ignore[misc]
    """Reads no more bytes of a reply than it requested, whatever length the store declares or sends."""

    async def _cat_file(
        self, path: str, version_id: str | None = None, start: int | None = None, end: int | None = None, **options: Any
    ) -> bytes:
        if start is None or end is None:
            whole: bytes = await super()._cat_file(path, version_id, start, end, **options)
            return whole
        bucket, key, _ = self.split_path(path)
        try:
            answer = await self._call_s3("get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}")
        except OSError as error:
            if _answer(error)[0] == "InvalidRange":  # the requested position is beyond the end
                return b""
            raise
        data = bytearray()
        async with answer["Body"] as body:
            while len(data) < end - start and (block := await body.read(end - start - len(data))):
                data += block
        return bytes(data)


@lru_cache(maxsize=8)
def _client(process: int, ambient: tuple[tuple[str, str], ...]) -> S3FileSystem:
    """One per process (a forked process must not share it) and environment, because creating one takes 0.1 s.

    Its cached listings would never expire, and s3fs and botocore would retry in addition to `attempt`.
    """
    fs = _Client(
        use_listings_cache=False, skip_instance_cache=True, config_kwargs={"retries": {"total_max_attempts": 1}}
    )
    fs.retries = 1
    fs.connect()
    return fs


def _answer(error: Exception) -> tuple[str, int]:
    """The code and HTTP status of the store's reply; the status is 0 if there was no reply."""
    response = getattr(error.__cause__, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return str(response.get("Error", {}).get("Code", "")), int(status)
