// Puts the parts together: the first screen at once, what comes near the screen next, and the rest when there is time.
(async () => {
  const parts = [];
  const when = (id, call) => {
    const target = nb.byId(id);
    if (!target) return;
    const observer = new IntersectionObserver((found) => {
      if (found.some((one) => one.isIntersecting)) { observer.disconnect(); call(); }
    }, { rootMargin: "400px" });
    observer.observe(target);
    parts.push(call);
  };
  const once = (call) => { let done = null; return () => { done = done || call(); return done; }; };
  const wait = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

  if (typeof DecompressionStream === "undefined") {
    nb.byId("main").prepend(nb.el("p", { class: "empty" }, "This browser cannot unpack the charts and errors (it lacks DecompressionStream); the tables are complete."));
    return;
  }
  await wait(); // the first screen is painted before anything is unpacked
  const entries = await nb.unpack("entries");
  const detail = async () => {
    const found = await nb.unpack("details");
    const select = nb.options("detail-entry", entries.map((entry, at) => [at, `${entry.model}${entry.role ? `, ${entry.role}` : ""} on ${entry.place}`]));
    const show = () => { const one = found[Number(select.value)]; nb.analyses.show(one); return nb.quality.show(one); };
    select.onchange = show;
    if (entries.length) await show();
  };
  const costs = once(() => nb.costs.show(entries));
  when("cost", costs);
  when("speed", costs);
  when("detail", once(detail));
  when("robustness", once(nb.robustness.show));
  when("history", once(nb.history.show));
  // Whoever jumps to a section stays there while those above it are drawn.
  addEventListener("hashchange", () => {
    const target = location.hash.length > 1 ? nb.byId(location.hash.slice(1)) : null;
    const settle = new ResizeObserver(() => target.scrollIntoView({ behavior: "instant" }));
    if (!target) return;
    settle.observe(nb.byId("main"));
    const leave = () => settle.disconnect();
    ["wheel", "touchmove", "keydown", "pointerdown"].forEach((what) => addEventListener(what, leave, { once: true }));
    setTimeout(leave, 4000);
  });
  if (nb.byId("error-list")) when("errors", once(() => nb.errors.browse(entries)));
  if (nb.byId("flip-list")) when("flips", once(() => nb.errors.browseFlips(entries)));
  document.documentElement.dataset.ready = "true";
  // A print or a picture of the page then shows all of it.
  for (const call of parts) {
    await nb.idle();
    await call();
    await nb.charts.rest();
  }
  document.documentElement.dataset.complete = "true";
})();
