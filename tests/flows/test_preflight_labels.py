"""Labels are checked before a flow starts, and in a flow before a model is loaded."""

import pytest

from nerbench.artifacts.errors import LabelError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.flows.benchmark_steps import Cell, fitting
from nerbench.flows.preflight import _check_labels
from nerbench.flows.run_context import RunRecorder
from nerbench.tasks.config import Config, DatasetConfig
from nerbench.tasks.data.corpus_refs import CorpusRef
from nerbench.tasks.run_identity import Run, utc_now

TYPES = ("LOC", "PER")
DIGESTS = {"words_sha256": "1" * 64, "gold_sha256": "2" * 64}
CORPUS = CorpusRef(dataset=DatasetConfig(name="own", files={"test": "t"}), split="test", types=TYPES, **DIGESTS)


def model(name: str, *types: str) -> ArtifactRef:
    labels = ("O", *(f"{letter}-{kind}" for kind in types for letter in "BI"))
    return ArtifactRef(name=name, artifact_id="a" * 64, model_sha256="b" * 64, uri="", labels=labels)


GOOD, BAD = model("good", "PER"), model("bad", "PERSON")


def test_no_flow_starts_for_models_that_all_have_other_types() -> None:
    _check_labels(Config(), [BAD, GOOD], [TYPES])
    _check_labels(Config(), [BAD], [TYPES, ("PERSON",)])
    _check_labels(Config(), [], [TYPES])
    with pytest.raises(LabelError, match=r"^model bad: its types are PERSON, .*; write label_map: {PERSON: PER} below"):
        _check_labels(Config(), [BAD, BAD], [TYPES])


def test_one_of_several_models_fails_and_the_others_continue() -> None:
    recorder = RunRecorder(run=Run(run_id="r", flow="", date="2030-01-01", results="", started_at=utc_now(), attempt=1))
    cells = [Cell(one, [CORPUS], []) for one in (BAD, GOOD)]
    assert fitting(recorder, Config(), cells) == cells[1:]
    assert [*recorder.failures] == ["bad"]
    assert isinstance(recorder.failure(), LabelError)
