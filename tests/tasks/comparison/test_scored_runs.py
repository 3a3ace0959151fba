"""The run and the artifact that a reference means, on small handmade result tables."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import nerbench.artifacts.tables.tables
from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.errors import ArtifactNotFoundError, InputError
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.references import resolve
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.schemas import TABLES
from nerbench.artifacts.tables.tables import table_key, write_table
from nerbench.tasks.comparison.scored_runs import ScoredRun, common, find_scored_run, reasons
from nerbench.tasks.scoring.stored_predictions import Predicted


def required(table: str) -> dict[str, str]:
    """A text for each required column."""
    return {column.name: "x" for column in TABLES[table].columns if column.type == "string" and not column.nullable}


def digest(*parts: str) -> str:
    return sha256_hex("/".join(parts).encode())


class Bench(NamedTuple):
    """A store, and results with the tables of a benchmark."""

    store: str
    results: str
    folder: Path

    def publish(self, name: str, version: str) -> str:
        """Publish a new artifact of that name; return its id."""
        (self.folder / "config.json").write_text(f'{{"version": "{version}"}}')
        return Store(self.store).publish(self.folder, name, Provenance()).artifact_id

    def score(
        self,
        run_id: str,
        day: int,
        artifact_id: str,
        model: str = "tagger",
        *,
        datasets: tuple[str, ...] = ("own",),
        golds: tuple[str | None, ...] = (None,),
        hour: int = 0,
        run: bool = True,
        **columns: Any,
    ) -> None:
        """Write the rows of a run for one artifact."""
        started_at = datetime(2030, 1, day, hour, tzinfo=UTC)
        of_run = {"run_id": run_id, "started_at": started_at}
        date = f"2030-01-{day:02}"
        for dataset in datasets:
            rows = []
            for gold in golds:
                about = {"artifact_id": artifact_id, "model": model, "dataset": dataset, "gold": gold or dataset}
                about |= {"words_sha256": digest(dataset), "gold_sha256": digest(about["gold"])}
                about |= {"predictions_digest": digest(artifact_id, dataset), "dtype": "fp32", **columns}
                rows += [
                    required("metrics")
                    | of_run
                    | about
                    | {"attempt": 1, "model_sha256": "m", "split": "test", "label": one}
                    for one in ("LOC", "overall")
                ]
                if about["predictions_digest"] and "n_models" not in columns:
                    self.predict(about, date)
            write_table(self.results, "metrics", rows, date=date, key=table_key(run_id, artifact_id, dataset))
        if run:
            row = required("runs") | of_run | {"configuration": "{}", "torch": "2.13"}
            write_table(self.results, "runs", [row], date=date, key=table_key(run_id, "runs", str(hour)))

    def predict(self, about: dict[str, Any], date: str) -> None:
        identity = {name: about[name] for name in ("artifact_id", "words_sha256", "gold_sha256", "predictions_digest")}
        row = required("predictions") | identity | {"sentence": 0, "word": 0, "gold_tag": "O", "pred_tag": "O"}
        write_table(self.results, "predictions", [row], date=date, key=table_key(*identity.values()))

    def find(self, reference: str, **only: str) -> ScoredRun:
        return find_scored_run(reference, self.store, self.results, **only)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text("{}")
    return Bench(str(tmp_path / "store"), str(tmp_path / "results"), folder)


@pytest.fixture
def two(bench: Bench) -> tuple[Bench, str, str]:
    """`tagger` in two versions: the first was scored in two runs; the second, `latest`, in the third."""
    first, second = bench.publish("tagger", "1"), bench.publish("tagger", "2")
    Store(bench.store).set_alias("tagger", "champion", first)
    bench.score("nightly@2030-01-01T00:00:00+00:00", 1, first)
    bench.score("nightly@2030-01-02T00:00:00+00:00", 2, first)
    bench.score("nightly@2030-01-03T00:00:00+00:00", 3, second)
    return bench, first, second


def test_a_reference_alone_means_the_newest_run_of_its_artifact(two: tuple[Bench, str, str]) -> None:
    bench, first, second = two
    for reference in ("tagger", "tagger@latest", f"tagger@sha256:{second[:8]}"):
        side = bench.find(reference)
        assert (side.artifact_id, side.date, side.run_id) == (second, "2030-01-03", "nightly@2030-01-03T00:00:00+00:00")
    for reference in ("tagger@champion", f"tagger@sha256:{first}", resolve("tagger@champion", bench.store)[0].uri):
        side = bench.find(reference)
        assert (side.artifact_id, side.date, side.run_id) == (first, "2030-01-02", "nightly@2030-01-02T00:00:00+00:00")


def test_a_scored_run_has_all_its_columns(bench: Bench) -> None:
    artifact = bench.publish("tagger", "1")
    bench.score("night", 4, artifact, datasets=("own", "another"), golds=("second", None))
    side = bench.find("tagger")
    assert replace(side, scored=(), run=None) == ScoredRun(
        reference="tagger",
        run_id="night",
        date="2030-01-04",
        started_at=datetime(2030, 1, 4, tzinfo=UTC),
        artifact_id=artifact,
        model_sha256="m",
        model="tagger",
        scored=(),
        run=None,
    )
    names = [("another", "another"), ("another", "second"), ("own", "own"), ("own", "second")]
    assert [(one.dataset, one.gold) for one in side.scored] == names
    words, gold, predicted = digest("own"), digest("second"), digest(artifact, "own")
    key = table_key(artifact, words, gold, predicted)
    assert side.scored[-1] == Predicted(
        artifact_id=artifact,
        model_sha256=side.model_sha256,
        model=side.model,
        dataset="own",
        split="test",
        gold="second",
        words_sha256=words,
        gold_sha256=gold,
        predictions_digest=predicted,
        dtype="fp32",
        uri=f"{bench.results}/predictions/schema=2/date=2030-01-04/{key}.parquet",
    )
    assert side.run is not None
    assert (side.run["run_id"], side.run["torch"]) == ("night", "2.13")


def test_data_sets_and_golds_can_be_chosen(bench: Bench) -> None:
    artifact = bench.publish("tagger", "1")
    bench.score("both", 1, artifact, datasets=("own", "another"), golds=(None, "second"))
    bench.score("one", 2, artifact)
    assert bench.find("tagger").run_id == "one"
    side = bench.find("tagger", dataset="another", gold="second")
    assert (side.run_id, [(one.dataset, one.gold) for one in side.scored]) == ("both", [("another", "second")])
    with pytest.raises(InputError, match=r"has no metrics on dataset nothing in .*; run `nerbench benchmark tagger`"):
        bench.find("tagger", dataset="nothing")


def test_a_name_means_the_artifact_of_the_run(two: tuple[Bench, str, str]) -> None:
    bench, first, second = two
    assert bench.find("tagger#2030-01-02").artifact_id == first
    assert bench.find("tagger#nightly@2030-01-02T00:00:00+00:00").artifact_id == first
    assert bench.find("tagger#2030-01-03").artifact_id == second
    assert bench.find("tagger@champion#2030-01-01").date == "2030-01-01"
    with pytest.raises(InputError, match=r"no metrics of 2030-01-01; the last ones are of 2030-01-03$"):
        bench.find("tagger@latest#2030-01-01")


def test_the_newest_run_of_a_date_is_used(bench: Bench) -> None:
    artifact = bench.publish("tagger", "1")
    bench.score("late", 1, artifact, hour=20)
    bench.score("early", 1, artifact, hour=3)
    assert bench.find("tagger#2030-01-01").run_id == bench.find("tagger").run_id == "late"
    assert bench.find("tagger#early").started_at.hour == 3


def test_several_artifacts_of_one_name_are_listed(bench: Bench) -> None:
    first, second = bench.publish("tagger", "1"), bench.publish("tagger", "2")
    bench.score("night", 1, first)
    bench.score("night", 1, second)
    with pytest.raises(InputError, match="several artifacts of the run night") as caught:
        bench.find("tagger#night")
    assert caught.value.exit_status == 2
    assert all(f"tagger@sha256:{one[:12]}" in str(caught.value) for one in (first, second))
    assert bench.find(f"tagger@sha256:{first[:12]}#night").artifact_id == first


def test_an_artifact_that_left_the_store_is_found_in_the_results(two: tuple[Bench, str, str]) -> None:
    bench, first, second = two
    emptied = bench._replace(store=f"{bench.store}-emptied")
    assert emptied.find("tagger").artifact_id == second
    assert emptied.find("tagger#2030-01-01").artifact_id == first
    assert emptied.find(f"tagger@sha256:{first[:8]}").date == "2030-01-02"
    assert emptied.find(f"tagger@sha256:{first[:8]}#2030-01-01").date == "2030-01-01"
    for unknown in ("tagger@champion", "tagger@sha256:00000000", "other", "other#2030-01-01", "*@latest"):
        with pytest.raises(ArtifactNotFoundError, match="store"):
            emptied.find(unknown)


def test_a_folder_can_be_compared(bench: Bench) -> None:
    (bench.folder / "config.json").write_text("{}")
    (ref,) = resolve(str(bench.folder), bench.store)
    bench.score("night", 1, ref.artifact_id, ref.name)
    assert bench.find(f"{bench.folder}#night").artifact_id == bench.find(str(bench.folder)).artifact_id


def test_artifacts_without_a_benchmark_are_reported(two: tuple[Bench, str, str]) -> None:
    bench = two[0]
    bench.publish("fresh", "3")
    for reference in ("fresh", "fresh#2030-01-01", "fresh@latest#night"):
        with pytest.raises(InputError, match=r"has no metrics in .*; run `nerbench benchmark fresh"):
            bench.find(reference)
    bench.publish("tagger", "4")
    with pytest.raises(InputError, match="run `nerbench benchmark tagger` first"):
        bench.find("tagger")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("tagger#2029-01-01", "no metrics of 2029-01-01; the last ones are of 2030-01-03, 2030-01-02, 2030-01-01$"),
        ("tagger#gone", "no metrics of gone; the last ones are of nightly@2030-01-03T.*, nightly@2030-01-02T.*"),
        ("tagger#2030-02-30", "date '2030-02-30': is not a date; write it as YYYY-MM-DD"),
        ("tagger#", "names no model or no run; write REF, REF#RUN_ID or REF#YYYY-MM-DD"),
        ("#2030-01-01", "names no model or no run"),
        ("tagger@nobody", "has no such alias"),
        ("tagger@sha256:12", "is not a digest"),
    ],
)
def test_errors_of_users(two: tuple[Bench, str, str], reference: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        two[0].find(reference)


def test_exactly_one_model_is_compared_with_one(two: tuple[Bench, str, str]) -> None:
    bench = two[0]
    bench.publish("other", "3")
    with pytest.raises(InputError, match="means 2 models; compare one with one"):
        bench.find("*@latest")


def test_missing_predictions_are_reported(two: tuple[Bench, str, str]) -> None:
    bench = two[0]
    Path(bench.find("tagger").scored[0].uri).unlink()
    with pytest.raises(InputError, match=r"the predictions of tagger on own \(own\) are gone; run `nerbench"):
        bench.find("tagger")


def test_means_over_seeds_and_scores_without_predictions_are_not_compared(bench: Bench) -> None:
    artifact = bench.publish("tagger", "1")
    bench.score("night", 1, artifact)
    bench.score("means", 2, artifact, n_models=3)
    bench.score("failed", 3, artifact, predictions_digest=None)
    assert bench.find("tagger").run_id == "night"


def test_a_run_without_a_row_is_incomplete_and_ignored(bench: Bench) -> None:
    artifact = bench.publish("tagger", "1")
    bench.score("crashed", 2, artifact, run=False)
    with pytest.raises(InputError, match=r"no metrics in .* but those of runs that did not end; run `nerbench bench"):
        bench.find("tagger")
    bench.score("night", 1, artifact)
    bench.score("crashed later", 1, artifact, run=False, hour=5)
    assert bench.find("tagger").run_id == bench.find("tagger#2030-01-01").run_id == "night"
    for moment in ("crashed", "2030-01-02"):
        with pytest.raises(InputError, match=r"has no metrics of .*; the last ones are of (night|2030-01-01)$"):
            bench.find(f"tagger#{moment}")


def test_the_last_attempt_of_a_run_is_used(bench: Bench) -> None:
    artifact = bench.publish("tagger", "1")
    bench.score("night", 1, artifact, run=False)
    for hour, outcome in ((9, "ok"), (3, "failed")):
        started_at = datetime(2030, 1, 1, hour, tzinfo=UTC)
        row = required("runs") | {"run_id": "night", "started_at": started_at, "outcome": outcome}
        write_table(bench.results, "runs", [row], date="2030-01-01", key=f"attempt-{hour}")
    run = bench.find("tagger").run
    assert run is not None
    assert run["outcome"] == "ok"


def test_only_the_dates_of_the_runs_are_read(bench: Bench, count_reads: Callable[[], int]) -> None:
    artifact = bench.publish("tagger", "1")
    for day in range(1, 21):
        bench.score(f"night-{day}", day, artifact)
    count_reads()
    for reference in ("tagger", "tagger#2030-01-03"):
        assert bench.find(reference).scored
        assert count_reads() == 2, "one file of metrics and one of runs"
    assert bench.find("tagger#night-3").date == "2030-01-03"
    assert count_reads() <= 20 + 2, "the table of runs, and one file of metrics"


@pytest.fixture
def count_reads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Counts the table files read since the last call."""
    read, paths = nerbench.artifacts.tables.tables._read, []

    def counted(root: Any, table: str, path: str, **options: Any) -> Any:
        paths.append(path)
        return read(root, table, path, **options)

    monkeypatch.setattr(nerbench.artifacts.tables.tables, "_read", counted)

    def since() -> int:
        n = len(paths)
        paths.clear()
        return n

    return since


