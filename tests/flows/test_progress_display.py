"""What a command shows on stderr while a flow runs."""

import logging

import pytest

from nerbench.flows.progress_display import show_progress
from nerbench.flows.terminal import set_verbosity


@pytest.mark.parametrize("package", ["artifacts", "flows", "tasks"])
def test_warnings_of_every_package_are_shown(package: str, capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress():
        logging.getLogger(f"nerbench.{package}.some_module").warning("mlflow: %s", "no answer")
    assert capsys.readouterr().err == "warning: mlflow: no answer\n"


def test_quiet_commands_show_no_warning(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> None:
    request.addfinalizer(lambda: set_verbosity("normal"))
    set_verbosity("quiet")
    with show_progress():
        logging.getLogger("nerbench.flows.some_module").warning("mlflow: no answer")
    assert capsys.readouterr().err == ""


def test_loggers_are_afterwards_as_they_were(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("nerbench.tasks")
    caplog.set_level(logging.DEBUG, "nerbench.tasks")
    with show_progress(), show_progress():
        assert (logger.level, logger.propagate) == (logging.WARNING, False)
    assert (logger.level, logger.propagate) == (logging.DEBUG, True)
    with show_progress():
        with show_progress():
            pass
        assert not logger.propagate, "the outer context still shows the messages"
