// Two profiles on logarithmic axes that never move: a factor looks equally tall in both, and leaving the axis is marked.

import { h, spread, textWidth } from "./shared.js";
import { formula, power, tell } from "./explosion-words.js";

const DECADE = 13; // pixels
const LEFT = 40;
const TOP = 26; // from one panel's title to its highest value
const BOTTOM = 40; // under the lower panel: numbers and name of the layers
const BETWEEN = 22;
const ASIDE = 24; // from the last bead to the labels, the arrows between
const FONT = "12px system-ui, sans-serif";
export const PANELS = [
  { key: "rms", title: "Activations: RMS of *y*_l", low: -4, high: 8 },
  { key: "gradient", title: "Gradients: ‖∂*L*/∂*w*_l‖", low: -6, high: 10 },
];
export const HEIGHT = PANELS.reduce((sum, { low, high }) => sum + TOP + DECADE * (high - low), BOTTOM + BETWEEN);

// What stands in an svg of this width. lines: [{name, key, values: {rms, gradient}}], the last on top; causes: as in
// explosion-network.js.
export function drawPlot({ width, layers, lines, bare, growths, causes }) {
  const unit = width > 400 ? " per layer" : "";
  const right = width - ASIDE - Math.max(...[`CWO ×0.000${unit}`, "gain ×1.2·10⁻¹²"].map((label) => textWidth(label, FONT)));
  const x = (layer) => LEFT + 8 + ((right - LEFT - 8) * (layer - 1)) / (layers - 1);
  const parts = [];
  let top = 0;
  for (const panel of PANELS) {
    const y = scaleOf(panel, top + TOP);
    parts.push(...frame(panel, top, y, right));
    const inside = h("svg", { class: "explosion-window", x: 0, y: y.high, width, height: y.low - y.high });
    parts.push(inside);
    const shown = lines.map((line) => ({ ...line, values: line.values[panel.key] }));
    if (panel.key === "gradient") inside.append(path("bare", bare, x, y));
    for (const { key, values } of shown) inside.append(path(`line line-${key}`, values, x, y));
    for (const { key, values } of shown) parts.push(...beads(key, values, x, y));
    parts.push(...labels(panel, { shown, bare, growths, causes, unit, x, y }));
    top += TOP + DECADE * (panel.high - panel.low) + BETWEEN;
  }
  const foot = HEIGHT - BOTTOM;
  for (let layer = 1; layer <= layers; layer++) {
    if (layer === 1 || layer % 4 === 0) parts.push(text("tick", x(layer), foot + 16, String(layer), "middle"));
  }
  parts.push(text("tick", (LEFT + right) / 2, foot + 34, "layer", "middle"));
  return parts;
}

// Exact value -> height in the picture; `y.inside` and `y.clamp` know the ends.
function scaleOf({ low, high }, top) {
  const at = (exponent) => top + DECADE * (high - exponent);
  const exponent = (v) => Math.max(Math.log10(v), low - 9);
  const y = (v) => at(exponent(v));
  const clamp = (v) => at(Math.min(high, Math.max(low, exponent(v))));
  return Object.assign(y, { at, clamp, inside: (v) => y(v) === clamp(v), low: at(low), high: at(high) });
}

function frame({ title, low, high }, top, y, right) {
  const parts = [h("text", { class: "title", x: 0, y: top + 13 }, formula(title, "tspan"))];
  for (let k = low; k <= high; k += 2) {
    const labelled = k % 4 === 0;
    parts.push(h("line", { class: k === 0 ? "rule rule-one" : "rule", x1: LEFT, x2: right, y1: y.at(k), y2: y.at(k) }));
    if (labelled) parts.push(text("tick", LEFT - 7, y.at(k) + 4, k === 0 ? "1" : power(k), "end"));
  }
  return parts;
}

