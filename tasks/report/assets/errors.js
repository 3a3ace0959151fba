// The error browser, and what flipped since the baseline: filters, and pages of sentences.
nb.errors = (() => {
  const all = ["", "all"];
  const called = (entries) => (at) => `${entries[at].model}${entries[at].role ? `, ${entries[at].role}` : ""} on ${entries[at].place}`;
  const isIn = (text, words) => words.every((word) => text.includes(word));
  const wordsOf = (id) => nb.byId(id).value.toLowerCase().split(/\s+/).filter(Boolean);
  /** Of a list of texts, which hold all of the words; null where there are none to look for. */
  const matching = (texts, words) => (words.length ? texts.map((text) => isIn(text, words)) : null);
  const counted = (found, total, what) => `${found === total ? "" : `${nb.count(found)} of `}${nb.count(total)} ${what}${total === 1 ? "" : "s"}`;

  const draw = (data, entries) => (at) => {
    const { columns: c, sentences, labels, kinds } = data;
    const spans = [];
    if (c.gs[at] !== null) spans.push({ start: c.gs[at], end: c.ge[at], kind: "gold", label: `${labels[c.gold[at]]} gold`, text: c.gold_text[at] });
    if (c.ps[at] !== null) spans.push({ start: c.ps[at], end: c.pe[at], kind: "pred", label: `${labels[c.pred[at]]} predicted`, text: c.pred_text[at] });
    const sentence = c.text[at] === null ? null : sentences[c.text[at]];
    const facts = [entries[c.entry[at]].model, entries[c.entry[at]].place, nb.sentences.where(c.document[at], c.sentence[at])];
    if (c.score[at] !== null) facts.push(`confidence ${nb.points(c.score[at])} %`);
    if (c.invalid[at]) facts.push("conlleval reads an entity there");
    return nb.el("li", {},
      nb.el("p", { class: "about" }, nb.el("span", { class: `kind ${kinds[c.kind[at]].replace("+", "-")}` }, kinds[c.kind[at]]), ` ${facts.join(" · ")}`),
      c.located[at] ? nb.sentences.marked(sentence, spans) : nb.sentences.placed(spans),
      sentence !== null && !c.located[at] ? nb.el("p", { class: "words" }, sentence) : null);
  };

  const browse = async (entries) => {
    const data = await nb.unpack("errors");
    const { columns: c, kinds, labels } = data;
    const total = c.entry.length;
    const name = called(entries);
    const lower = data.sentences.map((text) => text.toLowerCase());
    nb.options("error-entry", [all, ...[...new Set(c.entry)].map((at) => [at, name(at)])]);
    nb.options("error-label", [all, ...labels.map((label, at) => [at, label]).sort((a, b) => a[1].localeCompare(b[1]))]);
    nb.options("error-kind", [all, ...kinds.map((kind, at) => [at, kind])]);
    const show = nb.pages("error-list", "error-pages", draw(data, entries));
    const update = () => {
      const [entry, label, kind] = ["entry", "label", "kind"].map((what) => (nb.byId(`error-${what}`).value === "" ? null : Number(nb.byId(`error-${what}`).value)));
      const hits = matching(lower, wordsOf("error-text"));
      const found = [];
      for (let at = 0; at < total; at += 1) {
        if (entry !== null && c.entry[at] !== entry) continue;
        if (label !== null && c.gold[at] !== label && c.pred[at] !== label) continue;
        if (kind !== null && c.kind[at] !== kind) continue;
        if (hits && !(c.text[at] !== null && hits[c.text[at]])) continue;
        found.push(at);
      }
      const order = nb.byId("error-order").value;
      if (order !== "corpus") {
        const sign = order === "sure" ? -1 : 1;
        found.sort((a, b) => (c.score[a] === null) - (c.score[b] === null) || sign * (c.score[a] - c.score[b]) || a - b);
      }
      nb.byId("error-count").textContent = counted(found.length, total, "error");
      show(found);
    };
    listen("error", ["entry", "label", "kind", "order"], update);
    update();
  };

  const listen = (prefix, selects, update) => {
    nb.byId(`${prefix}-filters`).addEventListener("submit", (event) => event.preventDefault());
    selects.forEach((what) => nb.byId(`${prefix}-${what}`).addEventListener("change", update));
    nb.byId(`${prefix}-text`).addEventListener("input", nb.calm(update));
  };

  const drawFlip = (data, entries) => (flip) => {
    const of = (found, kind, word) => found.map(([start, end, label]) => ({ start, end, kind, label: `${label} ${word}` }));
    const before = of(flip.base, "base", "before");
    const now = of(flip.candidate, "pred", "now");
    const text = flip.text === null ? null : data.sentences[flip.text];
    const reading = (title, spans) => nb.el("div", { class: "reading" }, nb.el("span", { class: "which" }, title),
      text === null ? (spans.length ? nb.sentences.placed(spans) : nb.el("p", { class: "words muted" }, "nothing")) : nb.sentences.marked(text, spans));
    const facts = [entries[flip.entry].model, entries[flip.entry].place, nb.sentences.where(flip.document, flip.sentence)];
    return nb.el("li", {},
      nb.el("p", { class: "about" }, nb.el("span", { class: `kind ${flip.kind}` }, flip.kind), ` ${flip.label} · ${facts.join(" · ")}`),
      reading("gold", of(flip.gold, "gold", "gold")), reading("before", before), reading("now", now));
  };

  const browseFlips = async (entries) => {
    const data = await nb.unpack("flips");
    const name = called(entries);
    const lower = data.sentences.map((text) => text.toLowerCase());
    const unique = (what) => [...new Set(data.rows.map((row) => row[what]))].sort();
    nb.options("flip-entry", [all, ...unique("entry").map((at) => [at, name(at)])]);
    nb.options("flip-label", [all, ...unique("label").map((one) => [one, one])]);
    nb.options("flip-kind", [all, ...["lost", "gained", "changed"].filter((kind) => data.rows.some((row) => row.kind === kind)).map((one) => [one, one])]);
    const show = nb.pages("flip-list", "flip-pages", drawFlip(data, entries));
    const update = () => {
      const [entry, label, kind] = ["entry", "label", "kind"].map((what) => nb.byId(`flip-${what}`).value);
      const hits = matching(lower, wordsOf("flip-text"));
      const found = data.rows.filter((row) => (entry === "" || row.entry === Number(entry)) && (label === "" || row.label === label) && (kind === "" || row.kind === kind) && (!hits || (row.text !== null && hits[row.text])));
      nb.byId("flip-count").textContent = counted(found.length, data.rows.length, "flip");
      show(found);
    };
    listen("flip", ["entry", "label", "kind"], update);
    update();
  };

  return { browse, browseFlips };
})();
