// Charts: what comes near the screen is drawn first, and the rest when there is time; each has its numbers as a table.
nb.charts = (() => {
  const LIGHT = ["#0067a5", "#c44e00", "#00775a", "#9b4f86", "#7a5c00", "#00798f", "#5a5f66"];
  const DARK = ["#5ab4f0", "#ff9e5e", "#3fcf9f", "#e49fd0", "#e8c05a", "#6fd3e6", "#b6bcc4"];
  const drawn = new Map();
  const near = new Set();
  const PAPER_PX = 700; // the width of A4 between the margins; in `beforeprint`, the page is still as wide as the screen
  let loading = null;
  let observer = null;
  let printing = false;

  const load = () => {
    loading = loading || nb.unpack("plotly").then((code) => {
      const script = document.createElement("script");
      script.textContent = code;
      document.head.append(script);
    });
    return loading;
  };
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colors = () => (nb.isDark() ? DARK : LIGHT);
  const color = (at) => colors()[at % colors().length];
  const dashes = ["solid", "dash", "dot", "dashdot"];
  const symbols = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star"];
  const axis = (more) => ({
    gridcolor: style("--line"), zerolinecolor: style("--line"), linecolor: style("--line"), tickcolor: style("--line"),
    automargin: true, fixedrange: true, ...more, title: more.title ? { text: more.title, standoff: 10 } : undefined,
  });
  const layout = (made) => ({
    font: { family: style("--sans"), size: 13, color: style("--ink") },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 8, r: 8, t: 8, b: 8 }, hovermode: "closest", colorway: colors(),
    hoverlabel: { bgcolor: style("--surface"), bordercolor: style("--line"), font: { color: style("--ink"), family: style("--sans") }, align: "left" },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, xanchor: "left", font: { size: 12 } },
    ...made, xaxis: axis(made.xaxis || {}), yaxis: axis(made.yaxis || {}), ...(printing && { width: PAPER_PX }),
  });
  const draw = async (id) => {
    const { make, parts } = drawn.get(id);
    await load();
    const { data, layout: made } = make();
    const found = layout(made);
    parts.chart.style.height = `${found.height || 360}px`;
    await Plotly.react(parts.chart, data, found, { displayModeBar: false, responsive: true });
  };
  const frame = (figure, label) => {
    const chart = nb.el("div", { class: "plot", role: "img", "aria-label": label });
    const numbers = nb.el("details", {}, nb.el("summary", {}, "Numbers as a table"));
    nb.fill(figure, chart, numbers);
    return { chart, numbers };
  };

  /** Shows a chart in a figure: `make()` gives {data, layout} for each theme; `table()` gives its numbers. */
  const show = (id, label, make, table, { empty = null } = {}) => {
    const figure = nb.byId(id);
    if (empty) {
      drawn.delete(id);
      nb.fill(figure, nb.el("p", { class: "empty" }, empty));
      return Promise.resolve();
    }
    let parts = drawn.has(id) ? drawn.get(id).parts : null;
    if (!parts || !parts.chart.isConnected) parts = frame(figure, label);
    parts.chart.setAttribute("aria-label", label);
    while (parts.numbers.children.length > 1) parts.numbers.lastChild.remove();
    const fill = () => { if (parts.numbers.open && parts.numbers.children.length === 1) parts.numbers.append(table()); };
    parts.numbers.ontoggle = fill;
    fill();
    drawn.set(id, { make, parts });
    if (near.has(id)) return draw(id);
    observer.observe(figure);
    return Promise.resolve();
  };
  const redraw = () => Promise.all([...drawn.keys()].filter((id) => near.has(id)).map(draw));

  observer = new IntersectionObserver((found) => {
    for (const { target, isIntersecting } of found) {
      if (!isIntersecting || near.has(target.id)) continue;
      near.add(target.id);
      observer.unobserve(target);
      if (drawn.has(target.id)) draw(target.id);
    }
  }, { rootMargin: "300px" });
  nb.onTheme(redraw);
  for (const event of ["beforeprint", "afterprint"]) {
    addEventListener(event, async () => {
      printing = event === "beforeprint"; // paper is white and narrow
      await redraw();
      if (!printing) near.forEach((id) => drawn.has(id) && Plotly.Plots.resize(drawn.get(id).parts.chart));
    });
  }

  /** Draws what was never near, one after another. */
  const rest = async () => {
    for (const id of [...drawn.keys()].filter((one) => !near.has(one))) {
      near.add(id);
      await nb.idle();
      if (drawn.has(id)) await draw(id);
    }
  };

  /** What plotly would read as HTML in a name or a hover text; entities are the one thing it undoes. */
  const safe = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  return { show, color, dashes, symbols, style, safe, rest };
})();
