"""The section of a model card on what the model costs: latency, throughput, loading, memory."""

from nerbench.tasks.publishing.evidence import Evidence
from nerbench.tasks.publishing.markdown import line, name, table, text, whole
from nerbench.tasks.scoring.metrics import Row


def speed_and_memory(evidence: Evidence) -> str:
    """One row a measurement, with the machine it was taken on."""
    used = {row["device"]: row for row in evidence.memory}
    rows = [
        (
            name(row["device"]),
            name(row["dtype"]),
            text(row["batch_size"] if row["batch_size"] is not None else ""),
            *(_milliseconds(row[column]) for column in ("p50_s", "p90_s", "p99_s")),
            whole(row["words_per_s"]),
            *_memory(used.get(row["device"])),
        )
        for row in evidence.speed
        if row["status"] == "ok"
    ]
    if not rows:
        return "Not measured."
    latency = ("p50 ms", "p90 ms", "p99 ms", "words/s")
    header = ("device", "dtype", "sentences a batch", *latency, "load s", "peak memory above baseline MB")
    told = f"Milliseconds a batch, on real sentence lengths{_machine(evidence.machine)}."
    return f"{table(header, rows, numbers_from=2)}\n\n{told}"


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1e3 * seconds:.1f}"


def _memory(row: Row | None) -> tuple[str, str]:
    if row is None:
        return "", ""
    peak, baseline = row["peak_rss_bytes"], row["baseline_rss_bytes"]
    above = f"{(peak - baseline) / 1e6:,.0f}" if peak and baseline else ""
    return "" if row["load_s"] is None else f"{row['load_s']:.2f}", above


def _machine(row: Row | None) -> str:
    if row is None:
        return ""
    known = [line(row[key]) for key in ("cpu", "gpu") if row[key]]
    return f"; on {text(' with '.join(known))}, {row['threads']} threads" if known else ""
