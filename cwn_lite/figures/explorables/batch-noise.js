// Two factors on a signal in training: the one that batch norm inherits from N samples, and the one that CWO draws.

import { announcer, format, h, math, onWidth, set, show } from "./shared.js";
import { powerSlider } from "./equilibrium-controls.js";
import { BINS, KINDS, SIZES, histogram, simulate, statistics } from "./batch-noise-draws.js";

const START = { kind: "normal", size: 4, sigma: null }; // without a σ of its own, CWO follows batch norm
const PANELS_OF_NOISE = [
  { key: "bn", title: "batch norm: ", symbol: "σ_y / σ_B" },
  { key: "ours", title: "CWO: ", symbol: "1 + η" },
];
const LEFT_EDGE = 8;
const HEAD = 30;
const TALL = 120;
const FEET = 22;

export function render(el, data) {
  let state = { ...START, ...data };
  let now;
  const drawn = {}; // kind -> statistics of all sizes, made when first asked for

  const range = h("input", { type: "range", min: 0, max: SIZES.length - 1, step: 1, "aria-label": "samples N" });
  const rangeText = h("data");
  range.addEventListener("input", () => change({ size: SIZES[range.valueAsNumber] }));
  const size = h("label", { class: "explorable-slider" }, h("span", {}, "samples ", math("N")), rangeText, range);
  const kind = h("select", { "aria-label": "distribution of a sample", change: () => change({ kind: kind.value }) }, ...Object.entries(KINDS).map(([value, name]) => h("option", { value }, name)));
  const noise = powerSlider({ label: "noise of CWO σ", low: -2, high: 0, input: (sigma) => change({ sigma }) });
  const follow = h("input", { type: "checkbox", change: () => change({ sigma: follow.checked ? null : now.sigma }) });
  const inputs = h(
    "div",
    { class: "explorable-controls batch-noise-inputs" },
    h("div", {}, size, h("label", { class: "explorable-choice batch-noise-kind" }, "each is ", kind)),
    h("div", {}, noise.node, h("label", { class: "explorable-choice" }, follow, " σ = 1/√(2N)")),
  );

  const { node: summary, say } = announcer();
  const svg = h("svg", { class: "batch-noise", role: "img" });
  const view = h("div", { class: "batch-noise-view" }, svg);
  const cells = {};
  const row = (key, ...name) => {
    cells[key] = [h("data"), h("data")];
    return h("tr", { "data-row": key }, h("th", { scope: "row" }, ...name), ...cells[key].map((cell) => h("td", {}, cell)));
  };
  const table = h(
    "table",
    {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "over 2,000 draws"), h("th", { scope: "col" }, "batch norm"), h("th", { scope: "col" }, "CWO"))),
    h(
      "tbody",
      {},
      row("spread", "scatter of the divisor ", h("small", {}, math("σ"), h("sub", {}, "B"), math(" / σ"), h("sub", {}, "y"), "; of the factor ", math("1 + η"))),
      row("rule", "by the rule"),
      row("square", "mean square of the factor, by its law"),
      row("offset", "scatter of the offset ", h("small", {}, math("ζ"), h("sub", {}, "B"), "; by the rule ", math("1/√N"))),
      row("far", "share of factors outside ½ to 2"),
    ),
  );
  el.append(inputs, view, summary, table);

  function change(part) {
    state = { ...state, ...part };
    const found = (drawn[state.kind] ??= statistics(state.kind));
    const sigma = state.sigma ?? 1 / Math.sqrt(2 * state.size);
    now = { sigma, ...simulate(found, { ...state, sigma }) };
    range.value = SIZES.indexOf(state.size);
    rangeText.textContent = rangeText.value = String(state.size);
    set(range, { "aria-valuetext": `${state.size} samples` });
    kind.value = state.kind;
    noise.set(sigma);
    follow.checked = state.sigma === null;
    for (const key of ["spread", "rule", "square", "offset", "far"]) {
      show(cells[key][0], now.bn[key]);
      show(cells[key][1], now.ours[key]);
    }
    if (now.bn.square === Infinity) cells.square[0].textContent = "∞";
    const words = tellNoise(state, now);
    set(svg, { "aria-label": `Two histograms of 2,000 factors on the signal. ${words}` });
    say(words);
    draw();
  }

  function draw() {
    const width = Math.round(view.clientWidth);
    if (width > 0 && now) drawHistograms(svg, now, width);
  }

  onWidth(view, draw);
  change({});
}

