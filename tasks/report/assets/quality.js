// One entry in detail: labels, slices, ways to match.
nb.quality = (() => {
  const METRICS = ["precision", "recall", "f1"];
  const NAMES = { precision: "precision", recall: "recall", f1: "F1" };
  const { color, style, safe } = nb.charts;

  const errors = (scores, along) => {
    const ends = (end, sign) => scores.map((score) => (score && score[end] !== undefined ? 100 * sign * (score[end] - score.v) : 0));
    if (!scores.some((score) => score && score.lo !== undefined)) return {};
    return { [`error_${along}`]: { type: "data", symmetric: false, array: ends("hi", 1), arrayminus: ends("lo", -1), color: style("--ink"), thickness: 1.2, width: 3 } };
  };
  const hover = (score) => (score ? `${nb.points(score.v, 2)}${score.lo === undefined ? "" : ` (${nb.interval(score)})`}${score.n === undefined ? "" : `, ${nb.count(score.n)} entities`}` : "no number");

  const labels = (detail) => {
    const names = Object.keys(detail.labels);
    const make = () => ({
      data: METRICS.map((metric, at) => {
        const scores = names.map((name) => detail.labels[name][metric]);
        return {
          type: "bar", orientation: "h", name: NAMES[metric], y: names.map(safe), x: scores.map((score) => (score && score.v !== undefined ? 100 * score.v : null)),
          marker: { color: color(at) }, ...errors(scores, "x"),
          hovertext: scores.map((score, n) => `${safe(names[n])}, ${NAMES[metric]}: ${hover(score)}`), hoverinfo: "text",
        };
      }),
      layout: {
        barmode: "group", bargap: 0.3, height: Math.max(240, 70 + 62 * names.length),
        xaxis: { range: [0, 100], title: "points" }, yaxis: { autorange: "reversed", type: "category", title: "" }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", traceorder: "normal" },
      },
    });
    const table = () => nb.table("Scores by label, in points", ["label", "precision", "95 %", "recall", "95 %", "F1", "95 %", "gold", "predicted", "right"],
      names.map((name) => {
        const of = detail.labels[name];
        const pair = (metric) => [{ n: nb.points(of[metric] && of[metric].v, 2) }, nb.interval(of[metric])];
        return [name, ...METRICS.flatMap(pair), { n: nb.count(of.n_gold) }, { n: nb.count(of.n_pred) }, { n: nb.count(of.tp) }];
      }));
    return nb.charts.show("labels", "Precision, recall and F1 by label, with intervals", make, table);
  };

  const slices = async (detail) => {
    const meaning = new Map(Object.entries(await nb.unpack("slices"))); // a slice may be called `constructor`
    const names = Object.keys(detail.slices);
    const known = names.filter((name) => detail.slices[name].f1 && detail.slices[name].f1.v !== undefined);
    const overall = detail.labels.overall.f1;
    const make = () => {
      const scores = known.map((name) => detail.slices[name].f1);
      return {
        data: [{
          type: "scatter", mode: "markers", y: known.map(safe), x: scores.map((score) => 100 * score.v), ...errors(scores, "x"),
          marker: { color: color(0), size: scores.map((score) => 7 + 9 * Math.sqrt((score.n || 0) / Math.max(1, overall.n || 1))) },
          hovertext: scores.map((score, at) => `${safe(known[at])}: ${hover(score)}${meaning.has(known[at]) ? `<br>${safe(meaning.get(known[at]))}` : ""}`), hoverinfo: "text",
        }],
        layout: {
          height: Math.max(220, 60 + 26 * known.length), showlegend: false, xaxis: { title: "points" }, yaxis: { autorange: "reversed", type: "category" },
          shapes: overall && overall.v !== undefined ? [{ type: "line", yref: "paper", y0: 0, y1: 1, x0: 100 * overall.v, x1: 100 * overall.v, line: { color: style("--muted"), width: 1.5, dash: "dot" } }] : [],
        },
      };
    };
    const labels = Object.keys(detail.labels).filter((label) => label !== "overall");
    const table = () => nb.table("Strict F1 by slice, in points", ["slice", "description", "F1", "95 %", "entities", ...labels],
      names.map((name) => {
        const { f1, by_label } = detail.slices[name];
        const why = f1 && f1.v === undefined ? f1.why || "" : nb.interval(f1);
        return [name, meaning.get(name) || "", { n: nb.points(f1 && f1.v) }, why, { n: nb.count(f1 && f1.n) }, ...labels.map((label) => ({ n: nb.points(by_label[label] && by_label[label].v) }))];
      }));
    return nb.charts.show("slices", "Strict F1 by slice, with intervals", make, table, { empty: known.length ? null : "No slice has a number." });
  };

  const modes = (detail) => {
    const row = (name, of) => [name, ...METRICS.flatMap((metric) => [{ n: nb.points(of[metric] && of[metric].v, 2) }, nb.interval(of[metric])])];
    const headings = ["way to match", "precision", "95 %", "recall", "95 %", "F1", "95 %"];
    const rows = [
      ...Object.entries(detail.modes).map(([mode, of]) => row(mode, of)),
      ...["macro", "weighted"].map((name) => row(`strict, ${name} average`, detail.averages[name])),
    ];
    const notes = [];
    if (detail.accuracy && detail.accuracy.v !== undefined) notes.push(`${nb.points(detail.accuracy.v, 2)} % of the words have the correct tag, O included.`);
    if (detail.n_invalid !== null && detail.n_invalid !== undefined) notes.push(`${nb.count(detail.n_invalid)} predicted I- tags continue nothing.`);
    if (detail.n_documents) notes.push(`${nb.count(detail.n_documents)} documents.`);
    nb.fill("modes", nb.table("Scores by way to match and by average, in points", headings, rows), nb.el("p", { class: "note" }, notes.join(" ")));
  };

  return { show: async (detail) => { modes(detail); await labels(detail); await slices(detail); } };
})();
