// Quality against cost, latencies, and sweeps.
nb.costs = (() => {
  const { color, dashes, symbols, safe, style } = nb.charts;
  const MOST = 8;

  const pareto = (entries) => {
    const measured = entries.filter((entry) => entry.cost && entry.f1 && entry.cost.p50_s);
    const places = [...new Set(measured.map((entry) => entry.place))];
    const select = nb.options("cost-place", places.map((place) => [place, place]));
    const draw = () => {
      const found = measured.filter((entry) => entry.place === select.value).sort((a, b) => a.cost.p50_s - b.cost.p50_s);
      const front = found.filter((entry) => entry.on_front);
      const best = front.filter((entry, at) => front.slice(0, at).every((other) => other.f1.value < entry.f1.value));
      const rest = (role) => found.filter((entry) => !entry.on_front && (entry.role === "baseline") === role);
      const most = Math.max(1, ...found.map((entry) => entry.cost.peak_bytes || 0));
      const size = (entry) => 10 + 26 * Math.sqrt((entry.cost.peak_bytes || most / 6) / most);
      const points = (chosen, more) => ({
        type: "scatter", mode: found.length > 12 ? "markers" : "markers+text", x: chosen.map((entry) => 1e3 * entry.cost.p50_s), y: chosen.map((entry) => entry.f1.value),
        text: chosen.map((entry) => safe(entry.model)), textposition: "top center", cliponaxis: false,
        error_y: { type: "data", symmetric: false, array: chosen.map((e) => (e.f1.high === null ? 0 : e.f1.high - e.f1.value)), arrayminus: chosen.map((e) => (e.f1.low === null ? 0 : e.f1.value - e.f1.low)), color: style("--muted"), thickness: 1, width: 2 },
        hovertext: chosen.map((e) => `${safe(e.model)}${e.role ? `, ${safe(e.role)}` : ""}<br>F1 ${nb.fixed(e.f1.value, 2)}<br>${nb.milliseconds(e.cost.p50_s)} ms<br>${e.cost.peak_bytes ? nb.count(Math.round(e.cost.peak_bytes / 1e6)) : "?"} MB`), hoverinfo: "text", ...more,
      });
      const make = () => ({
        data: [
          { type: "scatter", mode: "lines", x: best.map((e) => 1e3 * e.cost.p50_s), y: best.map((e) => e.f1.value), line: { color: color(0), width: 1.5, dash: "dot" }, hoverinfo: "skip", name: "front", showlegend: false },
          points(front, { name: "on the front", marker: { size: front.map(size), color: color(0), opacity: 0.85, line: { width: 1, color: style("--surface") } } }),
          points(rest(false), { name: "beaten", marker: { size: rest(false).map(size), color: style("--muted"), symbol: "diamond", opacity: 0.6 } }),
          points(rest(true), { name: "baseline", mode: "markers", error_y: {}, marker: { size: rest(true).map(size), color: style("--muted"), symbol: "circle-open", line: { width: 1.5 } } }),
        ].filter((trace) => trace.x.length),
        layout: { height: 420, showlegend: true, xaxis: { title: "median latency, ms", rangemode: "tozero" }, yaxis: { title: "F1, points" }, margin: { l: 8, r: 24, t: 8, b: 8 } },
      });
      const table = () => nb.table("F1, latency and memory", ["model", "F1", "latency, ms", "memory, MB", "on the front"],
        found.map((e) => [e.model + (e.role ? `, ${e.role}` : ""), { n: nb.fixed(e.f1.value, 2) }, { n: nb.milliseconds(e.cost.p50_s) }, { n: e.cost.peak_bytes ? nb.count(Math.round(e.cost.peak_bytes / 1e6)) : "–" }, e.on_front ? "yes" : "no"]));
      nb.charts.show("pareto", "F1 against latency; area: memory", make, table);
    };
    select.onchange = draw;
    if (places.length) draw();
  };

  const latency = (latencies, entries) => {
    const order = (one) => entries.findIndex((entry) => one.artifact_id.startsWith(entry.artifact));
    const role = (one) => (order(one) < 0 ? "" : entries[order(one)].role);
    const known = latencies.filter((one) => one.samples.length).sort((a, b) => (role(a) !== "") - (role(b) !== "") || order(a) - order(b));
    const called = (one) => one.model + (role(one) ? `, ${role(one)}` : "");
    const shown = known.slice(0, MOST);
    const quantile = (one, q) => one.samples[Math.min(one.samples.length - 1, Math.floor(q * one.samples.length))];
    const make = () => ({
      data: shown.map((one, at) => ({
        type: "scatter", mode: "lines", name: safe(called(one)), x: one.samples.map((s) => 1e3 * s), y: one.samples.map((_, n) => (100 * (n + 1)) / one.samples.length),
        line: { color: color(at), dash: dashes[Math.floor(at / 7) % 4], width: 2, shape: "hv" }, hovertemplate: `${safe(called(one))}: %{y:.0f} % within %{x:.3g} ms<extra></extra>`,
      })),
      layout: { height: 360, showlegend: true, xaxis: { title: "ms", range: [0, 1.15e3 * Math.max(...shown.map((one) => quantile(one, 0.98)))] }, yaxis: { title: "sentences within, %", range: [0, 101] } },
    });
    const table = () => nb.table("Latency by percentile, in ms", ["model", "p10", "p50", "p90", "p95", "p99", "samples"],
      known.map((one) => [called(one), ...[0.1, 0.5, 0.9, 0.95, 0.99].map((q) => ({ n: nb.milliseconds(quantile(one, q)) })), { n: nb.count(one.total) }]));
    const more = known.length > MOST ? `; of ${known.length} models the ${MOST} best are drawn, the table has all` : "";
    nb.charts.show("latency", `Distribution of latencies${more}`, make, table, { empty: known.length ? null : "No single latencies were kept." });
  };

  const sweep = (rows) => {
    const none = "Only single sentences of real lengths were measured.";
    const good = rows.filter((row) => row.batch_size !== null && (row.status !== "ok" || row.p50_s || row.mean_s));
    if (!good.length) return nb.charts.show("sweep", "", null, null, { empty: none });
    nb.byId("sweep-controls").hidden = false;
    const name = (row) => [row.model, row.device, row.dtype, row.backend].filter(Boolean).join(", ");
    const unique = (values) => [...new Set(values)];
    const model = nb.options("sweep-model", unique(good.map(name)).map((one) => [one, one]));
    const workload = nb.options("sweep-workload", unique(good.map((row) => row.workload)).map((one) => [one, one]));
    const draw = () => {
      const found = good.filter((row) => name(row) === model.value && row.workload === workload.value);
      const lengths = unique(found.map((row) => row.sequence_length)).sort((a, b) => (a || 0) - (b || 0));
      const called = (length) => (length === null ? "real lengths" : `${length} pieces`);
      const of = (length) => found.filter((row) => row.sequence_length === length).sort((a, b) => a.batch_size - b.batch_size);
      const rate = (row) => row.sentences_per_s || (row.p50_s ? row.batch_size / row.p50_s : null);
      const make = () => ({
        data: lengths.map((length, at) => ({
          type: "scatter", mode: "lines+markers", name: called(length), x: of(length).map((row) => row.batch_size), y: of(length).map(rate),
          line: { color: color(at), width: 2 }, marker: { size: 8, symbol: symbols[at % symbols.length], color: color(at) },
          hovertext: of(length).map((row) => `batch ${row.batch_size}, ${called(length)}: ${row.p50_s ? `${nb.milliseconds(row.p50_s)} ms a batch` : safe(row.status)}`), hoverinfo: "text",
        })),
        layout: { height: 380, showlegend: true, xaxis: { title: "batch size", type: "log", dtick: Math.log10(2), tickformat: "d" }, yaxis: { title: "sentences/s", rangemode: "tozero" } },
      });
      const table = () => nb.table("Measurements of the sweep", ["batch size", "sequence length", "status", "p50, ms", "p99, ms", "sentences/s", "pieces/s", "peak memory, MB"],
        lengths.flatMap(of).map((row) => [{ n: nb.count(row.batch_size) }, called(row.sequence_length), row.status, ...[row.p50_s, row.p99_s].map((s) => ({ n: s ? nb.milliseconds(s) : "–" })), { n: nb.fixed(rate(row)) }, { n: row.tokens_per_s ? nb.count(Math.round(row.tokens_per_s)) : "–" }, { n: row.peak_bytes ? nb.count(Math.round(row.peak_bytes / 1e6)) : "–" }]));
      nb.charts.show("sweep", "Sentences a second by batch size and sequence length", make, table, { empty: found.length ? null : `There is no ${workload.value} of ${model.value}.` });
    };
    model.onchange = draw;
    workload.onchange = draw;
    return draw();
  };

  return {
    show: async (entries) => {
      if (nb.byId("pareto")) pareto(entries);
      if (!nb.byId("speed")) return;
      const { latencies, sweep: rows } = await nb.unpack("costs");
      latency(latencies, entries);
      sweep(rows);
    },
  };
})();
