"""A bad object in a store or a results folder is reported in one line, and all other objects are processed."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fake_models import save_fake_model
from rubbish import KINDS, NAMES, replace
from scored_runs import score
from tagging import random_sentences

from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.compaction import compact
from nerbench.flows.cli import status_of

GOLD, PREDICTED = random_sentences(5, 12)
NIGHTS = (1, 2, 3)


Commands = Sequence[Sequence[str]]


def some(values: Sequence[str], quick: set[str]) -> list[Any]:
    """All names; those that are not `quick` are slow tests."""
    return [pytest.param(value, marks=() if value in quick else pytest.mark.slow, id=ascii(value)) for value in values]


IN_TURN = ("truncated", "dangling link", "pipe", "other types")
EACH_KIND = [
    pytest.param(IN_TURN, id="in turn"),
    *(pytest.param((kind,), marks=pytest.mark.slow, id=kind) for kind in KINDS),
]
"""Four kinds, of which each file gets the next one; and, as slow tests, every kind for all files."""


class Ended(NamedTuple):
    """The outcome of a command."""

    status: int
    out: str
    said: list[str]
    """Lines on stderr."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of `good` and one of `other`, with three aliases."""
    folder = tmp_path_factory.mktemp("stored")
    store = Store(str(folder / "store"))
    refs = []
    for number, name in enumerate(("good", "good", "other")):
        model = save_fake_model(folder / str(number), number, 8, {"number": number})
        (model / "tokenizer.json").write_text(json.dumps({"number": number}))
        refs.append(store.publish(model, name, Provenance(seed=number)))
    store.set_alias("good", "champion", refs[0].artifact_id)
    return folder / "store"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs of two models; the metrics of the first day are compacted, those of the second with small files."""
    folder = tmp_path_factory.mktemp("scored") / "results"
    for night in NIGHTS:
        for model in ("good", "other"):
            score(str(folder), night, GOLD, PREDICTED, model=model, run=model == "good")
    moment = datetime(2030, 1, 3, tzinfo=UTC)
    compact(str(folder), ["metrics"], grace=timedelta(0), now=moment)
    shutil.rmtree(folder / "_compacted/metrics/schema=2/date=2030-01-01", ignore_errors=True)
    compact(str(folder), ["metrics"], grace=timedelta(0), now=moment + timedelta(seconds=1))
    return folder


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def command(*arguments: str) -> Ended:
        status = status_of(list(arguments))
        printed = capfd.readouterr()
        return Ended(status, printed.out, printed.err.splitlines())

    return command


def copies(original: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """A fresh copy for each file of a folder, and that file."""
    for file in sorted(path for path in original.rglob("*") if path.is_file() and not path.name.endswith(".tmp")):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(original, target)
        yield target, target / file.relative_to(original)


def check(ended: Ended, arguments: Sequence[str], what: object) -> None:
    """At most one line names the problem, and the exit status reflects it."""
    about = f"{' '.join(arguments)} with {what}: {ended}"
    problems = [line for line in ended.said if line.startswith(("nerbench:", "warning:"))]
    assert ended.status in (0, 1, 2), about
    assert len(problems) <= 1, about
    assert "Traceback" not in "".join([ended.out, *ended.said]), about
    assert (ended.status == 0) == (not problems), about


def listed(out: str) -> set[str]:
    return {one["artifact_id"] for one in json.loads(out)["artifacts"]}


@pytest.mark.parametrize("kinds", EACH_KIND)
def test_one_bad_object_of_a_store_hides_no_other(
    kinds: Sequence[str], store: Path, folder: Path, run: Callable[..., Ended]
) -> None:
    everything = listed(run("artifacts", "ls", "--json", "--store", str(store)).out)
    for (copy, file), kind in zip(copies(store, folder / "copy"), cycle(kinds), strict=False):
        replace(file, kind)
        where = ("--store", str(copy))
        for arguments in (
            ("artifacts", "ls", "--json", *where),
            ("artifacts", "show", "*@latest", *where),
        ):
            ended = run(*arguments)
            check(ended, arguments, (kind, file))
            if arguments[:3] == ("artifacts", "ls", "--json"):
                found = json.loads(ended.out)
                assert listed(ended.out) >= everything - {file.stem}, (kind, file, ended)
                assert len(found.get("problems", ())) == len(ended.said)
        verify_all(run, where, everything, kind, file)


def verify_all(run: Callable[..., Ended], where: Sequence[str], everything: set[str], kind: str, file: Path) -> None:
    """`verify` reports each model; a damaged blob is a line of its output."""
    ended = run("artifacts", "verify", "*@latest", *where)
    assert ended.status in (0, 1), (kind, file, ended)
    assert len(ended.said) + ended.out.count("FAILED") <= 1, (kind, file, ended)
    assert ended.out.count(": ok") >= 1, (kind, file, ended)


@pytest.mark.parametrize("name", some(NAMES, {NAMES[3], NAMES[5], NAMES[10]}))
def test_odd_names_in_a_store_hide_nothing(name: str, store: Path, folder: Path, run: Callable[..., Ended]) -> None:
    everything = listed(run("artifacts", "ls", "--json", "--store", str(store)).out)
    ids = sorted(path.stem for path in store.rglob("manifests/*.json"))
    for place in ("models/good/aliases", "models/good/manifests", "blobs/sha256/ab"):
        for ending in (".json", ""):
            copy = folder / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(store, copy)
            (copy / place).mkdir(exist_ok=True)
            (copy / place / f"{name}{ending}").write_text(json.dumps({"artifact_id": ids[0]}))
            where = ("--store", str(copy))
            for arguments in (("artifacts", "ls", "--json", *where), ("artifacts", "show", "*@latest", *where)):
                ended = run(*arguments)
                check(ended, arguments, (place, name, ending))
                if arguments[:3] == ("artifacts", "ls", "--json"):
                    assert listed(ended.out) == everything


QUICK = (
    ("results", "show", "--json"),
    ("history", "good", "--json"),
)
LONG = (
    ("results", "export", "--table", "metrics", "--to", "metrics.csv", "--force"),
    ("results", "compact", "--json"),
    ("results", "show", "--run", "night-2"),
    ("compare", "good#night-2", "good#night-3", "--json"),
    ("report", "--force"),
)


def nights(out: str) -> set[str]:
    return {point["run_id"] for one in json.loads(out)["series"] for point in one["points"] if point["run_id"]}


@pytest.mark.parametrize("commands", [QUICK, pytest.param(LONG, marks=pytest.mark.slow)], ids=["quick", "long"])
@pytest.mark.parametrize("kinds", EACH_KIND)
def test_one_bad_object_of_a_results_folder_hides_no_other(
    kinds: Sequence[str], commands: Commands, results: Path, folder: Path, run: Callable[..., Ended]
) -> None:
    seen, turns = set(), cycle(kinds)
    for copy, file in copies(results, folder / "copy"):
        if (of_kind := (file.parent, file.suffix)) in seen:
            continue
        seen.add(of_kind)
        replace(file, kind := next(turns))
        check_results(run, commands, copy, (kind, file), {f"night-{night}" for night in NIGHTS}, file)


@pytest.mark.parametrize("commands", [QUICK, pytest.param(LONG, marks=pytest.mark.slow)], ids=["quick", "long"])
@pytest.mark.parametrize("name", some(NAMES, {NAMES[3], NAMES[5], NAMES[10]}))
def test_odd_names_in_a_results_folder_hide_nothing(
    name: str, commands: Commands, results: Path, folder: Path, run: Callable[..., Ended]
) -> None:
    original = next(results.glob("metrics/schema=2/date=2030-01-03/*.parquet"))
    for place in (
        original.parent,
        results / "_compacted/metrics/schema=2/date=2030-01-02",
        results / "metrics",
        results,
    ):
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(results, copy)
        file = copy / place.relative_to(results) / f"{name}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(original, file)
        check_results(run, commands, copy, (place, name), {f"night-{night}" for night in NIGHTS}, None)


def check_results(
    run: Callable[..., Ended],
    commands: Commands,
    copy: Path,
    what: tuple[object, ...],
    wanted: set[str],
    file: Path | None,
) -> None:
    for command in commands:
        arguments = (*command, "--results", str(copy), "--store", "none")
        ended = run(*arguments)
        spoils = file is not None and command[0] in ("compare", "results") and not ended.out
        if not spoils:  # the requested run may be the damaged one
            check(ended, arguments, what)
        assert ended.status in (0, 1, 2), (what, ended)
        assert "Traceback" not in "".join(ended.said)
        if command[0] == "history":
            assert len(wanted - nights(ended.out)) <= 1, (what, ended)
