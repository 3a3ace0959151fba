"""The table of gate decisions."""

from nerbench.artifacts.results.declared.columns import MODEL, RUN_ID, STARTED_AT, TableSchema, key, table, value

JUDGING: dict[str, TableSchema] = {
    "gate": table(
        RUN_ID,
        STARTED_AT,
        key("attempt", "number of the attempt that wrote the row, from 1", "int32"),
        key(
            "kind",
            "`rule`; `frozen`: an unchanged model predicts differently; `promotion`: an alias moved or not; `speed`",
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
        value("candidate", "score of the candidate; for `speed`, its latency"),
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
            "`improvement`, `pass`, `regression`, `undecided` (`inconclusive` for `speed` and in rows of earlier "
            "versions) or `missing` (no score)",
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
        identity=("run_id", "attempt", "kind", "artifact_id", "dataset", "split", "gold", "rule"),
        volatile=("started_at", "attempt"),
    ),
}
"""Tables by name."""
