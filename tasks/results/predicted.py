"""One model's stored predictions beside one annotation: a small reference that is passed between steps."""

from collections.abc import Mapping
from typing import Any

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.results.tables import find_table_file, table_key
from nerbench.tasks.config import Section


class Predicted(Section):
    """Which predictions, of which model, on which words and beside which gold; a file of the `predictions` table."""

    artifact_id: str
    model_sha256: str
    model: str
    """The name it was known by."""
    dataset: str
    split: str
    gold: str
    """The annotation: the data set's name, or one of `golds`."""
    words_sha256: str
    gold_sha256: str
    predictions_digest: str
    dtype: str
    uri: str
    """Of the file."""

    @property
    def identity(self) -> dict[str, str]:
        """The columns that the rows of every table about these predictions begin with."""
        return self.model_dump(exclude={"uri", "model_sha256"})


def predictions_key(row: Mapping[str, Any]) -> str:
    """The name of the files about these predictions: the same for the same model, words, gold and predicted tags."""
    return table_key(*(row[name] for name in ("artifact_id", "words_sha256", "gold_sha256", "predictions_digest")))


def stored(results: str, row: Mapping[str, Any]) -> Predicted:
    """The predictions behind a row of `metrics`. Raises InputError where their file is gone."""
    uri = find_table_file(results, "predictions", predictions_key(row))
    if uri is None:
        problem = f"the predictions of {row['model']} on {row['dataset']} ({row['gold']}) are gone"
        raise InputError(f"results {results}", problem, f"run `nerbench benchmark {row['model']}` again")
    return Predicted(uri=uri, **{name: row[name] for name in Predicted.model_fields if name != "uri"})
