"""The vote of models as predictions in the store."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from scored_runs import score

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.manifest import PREDICTIONS_FILE
from nerbench.artifacts.references import load_manifest, pull
from nerbench.artifacts.store import Store
from nerbench.tasks.comparison.ensembles import import_ensemble
from nerbench.tasks.data.corpus import Corpus

GOLD = [["B-LOC", "O", "B-PER"], ["B-ORG", "I-ORG"]]
MODELS = {
    "a": [["B-LOC", "O", "O"], ["B-ORG", "I-ORG"]],
    "b": [["B-LOC", "B-ORG", "O"], ["B-ORG", "O"]],
    "c": [["O", "B-ORG", "O"], ["B-ORG", "I-ORG"]],
}


def test_a_vote_is_stored_as_predictions_of_its_words(tmp_path: Path) -> None:
    words = [["w0", "w1", "w2"], ["w3", "w4"]]
    corpus = Corpus(name="own", split="test", words=words, tags=GOLD, documents=None)
    results, store = str(tmp_path / "results"), Store(str(tmp_path / "store"))
    predicted = [score(results, n, GOLD, tags, model=name) for n, (name, tags) in enumerate(MODELS.items(), 1)]
    with pytest.raises(InputError, match="model a: was predicted on other words than those of own, test; benchmark"):
        import_ensemble(predicted, "ensemble", corpus, store, results)
    on_words = [one.model_copy(update={"words_sha256": corpus.words_sha256}) for one in predicted]
    found = import_ensemble(on_words, "ensemble", corpus, store, results)
    manifest = load_manifest(found.artifact)
    assert (found.artifact.name, manifest.kind, manifest.imported and manifest.imported.name) == (
        "ensemble",
        "predictions",
        "vote of a, b, c",
    )
    pull(found.artifact, tmp_path / "pulled")
    table = pq.read_table(tmp_path / "pulled" / PREDICTIONS_FILE)
    assert table["pred"].to_pylist() == ["B-LOC", "B-ORG", "O", "B-ORG", "I-ORG"]
    assert table["score"].null_count == 0
