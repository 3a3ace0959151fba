// Scores and latencies over all runs, with the gate's bands and changes of the environment.
nb.history = (() => {
  const { color, dashes, safe, style } = nb.charts;
  const MOST = 8;
  const place = (one) => (one.dataset === one.gold ? one.dataset : `${one.dataset} against ${one.gold}`) + (one.split === "test" ? "" : `, ${one.split}`) + (one.dtype === "fp32" ? "" : `, ${one.dtype}`);
  const moment = (seconds) => new Date(1e3 * seconds).toISOString().slice(0, 19).replace("T", " ");

  const band = (one) => {
    const at = one.t.map((_, n) => n).filter((n) => one.base && one.base[n] !== null && one.margin && one.margin[n] !== null);
    if (!at.length) return [];
    const x = at.map((n) => moment(one.t[n]));
    const low = at.map((n) => one.base[n] - one.margin[n]);
    const shared = { type: "scatter", mode: "lines", x, hoverinfo: "skip", line: { width: 0, color: style("--muted"), shape: "hv" } };
    return [
      { ...shared, y: low, showlegend: false },
      { ...shared, y: at.map((n) => one.base[n]), fill: "tonexty", fillcolor: style("--band"), name: "gate margin", line: { width: 1, dash: "dot", color: style("--muted"), shape: "hv" } },
    ];
  };

  const line = (one, what, at, isAlone, runs) => {
    const values = one[what] || [];
    const unit = what === "v" ? "" : " ms";
    const failed = one.t.map((_, n) => n).filter((n) => one.failed && one.failed[n]);
    const error = isAlone && what === "v" && one.lo ? { error_y: { type: "data", symmetric: false, array: values.map((v, n) => (one.hi[n] === null ? 0 : one.hi[n] - v)), arrayminus: values.map((v, n) => (one.lo[n] === null ? 0 : v - one.lo[n])), color: style("--faint"), thickness: 1, width: 0 } } : {};
    const traces = [{
      type: "scatter", mode: values.length > 120 ? "lines" : "lines+markers", name: safe(one.model), x: one.t.map(moment), y: values, connectgaps: true, ...error,
      line: { color: color(at), width: 2, dash: dashes[Math.floor(at / 7) % 4] }, marker: { size: 6, color: color(at) },
      hovertext: values.map((v, n) => `${safe(one.model)}: ${nb.fixed(v, 2)}${unit}<br>${moment(one.t[n])}<br>${safe(runs[one.run[n]])}`), hoverinfo: "text",
    }];
    if (failed.length && what === "v") {
      traces.push({ type: "scatter", mode: "markers", name: "failed by the gate", x: failed.map((n) => moment(one.t[n])), y: failed.map((n) => values[n]), marker: { symbol: "x", size: 11, color: style("--bad") }, hoverinfo: "skip", showlegend: isAlone });
    }
    return traces;
  };

  const marks = (changes, from) => changes.filter((change) => Date.parse(change.at) / 1e3 >= from).map((change) => ({
    type: "line", yref: "paper", y0: 0, y1: 1, x0: change.at.replace("T", " ").replace("Z", ""), x1: change.at.replace("T", " ").replace("Z", ""), line: { color: style("--unsure"), width: 1, dash: "dash" }, layer: "below",
  }));

  const show = async () => {
    const [{ series, runs, dates, cut, left_out }, changes] = await Promise.all([nb.unpack("history"), nb.unpack("changes")]);
    if (!series.length) return nb.charts.show("history-chart", "", null, null, { empty: "There are no earlier scores." });
    const places = nb.options("history-place", [...new Set(series.map(place))].map((one) => [one, one]));
    const models = nb.byId("history-model");
    const what = nb.byId("history-what");
    const fill = () => nb.options("history-model", [["", "all"], ...series.filter((one) => place(one) === places.value).map((one) => [one.model, one.model])]);
    const draw = () => {
      const there = series.filter((one) => place(one) === places.value);
      const found = models.value ? there.filter((one) => one.model === models.value) : there;
      const last = (one) => (what.value === "v" ? -1 : 1) * ((one[what.value] || []).at(-1) || 0);
      const shown = [...found].sort((a, b) => last(a) - last(b)).slice(0, MOST).filter((one) => one[what.value]);
      const isAlone = shown.length === 1;
      const from = Math.min(...shown.map((one) => one.t[0]));
      const make = () => ({
        data: [...(isAlone && what.value === "v" ? band(shown[0]) : []), ...shown.flatMap((one, at) => line(one, what.value, at, isAlone, runs))],
        layout: { height: 400, showlegend: true, hovermode: "closest", xaxis: { type: "date" }, yaxis: { title: what.value === "v" ? "F1, points" : "median latency, ms", ...(what.value === "p50" ? { rangemode: "tozero" } : {}) }, shapes: marks(changes, from) },
      });
      const table = () => nb.table("The newest 200 scores that are shown", ["model", "run", "started", "F1", "95 %", "latency, ms", "gate"],
        shown.flatMap((one) => one.t.map((t, n) => ({ one, t, n }))).sort((a, b) => b.t - a.t).slice(0, 200).map(({ one, t, n }) => [
          one.model, runs[one.run[n]], moment(t), { n: nb.fixed(one.v[n], 2) }, one.lo && one.lo[n] !== null ? `${nb.fixed(one.lo[n])}–${nb.fixed(one.hi[n])}` : "", { n: one.p50 ? nb.fixed(one.p50[n], 2) : "–" }, one.failed && one.failed[n] ? "no" : "",
        ]));
      const kept = found.reduce((sum, one) => sum + one.t.length, 0);
      const total = found.reduce((sum, one) => sum + one.total, 0);
      const captions = [`${nb.count(dates)} ${dates === 1 ? "day" : "days"} with runs`];
      if (left_out) captions.push(`${nb.count(left_out)} more models are left out`);
      if (cut) captions.push("earlier runs are left out, as reading so many files takes long; compacted tables hold more of them");
      if (found.length > MOST) captions.push(`of ${found.length} models the ${MOST} ${what.value === "v" ? "best" : "fastest"} are drawn; choose one to see it`);
      if (kept < total) captions.push(`${nb.count(kept)} of ${nb.count(total)} points are kept, the lowest and the highest of equal parts`);
      if (changes.length) captions.push("dashed lines: the environment changed");
      nb.charts.show("history-chart", `${what.value === "v" ? "F1" : "Median latency"} over time, ${captions.join("; ")}`, make, table, { empty: shown.length ? null : "Nothing of this was measured." });
      const figure = nb.byId("history-chart");
      figure.querySelector("figcaption")?.remove();
      figure.prepend(nb.el("figcaption", {}, captions.join("; "), "."));
    };
    places.onchange = () => { fill(); draw(); };
    models.onchange = draw;
    what.onchange = draw;
    fill();
    return draw();
  };

  return { show };
})();
