// One entry in detail: confusion and calibration.
nb.analyses = (() => {
  const { color, style } = nb.charts;

  const confusion = (rows) => {
    if (!rows.length) return nb.fill("confusion", nb.el("p", { class: "empty" }, "There is no confusion table of these predictions."));
    const labels = [...new Set(rows.flatMap((row) => [row.gold, row.pred]))].filter((label) => label !== "O").sort();
    const axis = [...labels, "O"];
    const cells = new Map();
    for (const { gold, pred, boundaries, n } of rows) {
      const key = JSON.stringify([gold, pred]);
      const cell = cells.get(key) || { n: 0, overlap: 0 };
      cell.n += n;
      if (boundaries === "overlap") cell.overlap += n;
      cells.set(key, cell);
    }
    const at = (gold, pred) => cells.get(JSON.stringify([gold, pred])) || { n: 0, overlap: 0 };
    const name = (label, side) => (label === "O" ? (side === "gold" ? "spurious" : "missed") : label);
    const row = (gold) => {
      const total = axis.reduce((sum, pred) => sum + at(gold, pred).n, 0);
      return nb.el("tr", {}, nb.el("th", { scope: "row" }, name(gold, "gold")), axis.map((pred) => {
        if (gold === "O" && pred === "O") return nb.el("td", { class: "void" });
        const { n, overlap } = at(gold, pred);
        const strength = total ? Math.sqrt(n / total) : 0;
        const isRight = gold === pred;
        const shade = n ? `--strength: ${Math.round(6 + 64 * strength)}%` : null;
        const more = overlap ? nb.el("small", {}, `${nb.count(overlap)} overlap`) : null;
        return nb.el("td", { class: `cell number ${n ? (isRight ? "right" : "wrong") : "zero"}`, style: shade }, nb.count(n), more);
      }));
    };
    const table = nb.el("table", { class: "confusion" },
      nb.el("caption", { class: "hidden" }, "Rows: gold types; columns: predicted types; number of entities"),
      nb.el("thead", {}, nb.el("tr", {}, nb.el("th", { scope: "col" }, "gold ↓ predicted →"), axis.map((label) => nb.el("th", { scope: "col", class: "number" }, name(label, "pred"))))),
      nb.el("tbody", {}, axis.map(row)));
    return nb.fill("confusion", nb.el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Confusion" }, table));
  };

  const calibration = (detail) => {
    const isKnown = (label) => detail.calibration[label].bins.length || detail.calibration[label].curve.length;
    const labels = Object.keys(detail.calibration).filter(isKnown).sort((a, b) => (b === "overall") - (a === "overall") || a.localeCompare(b));
    const select = nb.options("calibration-label", labels.map((label) => [label, label]));
    const draw = () => {
      const empty = labels.length ? null : "There is no calibration table of these predictions.";
      const of = detail.calibration[select.value] || { bins: [], curve: [] };
      const scores = detail.confidence[select.value] || {};
      reliability(of.bins, scores, empty || (of.bins.length ? null : "There are too few predicted entities for bins of confidence."));
      coverage(of.curve, scores, empty);
    };
    select.onchange = draw;
    draw();
  };

  const reliability = (bins, scores, empty) => {
    const low = Math.max(0, Math.min(...bins.flatMap(([confidence, accuracy]) => [confidence, accuracy])) - 0.05);
    const make = () => ({
      data: [{
        type: "scatter", mode: "lines+markers", x: bins.map((bin) => 100 * bin[0]), y: bins.map((bin) => 100 * bin[1]), line: { color: color(0), width: 2 }, marker: { size: 8, color: color(0) },
        hovertext: bins.map(([confidence, accuracy, n]) => `confidence ${nb.points(confidence)} %: ${nb.points(accuracy)} % right, ${nb.count(n)} entities`), hoverinfo: "text",
      }],
      layout: {
        height: 340, showlegend: false, xaxis: { title: "mean confidence, %", range: [100 * low, 100.5] }, yaxis: { title: "right, %", range: [100 * low, 101] },
        shapes: [{ type: "line", x0: 100 * low, y0: 100 * low, x1: 100, y1: 100, line: { color: style("--muted"), width: 1.5, dash: "dot" } }],
      },
    });
    const title = `Reliability${scores.ece_equal_mass && scores.ece_equal_mass.v !== undefined ? `: expected calibration error (equal-mass bins) ${nb.points(scores.ece_equal_mass.v, 2)} points, Brier score ${nb.fixed(scores.brier && scores.brier.v, 3)}` : ""}`;
    const table = () => nb.table("Reliability: confidence and share that is right, in equal parts of the predicted entities", ["confidence, %", "right, %", "entities"],
      bins.map(([confidence, accuracy, n]) => [{ n: nb.points(confidence, 2) }, { n: nb.points(accuracy, 2) }, { n: nb.count(n) }]));
    return show("reliability", title, make, table, empty);
  };

  const coverage = (curve, scores, empty) => {
    const make = () => ({
      data: [{
        type: "scatter", mode: "lines+markers", x: curve.map((point) => 100 * point[0]), y: curve.map((point) => 100 * point[1]), line: { color: color(1), width: 2 }, marker: { size: 6, color: color(1) },
        hovertext: curve.map(([share, risk, from]) => `surest ${nb.points(share)} % (from ${nb.points(from)} %): ${nb.points(risk)} % wrong`), hoverinfo: "text",
      }],
      layout: { height: 340, showlegend: false, xaxis: { title: "surest predictions kept, %", range: [0, 101] }, yaxis: { title: "wrong, %", rangemode: "tozero" } },
    });
    const title = `Risk and coverage${scores.aurc && scores.aurc.v !== undefined ? `: area under the curve ${nb.fixed(scores.aurc.v, 4)}` : ""}`;
    const table = () => nb.table("Risk and coverage", ["kept, %", "wrong, %", "confidence from, %"],
      curve.map(([share, risk, from]) => [{ n: nb.points(share) }, { n: nb.points(risk, 2) }, { n: nb.points(from, 2) }]));
    return show("coverage", title, make, table, empty);
  };

  const show = async (id, title, make, table, empty) => {
    await nb.charts.show(id, title, make, table, { empty });
    const figure = nb.byId(id);
    if (empty) return;
    if (!figure.querySelector("figcaption")) figure.prepend(nb.el("figcaption", {}));
    figure.querySelector("figcaption").textContent = title;
  };

  return { show: (detail) => { confusion(detail.confusion); calibration(detail); } };
})();
