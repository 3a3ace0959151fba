"""The end of a run, by its failures and results."""

from asyncio import CancelledError
from datetime import UTC, datetime
from typing import cast

import pytest
from evaluation_records import artifact_ref
from prefect.client.schemas.objects import StateType
from prefect.exceptions import TerminationSignal
from prefect.states import State

from nerbench.artifacts.errors import (
    CorruptArtifactError,
    InputError,
    NerbenchError,
    RunFailedError,
    StoreUnreachableError,
)
from nerbench.flows.commands.run import print_summary
from nerbench.flows.request import returned
from nerbench.flows.run_context import RunRecorder, recorded
from nerbench.flows.terminal import Verbosity, set_verbosity
from nerbench.tasks.config import Config
from nerbench.tasks.run_identity import Run

WRONG = InputError("slice mine", "fails", "correct it")


def recorder() -> RunRecorder:
    moment = datetime(2030, 1, 2, tzinfo=UTC)
    run = Run(run_id="r", flow="f", date="2030-01-02", started_at=moment, attempt=1, results="nowhere")
    return RunRecorder(run=run, needed=("s3://team/store/", "s3://team/results/"))


def failed(*errors: BaseException) -> RunRecorder:
    found = recorder()
    for number, error in enumerate(errors):
        with found.guard(f"m{number}"):
            raise error
    return found


def test_a_run_without_failures_ends_well() -> None:
    assert recorder().failure() is None


def test_a_wrong_request_without_results_is_raised_unchanged() -> None:
    assert failed(WRONG, WRONG).failure() is WRONG


@pytest.mark.parametrize("errors", [(WRONG,), (WRONG, ValueError("two\nlines"))])
def test_results_written_before_a_failure_are_recorded(errors: tuple[Exception, ...]) -> None:
    found = failed(*errors)
    found.note({"metrics": "there.parquet"})
    failure = found.failure()
    assert isinstance(failure, RunFailedError)
    assert str(failure).startswith(f"{len(errors)} failed: m0: slice mine: fails; correct it")
    assert failure.summary is not None
    assert failure.summary["tables"] == {"metrics": ["there.parquet"]}
    assert len(errors) == 1 or str(failure).endswith("m1: ValueError: two lines")


@pytest.mark.parametrize("field", ["model m0", "model 'm0'"])
def test_a_failure_names_its_model_once(field: str) -> None:
    assert failed(InputError(field, "fails", "correct it")).failed == ["m0: fails; correct it"]
    assert failed(CorruptArtifactError(f"{field}: lacks weights")).failed == ["m0: CorruptArtifactError: lacks weights"]
    assert failed(NerbenchError(f"{field}: no room; make some")).failed == ["m0: no room; make some"]


PanicException = type("PanicException", (BaseException,), {})


@pytest.mark.parametrize("error", [SystemExit(3), PanicException("a pattern")])
def test_foreign_code_that_raises_no_exception_stops_no_other_model(error: BaseException) -> None:
    assert str(failed(error, ValueError("x")).failure()).startswith(f"2 failed: m0: {type(error).__name__}: ")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CancelledError(), TerminationSignal(15), GeneratorExit()])
def test_interruptions_end_a_run(error: BaseException) -> None:
    with pytest.raises(type(error)):
        failed(error)


def test_trained_models_are_recorded_apart_from_baselines() -> None:
    from nerbench.flows.train import train_models

    found = recorder()
    published = train_models(found, Config())
    found.note_evaluation(artifact_ref("base"), None)
    assert (len(found.artifacts), published) == (1, [])


def test_an_unreachable_model_elsewhere_stops_no_other() -> None:
    away = [StoreUnreachableError("cannot be reached", url) for url in ("hf://org/tagger", "s3://team/store-of-others")]
    assert list(failed(*away, WRONG).failures) == ["m0", "m1", "m2"]


def test_an_unreachable_shared_location_ends_the_run() -> None:
    away = StoreUnreachableError("s3://team/store/blobs cannot be reached", "s3://team/store/blobs")
    with pytest.raises(StoreUnreachableError, match=r"^s3://team/store/blobs cannot be reached$"):
        failed(away, WRONG)


