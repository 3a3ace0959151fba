"""Train, save and benchmark named-entity taggers, orchestrated by Prefect on the Hugging Face stack.

The names below are the public ones. They are imported when they are first used, so that `import nerbench` is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nerbench.artifacts.loaders import Loader as Loader
    from nerbench.artifacts.results.tables import read_results as read_results
    from nerbench.artifacts.store import Store as Store
    from nerbench.flows.sweeps import speed as speed
    from nerbench.tasks.configuration.configfile import load_config as load_config
    from nerbench.tasks.corpora.public import load_corpus as load_corpus
    from nerbench.tasks.custom.functions import benchmark_function as benchmark_function
    from nerbench.tasks.custom.functions import parametrize as parametrize
    from nerbench.tasks.custom.functions import product as product
    from nerbench.tasks.scoring.registry import metric as metric

__version__ = "0.1.0"
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
    "benchmark_function": "nerbench.tasks.custom.functions",
    "load_config": "nerbench.tasks.configuration.configfile",
    "load_corpus": "nerbench.tasks.corpora.public",
    "metric": "nerbench.tasks.scoring.registry",
    "parametrize": "nerbench.tasks.custom.functions",
    "product": "nerbench.tasks.custom.functions",
    "read_results": "nerbench.artifacts.results.tables",
    "speed": "nerbench.flows.sweeps",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
