import gc

import pytest

from nerbench.flows.python_gc import FEW_COLLECTIONS, importing


def test_nothing_is_collected_until_the_imports_end() -> None:
    before = gc.get_threshold()
    try:
        with importing():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_threshold() == FEW_COLLECTIONS
        assert gc.get_freeze_count()
        with pytest.raises(ImportError), importing():
            raise ImportError
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
