"""Metrics of the library `evaluate` from local scripts, as metrics over predictions.

nerbench loads the script like other custom code, not by `evaluate.load`, which downloads missing files from the Hub and
imports from URLs that a script names. `import evaluate` takes 6 to 9 s and 500 MB.
"""

from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import EvaluateMetric
from nerbench.tasks.corpora.labels import tag_vocabulary
from nerbench.tasks.custom.predictions import Predictions
from nerbench.tasks.scoring.entities import Codes
from nerbench.tasks.scoring.registry import Metric
from nerbench.tasks.scoring.tagged import TaggedWords


def evaluate_metric(module: ModuleType, config: EvaluateMetric) -> Metric:
    """The metric of a loaded script. It gets all sentences, and the arguments of the configuration.

    The script's `features` determine the form of the tags: text or numbers (`O` is 0), one list per sentence or one
    flat list. Raises InputError unless the script defines exactly one `evaluate.Metric`.
    """
    from evaluate import Metric as Evaluated

    classes: list[Any] = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Evaluated)]
    own = [one for one in classes if one.__module__ == module.__name__]
    if len(own) != 1:
        problem = f"defines {len(own)} classes of evaluate.Metric"
        raise InputError(config.evaluate, problem, "name a script that defines one")

    @wraps(own[0]._compute)
    def compute(predictions: Predictions, **arguments: Any) -> Any:
        with TemporaryDirectory(prefix="nerbench-") as cache:
            metric = own[0](cache_dir=cache)
            metric.download_and_prepare()
            for part in predictions.parts():
                metric.add_batch(**_batch(metric.features, part))
            return metric.compute(**arguments)

    return Metric(
        name=config.name or Path(config.evaluate).stem,
        compute=compute,
        tags=("evaluate",),
        parameters={name: [value] for name, value in config.arguments.items()},
    )


def _batch(features: Any, part: TaggedWords) -> dict[str, Any]:
    """The arguments of `add_batch` for some sentences, in the first of several alternative forms."""
    wanted = features[0] if isinstance(features, list) else features
    codes = {"predictions": part.predicted, "references": part.gold}
    if further := sorted(set(wanted) - set(codes)):
        raise ValueError(f"it needs {', '.join(further)}; nerbench gives predictions and references only")
    return {name: _given(wanted[name], codes[name], part) for name in codes}


def _given(feature: Any, codes: Codes, part: TaggedWords) -> Any:
    """Tags in the form of a feature: one list, or one list per sentence."""
    by_sentence = hasattr(feature, "feature")
    dtype = str(getattr(feature.feature if by_sentence else feature, "dtype", None))
    if dtype != "string" and "int" not in dtype:
        raise ValueError(f"it needs {feature}; nerbench gives tags as text or whole numbers")
    tags = codes if "int" in dtype else np.array(tag_vocabulary(part.types), object)[codes]
    if not by_sentence:
        return tags.tolist()
    return [sentence.tolist() for sentence in np.split(tags, np.flatnonzero(part.sentence_starts)[1:])]
