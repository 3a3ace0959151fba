"""The policy in `deployments/s3-policy.json` allows exactly the requests that nerbench makes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prefect_site import ROOT
from s3_server import BUCKET, running_s3

from nerbench.artifacts.garbage import find_garbage, remove_garbage
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.references import pull, resolve, verify
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.compaction import compact
from nerbench.artifacts.tables.tables import read_results, write_table

pytestmark = [pytest.mark.slow, pytest.mark.operations]
PREFIX = "team/nerbench"
READ, WRITE, LIST, DELETE = "s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"
NEEDED = {
    "HeadObject": {READ, LIST},
    "GetObject": {READ, LIST},
    "ListObjectsV2": {LIST},
    "PutObject": {WRITE},
    "CopyObject": {READ, WRITE},
    "CreateMultipartUpload": {WRITE},
    "UploadPart": {WRITE},
    "CompleteMultipartUpload": {WRITE},
    "DeleteObject": {DELETE},
}
"""The permissions of each operation (AWS service authorization reference). Without ListBucket, a missing key is 403."""


class Asked(NamedTuple):
    """A request to S3."""

    operation: str
    parameters: dict[str, Any]

    def needs(self) -> set[tuple[str, str]]:
        """Actions and their resources."""
        bucket = f"arn:aws:s3:::{self.parameters['Bucket']}"
        key = self.parameters.get("Key")
        return {(action, bucket if action == LIST else f"{bucket}/{key}") for action in NEEDED[self.operation]}


def statements() -> list[dict[str, Any]]:
    text = (ROOT / "deployments" / "s3-policy.json").read_text().replace("BUCKET", BUCKET).replace("PREFIX", PREFIX)
    found: list[dict[str, Any]] = json.loads(text)["Statement"]
    return found


def allowing(one: Asked, action: str, resource: str) -> list[dict[str, Any]]:
    return [
        statement
        for statement in statements()
        if action in statement["Action"]
        and any(fnmatchcase(resource, pattern) for pattern in statement["Resource"])
        and fits(one, statement.get("Condition", {}))
    ]


def fits(one: Asked, condition: dict[str, Any]) -> bool:
    """Whether a statement matches. Supports only the condition that the policy uses."""
    patterns = condition.get("StringLikeIfExists", {}).get("s3:prefix")
    prefix = one.parameters.get("Prefix")
    return patterns is None or prefix is None or any(fnmatchcase(prefix, pattern) for pattern in patterns)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Asked]]:
    """A bucket, and all requests to it."""
    from aiobotocore.client import AioBaseClient

    seen: list[Asked] = []
    original = AioBaseClient._make_api_call

    async def call(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        seen.append(Asked(operation, parameters))
        return await original(self, operation, parameters)

    monkeypatch.setattr(AioBaseClient, "_make_api_call", call)
    with running_s3():
        yield seen


def use_everything(url: str, model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use all operations of stores and results, including multipart uploads and renewals."""
    store = Store(f"{url}/store")
    published = store.publish(model, "tiny", Provenance(seed=1))
    monkeypatch.setattr("nerbench.artifacts.storage.filesystem.FRESH", timedelta(days=-1))
    store.publish(model, "tiny", Provenance(seed=2))
    store.set_alias("tiny", "champion", published.artifact_id)
    (ref,) = resolve("tiny@champion", store.url)
    assert [one.ok for one in verify(ref.uri, store.url)] == [True]
    pull(ref, folder / "pulled")
    assert store.list()
    later = datetime.now(UTC) + timedelta(days=30)
    assert remove_garbage(store, find_garbage(store, unaliased=timedelta(0), now=later)) == []
    results = open_root(f"{url}/results")
    results.create(".probe", b"")
    results.delete(".probe")
    row = {"run_id": "r", "started_at": datetime(2026, 1, 1, tzinfo=UTC), "flow": "benchmark", "outcome": "ok"}
    for key in ("a" * 32, "b" * 32):
        write_table(results.url, "runs", [row], date="2026-01-01", key=key)
    for _ in range(2):
        compact(results.url, ["runs"], grace=timedelta(0), now=later)
    assert read_results(results.url, "runs").num_rows == 2
    results.replace(".cache/evaluations/0/record.json", b"{}")
    large = folder / "large"
    large.write_bytes(bytes(11 << 20))
    monkeypatch.setattr("nerbench.artifacts.storage.s3._PART", 5 << 20)
    results._put(large, "large", "0" * 64, lambda done: None)


@pytest.fixture
def everything(
    asked: list[Asked], tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Asked]:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    use_everything(f"s3://{BUCKET}/{PREFIX}", tiny_model_folder, tmp_path, monkeypatch)
    return asked


def test_the_policy_allows_only_the_requests_of_nerbench(everything: list[Asked]) -> None:
    assert {one.operation for one in everything} == set(NEEDED)
    used = set()
    for one in everything:
        for action, resource in one.needs():
            assert allowing(one, action, resource), one
            used.add(action)
    assert {action for statement in statements() for action in statement["Action"]} == used


def test_nothing_outside_the_prefix_is_allowed() -> None:
    outside = Asked("PutObject", {"Bucket": BUCKET, "Key": "team/others/x"})
    listing = Asked("ListObjectsV2", {"Bucket": BUCKET, "Prefix": "team/"})
    assert [allowing(one, *need) for one in (outside, listing) for need in one.needs()] == [[], []]
    assert all(statement["Effect"] == "Allow" for statement in statements())
    assert "*" not in {action for statement in statements() for action in statement["Action"]}
