// A residual stream at the start of training: what it carries forward, its gradient back, and what each branch gets.

import { announcer, format, h, math, onWidth, set, slider } from "./shared.js";

export const BLOCKS = [2, 4, 8, 12, 15, 27, 54, 128];
const LEFT = 46;
const TOP = 8;
const TALL = 170;
const FOOT = 22;
const ROWS = [
  ["forward", "stream behind the last block"],
  ["branch", "gradient of one branch’s weights"],
  ["together", "gradient of all branches’ weights"],
  ["scale", "gradient of one last scale"],
];
const CURVES = ["forward", "backward"];
const NAMES = { forward: "the stream", backward: "its gradient", branch: "gradient of each branch’s weights" };

// D blocks x + γ f(x) where f keeps the mean square: forward and backward a factor 1 + γ² for each block.
export function stream({ blocks, scale }) {
  const growth = 1 + scale ** 2;
  const others = growth ** (blocks - 1);
  const forward = Array.from({ length: blocks + 1 }, (_, b) => growth ** b);
  return {
    forward,
    backward: [...forward].reverse(),
    branch: scale ** 2 * others,
    together: blocks * scale ** 2 * others,
    scale: others,
    fair: blocks ** -0.5,
  };
}

// Powers of ten between which all is drawn.
export function decades({ forward, branch }) {
  const lowest = branch ? Math.min(1, branch) : 1;
  return [Math.floor(Math.log10(lowest)), Math.ceil(Math.log10(Math.max(forward.at(-1), branch, 10)))];
}

// Large and tiny numbers with a power of ten.
export function short(x) {
  if (x === 0 || (x >= 0.01 && x < 1e4)) return format(x, 2);
  const [digits, power] = x.toExponential(1).split("e");
  return `${digits} × ${tenTo(Number(power))}`;
}

function tenTo(power) {
  return `10${[...String(power)].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("")}`;
}

export function render(el, data) {
  let state = { blocks: 54, scale: 1, ...data };
  if (!BLOCKS.includes(state.blocks)) throw new RangeError(`blocks must be one of ${BLOCKS.join(", ")}, got ${state.blocks}`);
  let now;

  const range = h("input", { type: "range", min: 0, max: BLOCKS.length - 1, step: 1, "aria-label": "blocks D" });
  const text = h("data");
  range.addEventListener("input", () => change({ blocks: BLOCKS[range.valueAsNumber] }));
  const blocks = h("label", { class: "explorable-slider" }, h("span", {}, "blocks ", math("D")), text, range);
  const scale = slider({ label: "start of the last scale γ", min: 0, max: 1, step: 0.01, input: (x) => change({ scale: x }) });

  const { node: summary, say } = announcer();
  const svg = h("svg", { class: "residual-stream", role: "img" });
  const legend = Object.entries(NAMES).map(([key, name]) => h("span", { class: `key key-${key}` }, name));
  const view = h("div", { class: "residual-stream-view" }, svg, h("p", { class: "residual-stream-legend" }, ...legend));
  const cells = {};
  const row = ([key, name]) => h("tr", { "data-row": key }, h("th", { scope: "row" }, name), h("td", {}, (cells[key] = h("data"))));
  const head = h("tr", {}, h("th", { scope: "col" }, "at the start"), h("th", { scope: "col" }, "mean square"));
  const table = h("table", {}, h("thead", {}, head), h("tbody", {}, ...ROWS.map(row)));
  el.append(h("div", { class: "explorable-controls" }, blocks, scale.node), view, summary, table);

  function change(part) {
    state = { ...state, ...part };
    now = stream(state);
    range.value = BLOCKS.indexOf(state.blocks);
    text.textContent = text.value = String(state.blocks);
    set(range, { "aria-valuetext": `${state.blocks} blocks` });
    scale.set(state.scale);
    const values = { ...now, forward: now.forward.at(-1) };
    for (const [key, cell] of Object.entries(cells)) {
      cell.value = String(values[key]);
      cell.textContent = short(values[key]);
    }
    const got = now.branch
      ? `The weights of each branch get ${short(now.branch)}, those of all branches ${short(now.together)}.`
      : `No branch’s weights get a gradient; each last scale gets ${short(now.scale)}.`;
    const words =
      `${state.blocks} blocks, branches that start at ${format(state.scale, 2)}: the stream’s mean square becomes ${short(values.forward)}, ` +
      `and so does that of its gradient on the way back. ${got} One over the root of ${state.blocks} is ${format(now.fair, 2)}.`;
    set(svg, { "aria-label": `Three curves over the blocks, logarithmic. ${words}` });
    say(words);
    draw();
  }

  function draw() {
    const width = Math.round(view.clientWidth);
    if (!width || !now) return;
    const right = width - 8;
    const bottom = TOP + TALL;
    const height = bottom + FOOT;
    const [low, high] = decades(now);
    const x = (b) => LEFT + ((right - LEFT) * b) / state.blocks;
    const y = (v) => bottom - (TALL * (Math.log10(v) - low)) / (high - low);
    set(svg, { viewBox: `0 0 ${width} ${height}`, width, height });
    const step = Math.max(1, Math.ceil((high - low) / 5));
    const powers = Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, i) => low + i * step);
    const rules = powers.flatMap((p) => [
      h("line", { class: p === low ? "frame" : "rule", x1: LEFT, x2: right, y1: y(10 ** p), y2: y(10 ** p) }),
      h("text", { class: "tick", x: LEFT - 6, y: y(10 ** p) + 4, "text-anchor": "end" }, p === 0 ? "1" : tenTo(p)),
    ]);
    const ends = [
      h("text", { class: "tick", x: LEFT, y: bottom + 16 }, "block 1"),
      h("text", { class: "tick", x: right, y: bottom + 16, "text-anchor": "end" }, String(state.blocks)),
    ];
    const path = (key) => now[key].map((v, b) => `${b ? "L" : "M"}${x(b).toFixed(1)} ${y(v).toFixed(1)}`).join("");
    const curves = CURVES.map((key) => h("path", { class: `curve curve-${key}`, d: path(key), "data-last": String(now[key].at(-1)) }));
    const dots = now.branch
      ? now.forward.slice(1).map((_, b) => h("circle", { class: "dot", cx: x(b + 0.5), cy: y(now.branch), r: state.blocks > 60 ? 1 : 2 }))
      : [];
    svg.replaceChildren(...rules, ...ends, ...curves, ...dots);
  }

  onWidth(view, draw);
  change({});
}
