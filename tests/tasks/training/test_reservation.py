"""A second training of the same model waits, and names the process that it waits for."""

import logging
import os
import threading
from pathlib import Path

import pytest

from nerbench.tasks.config import DatasetConfig, ModelConfig
from nerbench.tasks.training.launch import TrainingPlan, reserved


def test_the_second_waits_for_the_first_and_names_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = ModelConfig(name="tiny", base="bert-base-uncased")
    dataset = DatasetConfig(name="own", files={"train": "train.txt"})
    plan = TrainingPlan(model=model, dataset=dataset, corpora=(), base=None, work=str(tmp_path / "work"))
    waiting, done = threading.Event(), []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            waiting.set()

    def second() -> None:
        with reserved(plan):
            done.append("second")

    logger = logging.getLogger("nerbench.tasks.training.launch")
    logger.addHandler(listener := Listener())
    thread = threading.Thread(target=second)
    try:
        with reserved(plan):
            thread.start()
            assert waiting.wait(60)
            done.append("first")
    finally:
        thread.join(60)
        logger.removeHandler(listener)
    assert done == ["first", "second"]
    expected = f"tiny is being trained by process {os.getpid()} in {Path.cwd()}; waiting until that is done"
    assert [record.getMessage() for record in caplog.records] == [expected]
