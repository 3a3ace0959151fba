"""Fixtures that several test files use, and how the tests are shared out among processes (`make test`: three)."""

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A slow machine is not a failure.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# Users' code of tests lies beside them and in temporary folders; tests/attacks/ looks at what is allowed by default.
os.environ["NERBENCH_CODE"] = f".,{Path(__file__).parent},{Path(tempfile.gettempdir())}"

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # or each process would start as many threads as there are cores

TOGETHER = ("flows/", "deployments/", "attacks/test_attack_", "tasks/report/")
"""Beginnings of paths whose tests share a server, a browser or results, so that one process runs them."""
FIRST = (*TOGETHER, "browser/", "torture/", "tasks/training/", "tasks/measuring/", "tasks/audit/", "artifacts/")
"""What begins first, the longest before the others: short files at the end keep all processes busy."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by FIRST. The files in `tests/` itself, which are quick, come last."""
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        path = item.path.relative_to(here).as_posix()
        found = (number for number, beginning in enumerate(FIRST) if path.startswith(beginning))
        return next(found, len(FIRST) + ("/" not in path))

    items.sort(key=rank)


def pytest_xdist_make_scheduler(config: Any, log: Any) -> Any:
    """Keep the tests of a file, or of TOGETHER, in one process."""
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False

    class ByServer(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            # a separate scope, because it has its own server and mostly waits
            alone = path.endswith("test_operations.py")
            scopes = () if alone else (one for one in TOGETHER if path.startswith(f"tests/{one}"))
            return next(iter(scopes), path)

        def remove_node(self, node: Any) -> str | None:
            """As above, but what a crashed process had finished is not handed out again.

            Otherwise the others are given files without tests, report nothing, and wait for ever.
            """
            workload = self.assigned_work[node]
            self.assigned_work[node] = {scope: tests for scope, tests in workload.items() if not all(tests.values())}
            return super().remove_node(node)

    return ByServer(config, log)


@pytest.fixture(autouse=True, scope="module")
def fast_collections() -> None:
    """Leave out of later garbage collections what is imported by now: every model that is evicted needs one."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def search_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the search path, to which the folder of a user's file is added permanently."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the checkout with the licensed corpora; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("no ../shared/data: the licensed CoNLL files are not part of the project")
    return folder


@pytest.fixture(scope="session")
def nights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Results of two runs that tests must not change."""
    from report_site import two_nights

    folder = tmp_path_factory.mktemp("nights") / "results"
    two_nights(str(folder))
    return str(folder)


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT with two entity types, as `save_pretrained` makes it; not to be changed."""
    from tiny_models import save_bert

    return save_bert(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def load_metric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Any]]:
    """Loads an evaluate.Metric from its file or folder, offline; in one process they must share a place for modules."""
    import evaluate

    patch, folder = pytest.MonkeyPatch(), tmp_path_factory.mktemp("evaluate")
    patch.setattr(evaluate.config, "HF_MODULES_CACHE", folder / "modules")
    patch.setattr(evaluate.config, "HF_EVALUATE_OFFLINE", True)
    yield lambda where: evaluate.load(str(where), cache_dir=str(folder / "metrics"))
    patch.undo()
