"""The tables are those of the design."""

import pytest

from artifacts.schemas import TABLES, schema

DESIGN = {
    "metrics": """run_id started_at attempt artifact_id model_sha256 model dataset split words_sha256 gold gold_sha256
        predictions_digest precision slice level mode label average metric value ci_low ci_high ci_method confidence
        tp n_pred n_gold support n_documents status reason""",
    "predictions": """artifact_id words_sha256 gold_sha256 predictions_digest model dataset gold split precision
        document sentence word text gold_tag pred_tag score probabilities""",
    "confusion": """artifact_id words_sha256 gold_sha256 predictions_digest model dataset gold split precision
        gold_label pred_label boundaries n""",
    "errors": """artifact_id words_sha256 gold_sha256 predictions_digest model dataset gold split precision
        kind document sentence gold_start gold_end gold_label gold_text pred_start pred_end pred_label pred_text
        sentence_text score invalid""",
    "calibration": """artifact_id words_sha256 gold_sha256 predictions_digest model dataset gold split precision
        kind label position low high coverage n mean_confidence accuracy""",
    "speed": """run_id artifact_id model device host precision backend threads processes workload batch_size
        sequence_length status n mean_s std_s p50_s p90_s p95_s p99_s sentences_per_s words_per_s tokens_per_s
        ci_low_s ci_high_s samples_s""",
    "memory": """run_id artifact_id model device precision workload batch_size sequence_length parameters weights_bytes
        artifact_bytes load_s first_call_s baseline_rss_bytes peak_rss_bytes peak_device_bytes""",
    "runs": """run_id started_at flow configuration code_commit code_dirty host cpu cpu_flags threads ram_bytes gpu
        driver cuda python torch transformers tokenizers prefect evaluated cached train_s evaluate_s score_s total_s
        outcome""",
}


@pytest.mark.parametrize("table", DESIGN)
def test_the_columns_others_rely_on_stand_first_and_later_ones_may_be_null(table: str) -> None:
    first = DESIGN[table].split()
    assert schema(table).names[: len(first)] == first
    assert all(field.nullable for field in list(schema(table))[len(first) :])


def test_no_table_is_missing() -> None:
    assert set(DESIGN) <= set(TABLES)


@pytest.mark.parametrize(
    ("table", "column", "type_"),
    [
        ("metrics", "started_at", "timestamp[us, tz=UTC]"),
        ("metrics", "attempt", "int32"),
        ("metrics", "value", "double"),
        ("metrics", "support", "int64"),
        ("predictions", "document", "int32"),
        ("predictions", "score", "float"),
        ("predictions", "probabilities", "list<item: halffloat>"),
        ("metrics", "n_partial", "int64"),
        ("metrics", "n_invalid", "int64"),
        ("metrics", "parameters", "string"),
        ("metrics", "source", "string"),
        ("confusion", "n", "int64"),
        ("errors", "gold_start", "int32"),
        ("errors", "invalid", "bool"),
        ("calibration", "mean_confidence", "double"),
        ("speed", "samples_s", "list<item: double>"),
        ("runs", "code_dirty", "bool"),
    ],
)
def test_types(table: str, column: str, type_: str) -> None:
    assert str(schema(table).field(column).type) == type_


@pytest.mark.parametrize("table", DESIGN)
def test_every_column_says_what_it_means(table: str) -> None:
    for column, field in zip(TABLES[table].columns, schema(table), strict=True):
        assert field.metadata == {b"meaning": column.meaning.encode()}
        assert column.meaning.strip()
        assert "\n" not in column.meaning
    assert TABLES[table].volatile <= set(schema(table).names)
