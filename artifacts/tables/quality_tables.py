"""Tables about quality: scores, predictions, confusion, errors, calibration and gate decisions."""

from nerbench.artifacts.tables.columns import (
    ARTIFACT_ID,
    DTYPE,
    MODEL,
    RUN_ID,
    STARTED_AT,
    Column,
    TableSchema,
    key,
    table,
    value,
)

PERTURBATION = value("perturbation", "what was changed in the words (`robustness`); null for the clean split", "string")

PREDICTED: tuple[Column, ...] = (
    ARTIFACT_ID,
    key("words_sha256", "sha256 of the words, including sentence and document boundaries"),
    key("gold_sha256", "sha256 of the tags of the annotation"),
    key("predictions_digest", "sha256 of document, sentence, word and predicted tag of all rows"),
    MODEL,
    key("dataset", "name of the data set"),
    key("gold", "the annotation: the name of the data set, or one of `golds`"),
    key("split", "split of the data set"),
    DTYPE,
)
"""The predictions and the annotation that a row belongs to; the same for all rows of a file."""

DIGESTS = ("artifact_id", "words_sha256", "gold_sha256", "predictions_digest")
# Digests of words, tags and predictions identify a file; names and scores may differ between attempts.
NAMES = ("model", "dataset", "gold", "split", "dtype")

