// Rows of one norm that agree with each other: how far the layer that they make stretches an input.

import { announcer, format, h, math, onWidth, set, show, slider } from "./shared.js";

export const ROWS = [2, 4, 8, 16, 32, 64, 128, 256, 512];
const C = (2 * Math.PI) / (Math.PI - 1);
const BARS = [
  ["largest", "along their mean"],
  ["others", "along all else"],
  ["norm", "norm of a row"],
];
const PITCH = 46;
const HEAD = 26;

// k rows of squared norm c and pairwise cosine r have the Gram matrix c ((1 − r) I + r 11ᵀ).
export function agreement({ rows, cosine }) {
  return {
    largest: Math.sqrt(C * (1 + (rows - 1) * cosine)),
    others: Math.sqrt(C * (1 - cosine)),
    norm: Math.sqrt(C),
    random: Math.sqrt(C) * (1 + 1 / 3),
    limit: Math.sqrt(C * rows),
  };
}

export function render(el, data) {
  let state = { rows: 64, cosine: 0.1, ...data };
  if (!ROWS.includes(state.rows)) throw new RangeError(`rows must be one of ${ROWS.join(", ")}, got ${state.rows}`);
  let now;

  const range = h("input", { type: "range", min: 0, max: ROWS.length - 1, step: 1, "aria-label": "rows k" });
  const text = h("data");
  range.addEventListener("input", () => change({ rows: ROWS[range.valueAsNumber] }));
  const rows = h("label", { class: "explorable-slider" }, h("span", {}, "rows ", math("k")), text, range);
  const cosine = slider({ label: "cosine of two rows r", min: 0, max: 1, step: 0.01, input: (r) => change({ cosine: r }) });

  const { node: summary, say } = announcer();
  const svg = h("svg", { class: "row-agreement", role: "img" });
  const view = h("div", { class: "row-agreement-view" }, svg);
  const cells = {};
  const row = (key, name) => h("tr", { "data-row": key }, h("th", { scope: "row" }, name), h("td", {}, (cells[key] = h("data"))));
  const table = h(
    "table",
    {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "stretch of an input"), h("th", { scope: "col" }, "factor"))),
    h("tbody", {}, ...BARS.map(([key, name]) => row(key, name)), row("random", "most, of random rows"), row("limit", "if all rows agreed")),
  );
  el.append(h("div", { class: "explorable-controls" }, rows, cosine.node), view, summary, table);

  function change(part) {
    state = { ...state, ...part };
    now = agreement(state);
    range.value = ROWS.indexOf(state.rows);
    text.textContent = text.value = String(state.rows);
    set(range, { "aria-valuetext": `${state.rows} rows` });
    cosine.set(state.cosine);
    for (const [key, cell] of Object.entries(cells)) show(cell, now[key], 2);
    const words =
      `${state.rows} rows of norm ${format(now.norm, 2)}, any two with cosine ${format(state.cosine, 2)}: along their mean they stretch an input ` +
      `${format(now.largest, 2)} times, ${format(now.largest / now.random, 2)} times as far as random rows do at most, and along all else ${format(now.others, 2)} times. ` +
      `If all agreed, it would be ${format(now.limit, 2)}.`;
    set(svg, { "aria-label": `Bars of what the rows stretch. ${words}` });
    say(words);
    draw();
  }

  function draw() {
    const width = Math.round(view.clientWidth);
    if (!width || !now) return;
    const x = (v) => ((width - 2) * v) / (1.02 * now.limit);
    const height = BARS.length * PITCH + HEAD;
    set(svg, { viewBox: `0 0 ${width} ${height}`, width, height });
    const mark = (key) => BARS.map((_, i) => h("line", { class: `mark mark-${key}`, x1: x(now[key]), x2: x(now[key]), y1: i * PITCH + 18, y2: i * PITCH + 38 }));
    const bars = BARS.flatMap(([key, name], i) => [
      h("text", { class: "name", x: 2, y: i * PITCH + 14 }, name, ` ${format(now[key], 2)}`),
      h("rect", { class: `bar bar-${key}`, x: 1, y: i * PITCH + 20, width: Math.max(0.5, x(now[key]) - 1), height: 16, "data-value": String(now[key]) }),
    ]);
    const names = h("text", { class: "key", x: 2, y: height - 6 }, "dashed: random rows; at the right: all agree");
    svg.replaceChildren(...mark("random"), ...mark("limit"), ...bars, names);
  }

  onWidth(view, draw);
  change({});
}
