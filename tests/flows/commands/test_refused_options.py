"""Bad values of options are refused when nerbench reads them, not after the checks of a run."""

import pytest

from nerbench.flows import preflight
from nerbench.flows.cli import status_of


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("curve --shares 0", "shares: are 0; give two or more of 1 to 100 percent"),
        ("curve --shares 50,101", "shares: are 50, 101; give"),
        ("curve --shares half", "--shares: are 'half'; write whole percentages"),
        ("score --since monday", "date 'monday': is not a date"),
        ("artifacts gc --grace nan", "--grace"),
        ("artifacts gc --unaliased-older-than -1", "--unaliased-older-than"),
    ],
)
def test_a_bad_value_is_refused_before_any_work(
    command: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for work in ("curve", "score"):
        monkeypatch.setattr(preflight, work, lambda *_: pytest.fail("started"))
    assert status_of(command.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