SCORED = Predicted(
    artifact_id="6" * 64,
    model_sha256="7" * 64,
    model="tagger",
    dataset="own",
    split="test",
    gold="own",
    words_sha256="1" * 64,
    gold_sha256="2" * 64,
    predictions_digest="3" * 64,
    dtype="fp32",
    uri="file",
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"predictions_digest": "4" * 64, "dtype": "bf16", "uri": "other"}, []),
        ({"words_sha256": "4" * 64}, ["the two were scored on different words (sha256 111111111111 and 444444444444)"]),
        (
            {"gold_sha256": "5" * 64},
            ["the two were scored against different gold tags (sha256 222222222222 and 555555555555)"],
        ),
    ],
)
def test_comparable_runs(changes: dict[str, str], expected: list[str]) -> None:
    assert reasons(SCORED, SCORED.model_copy(update=changes)) == expected


def test_both_must_be_scored() -> None:
    assert reasons(None, SCORED) == ["base was not scored on this data set and annotation"]
    assert reasons(SCORED, None) == ["candidate was not scored on this data set and annotation"]
    assert len(reasons(None, None)) == 2


def test_runs_are_paired_by_data_set_and_gold(bench: Bench) -> None:
    first, second = bench.publish("tagger", "1"), bench.publish("tagger", "2")
    bench.score("one", 1, first, datasets=("a", "b"))
    bench.score("two", 2, second, datasets=("b",), golds=(None, "more"))
    pairs = common(bench.find("tagger#one"), bench.find("tagger#two"))
    assert [(pair.dataset, pair.gold, len(pair.reasons)) for pair in pairs] == [
        ("a", "a", 1),
        ("b", "b", 0),
        ("b", "more", 1),
    ]
    assert pairs[1].base is not None
    assert pairs[1].candidate is not None
    assert pairs[1].base.predictions_digest != pairs[1].candidate.predictions_digest
    assert (pairs[0].candidate, pairs[2].base) == (None, None)