// What a setting shows, in three sentences.
function tellNoise({ kind, size }, { sigma, bn, ours }) {
  const part = (share) => `${format(100 * share, share > 0 && share < 0.01 ? 1 : 0)}\u00a0%`;
  const samples = kind === "normal" ? "normal samples" : "samples behind a ReLU";
  return (
    `With ${size} ${samples}, batch norm’s divisor scatters by ${format(bn.spread, 2)} of its true value (the rule: ${format(bn.rule, 2)}), ` +
    `and its offset by ${format(bn.offset, 2)}. ` +
    `In ${part(bn.far)} of the draws it more than doubles or halves the signal; CWO, with σ = ${format(sigma, 2)}, in ${part(ours.far)}.`
  );
}

// Both histograms on one scale, so that equal areas are equal shares; what lies beyond the axis is said in per cent.
function drawHistograms(svg, now, width) {
  const { low, high, width: step } = BINS;
  const x = (v) => LEFT_EDGE + ((width - 2 * LEFT_EDGE) * (v - low)) / (high - low);
  const seen = PANELS_OF_NOISE.map(({ key }) => histogram(now[key].factors));
  const most = Math.max(...seen.flatMap(({ bins }) => bins));
  const height = 2 * (HEAD + TALL) + FEET;
  set(svg, { viewBox: `0 0 ${width} ${height}`, width, height });
  const parts = [];
  PANELS_OF_NOISE.forEach(({ key, title, symbol }, i) => {
    const floor = (i + 1) * (HEAD + TALL);
    const { bins, below, above } = seen[i];
    const d = bins.map((share, k) => `H${x(low + k * step).toFixed(1)}V${(floor - (TALL * share) / most).toFixed(1)}H${x(low + (k + 1) * step).toFixed(1)}`).join("");
    parts.push(
      h("line", { class: "one", x1: x(1), x2: x(1), y1: floor - TALL, y2: floor }),
      h("path", { class: `bars bars-${key}`, d: `M${x(low)} ${floor}${d}V${floor}Z`, "data-shares": bins.join(" ") }),
      h("line", { class: "floor", x1: x(low), x2: x(high), y1: floor, y2: floor }),
      h("text", { class: "title", x: x(low), y: floor - TALL - 8 }, title, h("tspan", { class: "symbol" }, ...subscripts(symbol))),
    );
    if (below > 0) parts.push(h("text", { class: "beyond", x: x(low), y: floor - 46 }, `← ${format(100 * below, 1)}\u00a0%`));
    if (above > 0) parts.push(h("text", { class: "beyond", x: x(high), y: floor - 46, "text-anchor": "end" }, `${format(100 * above, 1)}\u00a0% →`));
  });
  for (let v = low; v <= high; v++) parts.push(h("text", { class: "tick", x: x(v), y: height - 6, "text-anchor": v === low ? "start" : v === high ? "end" : "middle" }, v === 1 ? "×1" : format(v, 0)));
  svg.replaceChildren(...parts);
}

// "σ_y" with its index lowered.
function subscripts(symbol) {
  return symbol.split(/_(\w)/).flatMap((piece, i) => (i % 2 ? [h("tspan", { dy: 3, "font-size": "0.75em" }, piece), h("tspan", { dy: -3 }, "\u200b")] : [piece]));
}
