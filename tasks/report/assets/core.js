"use strict";
// What all other scripts use: unpacking, elements, numbers, and pages of long lists. Text enters the page as text only.
const nb = {};

nb.unpack = (() => {
  const known = new Map();
  const read = async (name) => {
    const text = document.getElementById(`block-${name}`).textContent;
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  return (name) => {
    if (!known.has(name)) known.set(name, read(name).then((text) => (name === "plotly" ? text : JSON.parse(text))));
    return known.get(name);
  };
})();

nb.el = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
};

nb.byId = (id) => document.getElementById(id);

nb.fill = (id, ...children) => {
  const parent = typeof id === "string" ? nb.byId(id) : id;
  parent.replaceChildren(...children.flat().filter(Boolean));
  return parent;
};

nb.MINUS = "−";
nb.points = (share, digits = 1) => (share === undefined || share === null ? "–" : (100 * share).toFixed(digits).replace("-", nb.MINUS));
nb.fixed = (value, digits = 1) => (value === undefined || value === null ? "–" : value.toFixed(digits).replace("-", nb.MINUS));
nb.count = (value) => (value === undefined || value === null ? "–" : value.toLocaleString("en"));
nb.milliseconds = (seconds) => {
  const found = 1e3 * seconds;
  return found >= 100 ? found.toFixed(0) : found >= 10 ? found.toFixed(1) : found.toFixed(2);
};
nb.interval = (score) => (score && score.lo !== undefined ? `${nb.points(score.lo)}–${nb.points(score.hi)}` : "");

/** A `select` with these options ([value, text] each); keeps what was chosen if it is still there. */
nb.options = (id, found) => {
  const select = nb.byId(id);
  const before = select.value;
  select.replaceChildren(...found.map(([value, text]) => nb.el("option", { value }, text)));
  if (found.some(([value]) => String(value) === before)) select.value = before;
  return select;
};

/** A table from headings and rows of cells; a cell is text, a number's text in {n: …}, or an element. */
nb.table = (caption, headings, rows, { hidden = true } = {}) => {
  const cell = (value, at) => {
    const isNumber = value !== null && typeof value === "object" && !(value instanceof Node) && "n" in value;
    const attributes = { class: isNumber ? "number" : null };
    const inner = isNumber ? value.n : value;
    if (attributes.class === null) delete attributes.class;
    return at === 0 ? nb.el("th", { scope: "row", ...attributes }, inner) : nb.el("td", attributes, inner);
  };
  const first = rows[0] || [];
  const heading = (text, at) => nb.el("th", { scope: "col", ...(first[at] && first[at].n !== undefined ? { class: "number" } : {}) }, text);
  return nb.el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    nb.el("table", {},
      nb.el("caption", hidden ? { class: "hidden" } : {}, caption),
      nb.el("thead", {}, nb.el("tr", {}, headings.map(heading))),
      nb.el("tbody", {}, rows.map((row) => nb.el("tr", {}, row.map(cell))))));
};

nb.PAGE = 20;

/** Shows a long list page by page: `draw(item)` makes an element of each item. */
nb.pages = (listId, pagesId, draw) => {
  let items = [];
  let page = 0;
  const show = (focus) => {
    const n = Math.max(1, Math.ceil(items.length / nb.PAGE));
    page = Math.min(Math.max(0, page), n - 1);
    const start = page * nb.PAGE;
    const list = nb.fill(listId, items.slice(start, start + nb.PAGE).map(draw));
    list.start = start + 1;
    const go = (by, text) => nb.el("button", { type: "button", disabled: page + by < 0 || page + by >= n, onclick: () => { page += by; show(by); } }, text);
    nb.fill(pagesId, n > 1 ? [go(-1, "Previous"), nb.el("span", {}, `page ${nb.count(page + 1)} of ${nb.count(n)}`), go(1, "Next")] : []);
    if (focus) {
      const buttons = nb.byId(pagesId).querySelectorAll("button");
      (focus > 0 && !buttons[1].disabled ? buttons[1] : focus < 0 && !buttons[0].disabled ? buttons[0] : buttons[focus > 0 ? 0 : 1]).focus();
    }
  };
  return (found) => { items = found; page = 0; show(); };
};

/** Waits until the browser has nothing else to do. */
nb.idle = () => new Promise((done) => (window.requestIdleCallback ? requestIdleCallback(done, { timeout: 500 }) : setTimeout(done, 50)));

/** Calls once the user has stopped typing. */
nb.calm = (call, wait = 120) => {
  let timer = 0;
  return () => { clearTimeout(timer); timer = setTimeout(call, wait); };
};
