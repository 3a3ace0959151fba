"""Makes Parquet files of a few kilobytes that decode to gigabytes: `python parquet_bombs.py FOLDER`.

It runs in a separate process, whose memory does not count, and imports little.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 1 << 20


def repeated(text: str, rows: int) -> pa.Array:
    """One string for every row, which a file holds once."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([text]))


def write(path: Path, rows: pa.Table, groups: int = 1, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, rows.schema, compression="zstd", store_schema=False, **options) as writer:
        for _ in range(groups):
            writer.write_table(rows, row_group_size=len(rows))
    assert path.stat().st_size < 1 << 20
    return path


def many_rows(path: Path) -> None:
    write(path, pa.table({"model": repeated("a", ROWS), "value": pa.array(np.zeros(ROWS))}), groups=40)


def long_string(path: Path) -> None:
    write(path, pa.table({"model": repeated("a" * (1 << 20), ROWS // 8)}))


def many_groups_of_long_strings(path: Path) -> None:
    write(path, pa.table({"model": repeated("a" * 10_000, 20_000)}), groups=50)


def zeros(path: Path) -> None:
    write(path, pa.table({"model": pa.array(["\0" * (1 << 20)] * 400)}), use_dictionary=False, data_page_size=1 << 20)


def large_page(path: Path) -> None:
    write(path, pa.table({"model": pa.array(["\0" * (1 << 27)])}), use_dictionary=False)


def long_list(path: Path) -> None:
    numbers = pa.ListArray.from_arrays([0, 1 << 24], pa.array(np.zeros(1 << 24, np.int8)))
    write(path, pa.table({"samples_s": numbers}))


def prefixes(path: Path) -> None:
    texts = pa.array(["a" * n for n in range(20_000)])
    write(path, pa.table({"model": texts}), use_dictionary=False, column_encoding={"model": "DELTA_BYTE_ARRAY"})


def rows_of_one_word(path: Path) -> None:
    words = pa.ListArray.from_arrays(np.arange(ROWS + 1, dtype=np.int32) * 20, repeated("a", 20 * ROWS))
    write(path, pa.table({"tokens": words, "ner_tags": words}))


def long_label(path: Path) -> None:
    rows = 20_000
    numbers = pa.array(np.zeros(rows, np.int32))
    one = pa.StructArray.from_arrays([numbers, numbers, repeated("A" * (1 << 18), rows)], ["start", "end", "label"])
    spans = pa.ListArray.from_arrays(np.arange(rows + 1, dtype=np.int32), one)
    write(path, pa.table({"text": repeated("a", rows), "entities": spans}))


def long_annotated_text(path: Path) -> None:
    none = pa.ListArray.from_arrays(np.zeros(20_001, np.int32), pa.array(["x"]))
    write(path, pa.table({"text": repeated("a " * (1 << 17), 20_000), "entities": none}))


def long_word(path: Path) -> None:
    words = pa.ListArray.from_arrays(np.arange(20_001, dtype=np.int32), repeated("a" * (1 << 18), 20_000))
    tags = pa.ListArray.from_arrays(np.arange(20_001, dtype=np.int32), repeated("O", 20_000))
    write(path, pa.table({"tokens": words, "ner_tags": tags}))


def long_sentence(path: Path) -> None:
    words = pa.ListArray.from_arrays([0, 4_100_000], repeated("word", 4_100_000))
    write(path, pa.table({"tokens": words, "ner_tags": words}))


def long_text(path: Path) -> None:
    from nerbench.tasks.inference.prediction_files import PredictionsDigest
    from nerbench.tasks.scoring.stored_predictions import PredictionsIdentity

    rows, numbers = 10_000, np.arange(10_000, dtype=np.int32)
    digest = PredictionsDigest()
    digest.update(np.zeros(rows, np.int32), np.zeros(rows, np.int32), numbers, ["O"] * rows)
    known = {name: repeated("a", rows) for name in PredictionsIdentity._fields}
    columns = {
        **known,
        "predictions_digest": repeated(digest.hexdigest(), rows),
        **dict.fromkeys(("document", "sentence"), pa.array(np.zeros(rows, np.int32))),
        "word": pa.array(numbers),
        **dict.fromkeys(("gold_tag", "pred_tag"), repeated("O", rows)),
        "text": repeated("a" * (1 << 18), rows),
    }
    write(path, pa.table(columns))


RESULTS = [many_rows, long_string, many_groups_of_long_strings, zeros, large_page, long_list, prefixes]
CORPORA = [rows_of_one_word, long_word, long_sentence, long_label, long_annotated_text]
PREDICTIONS = [long_text]


if __name__ == "__main__":
    for makers, table in ((RESULTS, "metrics"), (CORPORA, "corpora"), (PREDICTIONS, "predictions")):
        for make in makers:
            make(Path(sys.argv[1]) / make.__name__ / f"{table}/schema=2/date=2026-01-02/bomb.parquet")
