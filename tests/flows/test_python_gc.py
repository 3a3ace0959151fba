import gc
from collections.abc import Iterator

import pytest

from nerbench.flows.launch import quiet
from nerbench.flows.python_gc import FEW_COLLECTIONS, collect_less, importing


@pytest.fixture(autouse=True)
def restored_collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_nothing_is_collected_until_the_imports_end() -> None:
    collect_less()
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_threshold() == FEW_COLLECTIONS
    assert gc.get_freeze_count()
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled()


def test_the_collector_of_a_user_s_process_stays_as_it_is() -> None:
    gc.set_threshold(700, 10, 10)
    gc.unfreeze()
    quiet()
    with importing():
        assert gc.isenabled()
    assert gc.get_threshold() == (700, 10, 10)
    assert not gc.get_freeze_count()
