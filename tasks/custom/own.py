"""A user's own metrics of stored predictions: which are asked for, and what they say."""

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.tasks.analysis.writing import calibration_rows
from nerbench.tasks.config import Config
from nerbench.tasks.custom.predictions import Identity, Predictions
from nerbench.tasks.custom.running import run_custom
from nerbench.tasks.inference.evaluation import settings_of, tagger_handle
from nerbench.tasks.results.predicted import Predicted
from nerbench.tasks.scoring.counting import missing_slices, selected_metrics
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.intervals import JackknifeIntervals
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.reading import read_predictions
from nerbench.tasks.scoring.score import score
from nerbench.tasks.scoring.stored import count_stored


def score_own(predicted: Predicted, config: Config, artifact: ArtifactRef | None) -> list[Row]:
    """Rows of the metrics that need predictions, or, where the artifact is given, the model, which is loaded once."""
    metrics = [one for one in selected_metrics(config) if one.needs != "counts"]
    if not metrics:
        return []
    predictions = read_predicted(predicted, config)
    if artifact is None:
        return run_custom(metrics, predictions)
    with tagger_handle(artifact, settings_of(config.benchmark), as_saved=True) as handle:
        return run_custom(metrics, predictions, lambda: handle.value)


def read_predicted(predicted: Predicted, config: Config) -> Predictions:
    """Stored predictions, as a user's own code gets them."""
    file = read_predictions(config.results, predicted.uri)
    identity = Identity(**{name: getattr(predicted, name) for name in Identity._fields})
    return Predictions(identity=identity, types=file.types, parts=file.parts)


def score_stored(predicted: Predicted, config: Config) -> list[Row]:
    """Every number of stored predictions that is asked for; metrics that need the model have rows that say so."""
    counts, slices = count_stored(predicted, config)
    intervals = JackknifeIntervals(config.benchmark.confidence)
    metrics = selected_metrics(config)
    wanted = config.benchmark.labels
    labels = (OVERALL, *(counts[0].labels if wanted == "all" else wanted))
    rows = [row for label in labels for row in score(counts, label, metrics=metrics, intervals=intervals)]
    calibrated = calibration_rows(read_predictions(config.results, predicted.uri).parts, config.benchmark)
    return [*rows, *missing_slices(slices.unavailable, metrics), *calibrated, *score_own(predicted, config, None)]