QUALITY: dict[str, TableSchema] = {
    "metrics": table(
        RUN_ID,
        STARTED_AT,
        key("attempt", "number of the attempt that wrote the row, from 1", "int32"),
        ARTIFACT_ID,
        key("model_sha256", "sha256 of the weights, configuration and tokenizer files only"),
        MODEL,
        key("dataset", "name of the data set"),
        key("split", "split of the data set"),
        value("words_sha256", "sha256 of the words, including sentence and document boundaries", "string"),
        key("gold", "the annotation: the name of the data set, or one of `golds`"),
        value("gold_sha256", "sha256 of the tags of the annotation", "string"),
        value("predictions_digest", "sha256 of the scored predictions", "string"),
        DTYPE,
        key("aggregation", "`model`: the score of one model; `seed_mean`: the mean over the seeds of a model"),
        key("slice", "the scored part: `all`, or `unseen`, `all_caps`, `length_1`, …"),
        key("level", "`entity` or `token` (one per word); `custom` for a custom metric over predictions or the model"),
        key(
            "mode",
            "entities: `strict`, `conlleval`, `exact`, `partial`, `type`, on request `discard`, `span`; tokens: `tag`",
        ),
        key("label", "`PER`, `B-PER`, …, `overall`, or for tokens `overall_with_O`"),
        key(
            "average",
            "`micro`, `macro` (labels in gold or predictions) or `weighted` (by support); empty for a single label",
        ),
        key(
            "metric",
            "`precision`, `recall`, `f1`; for tokens `accuracy`; for confidence (0 is best) `ece_equal_mass` (`ece` in "
            "early tables), `ece_equal_width`, `brier`, `aurc`",
        ),
        value("value", "the score, in 0…1 except for custom metrics; null if undefined"),
        value("ci_low", "lower end of the confidence interval; null if not computed"),
        value("ci_high", "upper end of the confidence interval; null if not computed"),
        value(
            "ci_method",
            "interval method: `wilson-jackknife`, or `jackknife-t` for metrics that are not shares",
            "string",
        ),
        value("confidence", "confidence level of the interval, e.g. 0.95"),
        value("tp", "number of correct predictions", "int64"),
        value("n_pred", "number of predictions", "int64"),
        value("n_gold", "number of gold entities or tags", "int64"),
        value("support", "same as `n_gold`", "int64"),
        value("n_documents", "number of documents", "int64"),
        key("status", "`ok`, `undefined`, `failed` (a custom metric) or `unavailable` (a slice)"),
        value("reason", "why there is no value", "string"),
        value("std", "standard deviation, if the value is a mean over seeds"),
        value("n_models", "number of models in the mean; null for a single model", "int32"),
        value(
            "n_partial",
            "number of pairs with overlapping but different boundaries; each counts one half (mode `partial`)",
            "int64",
        ),
        value("n_invalid", "number of predicted `I-` tags that do not continue an entity of their type", "int64"),
        value("parameters", "parameters of the metric, e.g. `k=2, threshold=0.5`", "string"),
        value("source", "file and digest of a custom metric", "string"),
        value(
            "n_repaired",
            "number of tags in the annotation that do not continue an entity of their type and are read as `B-`; null "
            "if nothing was read",
            "int64",
        ),
        value(
            "kind",
            "what made the predictions: `model`, `tagger` or `predictions` (imported); null in early rows, which means "
            "`model`",
            "string",
        ),
        value("label_map", "entity types of the model that were renamed, as a JSON object; null if none", "string"),
        value(
            "n_unmapped",
            "number of entity types of the corpus that the model does not know by name (or that imported predictions "
            "never contain), whose entities are all missed",
            "int32",
        ),
        value(
            "pinned", "false for a tagger whose predictions may change at any time; null for everything else", "bool"
        ),
        value(
            "n_unparsed",
            "number of answers of a language model that could not be parsed, which count as no entities; null if none",
            "int32",
        ),
        value(
            "n_unaligned",
            "number of entities of an annotation with other words that the text of the data set does not have, which "
            "count as missed; null if the annotation has the words of the data set",
            "int64",
        ),
        value(
            "n_left_out",
            "number of words of the data set that such an annotation does not have, which are left out",
            "int64",
        ),
        value(
            "backend",
            "what computed the predictions of a model: `torch`, `onnxruntime` or `openvino`; null in rows that are "
            "not about a model, and in early rows, which means `torch`",
            "string",
        ),
        PERTURBATION,
        identity=(
            *("run_id", "artifact_id", "dataset", "split", "gold", "slice", "level", "mode", "label", "average"),
            *("metric", "parameters", "source", "perturbation"),
        ),
        nondeterministic=("started_at", "attempt"),
    ),
    "predictions": table(
        *PREDICTED,
        value("document", "index of the document in the split, from 0; null without document boundaries", "int32"),
        key("sentence", "index of the sentence in the split, from 0", "int32"),
        key("word", "index of the word in the split, from 0", "int32"),
        value("text", "the word; null with `text: drop`", "string"),
        key("gold_tag", "tag in the annotation"),
        key("pred_tag", "tag that the model predicts"),
        value(
            "score",
            "probability of the predicted tag, at the token that decides (see `benchmark.aggregation_strategy`)",
            "float",
        ),
        value("probabilities", "probabilities of all labels, in the order of the model's label ids", "list<halffloat>"),
        PERTURBATION,
        identity=(*DIGESTS, "word"),
        nondeterministic=(*NAMES, "text", "score", "probabilities", "perturbation"),
    ),
    "confusion": table(
        *PREDICTED,
        key("gold_label", "entity type in the annotation; `O` for a spurious entity"),
        key("pred_label", "predicted entity type; `O` for a missed entity"),
        key("boundaries", "`same`; `overlap`: different boundaries with a common word; `none`: missed or spurious"),
        value("n", "number of pairs of a gold and a predicted entity; for `none`, number of entities", "int64"),
        identity=(*DIGESTS, "gold_label", "pred_label", "boundaries"),
        nondeterministic=NAMES,
    ),
    "errors": table(
        *PREDICTED,
        key("kind", "`missed`, `spurious`, `type`, `boundary`, `type+boundary`"),
        value("document", "index of the document in the split, from 0; null without document boundaries", "int32"),
        key("sentence", "index of the sentence in the split, from 0", "int32"),
        value(
            "gold_start",
            "index in the sentence of the first word of the gold entity, from 0; null if spurious",
            "int32",
        ),
        value("gold_end", "index of the word after the gold entity", "int32"),
        value("gold_label", "type of the gold entity", "string"),
        value("gold_text", "words of the gold entity, joined by spaces; null with `text: drop`", "string"),
        value(
            "pred_start",
            "index in the sentence of the first word of the predicted entity, from 0; null if missed",
            "int32",
        ),
        value("pred_end", "index of the word after the predicted entity", "int32"),
        value("pred_label", "type of the predicted entity", "string"),
        value("pred_text", "words of the predicted entity, joined by spaces; null with `text: drop`", "string"),
        value(
            "sentence_text",
            "words of the sentence (of a long one, around the error), joined by spaces; null with `text: drop`",
            "string",
        ),
        value(
            "score",
            "lowest score among the words of the predicted entity or, if missed, of the gold entity",
            "float",
        ),
        value("invalid", "whether `conlleval` decodes an entity there that `strict` does not", "bool"),
        identity=(*DIGESTS, "kind", "sentence", "gold_start", "pred_start"),
        nondeterministic=(*NAMES, "gold_text", "pred_text", "sentence_text", "score"),
    ),
    "calibration": table(
        *PREDICTED,
        key(
            "kind",
            "`bin`: one of 15 equal-mass bins; `risk_coverage`: the most confident entities, in steps of a twentieth",
        ),
        key("label", "predicted type, `PER`, …, or `overall`"),
        key("position", "position from 1, most confident entities first", "int32"),
        value("low", "lowest confidence in the group; for `risk_coverage`, the threshold"),
        value("high", "highest confidence in the group"),
        value("coverage", "share of the predicted entities in the group"),
        value(
            "n",
            "number of entities in the group; 0 if entities of equal confidence all fall into the bin before",
            "int64",
        ),
        value("mean_confidence", "mean confidence; the confidence of an entity is the lowest score of its words"),
        value("accuracy", "share of correct entities (`strict`); the risk is 1 − accuracy"),
        identity=(*DIGESTS, "kind", "label", "position"),
        nondeterministic=(*NAMES, "low", "high", "coverage", "n", "mean_confidence", "accuracy"),
    ),
}
"""Tables by name."""


