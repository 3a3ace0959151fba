"""SIGKILL at every call of publishing, aliases, loading and table writes; then a read, then another run."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from fake_models import save_fake_model
from figures import SEED, Count
from fork_server import ForkServer
from killed_runs import Runs, Step
from killed_steps import publish

NAME = "toy"
MODELS = 4
S3_KILLS = 80


class Scenario(NamedTuple):
    """Completed steps, and the step that is killed."""

    before: list[Step]
    killed: Step


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer() as running:
        yield running


@pytest.fixture(scope="module")
def ids(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of models, and the ids of their artifacts."""
    top = tmp_path_factory.mktemp("models")
    folders = [str(save_fake_model(top / f"{number}", float(number), 64, {})) for number in range(MODELS)]
    return {folder: publish(f"memory://{top}", folder, NAME) for folder in folders}


@pytest.fixture
def scenarios(ids: dict[str, str]) -> list[Scenario]:
    one, two = (["publish", folder, NAME] for folder in list(ids)[:2])
    first = next(iter(ids.values()))
    write, other = ["write", "a", 1], ["write", "b", 2]
    return [
        Scenario([], one),
        Scenario([one], two),
        Scenario([one, two], one),
        Scenario([one, two], ["alias", NAME, "latest", first]),
        Scenario([one], ["load", NAME, first]),
        Scenario([], write),
        Scenario([write], other),
        Scenario([write], write),
        Scenario([write, other], ["compact"]),
        Scenario([write, other, ["compact"]], ["compact"]),
        Scenario([write, other, ["compact"], ["write", "c", 3]], ["compact"]),
        Scenario([write, other], ["pack", ["a", "b"]]),
        Scenario([write, other, ["pack", ["a", "b"]], ["write", "c", 3], ["write", "d", 4]], ["pack", ["c", "d"]]),
        Scenario([write, other, ["pack", ["a", "b"]], ["write", "c", 3], ["write", "d", 4]], ["compact"]),
    ]


def schedules(runs: Runs, scenarios: list[Scenario]) -> list[tuple[Scenario, int]]:
    """Every scenario with every call at which it can be killed."""
    found = []
    for scenario in scenarios:
        run = runs.new()
        run.do(scenario.before)
        calls = len(run.do_killed([scenario.killed], 0).points)
        found += [(scenario, point + 1) for point in range(calls)]
    return found


def kill(runs: Runs, scenario: Scenario, point: int) -> None:
    """Kill, check, run again, check."""
    run = runs.new()
    run.do(scenario.before)
    run.do_killed([scenario.killed], point)
    run.check()
    blobs = run.blobs()
    run.do([scenario.killed])
    run.check()
    run.check_blobs(blobs)
    run.do([["collect"]])
    run.check()
    runs.count.schedules += 1


@pytest.mark.parametrize("at_most", [12, pytest.param(None, marks=pytest.mark.torture)])
def test_a_kill_at_every_call(
    server: ForkServer,
    ids: dict[str, str],
    scenarios: list[Scenario],
    figures: list[Count],
    tmp_path: Path,
    at_most: int | None,
) -> None:
    count = Count("kill at every call", "file")
    figures.append(count)
    runs = Runs(server, tmp_path, count, ids)
    choice = random.Random(SEED)
    points = schedules(runs, choice.sample(scenarios, 4) if at_most else scenarios)
    for scenario, point in choice.sample(points, at_most or len(points)):
        kill(runs, scenario, point)
    assert count.kills > 0.9 * count.schedules  # files are stored in parallel, so the number of calls varies slightly
    count.assert_nothing_lost()


@pytest.mark.parametrize("kills", [8, pytest.param(300, marks=pytest.mark.torture)])
def test_killed_again_and_again(
    server: ForkServer, ids: dict[str, str], figures: list[Count], tmp_path: Path, kills: int
) -> None:
    count = Count("killed again and again", "file")
    figures.append(count)
    runs, choice = Runs(server, tmp_path, count, ids), random.Random(SEED)
    while count.kills < kills:
        run, steps = runs.new(), random_steps(ids, choice)
        for _ in range(3):
            run.do_killed(steps, choice.randint(1, 40 * len(steps)))
            run.check()
        run.do(steps)
        run.check()
        count.schedules += 1
    count.assert_nothing_lost()


def random_steps(ids: dict[str, str], choice: random.Random) -> list[Step]:
    """A few steps that can be repeated in the same order."""
    steps: list[Step] = []
    for _ in range(choice.randint(2, 5)):
        folder = choice.choice(list(ids))
        steps.append(["publish", folder, NAME])
        steps.append(["write", f"key{choice.randint(0, 9)}", 7])
        steps.append(["alias", NAME, choice.choice(["champion", "latest"]), ids[folder]])
        steps.append(choice.choice([["collect"], ["compact"], ["pack", [f"key{number}" for number in range(10)]]]))
    return steps


@pytest.mark.torture
def test_a_kill_at_every_request(
    server: ForkServer,
    ids: dict[str, str],
    scenarios: list[Scenario],
    figures: list[Count],
    tmp_path: Path,
    any_s3_url: str,
    server_name: str,
) -> None:
    count = Count("kill at every request", server_name)
    figures.append(count)
    runs = Runs(server, tmp_path, count, ids, any_s3_url)
    points = schedules(runs, scenarios)
    for scenario, point in random.Random(SEED).sample(points, min(S3_KILLS, len(points))):
        kill(runs, scenario, point)
    count.assert_nothing_lost()
