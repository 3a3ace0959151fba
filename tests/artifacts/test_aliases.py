"""Aliases move by compare-and-swap, and `latest` never back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from fake_models import MakeModel

from nerbench.artifacts import aliases
from nerbench.artifacts.aliases import Expected
from nerbench.artifacts.errors import ArtifactNotFoundError, ConflictError, CorruptArtifactError, InputError
from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.store import Store


@pytest.fixture
def versions(store: Store, make_model: MakeModel) -> list[ArtifactRef]:
    """Four models of one name, the oldest first."""
    return [store.publish(make_model(f"v{day}", value=day), "toy", on(day)) for day in range(1, 5)]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aliases, "sleep", lambda seconds: None)


def on(day: int) -> Provenance:
    return Provenance(created_at=datetime(2026, 1, day, tzinfo=UTC))


def test_an_alias_moves_only_from_where_it_is_expected(store: Store, versions: list[ArtifactRef]) -> None:
    one, two, three, _ = (ref.artifact_id for ref in versions)
    with pytest.raises(ConflictError, match="toy@champion does not exist, and is left as it is"):
        store.set_alias("toy", "champion", two, expected=one)
    store.set_alias("toy", "champion", one, expected=Expected.NOTHING)
    with pytest.raises(ConflictError, match=f"toy@champion is toy@sha256:{one[:12]} now"):
        store.set_alias("toy", "champion", two, expected=Expected.NOTHING)
    with pytest.raises(ConflictError, match=one[:12]):
        store.set_alias("toy", "champion", three, expected=two)
    store.set_alias("toy", "champion", three, expected=one)
    assert store.aliases("toy")["champion"] == three
    store.set_alias("toy", "champion", two)
    assert store.aliases("toy")["champion"] == two


def test_one_of_several_moves_with_the_same_expectation_wins(store: Store, versions: list[ArtifactRef]) -> None:
    store.set_alias("toy", "champion", versions[0].artifact_id)
    barrier = Barrier(3)

    def move(ref: ArtifactRef) -> str | None:
        barrier.wait()
        try:
            store.set_alias("toy", "champion", ref.artifact_id, expected=versions[0].artifact_id)
        except ConflictError:
            return None
        return ref.artifact_id

    with ThreadPoolExecutor(3) as pool:
        winners = [winner for winner in pool.map(move, versions[1:]) if winner]
    assert winners == [store.aliases("toy")["champion"]]


def dated(monkeypatch: pytest.MonkeyPatch, root: Root, dates: dict[str, datetime]) -> None:
    """Change the dates of these artifacts in the store."""
    modified = type(root).modified
    by_path = {f"models/toy/manifests/{artifact_id}.json": date for artifact_id, date in dates.items()}
    monkeypatch.setattr(type(root), "modified", lambda root, path: by_path.get(path) or modified(root, path))


@pytest.mark.parametrize("created_at", [datetime(1971, 1, 1, tzinfo=UTC), datetime(2130, 1, 1, tzinfo=UTC)])
def test_publishers_clocks_do_not_count(store: Store, make_model: MakeModel, created_at: datetime) -> None:
    wrong = store.publish(make_model("wrong", value=9.0), "toy", Provenance(created_at=created_at))
    assert store.aliases("toy") == {"latest": wrong.artifact_id}
    right = store.publish(make_model("right", value=8.0), "toy", Provenance())
    assert store.aliases("toy") == {"latest": right.artifact_id}
    wrong = store.publish(make_model("wrong again", value=7.0), "toy", Provenance(created_at=created_at))
    assert store.aliases("toy") == {"latest": wrong.artifact_id}


def test_latest_is_one_of_the_artifacts_published_at_the_same_time(
    store: Store, make_model: MakeModel, root: Root
) -> None:
    folders = [make_model(f"v{day}", value=day) for day in range(1, 5)]
    barrier = Barrier(4)

    def publish(day: int) -> ArtifactRef:
        barrier.wait()
        return store.publish(folders[day - 1], "toy", on(day))

    with ThreadPoolExecutor(4) as pool:
        published = [ref.artifact_id for ref in pool.map(publish, (4, 3, 2, 1))]
    times = {one: root.modified(f"models/toy/manifests/{one}.json") for one in published}
    assert times[store.aliases("toy")["latest"]] == max(times.values())
    late = store.publish(make_model("late", value=9.0), "toy", on(2))
    assert store.aliases("toy") == {"latest": late.artifact_id}


def test_a_late_retry_does_not_turn_latest_back(
    store: Store,
    versions: list[ArtifactRef],
    root: Root,
    make_model: MakeModel,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The retry also reports this."""
    dated(
        monkeypatch, root, {ref.artifact_id: datetime(2026, 1, day, tzinfo=UTC) for day, ref in enumerate(versions, 1)}
    )
    assert store.publish(make_model("v1 again", value=1.0), "toy", on(1)) == versions[0]
    assert store.aliases("toy")["latest"] == versions[3].artifact_id
    stays = f"toy@latest stays at toy@sha256:{versions[3].artifact_id[:12]}, which was published later"
    assert stays in caplog.text
    assert f"`nerbench artifacts alias toy@sha256:{versions[0].artifact_id[:12]} latest` moves it" in caplog.text


