// Twenty-four times the same experiment with a few seeds: where its intervals lie, and how often they hold the truth.

import { announcer, format, h, math, onWidth, set, show, slider } from "./shared.js";
import { SEEDS, experiments } from "./seed-intervals-draws.js";

const SHOWN = 24;
const REACH = [-10, 50];
const ROW = 9;
const TOP = 20;
const FOOT = 22;

export function render(el, data) {
  let state = { seeds: 3, gap: 1, failing: 0, trained: false, ...data };
  let now;

  const seeds = slider({ label: "seeds k", min: SEEDS[0], max: SEEDS[1], step: 1, digits: 0, input: (k) => change({ seeds: k }) });
  const gap = slider({ label: "true gap, in points", min: 0, max: 4, step: 0.5, digits: 1, input: (x) => change({ gap: x }) });
  const failing = slider({ label: "runs that fail, in %", min: 0, max: 50, step: 5, digits: 0, input: (x) => change({ failing: x / 100 }) });
  const trained = h("input", { type: "checkbox", change: () => change({ trained: trained.checked }) });
  const choice = h("label", { class: "explorable-choice" }, trained, " leave failed runs out");

  const { node: summary, say } = announcer();
  const svg = h("svg", { class: "seed-intervals", role: "img" });
  const view = h("div", { class: "seed-intervals-view" }, svg);
  const cells = {};
  const row = (key, ...name) => h("tr", { "data-row": key }, h("th", { scope: "row" }, ...name), h("td", {}, (cells[key] = h("data"))));
  const table = h(
    "table",
    {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "over 2,000 experiments"), h("th", { scope: "col" }, "value"))),
    h(
      "tbody",
      {},
      row("covered", "share of intervals that hold the truth"),
      row("decided", "share of experiments that exclude zero"),
      row("truth", "truth, in points"),
    ),
  );
  el.append(h("div", { class: "explorable-controls" }, seeds.node, gap.node, failing.node, choice), view, summary, table);

  function change(part) {
    state = { ...state, ...part };
    now = experiments(state);
    seeds.set(state.seeds);
    gap.set(state.gap);
    failing.set(Math.round(100 * state.failing));
    trained.checked = state.trained;
    for (const [key, cell] of Object.entries(cells)) show(cell, now[key], 2);
    const words =
      `With ${state.seeds} seeds, ${format(100 * now.covered, 0)} % of the intervals hold the truth, ${format(now.truth, 1)} points, where 95 % should; ` +
      `${format(100 * now.decided, 0)} % of the experiments exclude zero.`;
    set(svg, { "aria-label": `Intervals of the first ${SHOWN} experiments. ${words}` });
    say(words);
    draw();
  }

  function draw() {
    const width = Math.round(view.clientWidth);
    if (!width || !now) return;
    const [low, high] = REACH;
    const x = (v) => 4 + ((width - 8) * (Math.min(Math.max(v, low), high) - low)) / (high - low);
    const bottom = TOP + SHOWN * ROW;
    set(svg, { viewBox: `0 0 ${width} ${bottom + FOOT}`, width, height: bottom + FOOT });
    const upright = (name, v) => h("line", { class: name, x1: x(v), x2: x(v), y1: TOP - 4, y2: bottom });
    const lines = now.intervals.slice(0, SHOWN).flatMap((interval, i) =>
      Number.isFinite(interval.low)
        ? [h("line", { class: `interval ${interval.holds ? "holds" : "misses"}`, x1: x(interval.low), x2: x(interval.high), y1: TOP + i * ROW + 4, y2: TOP + i * ROW + 4 })]
        : [],
    );
    const marks = [0, 10, 20, 30, 40].map((v) => h("text", { class: "tick", x: x(v), y: bottom + 16, "text-anchor": "middle" }, format(v, 0)));
    const name = h("text", { class: "name", x: 4, y: 12 }, "dashed: the truth; full: no gap");
    svg.replaceChildren(upright("zero", 0), ...lines, upright("truth", now.truth), ...marks, name);
  }

  onWidth(view, draw);
  change({});
}