function path(name, values, x, y) {
  // Seen inside a window of its own, whose upper end is 0.
  const d = values.map((v, i) => `${i ? "L" : "M"}${x(i + 1).toFixed(2)} ${(y(v) - y.high).toFixed(2)}`).join("");
  return h("path", { class: name, d, "data-values": values.join(" ") });
}

// A bead at each layer, or an arrowhead at the end of the axis that the value has left, with the furthest one in digits.
function beads(key, values, x, y) {
  const parts = [];
  const off = values.map((v, i) => ({ v, i })).filter(({ v }) => !y.inside(v));
  values.forEach((v, i) => {
    if (y.inside(v)) parts.push(bead(key, x(i + 1), y(v)));
  });
  for (const { v, i } of off) {
    const down = y(v) > y.low;
    const [px, py] = [x(i + 1), y.clamp(v)];
    parts.push(h("path", { class: `beyond bead-${key}`, d: `M${px - 4} ${py}l4 ${down ? 6 : -6}l4 ${down ? -6 : 6}z` }));
  }
  if (off.length > 0) {
    const last = off.reduce((a, b) => (Math.abs(Math.log10(b.v)) > Math.abs(Math.log10(a.v)) ? b : a));
    const down = y(last.v) > y.low;
    const word = `${down ? "down" : "up"} to ${tell(last.v, 2)}`;
    parts.push(text(`note note-${key}`, x(last.i + 1), y.clamp(last.v) + (down ? -7 : 16), word, last.i * 2 > values.length ? "end" : "start"));
  }
  return parts;
}

// Beside the last layer: the names, and under the gradients how far each cause carries them away from CWO's.
function labels({ key }, { shown, bare, growths, causes, unit, x, y }) {
  const end = (values) => y.clamp(values.at(-1));
  const last = x(bare.length);
  const items = shown.map(({ name, key: line, values }) => ({ y: end(values), name: `end end-${line}`, text: name }));
  const parts = [];
  if (key === "rms") items.forEach((item, i) => (item.more = ` ×${tell(growths[i])}${unit}`));
  else {
    const [from, via, to] = [shown.find((line) => line.key === "ours").values, bare, shown.find((line) => line.key === "ws").values].map(end);
    parts.push(arrow("gain", last + 11, from, via), arrow("sigma", last + 11, via, to));
    items.push({ y: (from + via) / 2, name: "cause cause-gain", text: `gain ×${tell(causes.gain)}` });
    items.push({ y: (via + to) / 2, name: "cause cause-sigma", sign: "*σ*", text: ` ×${tell(causes.sigma)}` });
    // Where they meet, they keep the order of the way from CWO to WS.
    for (const [i, rank] of [3, 0, 1, 2].entries()) items[i].y += rank * 0.01 * Math.sign(to - from);
  }
  const placed = spread(items.map((item) => item.y), 16, y.high + 6, y.low - 6);
  items.forEach((item, i) => {
    const label = h("text", { class: item.name, x: last + ASIDE, y: placed[i] + 4.5 });
    label.append(...(item.sign ? [formula(item.sign, "tspan")] : []), item.text);
    if (item.more) label.append(h("tspan", { class: "more" }, item.more));
    parts.push(label);
  });
  return parts;
}

function arrow(cause, x, from, to) {
  const way = Math.sign(to - from);
  const head = Math.min(5, Math.abs(to - from) / 2) * way;
  const d = `M${x} ${from}V${to}` + (Math.abs(to - from) < 3 ? "" : `m${-Math.abs(head)} ${-head}L${x} ${to}l${Math.abs(head)} ${-head}`);
  return h("path", { class: `arrow arrow-${cause}`, d });
}

// Squares and smaller circles: where two lines are one, both can be seen.
export function bead(key, x, y) {
  const name = `bead bead-${key}`;
  if (key === "ours") return h("circle", { class: name, cx: x, cy: y, r: 2.3 });
  return h("rect", { class: name, x: x - 3, y: y - 3, width: 6, height: 6 });
}

const text = (name, x, y, content, anchor) => h("text", { class: name, x, y, "text-anchor": anchor }, content);
