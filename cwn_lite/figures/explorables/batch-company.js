// One value in batch norm, in ever new company. Twin of cwn_lite/figures/batch_company.py: same draws, number by number.

import { announcer, format, h, math, onWidth, set, show, slider } from "./shared.js";
import { normals } from "./draws.js";

export const COMPANY_SIZES = [2, 3, 4, 6, 8, 12, 16, 24, 32, 64];
export const COMPANIES = 500;
export const AXIS = { low: -4.5, high: 4.5, width: 0.1 };
const REACH = 3;
const COMPANY_SEED = 3;
const STRIPS = [
  { floor: 52, name: "the batch" },
  { floor: 112, name: "what comes out" },
  { floor: 212, name: `yours, in ${COMPANIES} companies` },
];

let strangers; // the values that are not yours, made once

// What batch norm makes of the value and of the N − 1 others of a company.
export function normalized({ size, value, draw }) {
  const most = COMPANY_SIZES.at(-1);
  strangers ??= normals(COMPANY_SEED, COMPANIES * most);
  const values = [value, ...strangers.subarray(draw * most, draw * most + size - 1)];
  const mean = values.reduce((a, b) => a + b, 0) / size;
  const divisor = Math.sqrt(values.reduce((a, y) => a + (y - mean) ** 2, 0) / size);
  return { values, mean, divisor, outputs: values.map((y) => (y - mean) / divisor) };
}

// The output of your value in every company, its mean and standard deviation.
export function everyCompany({ size, value }) {
  const outputs = Array.from({ length: COMPANIES }, (_, draw) => normalized({ size, value, draw }).outputs[0]);
  const average = outputs.reduce((a, b) => a + b, 0) / COMPANIES;
  return { outputs, average, deviation: Math.sqrt(outputs.reduce((a, y) => a + (y - average) ** 2, 0) / COMPANIES) };
}

// Share of the outputs in each bin.
export function companyShares(outputs) {
  const bins = new Array(Math.round((AXIS.high - AXIS.low) / AXIS.width)).fill(0);
  for (const y of outputs) bins[Math.floor((y - AXIS.low) / AXIS.width + 1e-9)] += 1 / outputs.length;
  return bins;
}

export function render(el, data) {
  let state = { size: 4, value: 1.5, draw: 0, ...data };
  if (!COMPANY_SIZES.includes(state.size)) throw new RangeError(`size must be one of ${COMPANY_SIZES.join(", ")}, got ${state.size}`);
  let now;

  const range = h("input", { type: "range", min: 0, max: COMPANY_SIZES.length - 1, step: 1, "aria-label": "values N" });
  const text = h("data");
  range.addEventListener("input", () => change({ size: COMPANY_SIZES[range.valueAsNumber] }));
  const size = h("label", { class: "explorable-slider" }, h("span", {}, "values ", math("N")), text, range);
  const value = slider({ label: "your value z", min: -REACH, max: REACH, step: 0.05, input: (z) => change({ value: z }) });
  const again = h("button", { type: "button", click: () => change({ draw: (state.draw + 1) % COMPANIES }) }, "Draw other company");

  const { node: summary, say } = announcer();
  const svg = h("svg", { class: "batch-company", role: "img" });
  const view = h("div", { class: "batch-company-view" }, svg);
  const cells = {};
  const row = (key, ...name) => h("tr", { "data-row": key }, h("th", { scope: "row" }, ...name), h("td", {}, (cells[key] = h("data"))));
  const table = h(
    "table",
    {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "your value"), h("th", { scope: "col" }, "comes out as"))),
    h(
      "tbody",
      {},
      row("output", "in training, in this company"),
      row("average", `in training, mean over ${COMPANIES} companies`),
      row("deviation", "its standard deviation"),
      row("value", "in use, with the true mean and deviation"),
    ),
  );
  el.append(h("div", { class: "explorable-controls" }, size, value.node), h("div", { class: "explorable-buttons" }, again), view, summary, table);

  function change(part) {
    state = { ...state, ...part };
    const one = normalized(state);
    const { outputs, average, deviation } = everyCompany(state);
    now = { ...one, all: outputs, output: one.outputs[0], average, deviation, value: state.value };
    range.value = COMPANY_SIZES.indexOf(state.size);
    text.textContent = text.value = String(state.size);
    set(range, { "aria-valuetext": `${state.size} values` });
    value.set(state.value);
    for (const [key, cell] of Object.entries(cells)) show(cell, now[key], 2);
    const words =
      `${state.size} values with mean ${format(now.mean, 2)} and divisor ${format(now.divisor, 2)}: yours, ${format(state.value, 2)}, comes out as ${format(now.output, 2)}. ` +
      `Over ${COMPANIES} companies it is ${format(average, 2)} on average and scatters by ${format(deviation, 2)}; in use it is ${format(state.value, 2)}.`;
    set(svg, { "aria-label": `Values of one channel before and after batch norm. ${words}` });
    say(words);
    draw();
  }

  function draw() {
    const width = Math.round(view.clientWidth);
    if (width > 0 && now) drawCompany(svg, now, width);
  }

  onWidth(view, draw);
  change({});
}

function drawCompany(svg, now, width) {
  const x = (v) => 2 + ((width - 4) * (v - AXIS.low)) / (AXIS.high - AXIS.low);
  const height = STRIPS[2].floor + 20;
  set(svg, { viewBox: `0 0 ${width} ${height}`, width, height });
  const [before, after, over] = STRIPS;
  const dots = (values, { floor }, of) =>
    [...values.keys()].reverse().map((i) => h("circle", { class: i ? "other" : `yours yours-${of}`, cx: x(values[i]), cy: floor - 13, r: i ? 4 : 6.5, "data-value": String(values[i]) }));
  const bins = companyShares(now.all);
  const most = Math.max(...bins);
  const bars = bins.map((share, k) => `H${x(AXIS.low + k * AXIS.width).toFixed(1)}V${(over.floor - (66 * share) / most).toFixed(1)}H${x(AXIS.low + (k + 1) * AXIS.width).toFixed(1)}`).join("");
  const ticks = [-4, -2, 0, 2, 4].map((v) => h("text", { class: "tick", x: x(v), y: height - 5, "text-anchor": "middle" }, format(v, 0)));
  svg.replaceChildren(
    h("rect", { class: "band", x: x(now.mean - now.divisor), width: x(now.divisor) - x(-now.divisor), y: before.floor - 27, height: 27 }),
    h("line", { class: "mean", x1: x(now.mean), x2: x(now.mean), y1: before.floor - 27, y2: before.floor }),
    ...STRIPS.flatMap(({ floor, name }, i) => [
      h("line", { class: "floor", x1: x(AXIS.low), x2: x(AXIS.high), y1: floor, y2: floor }),
      h("text", { class: "name", x: 2, y: i < 2 ? floor - 36 : floor - 80 }, name),
    ]),
    ...dots(now.values, before, "before"),
    ...dots(now.outputs, after, "after"),
    h("path", { class: "bars", d: `M${x(AXIS.low)} ${over.floor}${bars}V${over.floor}Z`, "data-shares": bins.join(" ") }),
    h("line", { class: "in-use", x1: x(now.value), x2: x(now.value), y1: over.floor - 72, y2: over.floor }),
    ...ticks,
  );
}
