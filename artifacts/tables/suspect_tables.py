"""The table of suspect annotations."""

from collections.abc import Iterator

from nerbench.artifacts.tables.columns import STARTED_AT, Column, TableSchema, key, table, value


def _entities(side: str, whose: str) -> Iterator[Column]:
    """The columns of several entities of one region."""
    yield value(f"{side}_start", f"index in the sentence of the first word of each entity {whose}", "list<int32>")
    yield value(f"{side}_end", "index of the word after each of them", "list<int32>")
    yield value(f"{side}_label", "type of each of them", "list<string>")


SUSPECTS: dict[str, TableSchema] = {
    "suspects": table(
        STARTED_AT,
        key("ranking", "version of the features and weights behind the score"),
        key("words_sha256", "sha256 of the words, including sentence and document boundaries"),
        key("gold_sha256", "sha256 of the tags of the ranked annotation"),
        key("dataset", "name of the data set"),
        key("gold", "the ranked annotation: the name of the data set, or one of `golds`"),
        key("split", "split of the data set"),
        value("models", "names of the models whose predictions were used", "list<string>"),
        value("artifact_ids", "sha256 of the manifest of each of them", "list<string>"),
        value("predictions_digests", "sha256 of the predictions of each of them", "list<string>"),
        value("seeds", "random seed of the training of each of them; null if unknown", "list<int32>"),
        key("position", "position in the ranking, from 1", "int32"),
        value("score", "log-odds that the annotation is wrong here: the sum of `prior` and the terms below"),
        key("kind", "`missing` (an entity), `spurious`, `type`, `boundary`, `type+boundary`: what seems to be wrong"),
        value("document", "index of the document in the split, from 0; null without document boundaries", "int32"),
        key("sentence", "index of the sentence in the split, from 0", "int32"),
        key("start", "index in the sentence of the first word of the region, from 0", "int32"),
        key("end", "index of the word after the region", "int32"),
        value("text", "words of the region, joined by spaces; null with `text: drop`", "string"),
        value("sentence_text", "words of the sentence, joined by spaces; null with `text: drop`", "string"),
        *_entities("gold", "of the annotation in the region"),
        *_entities("proposed", "of the proposed correction"),
        value("opinions", "what each model predicts there: `proposal`, `gold` or `other`", "list<string>"),
        value("confidences", "lowest score of each model in the region; null if unknown", "list<double>"),
        *(
            value(
                f"{scope}_{side}", f"number of occurrences of the strings {where} that are annotated as {how}", "int64"
            )
            for scope, where in (
                ("document", "elsewhere in the document"),
                ("split", "in the other documents of the split"),
                ("train", "in the train split"),
            )
            for side, how in (("gold", "here"), ("proposed", "proposed"))
        ),
        value("prior", "log-odds before any evidence, lower if the proposal has fewer words in entities"),
        value("term_models", "weighted log-ratio of the models' confidence in the proposal and in the annotation"),
        *(
            value(f"term_{scope}", f"weighted log-ratio of `{scope}_proposed` and `{scope}_gold`, mean over strings")
            for scope in ("document", "train")
        ),
        value(
            "term_context",
            "weighted log-ratio of the entities of the document between the same words, with the types proposed and "
            "annotated",
        ),
        value(
            "term_case",
            "weighted log-odds that words in the same case are in entities, mean over the words that the proposal adds "
            "to entities or removes",
        ),
        identity=("words_sha256", "gold_sha256", "predictions_digests", "ranking", "position"),
        nondeterministic=("started_at", "dataset", "gold", "split", "models", "text", "sentence_text"),
    ),
}
"""Tables by name."""
