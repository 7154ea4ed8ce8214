// Two explosions of a network behind Weight Standardization, to be taken apart: one compounds with depth, one does not.

import { animate, announcer, h, onWidth, set } from "./shared.js";
import { causes, growth, profiles } from "./explosion-network.js";
import { describe, formula, tell } from "./explosion-words.js";
import { controls } from "./explosion-controls.js";
import { bead, drawPlot, HEIGHT } from "./explosion-plot.js";

const LINES = [
  { key: "ws", text: "WS" },
  { key: "ours", text: "CWO: ‖*w*‖² = 2" },
  { key: "bare", text: "WS, were *σ* = √(2/*n*)" },
];

export function render(el, data) {
  const { weights, inputs, cotangent, start } = data;
  const n = cotangent.length;
  let state, now, finish;

  const svg = h("svg", { class: "explosion", role: "img" });
  const view = h("div", { class: "explosion-view" }, svg);
  const inputsOf = controls({ n, layers: weights.length, change, choose, restart: () => change({ ...start }) });
  const keys = h("div", { class: "explosion-keys", "aria-hidden": "true" }, ...LINES.map(({ key, text }) => h("span", {}, sample(key), " ", formula(text))));
  const { node: summary, say } = announcer();
  const cells = {};
  const pairs = table(["both networks", "WS", "CWO"], cells, [
    ["growth", 2, "growth of the RMS ", h("small", {}, "per layer")],
    ["first", 2, "gradient, layer 1"],
    ["last", 2, "gradient, layer ", (cells.depth = h("span"))],
  ]);
  const facts = table(["what sets WS apart"], cells, [
    ["norm", 1, "gain ", formula("*κ* = ‖*ŵ*‖")],
    ["sigma", 1, formula("*σ*"), " after the decay"],
    ["ratio", 1, "gradient relative to CWO"],
    ["byGain", 1, "  for the gain, ", formula("(*κ*/√2)"), (cells.power = h("sup"))],
    ["bySigma", 1, "  for ", formula("*σ*"), ", once, ", formula("√(2/*n*)/*σ*")],
  ]);
  el.append(
    h("div", { class: "explosion-layout" }, h("div", { class: "explosion-left" }, view, keys), inputsOf.node),
    summary,
    h("div", { class: "explosion-tables" }, pairs, facts),
  );

  // A change under way ends before the next, so that it cannot undo it.
  function settle() {
    const end = finish;
    finish = null;
    end?.();
  }

  function change(part) {
    settle();
    move(part);
  }

  // To another gain at an even pace, so that the eye can follow both plots.
  function choose(gain) {
    settle();
    const from = state.gain;
    finish = animate(600, (t) => move({ gain: t === 1 ? gain : from * (gain / from) ** smooth(t) }), () => (finish = null));
  }

  function move(part) {
    state = { ...state, ...part };
    now = profiles({ weights, inputs, cotangent, ...state });
    const { depth, gain } = state;
    now.causes = causes({ sigma: now.sigma, depth, gain, n });
    now.bare = now.ws.gradient.map((g) => g / now.causes.sigma); // what a second pass with σ = √(2/n) would find
    now.growths = [now.ws, now.ours].map(({ rms }) => growth(rms));
    inputsOf.update(state);
    fill();
    draw();
  }

  function fill() {
    const { ws, ours, growths } = now;
    const both = (read) => [read(ws.gradient), read(ours.gradient)];
    put("growth", growths);
    put("first", both((values) => values[0]));
    put("last", both((values) => values.at(-1)));
    put("norm", [state.gain]);
    put("sigma", [now.sigma]);
    put("ratio", [ws.gradient[0] / ours.gradient[0]]);
    put("byGain", [now.causes.gain]);
    put("bySigma", [now.causes.sigma]);
    cells.depth.textContent = cells.power.textContent = state.depth;
    const words = describe({ gain: state.gain, depth: state.depth, growth: growths[0], causes: now.causes });
    set(svg, { "aria-label": `RMS of the activations and norm of the gradients against the layer. ${words}` });
    say(words);
  }

  function put(row, values) {
    values.forEach((x, i) => {
      cells[row][i].textContent = tell(x);
      cells[row][i].value = String(x);
    });
  }

  function draw() {
    const { width } = svg.viewBox.baseVal;
    if (!width || !now) return;
    const lines = [
      { name: "WS", key: "ws", values: now.ws },
      { name: "CWO", key: "ours", values: now.ours },
    ];
    svg.replaceChildren(...drawPlot({ width, layers: weights.length, lines, bare: now.bare, growths: now.growths, causes: now.causes }));
  }

  onWidth(view, (width) => {
    set(svg, { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT });
    draw();
  });
  change({ ...start });
}

const smooth = (t) => t * t * (3 - 2 * t);

// Rows of numbers with a name; cells[key] are their places.
function table(columns, cells, rows) {
  const head = columns.map((name) => h("th", { scope: "col", colspan: columns.length === 1 ? 2 : null }, name));
  const body = rows.map(([key, count, ...name]) => {
    cells[key] = Array.from({ length: count }, () => h("data"));
    return h("tr", { "data-row": key }, h("th", { scope: "row" }, ...name), ...cells[key].map((cell) => h("td", {}, cell)));
  });
  return h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...body));
}

// A piece of the line, as it stands in the plot.
function sample(key) {
  const name = key === "bare" ? "bare" : `line line-${key}`;
  return h("svg", { class: "explosion", viewBox: "0 0 26 10", width: 26, height: 10 }, h("path", { class: name, d: "M0 5H26" }), ...(key === "bare" ? [] : [bead(key, 13, 5)]));
}