def test_latest_moves_from_an_artifact_dated_in_the_future(
    store: Store,
    versions: list[ArtifactRef],
    root: Root,
    make_model: MakeModel,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The dates of a disk come from its machine's clock, which may have been wrong."""
    dated(monkeypatch, root, {versions[3].artifact_id: datetime(2130, 1, 1, tzinfo=UTC)})
    newest = store.publish(make_model("v5", value=5.0), "toy", Provenance())
    assert store.aliases("toy")["latest"] == newest.artifact_id
    assert (
        f"toy@sha256:{versions[3].artifact_id[:12]} has a date in the future, 2130-01-01 00:00:00+00:00" in caplog.text
    )


def test_latest_moves_after_a_user_set_it(store: Store, versions: list[ArtifactRef], make_model: MakeModel) -> None:
    store.set_alias("toy", "latest", versions[0].artifact_id)
    assert store.aliases("toy")["latest"] == versions[0].artifact_id
    newest = store.publish(make_model("v5", value=5.0), "toy", on(5))
    assert store.aliases("toy")["latest"] == newest.artifact_id


@pytest.mark.parametrize("record", [b"", b'{"artifact_id": "x"}', b"\xff"])
def test_a_damaged_alias_is_reported_and_can_be_set(
    store: Store, versions: list[ArtifactRef], root: Root, make_model: MakeModel, record: bytes
) -> None:
    root.replace("models/toy/aliases/latest.json", record)
    with pytest.raises(CorruptArtifactError, match=r"aliases/latest\.json names no artifact"):
        store.aliases("toy")
    again = store.publish(make_model("v1 again", value=1.0), "toy", on(1))
    assert store.aliases("toy")["latest"] == again.artifact_id == versions[0].artifact_id


def test_latest_moves_from_a_deleted_artifact(
    store: Store, versions: list[ArtifactRef], root: Root, make_model: MakeModel
) -> None:
    root.delete(f"models/toy/manifests/{versions[3].artifact_id}.json")
    older = store.publish(make_model("older", value=7.0), "toy", on(1))
    assert store.aliases("toy")["latest"] == older.artifact_id


def test_an_alias_with_constant_concurrent_moves(
    store: Store, versions: list[ArtifactRef], root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(root), "swap", lambda *given: False)
    with pytest.raises(ConflictError, match="toy@champion was moved by other writers 50 times"):
        store.set_alias("toy", "champion", versions[0].artifact_id)


def test_aliases_have_plain_names_and_targets(store: Store, versions: list[ArtifactRef]) -> None:
    with pytest.raises(InputError, match=r"alias '\.\./x' cannot be used|alias '../x': cannot be used"):
        store.set_alias("toy", "../x", versions[0].artifact_id)
    with pytest.raises(ArtifactNotFoundError):
        store.set_alias("toy", "champion", "0" * 64)
    assert set(store.aliases("toy")) == {"latest"}
