"""Train, save and benchmark named-entity taggers, orchestrated by Prefect on the Hugging Face stack.

The names below are the public ones. They are imported when they are first used, so that `import nerbench` is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nerbench.artifacts.loaders import Loader as Loader
    from nerbench.artifacts.store import Store as Store
    from nerbench.artifacts.tables.tables import read_results as read_results
    from nerbench.flows.sweeps import speed as speed
    from nerbench.tasks.config.loading import load_config as load_config
    from nerbench.tasks.data.load_corpus import load_corpus as load_corpus
    from nerbench.tasks.scoring.metrics import metric as metric
    from nerbench.tasks.scoring.user_functions import benchmark_function as benchmark_function
    from nerbench.tasks.scoring.user_functions import parametrize as parametrize
    from nerbench.tasks.scoring.user_functions import product as product

__version__ = "0.2.0"
__all__ = [
    "Loader",
    "Store",
    "__version__",
    "benchmark_function",
    "load_config",
    "load_corpus",
    "metric",
    "parametrize",
    "product",
    "read_results",
    "speed",
]

_HOMES = {
    "Loader": "nerbench.artifacts.loaders",
    "Store": "nerbench.artifacts.store",
    "benchmark_function": "nerbench.tasks.scoring.user_functions",
    "load_config": "nerbench.tasks.config.loading",
    "load_corpus": "nerbench.tasks.data.load_corpus",
    "metric": "nerbench.tasks.scoring.metrics",
    "parametrize": "nerbench.tasks.scoring.user_functions",
    "product": "nerbench.tasks.scoring.user_functions",
    "read_results": "nerbench.artifacts.tables.tables",
    "speed": "nerbench.flows.sweeps",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