def test_a_local_file_that_cannot_be_read_stops_no_other_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nerbench.flows.run_context.current_run", lambda results: recorder().run)
    monkeypatch.setattr("nerbench.flows.run_context.tasks.write_run", lambda *_: "there.parquet")
    away = StoreUnreachableError("record.json cannot be read", "/team/results/.cache/evaluations/a/record.json")

    def run() -> None:
        with recorded(Config(store="/team/store", results="/team/results")) as found:
            for model, error in (("m0", away), ("m1", WRONG)):
                with found.guard(model):
                    raise error

    with pytest.raises(RunFailedError, match=r"^2 failed: m0: .*record\.json cannot be read; m1: slice mine"):
        run()


def test_the_first_failure_is_reported_if_recording_fails_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def write_run(*_: object) -> None:
        raise RuntimeError("the disk is full too")

    monkeypatch.setattr("nerbench.flows.run_context.current_run", lambda results: recorder().run)
    monkeypatch.setattr("nerbench.flows.run_context.tasks.write_run", write_run)
    with pytest.raises(RunFailedError, match="the first"), recorded(Config()):
        raise RunFailedError("the first")
    assert "the disk is full too" in caplog.text


def undecided(**changes: object) -> dict[str, object]:
    """A row of the gate."""
    known = {
        "kind": "rule",
        "verdict": "undecided",
        "failed": False,
        "model": "tagger",
        "dataset": "own",
        "gold": "own",
    }
    known |= {"label": "overall", "mode": "strict", "metric": "f1", "slice": "all", "margin": 0.005, "reason": None}
    return known | {"delta": -0.004, "ci_low": -0.0075, "ci_high": -0.0005, "confidence": 0.95} | changes


IN_WORDS = (
    "undecided: tagger on own: undecided: overall strict F1 fell 0.40 points (95% CI -0.75 … -0.05), margin 0.50 points"
)


def test_an_undecided_gate_is_the_message_of_the_state() -> None:
    summary = recorder().summary()
    assert returned(summary)["gate"] == []
    state = cast(State, returned(summary | {"gate": [undecided(), undecided(verdict="pass")]}))
    assert (state.type, state.message) == (StateType.COMPLETED, IN_WORDS)


def test_an_undecided_gate_is_reported_if_a_run_fails() -> None:
    found = failed(ValueError("no"))
    found.judged = [undecided(), undecided(failed=True)]
    assert str(found.failure()) == f"1 failed: m0: ValueError: no; {IN_WORDS}"


WHERE = "results in /r, report at /r/reports/1.html"


@pytest.mark.parametrize(
    ("verbosity", "expected"),
    [
        ("normal", ["model tiny@sha256:abcdef012345", WHERE]),
        ("verbose", ["model tiny@sha256:abcdef012345: /s/1", "table metrics: /r/metrics/schema=2/1 and 1 more", WHERE]),
        ("quiet", []),
    ],
)
def test_the_terminal_names_the_place_of_the_results(
    verbosity: Verbosity, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    set_verbosity(verbosity)
    artifact = {"name": "tiny", "artifact_id": "abcdef0123456789", "uri": "/s/1"}
    tables = {"metrics": ["/r/metrics/schema=2/1", "/r/metrics/schema=2/2"]}
    found = {"artifacts": [artifact], "tables": tables, "report": "/r/reports/1.html"}
    try:
        print_summary(recorder().summary() | found, json=False)
    finally:
        set_verbosity("normal")
    assert capsys.readouterr().err.splitlines() == expected


def test_the_terminal_shows_undecided_rules_first(capsys: pytest.CaptureFixture[str]) -> None:
    summary = recorder().summary() | {"gate": [undecided(verdict="pass"), undecided()], "artifacts": []}
    print_summary(summary, json=False)
    printed = capsys.readouterr()
    assert printed.err.splitlines()[0] == IN_WORDS
    assert printed.out == ""
