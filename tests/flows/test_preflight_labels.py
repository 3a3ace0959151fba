"""Labels are checked before a flow starts, and in a flow before a model is loaded."""

from types import SimpleNamespace
from typing import Any

import pytest
from evaluation_records import artifact_ref

from nerbench.artifacts.errors import LabelError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.flows.benchmark_steps import Evaluation, plan_evaluations
from nerbench.flows.preflight import _check_labels
from nerbench.flows.run_context import RunRecorder
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.config import BenchmarkConfig, Config, DatasetConfig
from nerbench.tasks.data.corpus_refs import CorpusRef
from nerbench.tasks.inference.evaluation_cache import EvaluationPlan
from nerbench.tasks.inference.evaluation_key import settings_of
from nerbench.tasks.run_identity import Run, utc_now

TYPES = ("LOC", "PER")
DIGESTS = {"words_sha256": "1" * 64, "gold_sha256": "2" * 64}
CORPUS = CorpusRef(dataset=DatasetConfig(name="own", files={"test": "t"}), split="test", types=TYPES, **DIGESTS)


def model(name: str, *types: str) -> ArtifactRef:
    labels = ("O", *(f"{letter}-{kind}" for kind in types for letter in "BI"))
    return artifact_ref(name, labels=labels)


GOOD, BAD = model("good", "PER"), model("bad", "PERSON")


def test_no_flow_starts_for_models_that_all_have_other_types() -> None:
    _check_labels(Config(), [BAD, GOOD], [TYPES])
    _check_labels(Config(), [BAD], [TYPES, ("PERSON",)])
    _check_labels(Config(), [], [TYPES])
    with pytest.raises(LabelError, match=r"^model bad: its types are PERSON, .*; write label_map: {PERSON: PER} below"):
        _check_labels(Config(), [BAD, BAD], [TYPES])


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> RunRecorder:
    """A run whose lookups take place in this process and find no predictions; equal weights have equal keys."""

    def plan(artifact: ArtifactRef, *_: Any) -> EvaluationPlan:
        settings = settings_of(BenchmarkConfig(device="cpu"))
        sha256 = artifact.model_sha256
        return EvaluationPlan(model=artifact.name, key=sha256, settings=settings, state="missing", record=None)

    def submit(*given: Any) -> SimpleNamespace:
        return SimpleNamespace(result=lambda: tasks._look_up(*given))

    monkeypatch.setattr(tasks.evaluation_cache, "plan", plan)
    monkeypatch.setattr(tasks, "look_up", SimpleNamespace(submit=submit))
    return RunRecorder(run=Run(run_id="r", flow="", date="2030-01-01", results="", started_at=utc_now(), attempt=1))


def test_one_of_several_models_fails_and_the_others_continue(recorder: RunRecorder) -> None:
    evaluations = [Evaluation(one, CORPUS, []) for one in (BAD, GOOD)]
    planned, waiting = plan_evaluations(recorder, Config(), evaluations)
    assert [one.artifact for one in planned] == [GOOD]
    assert not waiting
    assert [*recorder.failures] == ["bad"]
    assert isinstance(recorder.failure(), LabelError)


def test_a_model_with_two_names_is_inferred_once(recorder: RunRecorder) -> None:
    other = GOOD.model_copy(update={"name": "other", "model_sha256": "c" * 64})
    evaluations = [Evaluation(one, CORPUS, []) for one in (GOOD, GOOD.model_copy(update={"name": "same"}), other)]
    planned, waiting = plan_evaluations(recorder, Config(), evaluations)
    assert [one.artifact for one in planned] == [GOOD, other]
    assert waiting == [evaluations[1]]
