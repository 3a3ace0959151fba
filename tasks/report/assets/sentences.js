// Sentences with entities marked in place: each reading has a line or a shade of its own, and its type in words.
nb.sentences = (() => {
  /** The words with marks: `spans` are {start, end, kind, label}; kinds are CSS classes. */
  const marked = (text, spans) => {
    const words = text.split(" ");
    const cuts = [...new Set([0, words.length, ...spans.flatMap(({ start, end }) => [start, end])])].filter((cut) => cut >= 0 && cut <= words.length).sort((a, b) => a - b);
    const parts = [];
    for (let at = 0; at + 1 < cuts.length; at += 1) {
      const [start, end] = [cuts[at], cuts[at + 1]];
      const over = spans.filter((span) => span.start <= start && span.end >= end);
      const piece = words.slice(start, end).join(" ");
      parts.push(over.length ? nb.el("mark", { class: over.map((span) => span.kind).join(" ") }, piece) : piece);
      for (const span of over.filter((one) => one.end === end)) parts.push(nb.el("span", { class: `tag ${span.kind}` }, span.label));
      parts.push(" ");
    }
    return nb.el("p", { class: "words" }, parts);
  };
  /** The same by positions alone. */
  const placed = (spans) => nb.el("p", { class: "words" }, spans.flatMap((span) => [
    nb.el("mark", { class: span.kind }, span.text || (span.end - span.start === 1 ? `word ${span.start + 1}` : `words ${span.start + 1} to ${span.end}`)), nb.el("span", { class: `tag ${span.kind}` }, span.label), " ",
  ]));
  const where = (document, sentence) => `${document === null || document === undefined ? "" : `document ${document + 1}, `}sentence ${nb.count(sentence + 1)}`;
  return { marked, placed, where };
})();
