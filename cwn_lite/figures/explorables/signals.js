// Signal and gradient through a stack of random layers: mean-field theory, drawn live from the two recursions.

import { announcer, format, h, onWidth, set, show, slider } from "./shared.js";
import { magnitude } from "./equilibrium-controls.js";
import { drawCourses, power } from "./signals-plot.js";

export const MOST = 50;
const BLOCKS = { plain: "in a row", sum: "branches of a sum", scaled: "scaled branches" };
const RANGE = { low: 0.5, high: 4 };
const START = { layers: MOST, c: 2, slope: 0, centralize: true, block: "plain" };

// Second and squared first moment of a leaky ReLU of a standard normal number.
const second = (slope) => (1 + slope * slope) / 2;
const variance = (slope) => second(slope) - (1 - slope) ** 2 / (2 * Math.PI);

// The squared norm that keeps the signal, or, without centring, also the gradient.
export const keeping = (slope, centralize) => 1 / (centralize ? variance(slope) : second(slope));

// Factors per layer on the second moment and on the squared gradient, and both courses from layer 0 to the last.
export function course({ layers, c, slope, centralize, block }) {
  let forward = c * (centralize ? variance(slope) : second(slope));
  let backward = c * second(slope);
  if (block !== "plain") {
    const scale = block === "sum" ? 1 : 1 / layers;
    forward = 1 + scale * forward;
    backward = 1 + scale * backward;
  }
  const at = Array.from({ length: layers + 1 }, (_, n) => n);
  return { forward, backward, signal: at.map((n) => forward ** n), gradient: at.map((n) => backward ** (layers - n)) };
}

export function render(el, data) {
  let state = checked({ ...START, ...data });
  let now;

  const layers = slider({ label: "layers", min: 1, max: MOST, step: 1, digits: 0, input: (n) => change({ layers: n }) });
  const c = slider({ label: "squared row norm c", min: RANGE.low, max: RANGE.high, step: 0.01, digits: 3, input: (v) => change({ c: v }) });
  const slope = slider({ label: "slope a (0: ReLU, 1: linear)", min: 0, max: 1, step: 0.01, input: (a) => change({ slope: a }) });
  const centred = h("input", { type: "checkbox", change: () => change({ centralize: centred.checked }) });
  const block = h("select", { "aria-label": "layers are", change: () => change({ block: block.value }) }, ...Object.entries(BLOCKS).map(([value, name]) => h("option", { value }, name)));
  const keep = (what, centralize) => h("button", { type: "button", click: () => change({ c: keeping(state.slope, centralize()) }) }, `keep the ${what}`);
  const inputs = h("div", { class: "explorable-controls" }, layers.node, c.node, slope.node);
  const choices = h(
    "div",
    { class: "explorable-buttons signals-choices" },
    h("label", { class: "explorable-choice" }, centred, "centred rows"),
    h("label", { class: "explorable-choice" }, "layers are ", block),
    keep("signal", () => state.centralize),
    keep("gradient", () => false),
  );

  const { node: summary, say } = announcer();
  const svg = h("svg", { class: "signals", role: "img" });
  const view = h("div", { class: "signals-view" }, svg);
  const cells = {};
  const row = (key, name) => {
    cells[key] = [h("data"), h("data")];
    return h("tr", { "data-row": key }, h("th", { scope: "row" }, name), ...cells[key].map((cell) => h("td", {}, cell)));
  };
  const heads = ["multiplied", "by each layer", "by all"].map((name) => h("th", { scope: "col" }, name));
  const table = h("table", { class: "signals-table" }, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, row("signal", "signal, second moment"), row("gradient", "gradient, squared length")));
  el.append(inputs, choices, view, summary, table);

  function change(part) {
    state = { ...state, ...part };
    now = course(state);
    layers.set(state.layers);
    c.set(state.c);
    slope.set(state.slope);
    centred.checked = state.centralize;
    block.value = state.block;
    const ends = { signal: [now.forward, now.signal.at(-1)], gradient: [now.backward, now.gradient[0]] };
    for (const [key, [each, all]] of Object.entries(ends)) {
      show(cells[key][0], each);
      cells[key][1].textContent = reading(all);
      cells[key][1].value = String(all);
    }
    const words = tell(state, now);
    set(svg, { "aria-label": `Two lines on a logarithmic scale against the layer. ${words}` });
    say(words);
    draw();
  }

  function draw() {
    const width = Math.round(view.clientWidth);
    if (width > 0 && now) drawCourses(svg, now, width);
  }

  onWidth(view, draw);
  change({});
}

// What no input could show would be lost at the first touch; the still figure stays in its place.
function checked(state) {
  if (!(state.block in BLOCKS)) throw new RangeError(`block must be one of ${Object.keys(BLOCKS).join(", ")}, got ${state.block}`);
  if (!(state.layers >= 1 && state.layers <= MOST)) throw new RangeError(`layers must lie between 1 and ${MOST}, got ${state.layers}`);
  return state;
}

// Three digits, and a power of ten where a number is long.
export function reading(x) {
  if (x < 1e5) return magnitude(x);
  const [mantissa, exponent] = x.toExponential(2).split("e+");
  return `${mantissa}·${power(Number(exponent))}`;
}

const verb = (factor) => (Math.abs(factor - 1) < 1e-9 ? "is kept" : factor < 1 ? "fades" : "grows");
const number = (count) => `${count} ${count === 1 ? "layer" : "layers"}`;

function tell({ layers, c, slope, centralize, block }, { forward, backward, signal, gradient }) {
  const f = slope === 0 ? "ReLU" : slope === 1 ? "no activation" : `leaky ReLU of slope ${format(slope, 2)}`;
  const kind = block === "plain" ? "" : block === "sum" ? " as branches of a sum" : " as scaled branches of a sum";
  const part = (name, each, all) => `The ${name} ${verb(each)}: a factor of ${format(each, 3)} per layer${layers > 1 ? `, ${reading(all)} in all` : ""}.`;
  return (
    `${number(layers)}${kind}, ${f}, ${centralize ? "centred" : "uncentred"} rows, c = ${format(c, 3)}. ` +
    `${part("signal", forward, signal.at(-1))} ${part("gradient", backward, gradient[0])}`
  );
}