JUDGING: dict[str, TableSchema] = {
    "gate": table(
        RUN_ID,
        STARTED_AT,
        key("attempt", "number of the attempt that wrote the row, from 1", "int32"),
        key(
            "kind",
            "`rule`; `frozen`: an unchanged model predicts differently; `repeatability`: a tagger that is not pinned "
            "predicts again; `promotion`: an alias moved or not; `speed`",
        ),
        MODEL,
        key("artifact_id", "sha256 of the manifest of the candidate model"),
        value("baseline", "reference to the baseline", "string"),
        value("baseline_artifact_id", "sha256 of the baseline's manifest", "string"),
        value("dataset", "name of the data set", "string"),
        value("split", "split of the data set", "string"),
        value("gold", "name of the annotation", "string"),
        *(value(name, f"{name} of the rule, as in `metrics`", "string") for name in ("level", "mode", "slice")),
        *(value(name, f"{name} of the rule, as in `metrics`", "string") for name in ("label", "average", "metric")),
        value("base", "score of the baseline; for `speed`, latency in earlier nightly runs"),
        value(
            "candidate",
            "score of the candidate; for `speed`, its latency; for `repeatability`, the share of entities that agree "
            "with the run before",
        ),
        value("delta", "candidate − base"),
        value("ci_low", "lower end of the confidence interval of `delta` (paired bootstrap by `resampling_unit`)"),
        value("ci_high", "upper end of the confidence interval of `delta`"),
        value("confidence", "confidence level of the interval, e.g. 0.95"),
        value("p_value", "two-sided p-value of the paired permutation test by `resampling_unit`"),
        value("detectable", "smallest true difference that this pair detects with 80 % power"),
        value("margin", "largest acceptable drop, in 0…1; for `speed`, largest acceptable increase as a share"),
        value("support", "number of gold entities", "int64"),
        *(
            value(name, f"number of entities {name} compared with the baseline", "int64")
            for name in ("gained", "lost", "changed")
        ),
        key(
            "verdict",
            "`improvement`, `pass`, `regression`, `undecided` or `missing` (no score)",
        ),
        value("failed", "whether the decision fails the run", "bool"),
        value("promoted", "whether the baseline's alias moved to the candidate", "bool"),
        value("reason", "explanation of the verdict", "string"),
        value("rule", "number of the rule in the configuration, from 1", "int32"),
        value("p_adjusted", "`p_value` adjusted by Holm's method over the rules for the model"),
        value(
            "resampling_unit",
            "unit of resampling and swapping: `document`, or `sentence` if too few documents contain entities",
            "string",
        ),
        value(
            "unit",
            "unit of `base`, `candidate`, `delta`, its interval and `detectable`: `share` (0.01 is one point), or "
            "`seconds` for `speed`; null for `frozen`",
            "string",
        ),
        PERTURBATION,
        identity=("run_id", "attempt", "kind", "artifact_id", "dataset", "split", "gold", "rule"),
        nondeterministic=("started_at", "attempt"),
    ),
    "robustness": table(
        RUN_ID,
        STARTED_AT,
        key("attempt", "number of the attempt that wrote the row, from 1", "int32"),
        ARTIFACT_ID,
        MODEL,
        key("dataset", "name of the data set"),
        key("split", "split of the data set"),
        DTYPE,
        key("perturbation", "what was changed in the words"),
        key("label", "entity type, or `overall`"),
        value("clean", "strict F1 on the clean split (`overall`: micro average)"),
        value("perturbed", "strict F1 on the perturbed words"),
        value("delta", "perturbed − clean"),
        value("ci_low", "lower end of the confidence interval of `delta` (paired bootstrap by `resampling_unit`)"),
        value("ci_high", "upper end of the confidence interval of `delta`"),
        value("confidence", "confidence level of the interval, e.g. 0.95"),
        value("p_value", "two-sided p-value of the paired permutation test by `resampling_unit`"),
        value(
            "p_adjusted",
            "`p_value` adjusted by Holm's method: for `overall` over the perturbations of a model and data set, for "
            "entity types over perturbations and types",
        ),
        value("detectable", "smallest true difference that this pair detects with 80 % power"),
        value("support", "number of gold entities", "int64"),
        value("resampling_unit", "unit of resampling and swapping: `document` or `sentence`", "string"),
        value("reason", "why there is no difference or no interval", "string"),
        value("changed_words", "number of words that differ from the clean split", "int64"),
        value("changed_sentences", "number of sentences with such words", "int64"),
        value("seed", "seed of the perturbation", "int64"),
        value("words_sha256", "sha256 of the perturbed words", "string"),
        value("clean_words_sha256", "sha256 of the words of the clean split", "string"),
        value("predictions_digest", "sha256 of the predictions for the perturbed words", "string"),
        value("clean_predictions_digest", "sha256 of the predictions for the clean split", "string"),
        value("evaluate_s", "seconds of the inference, also if this run took it from the cache"),
        identity=("run_id", "artifact_id", "dataset", "split", "perturbation", "label"),
        nondeterministic=("started_at", "attempt"),
    ),
}
"""Tables by name."""
