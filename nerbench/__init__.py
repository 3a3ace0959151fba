"""Train, save and benchmark named-entity taggers, orchestrated by Prefect on the Hugging Face stack.

The names in `__all__` are the public ones; everything else may change. They are imported when they are first used, so
that `import nerbench` is cheap.

>>> import nerbench
>>> nerbench.__all__[:4]
['Loader', 'NerbenchError', 'Results', 'Store']
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nerbench.artifacts.errors import NerbenchError as NerbenchError
    from nerbench.artifacts.loaders import Loader as Loader
    from nerbench.artifacts.store import Store as Store
    from nerbench.artifacts.tables.tables import read_results as read_results
    from nerbench.flows.api import benchmark as benchmark
    from nerbench.flows.api import compare as compare
    from nerbench.flows.api import predict as predict
    from nerbench.flows.api import results as results
    from nerbench.flows.api import run as run
    from nerbench.flows.api import score as score
    from nerbench.flows.api import speed as speed
    from nerbench.flows.api import train as train
    from nerbench.taggers import Tagger as Tagger
    from nerbench.tasks.config.loading import load_config as load_config
    from nerbench.tasks.data.load_corpus import load_corpus as load_corpus
    from nerbench.tasks.report.data_frames import Results as Results
    from nerbench.tasks.scoring.benchmark_functions import benchmark_function as benchmark_function
    from nerbench.tasks.scoring.benchmark_functions import parametrize as parametrize
    from nerbench.tasks.scoring.benchmark_functions import product as product
    from nerbench.tasks.scoring.metrics import metric as metric

__version__ = "0.2.0"

if not Path(__file__).with_name("flows").is_dir():  # in a checkout, the subpackages are beside this folder
    __path__.append(str(Path(__file__).parents[1]))

_HOMES = {
    "Loader": "nerbench.artifacts.loaders",
    "NerbenchError": "nerbench.artifacts.errors",
    "Results": "nerbench.tasks.report.data_frames",
    "Store": "nerbench.artifacts.store",
    "Tagger": "nerbench.taggers",
    "benchmark": "nerbench.flows.api",
    "benchmark_function": "nerbench.tasks.scoring.benchmark_functions",
    "compare": "nerbench.flows.api",
    "load_config": "nerbench.tasks.config.loading",
    "load_corpus": "nerbench.tasks.data.load_corpus",
    "metric": "nerbench.tasks.scoring.metrics",
    "parametrize": "nerbench.tasks.scoring.benchmark_functions",
    "predict": "nerbench.flows.api",
    "product": "nerbench.tasks.scoring.benchmark_functions",
    "read_results": "nerbench.artifacts.tables.tables",
    "results": "nerbench.flows.api",
    "run": "nerbench.flows.api",
    "score": "nerbench.flows.api",
    "speed": "nerbench.flows.api",
    "train": "nerbench.flows.api",
}
__all__ = [
    "Loader",
    "NerbenchError",
    "Results",
    "Store",
    "Tagger",
    "__version__",
    "benchmark",
    "benchmark_function",
    "compare",
    "load_config",
    "load_corpus",
    "metric",
    "parametrize",
    "predict",
    "product",
    "read_results",
    "results",
    "run",
    "score",
    "speed",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names, for completion."""
    return __all__
