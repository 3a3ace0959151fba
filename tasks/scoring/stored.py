"""Counts of predictions that an earlier run stored, from the `predictions` table alone."""

from nerbench.artifacts.errors import NerbenchError
from nerbench.artifacts.manifest import ArtifactKey
from nerbench.artifacts.store import Store
from nerbench.tasks.config import Config
from nerbench.tasks.results.predicted import Predicted
from nerbench.tasks.scoring.counts import Counts, count
from nerbench.tasks.scoring.paired_counts import count_both_ways
from nerbench.tasks.scoring.reading import PredictionsFile, read_predictions
from nerbench.tasks.slicing.choice import Slices, slices_for
from nerbench.tasks.slicing.training_mentions import Mentions, Unavailable, find_training


def count_stored(predicted: Predicted, config: Config) -> tuple[list[Counts], Slices]:
    """Counts in the modes of the configuration and in every slice that can be had, and the slices.

    Raises CorruptArtifactError where the file is damaged, InputError for a slice of the user's own that fails.
    """
    file, slices = _read(predicted, config)
    return count(file.parts(), slices.ready, config.modes), slices


def count_to_compare(predicted: Predicted, config: Config) -> list[Counts]:
    """The same counts by document, then by sentence. Raises like `count_stored`."""
    file, slices = _read(predicted, config)
    return count_both_ways(file.parts, slices.ready, config.modes)


def _read(predicted: Predicted, config: Config) -> tuple[PredictionsFile, Slices]:
    file = read_predictions(config.results, predicted.uri)
    return file, slices_for(config.slices, parts=file.parts, training=_training(predicted, config))


def _training(predicted: Predicted, config: Config) -> Mentions | Unavailable:
    try:
        key = ArtifactKey(name=predicted.model, artifact_id=predicted.artifact_id)
        return find_training(Store(config.store).manifest(key).provenance.corpora, config.datasets)
    except NerbenchError as error:
        return Unavailable(f"its manifest cannot be read ({error})")
