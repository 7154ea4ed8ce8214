// What a training step moves in one layer, method by method: activations weigh on normalization, weights on CWO.

import { announcer, format, h, onWidth, set } from "./shared.js";
import { magnitude } from "./equilibrium-controls.js";
import { BATCHES, CHANNELS, KERNELS, LAYERS, SIDES, breakEven, readable, stepBytes } from "./step-cost-bytes.js";
import { PARTS, drawBars, swatch } from "./step-cost-plot.js";

const START = LAYERS[1][1];
const LISTS = { channels: CHANNELS, kernel: KERNELS, side: SIDES, batch: BATCHES };
const OWN = "own choice";
const NAMES_OF_METHODS = { plain: "plain", fused: "CWO, fused", unfused: "CWO, not fused", gn: "group norm", bn: "batch norm" };
const KEYS = { convolution: "convolution", sgd: "SGD with momentum", per_activation: "extra for each activation", per_weight: "extra for each weight" };

export function render(el, data) {
  let state = checked({ ...START, ...data });
  let now;

  const layer = menu("layer", [OWN, ...LAYERS.map(([name]) => name)], (name) => change(LAYERS.find(([known]) => known === name)[1]));
  layer.select.options[0].disabled = true; // shown where the settings are those of no layer in the list
  const kernel = menu("kernel", KERNELS.map((k) => `${k}×${k}`), (name) => change({ kernel: parseInt(name) }));
  const sliders = {
    channels: listSlider("channels", CHANNELS, (channels) => change({ channels })),
    side: listSlider("image side", SIDES, (side) => change({ side })),
    batch: listSlider("batch", BATCHES, (batch) => change({ batch })),
  };
  const inputs = h(
    "div",
    { class: "step-cost-inputs" },
    h("div", { class: "step-cost-menus" }, layer.node, kernel.node),
    h("div", { class: "explorable-controls" }, ...Object.values(sliders).map(({ node }) => node)),
  );

  const svg = h("svg", { class: "step-cost", role: "img" });
  const view = h("div", { class: "step-cost-view" }, svg);
  const { node: summary, say } = announcer();
  const cells = {};
  el.append(inputs, h("div", {}, keys(), view), summary, table(cells));

  function change(part) {
    state = { ...state, ...part };
    now = stepBytes(state);
    for (const [key, slider] of Object.entries(sliders)) slider.set(state[key]);
    kernel.select.value = `${state.kernel}×${state.kernel}`;
    const known = LAYERS.find(([, settings]) => Object.keys(LISTS).every((key) => settings[key] === state[key]));
    layer.select.value = known ? known[0] : OWN;
    for (const [method, moved] of Object.entries(now)) {
      PARTS.forEach((key, i) => {
        cells[method][i].textContent = readable(moved[key]);
        cells[method][i].value = String(moved[key]);
      });
    }
    const words = compare(state, now);
    const totals = Object.entries(now).map(([method, moved]) => `${NAMES_OF_METHODS[method]} ${totalOf(moved, now.plain)}`);
    set(svg, { "aria-label": `Bars of the bytes that a training step moves in this layer: ${totals.join("; ")}. ${words}` });
    say(words);
    draw();
  }

  function draw() {
    const width = Math.round(view.clientWidth);
    if (!width || !now) return;
    const rows = Object.entries(now).map(([method, parts]) => ({ method, name: NAMES_OF_METHODS[method], parts, total: parts.total, text: totalOf(parts, now.plain) }));
    drawBars(svg, rows, width);
  }

  onWidth(view, draw);
  change({});
}

// A setting that no input can show would be lost at the first touch; the still figure stays in place of that.
function checked(state) {
  for (const [key, list] of Object.entries(LISTS)) {
    if (!list.includes(state[key])) throw new RangeError(`${key} must be one of ${list.join(", ")}, got ${state[key]}`);
  }
  return state;
}

const totalOf = ({ total, extra }, plain) => readable(total) + (extra > 0 ? `, ${format(total / plain.total, 2)}\u00a0×\u00a0plain` : "");

// Which of the two adds less, and what decides it. They are never equal: of the lists' values 7 divides one side of
// 7 C k² = 4 N S² once, and the other twice or not at all.
function compare({ channels, kernel, side, batch }, { fused, bn }) {
  const { positions, factor, fanIn } = breakEven({ channels, kernel, side, batch });
  const [small, large] = [fused.extra, bn.extra].sort((a, b) => a - b);
  const product = (a, b) => `${a.toLocaleString("en")}\u00a0×\u00a0${b.toLocaleString("en")} = ${(a * b).toLocaleString("en")}`;
  return (
    `On top of plain, CWO (fused) moves ${readable(fused.extra)} and batch norm ${readable(bn.extra)}: ` +
    `${fused.extra === small ? "CWO" : "batch norm"} moves less, by a factor of ${magnitude(large / small)}. ` +
    `CWO is ahead where batch × positions exceeds ${factor} × fan-in; ` +
    `here it is ${product(batch, positions / batch)} against ${product(factor, fanIn)}.`
  );
}

function menu(label, names, input) {
  const select = h("select", { "aria-label": label, change: () => input(select.value) }, ...names.map((name) => h("option", {}, name)));
  return { node: h("label", { class: "explorable-choice" }, `${label} `, select), select };
}

// A native slider over a list; `set(x)` moves it without an event.
function listSlider(name, values, input) {
  const range = h("input", { type: "range", min: 0, max: values.length - 1, step: 1, "aria-label": name });
  const text = h("data");
  range.addEventListener("input", () => input(values[range.valueAsNumber]));
  const node = h("label", { class: "explorable-slider" }, h("span", {}, name), text, range);
  const move = (x) => {
    range.value = values.indexOf(x);
    text.textContent = text.value = String(x);
    range.setAttribute("aria-valuetext", String(x));
  };
  return { node, set: move };
}

function keys() {
  const key = (part) => h("svg", { class: "step-cost", width: 28, height: 14, viewBox: "0 0 28 14" }, h("g", { class: `part-${part}` }, ...swatch(part, 1, 1, 26, 12)));
  return h("div", { class: "step-cost-keys", "aria-hidden": "true" }, ...PARTS.map((part) => h("span", {}, key(part), " ", KEYS[part])));
}

// The same as numbers; cells[method] are their places.
function table(cells) {
  const heads = ["convolution", "SGD", "extra, activations", "extra, weights"].map((name) => h("th", { scope: "col" }, name));
  const rows = Object.entries(NAMES_OF_METHODS).map(([method, name]) => {
    cells[method] = PARTS.map(() => h("data"));
    return h("tr", { "data-row": method }, h("th", { scope: "row" }, name), ...cells[method].map((cell) => h("td", {}, cell)));
  });
  return h("table", { class: "step-cost-table" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "moved by"), ...heads)), h("tbody", {}, ...rows));
}
