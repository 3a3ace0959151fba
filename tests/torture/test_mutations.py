"""Every file of an artifact is damaged in every way: `verify` and loading refuse it, and name the file."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from fake_models import save_fake_model
from figures import SEED, Count
from killed_steps import contents

from nerbench.artifacts.errors import NerbenchError
from nerbench.artifacts.local_copies import cache_folder
from nerbench.artifacts.manifest import ArtifactRef, Manifest, Provenance
from nerbench.artifacts.references import materialise, resolve
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store

Damage = Callable[[bytes], bytes | None]
"""The new content of a file; None removes it."""


def flipped(position: float) -> Damage:
    """Flip one bit at a position between the beginning (0) and the end (1) of a file."""

    def flip(data: bytes) -> bytes:
        changed, bit = bytearray(data), random.Random(f"{SEED} {position}").randrange(8)
        changed[round(position * (len(data) - 1))] ^= 1 << bit
        return bytes(changed)

    return flip


DAMAGES: dict[str, Damage] = {
    **{f"flipped at {position}": flipped(position) for position in (0, 0.2, 0.4, 0.6, 0.8, 1)},
    "truncated by one": lambda data: data[:-1],
    "truncated by half": lambda data: data[: len(data) // 2],
    "emptied": lambda data: b"",
    "removed": lambda data: None,
    "extended": lambda data: data + b"\n",
    "other bytes of the same length": lambda data: bytes(len(data)),
}


class Shop:
    """A store with two artifacts, whose files can be damaged and repaired."""

    def __init__(self, url: str, folder: Path, count: Count) -> None:
        self.store, self.root, self.count = Store(url), open_root(url), count
        self.models = [save_fake_model(folder / f"{number}", float(number), 64, {}) for number in (1, 2)]
        self.refs = [self.store.publish(model, "toy", Provenance()) for model in self.models]
        self.store.set_alias("toy", "champion", self.refs[0].artifact_id)

    def paths(self, ref: ArtifactRef) -> dict[str, str]:
        """The path of each file of an artifact."""
        files = self.store.manifest(ref).files
        return {entry.path: f"blobs/sha256/{entry.sha256[:2]}/{entry.sha256}" for entry in files}

    def put(self, path: str, data: bytes | None) -> bytes:
        """Write or remove a file; return its old content."""
        before = self.root.read(path)
        self.root.delete(path) if data is None else self.root.replace(path, data)
        self.count.faults += 1
        return before

    def expect_refusal(self, what: str, named: str) -> None:
        """Verification and loading must refuse the first artifact, and name the damaged file."""
        shutil.rmtree(cache_folder(), ignore_errors=True)  # which correctly serves its valid files
        verified = self.store.verify(self.refs[0])
        if verified.ok or named not in " ".join(verified.problems):
            self.count.torn.append(f"{what}: verification says {verified.problems}")
        self.expect_error(what, named, lambda: materialise(self.refs[0]))

    def expect_error(self, what: str, named: str, load: Callable[[], object]) -> None:
        """The call must raise an error that names the damaged file."""
        try:
            got = load()
        except NerbenchError as error:
            if named in str(error):
                self.count.acknowledged += 1
                return
            got = error
        self.count.torn.append(f"{what}: loading it gives {got}")


_TORTURE = [pytest.param(store, marks=pytest.mark.torture) for store in ("file", "s3")]


@pytest.fixture(params=["memory", *_TORTURE])
def shop(request: pytest.FixtureRequest, tmp_path: Path, figures: list[Count]) -> Iterator[Shop]:
    urls = {"file": lambda: str(tmp_path / "root"), "memory": lambda: f"memory://{uuid4().hex}"}
    urls["s3"] = lambda: f"{request.getfixturevalue('moto_bucket')}/{uuid4().hex}"
    store = "moto" if request.param == "s3" else request.param
    made = Shop(
        urls[request.param](),
        tmp_path / "models",
        Count(f"damaged {request.node.originalname[5:].replace('_', ' ')}", store),
    )
    figures.append(made.count)
    yield made
    for path in made.root.files(recursive=True):
        made.root.delete(path)


def test_blobs(shop: Shop) -> None:
    for file, path in shop.paths(shop.refs[0]).items():
        for what, damage in DAMAGES.items():
            before = shop.put(path, damage(shop.root.read(path)))
            shop.expect_refusal(f"{file} {what}", file)
            shop.root.replace(path, before)
    _swap_all(shop)
    shop.count.schedules = shop.count.faults
    _expect_all_is_well(shop)


def _swap_all(shop: Shop) -> None:
    """Replace each file by each other file of both artifacts."""
    paths = shop.paths(shop.refs[0])
    others = set(paths.values()) | set(shop.paths(shop.refs[1]).values())
    for file, path in paths.items():
        for other in sorted(others - {path}):
            before = shop.put(path, shop.root.read(other))
            shop.expect_refusal(f"{file} swapped", file)
            shop.root.replace(path, before)


def test_manifests(shop: Shop) -> None:
    ref = shop.refs[0]
    path = ref.uri.removeprefix(f"{shop.store.url}/")
    manifest = shop.store.manifest(ref)
    unlisted = manifest.model_copy(update={"files": manifest.files[:-1]}).to_bytes()
    entries = (*manifest.files, manifest.files[0].model_copy(update={"path": "vocab.txt"}))
    damages: dict[str, Damage] = {
        **DAMAGES,
        "that of another artifact": lambda data: shop.store.manifest(shop.refs[1]).to_bytes(),
        "with an extra file": lambda data: manifest.model_copy(update={"files": entries}).to_bytes(),
        "without a file": lambda data: unlisted,
    }
    for what, damage in damages.items():
        before = shop.put(path, damage(shop.root.read(path)))
        shop.expect_refusal(f"manifest {what}", ref.artifact_id)
        shop.root.replace(path, before)
    _add_manifests(shop, manifest)
    shop.count.schedules = shop.count.faults
    _expect_all_is_well(shop)


def _add_manifests(shop: Shop, manifest: Manifest) -> None:
    """Extra files: invalid manifests are ignored, and a valid one under another name or digest is refused."""
    shop.root.create("models/toy/manifests/notes.json", b"{}")
    shop.root.create(f"models/toy/manifests/{'0' * 64}.json", manifest.to_bytes())
    shop.root.create(f"models/other/manifests/{manifest.artifact_id}.json", manifest.to_bytes())
    shop.count.faults += 3
    assert [summary.artifact_id for summary in shop.store.list()] == [ref.artifact_id for ref in reversed(shop.refs)]
    for reference in (f"toy@sha256:{'0' * 64}", f"other@sha256:{manifest.artifact_id}"):
        shop.expect_error(reference, reference[-64:], lambda at=reference: resolve(at, shop.store.url))
    for path in (f"toy/manifests/{'0' * 64}", f"other/manifests/{manifest.artifact_id}", "toy/manifests/notes"):
        shop.root.delete(f"models/{path}.json")


def test_aliases(shop: Shop) -> None:
    path, right = "models/toy/aliases/champion.json", shop.refs[0].artifact_id
    size = shop.root.size(path)
    damages = DAMAGES | {f"flipped at byte {at}": flipped(at / (size - 1)) for at in range(size)}
    damages["swapped with a manifest"] = lambda data: shop.store.manifest(shop.refs[0]).to_bytes()
    for what, damage in damages.items():
        before = shop.put(path, damage(shop.root.read(path)))
        try:
            found = [ref.artifact_id for ref in resolve("toy@champion", shop.store.url)]
        except NerbenchError as error:
            shop.count.acknowledged += 1
            if "champion" not in str(error) and "toy@sha256:" not in str(error):
                shop.count.torn.append(f"{what} is not named: {error}")
        else:
            if found != [right]:  # another date or a line end changes nothing
                shop.count.torn.append(f"{what}: the alias means {found}")
        shop.root.replace(path, before)
    shop.count.schedules = shop.count.faults
    _expect_all_is_well(shop)


def test_local_copies(shop: Shop, cache: Path) -> None:
    ref, expected = shop.refs[0], contents(shop.models[0])
    assert contents(materialise(ref)) == expected
    copies = sorted(path for path in cache.rglob("*") if path.is_file() and path.stat().st_size)  # no leases
    for copy in copies:
        for what, damage in DAMAGES.items():
            data = damage(copy.read_bytes())
            copy.unlink() if data is None else copy.write_bytes(data)
            _expect_repaired(shop, f"{copy} {what}", expected)
    for name in ("modeling.py", "pytorch_model.bin", "adapter_config.json"):
        (materialise(ref) / name).write_text("{}")
        _expect_repaired(shop, f"{name} extra", expected)
    shop.count.schedules = shop.count.faults
    shop.count.assert_nothing_lost()


def _expect_repaired(shop: Shop, what: str, expected: dict[str, str]) -> None:
    found = contents(materialise(shop.refs[0]))
    shop.count.faults += 1
    shop.count.acknowledged += found == expected
    if found != expected:
        shop.count.torn.append(f"{what} is loaded as {found}")


def _expect_all_is_well(shop: Shop) -> None:
    """No violation was found, and the repaired store is valid."""
    shop.count.assert_nothing_lost()
    assert shop.store.verify(shop.refs[0]).ok
    assert contents(materialise(shop.refs[0])) == contents(shop.models[0])
