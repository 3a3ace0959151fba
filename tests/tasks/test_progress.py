import logging

import pytest

from nerbench.tasks import progress
from nerbench.tasks.progress import at_most_every, clock, inference_progress, training_progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(progress, "time", fake)
    return fake


@pytest.fixture(autouse=True)
def _listen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="nerbench.progress")


def test_training_reports_steps_with_the_remaining_time(at: Clock, caplog: pytest.LogCaptureFixture) -> None:
    listen = training_progress("fred")
    for step in (10, 20, 30):
        listen({"step": step, "steps": 100, "loss": 0.5})
        at.now += 20
    assert caplog.messages[0] == "fred: step 10 of 100, loss 0.500"
    assert caplog.messages[2] == "fred: step 30 of 100, loss 0.500, 2:20 left"


def test_evaluations_are_always_reported(at: Clock, caplog: pytest.LogCaptureFixture) -> None:
    listen = training_progress("fred")
    for epoch in (1.0, 2.0):
        listen({"step": 1, "steps": 9, "epoch": epoch, "eval_f1": 0.8765})
    listen({"step": 9, "steps": 9, "train_runtime": 3.0})
    assert caplog.messages == ["fred: epoch 1, validation F1 87.65", "fred: epoch 2, validation F1 87.65"]


def test_steps_are_reported_at_most_once_a_second(at: Clock, caplog: pytest.LogCaptureFixture) -> None:
    listen = training_progress("fred")
    for step in range(1, 41):
        listen({"step": step, "steps": 40, "loss": 1.0})
        at.now += 0.1
    assert len(caplog.messages) == 4


def test_inference_reports_the_rate_and_the_remaining_time(at: Clock, caplog: pytest.LogCaptureFixture) -> None:
    listen = inference_progress("fred on own", 4000)
    at.now += 10
    listen(1000)
    listen(1001)
    assert caplog.messages == ["fred on own: 1000 of 4000 words, 100 a second, 0:30 left"]


def test_the_first_event_is_reported(at: Clock) -> None:
    heard: list[int] = []
    listen = at_most_every(5, heard.append)
    for event in range(12):
        listen(event)
        at.now += 1
    assert heard == [0, 5, 10]


def test_clock() -> None:
    assert [clock(0), clock(59.9), clock(61), clock(3600)] == ["0:00", "0:59", "1:01", "60:00"]
