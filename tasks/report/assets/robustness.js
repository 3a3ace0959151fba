// The change of F1 on perturbed words, by model.
nb.robustness = (() => {
  const { color, symbols, style, safe } = nb.charts;

  const show = async () => {
    const drops = await nb.unpack("robustness");
    const several = new Set(drops.map((one) => one.place)).size > 1;
    const called = (one) => (several ? `${one.model} on ${one.place}` : one.model);
    const models = [...new Set(drops.map(called))];
    const names = [...new Set(drops.map((one) => one.perturbation))];
    const make = () => ({
      data: models.map((model, at) => {
        const of = drops.filter((one) => called(one) === model && one.delta !== null);
        return {
          type: "scatter", mode: "markers", name: safe(model), x: of.map((one) => one.delta),
          y: of.map((one) => names.indexOf(one.perturbation) + 0.6 * ((at + 0.5) / models.length - 0.5)),
          error_x: { type: "data", symmetric: false, array: of.map((one) => (one.high === null ? 0 : one.high - one.delta)), arrayminus: of.map((one) => (one.low === null ? 0 : one.delta - one.low)), color: color(at), thickness: 1.4, width: 3 },
          marker: { color: color(at), symbol: symbols[at % symbols.length], size: 9 },
          hovertext: of.map((one) => `${safe(model)}, ${safe(one.perturbation)}: ${nb.fixed(one.delta, 2)} points (F1 ${nb.fixed(one.clean, 2)} → ${nb.fixed(one.perturbed, 2)})`), hoverinfo: "text",
        };
      }),
      layout: {
        height: Math.max(240, 90 + names.length * (18 + 14 * models.length)), showlegend: models.length > 1,
        xaxis: { title: "change of F1, points", zeroline: true, zerolinecolor: style("--muted") },
        yaxis: { autorange: "reversed", tickmode: "array", tickvals: names.map((_, at) => at), ticktext: names.map(safe), zeroline: false },
      },
    });
    const table = () => nb.table("Change of F1 on perturbed words, in points", ["model", "on", "perturbation", "change", "from", "to"],
      drops.map((one) => [one.model, one.place, one.perturbation, { n: nb.fixed(one.delta, 2) }, { n: nb.fixed(one.low, 2) }, { n: nb.fixed(one.high, 2) }]));
    return nb.charts.show("drops", "Change of F1 on perturbed words, with intervals", make, table);
  };
  return { show };
})();
