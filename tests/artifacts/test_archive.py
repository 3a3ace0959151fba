"""Archives: whatever is exported comes back with the same ids, and nothing damaged or hostile is published."""

import hashlib
import io
import json
import tarfile
from datetime import datetime
from pathlib import Path

import pytest
from fake_models import MakeModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nerbench.artifacts.archive import INDEX, read_archive, write_archive
from nerbench.artifacts.errors import CorruptArtifactError, InputError, NerbenchError
from nerbench.artifacts.manifest import ArtifactKey, Provenance
from nerbench.artifacts.store import Store


@pytest.fixture
def filled(make_model: MakeModel, tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "filled"))
    first = store.publish(make_model("a", value=1.0), "one", Provenance(seed=1))
    store.publish(make_model("b", value=2.0), "one", Provenance(seed=2))
    store.publish(make_model("c", value=3.0), "two", Provenance(seed=3))
    store.set_alias("one", "champion", first.artifact_id)
    return store


def keys(store: Store) -> list[ArtifactKey]:
    return [ArtifactKey(name=name, artifact_id=one) for name, ids in store.keys().items() for one in ids]


@pytest.fixture
def archive(filled: Store, tmp_path: Path) -> Path:
    path = tmp_path / "all.tar"
    write_archive(filled, keys(filled), path)
    return path


def test_a_store_comes_back_as_it_was(filled: Store, archive: Path, store: Store, tmp_path: Path) -> None:
    found = read_archive(store, archive)
    assert {*found.added} == {*keys(filled)} == {*keys(store)}
    assert (found.present, found.kept_aliases) == ((), ())
    assert all(store.verify(key).ok for key in keys(store))
    for name in ("one", "two"):
        assert store.aliases(name) == filled.aliases(name)
    write_archive(store, keys(store), tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == archive.read_bytes()


def test_a_second_import_changes_nothing_and_aliases_stay(
    archive: Path, store: Store, make_model: MakeModel, filled: Store
) -> None:
    own = store.publish(make_model("d", value=4.0), "one", Provenance(seed=4))
    assert read_archive(store, archive).kept_aliases == ("one@latest",)
    again = read_archive(store, archive)
    assert (again.added, {*again.present}) == ((), {*keys(filled)})
    assert store.aliases("one")["latest"] == own.artifact_id


def test_some_artifacts_bring_a_latest(filled: Store, tmp_path: Path, store: Store) -> None:
    champion = ArtifactKey(name="one", artifact_id=filled.aliases("one")["champion"])
    write_archive(filled, [champion], tmp_path / "champion.tar")
    read_archive(store, tmp_path / "champion.tar")
    assert store.aliases("one") == dict.fromkeys(("champion", "latest"), champion.artifact_id)


def test_latest_is_the_last_exported_publication_whatever_its_time_zone(
    store: Store, make_model: MakeModel, tmp_path: Path
) -> None:
    dates = ("2030-01-01T23:00:00+02:00", "2030-01-01T22:30:00+00:00", "2030-01-02T00:00:00+00:00")
    _, second, third = (
        store.publish(make_model(f"{number}", value=float(number)), "one", Provenance(created_at=when))
        for number, when in enumerate(map(datetime.fromisoformat, dates))
    )
    exported = [key for key in keys(store) if key.artifact_id != third.artifact_id]
    assert write_archive(store, exported, tmp_path / "two.tar").aliases["one"]["latest"] == second.artifact_id


def test_an_existing_file_is_not_overwritten(filled: Store, archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(InputError, match="exists"):
        write_archive(filled, keys(filled), archive)
    assert archive.read_bytes() == before


def test_an_export_that_fails_leaves_no_file(filled: Store, tmp_path: Path) -> None:
    missing = ArtifactKey(name="one", artifact_id="0" * 64)
    with pytest.raises(NerbenchError):
        write_archive(filled, [*keys(filled), missing], tmp_path / "half.tar")
    assert not [*tmp_path.glob("half*")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_publishes_intact_artifacts_only(archive: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(archive.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(content)
    target = Store(f"memory://{data.draw(st.uuids())}")
    try:
        read_archive(target, damaged)
        is_whole = True
    except NerbenchError:
        is_whole = False
    assert all(target.verify(key).ok for key in keys(target))
    assert len(keys(target)) == 3 or not is_whole


@pytest.fixture
def target(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "target"))


def rewritten(archive: Path, change: dict[str, bytes | None], *more: tarfile.TarInfo) -> Path:
    path = archive.with_name("rewritten.tar")
    with tarfile.open(archive) as old, tarfile.open(path, "w") as new:
        for member in old:
            stream = old.extractfile(member)
            assert stream is not None
            content = change.get(member.name, stream.read())
            if content is not None:
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
        for one in more:
            new.addfile(one)
    return path


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "models/../../x", "models/one/aliases/latest.json", "x"])
def test_other_names_are_refused(archive: Path, target: Store, name: str, tmp_path: Path) -> None:
    before = {*tmp_path.rglob("*")}
    hostile = rewritten(archive, {INDEX: None}, tarfile.TarInfo(name))
    with pytest.raises(InputError, match="which no archive"):
        read_archive(target, hostile)
    assert not (tmp_path.parent / "outside").exists()
    assert all("target" in path.parts or path == hostile for path in {*tmp_path.rglob("*")} - before)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_only_regular_files_are_read(archive: Path, target: Store, kind: bytes) -> None:
    member = tarfile.TarInfo(f"blobs/sha256/aa/{'a' * 64}")
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(InputError, match="not a regular file"):
        read_archive(target, rewritten(archive, {INDEX: None}, member))


def header(kind: bytes, size: int) -> bytes:
    """The header of a blob, with a size that may be impossible, in base 256."""
    data = bytearray(tarfile.TarInfo(f"blobs/sha256/e3/{hashlib.sha256(b'').hexdigest()}").tobuf(tarfile.GNU_FORMAT))
    data[124:136] = (size % (1 << 96) | (size >= 0) << 95).to_bytes(12, "big")
    data[156:157] = kind
    data[148:156] = b"%06o\0 " % sum(data[:148] + b" " * 8 + data[156:])
    return bytes(data)


@pytest.mark.parametrize("size", [1 << 62, 1 << 90, -512, -1024])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE])
def test_impossible_sizes_are_refused(tmp_path: Path, target: Store, kind: bytes, size: int) -> None:
    path = tmp_path / "hostile.tar"
    path.write_bytes(header(kind, size) + bytes(4096))
    with pytest.raises(NerbenchError, match=r"hostile\.tar"):
        read_archive(target, path)
    assert keys(target) == []


