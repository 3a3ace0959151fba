"""What the gate decided."""

from nerbench.artifacts.results.declared.columns import MODEL, RUN_ID, STARTED_AT, TableSchema, key, table, value

JUDGING: dict[str, TableSchema] = {
    "gate": table(
        RUN_ID,
        STARTED_AT,
        key("attempt", "which attempt of the run wrote it, from 1", "int32"),
        key("kind", "`rule`; `frozen`: an unchanged model predicts differently; `promotion`: of an alias; `speed`"),
        MODEL,
        key("artifact_id", "sha256 of the manifest of the model that was judged"),
        value("baseline", "the reference of the baseline", "string"),
        value("baseline_artifact_id", "sha256 of its manifest", "string"),
        value("dataset", "the corpus", "string"),
        value("split", "its split", "string"),
        value("gold", "the annotation", "string"),
        *(value(name, f"as in `metrics`: the {name} of the rule", "string") for name in ("level", "mode", "slice")),
        *(value(name, f"as in `metrics`: the {name} of the rule", "string") for name in ("label", "average", "metric")),
        value("base", "the number of the baseline, in 0…1; seconds of the nights before (`speed`)"),
        value("candidate", "the number of the model, in 0…1; seconds (`speed`)"),
        value("delta", "candidate − base"),
        value("ci_low", "lower end of the delta's confidence interval (paired bootstrap by `unit`)"),
        value("ci_high", "upper end of it"),
        value("confidence", "of the interval, e.g. 0.95"),
        value("p_value", "of the paired permutation test by `unit`, two-sided"),
        value("detectable", "smallest true difference that this pair shows with 80 % power"),
        value("margin", "what the number may fall, in 0…1; of `speed`, the share that it may grow"),
        value("support", "gold entities", "int64"),
        *(value(name, f"entities {name} since the baseline", "int64") for name in ("gained", "lost", "changed")),
        key(
            "verdict",
            "`improvement`, `pass`, `regression`, `undecided` (`inconclusive` of `speed` and in rows of earlier "
            "versions), or `missing`: there is no number",
        ),
        value("failed", "whether it lets the run fail", "bool"),
        value("promoted", "whether the alias `champion` moved to the model", "bool"),
        value("reason", "what there is to say", "string"),
        value("rule", "the number of the rule in the configuration, from 1", "int32"),
        value("p_adjusted", "p_value adjusted by Holm's method over the rules for the model"),
        value("unit", "what is resampled and swapped: `document`, or `sentence` where entities stand in few", "string"),
        volatile=("started_at", "attempt"),
    ),
}
"""By name."""