def test_many_extended_headers_are_refused(tmp_path: Path, target: Store) -> None:
    path = tmp_path / "hostile.tar"
    path.write_bytes((header(tarfile.XHDTYPE, 1) + b"a".ljust(512, b"\0")) * 3000)
    with pytest.raises(NerbenchError, match=r"hostile\.tar"):
        read_archive(target, path)


def test_a_sparse_file_is_not_unpacked(tmp_path: Path, target: Store) -> None:
    data = bytearray(header(tarfile.GNUTYPE_SPARSE, 0))
    data[257:265] = b"ustar  \0"
    data[483:495] = ((1 << 60) | (1 << 95)).to_bytes(12, "big")  # the size after unpacking
    data[148:156] = b"%06o\0 " % sum(data[:148] + b" " * 8 + data[156:])
    path = tmp_path / "sparse.tar"
    path.write_bytes(data + bytes(1024))
    with pytest.raises(InputError, match="not a regular file"):
        read_archive(target, path)


def test_an_archive_in_a_missing_folder_is_an_input_error(filled: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing.*cannot be written"):
        write_archive(filled, keys(filled), tmp_path / "missing" / "all.tar")


@pytest.mark.parametrize(
    ("alias", "artifact_id", "message"),
    [
        ("latest", "0" * 64, "does not have"),
        ("../../x", None, r"'\.\./\.\./x' cannot be an alias of one"),
        ("", None, "'' cannot be"),
        ("é\u202e\n", None, "cannot be an alias"),
    ],
)
def test_an_impossible_alias_is_refused_before_any_is_set(
    archive: Path, target: Store, alias: str, artifact_id: str | None, message: str
) -> None:
    with tarfile.open(archive) as opened:
        stream = opened.extractfile(INDEX)
        assert stream is not None
        index = json.loads(stream.read())
    aliases = index["aliases"]["one"]
    aliases[alias] = artifact_id or aliases["latest"]
    with pytest.raises(CorruptArtifactError, match=message) as raised:
        read_archive(target, rewritten(archive, {INDEX: json.dumps(index).encode()}))
    assert "\n" not in str(raised.value)
    assert target.aliases("one") == {}


@pytest.mark.parametrize("left_out", ["blobs/", INDEX])
def test_a_missing_file_is_noticed(archive: Path, target: Store, left_out: str) -> None:
    with tarfile.open(archive) as opened:
        name = next(name for name in opened.getnames() if name.startswith(left_out))
    with pytest.raises(CorruptArtifactError, match=r"missing|cut off"):
        read_archive(target, rewritten(archive, {name: None}))
    assert all(target.verify(key).ok for key in keys(target))


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b" * 600])
def test_another_file_is_named_in_the_error(tmp_path: Path, target: Store, content: bytes) -> None:
    path = tmp_path / "some.tar"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"some\.tar.*archive"):
        read_archive(target, path)
    with pytest.raises(InputError, match="does not exist"):
        read_archive(target, tmp_path / "missing.tar")


def test_an_error_of_the_store_is_not_damage_of_the_archive(
    archive: Path, target: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(target, "adopt", fail)
    with pytest.raises(ValueError, match="a bug"):
        read_archive(target, archive)
