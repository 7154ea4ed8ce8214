// A row that turns on its circle, and the exponential average of all that it was: how far inside the sphere that lies.

import { announcer, format, h, math, onWidth, set, show, slider } from "./shared.js";

export const DECAYS = [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999];
const SHOWN = 5;
const DOTS = 100;
const SIDE = 200;
const KEYS = [
  ["row", "the row, so far"],
  ["average", "their average"],
  ["projected", "projected"],
];

// a = d a + (1 − d) w, for a row that turns by ω per step: always the same way, or either way at random.
export function average({ decay: d, angle }) {
  const turn = d * Math.cos(angle);
  return {
    age: d / (1 - d),
    steady: (1 - d) / Math.sqrt(1 - 2 * turn + d * d),
    lag: Math.atan2(d * Math.sin(angle), 1 - turn),
    random: Math.sqrt(((1 - d) * (1 + turn)) / ((1 + d) * (1 - turn))),
  };
}

export function render(el, data) {
  let state = { decay: 0.99, angle: 0.015, ...data };
  if (!DECAYS.includes(state.decay)) throw new RangeError(`decay must be one of ${DECAYS.join(", ")}, got ${state.decay}`);
  let now;

  const range = h("input", { type: "range", min: 0, max: DECAYS.length - 1, step: 1, "aria-label": "decay d" });
  const text = h("data");
  range.addEventListener("input", () => change({ decay: DECAYS[range.valueAsNumber] }));
  const decay = h("label", { class: "explorable-slider" }, h("span", {}, "decay ", math("d")), text, range);
  const angle = slider({ label: "angle per step ω", min: 0, max: 0.5, step: 0.005, digits: 3, unit: " rad", input: (x) => change({ angle: x }) });

  const { node: summary, say } = announcer();
  const svg = h("svg", { class: "weight-average", role: "img" });
  const view = h("div", { class: "weight-average-view" }, svg);
  const cells = {};
  const row = (key, name) => h("tr", { "data-row": key }, h("th", { scope: "row" }, name), h("td", {}, (cells[key] = h("data"))));
  const table = h(
    "table",
    {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "the average"), h("th", { scope: "col" }, "value"))),
    h(
      "tbody",
      {},
      row("age", "mean age of its rows, in steps"),
      row("steady", "length over a row's, turning one way"),
      row("lag", "angle behind the newest row, in rad"),
      row("random", "length over a row's, turning at random"),
    ),
  );
  el.append(h("div", { class: "explorable-controls" }, decay, angle.node), view, summary, table);

  function change(part) {
    state = { ...state, ...part };
    now = average(state);
    range.value = DECAYS.indexOf(state.decay);
    text.textContent = text.value = String(state.decay);
    set(range, { "aria-valuetext": String(state.decay) });
    angle.set(state.angle);
    for (const [key, cell] of Object.entries(cells)) show(cell, now[key], key === "age" ? 0 : 3);
    const words =
      `Decay ${state.decay}, ${format(state.angle, 3)} rad per step. Turning one way, the average has ${format(now.steady, 3)} of a row's length and lies ` +
      `${format(now.lag, 3)} rad behind. Turning either way at random, it has ${format(now.random, 3)} of it in the root mean square.`;
    set(svg, { "aria-label": `A circle of rows and their average inside. ${words}` });
    say(words);
    draw();
  }

  function draw() {
    const width = Math.round(view.clientWidth);
    if (!width || !now) return;
    const side = Math.min(SIDE, width - 128);
    const radius = side / 2 - 8;
    const middle = side / 2;
    set(svg, { viewBox: `0 0 ${width} ${SIDE}`, width, height: SIDE });
    const x = (length, back) => middle + length * radius * Math.sin(back);
    const y = (length, back) => middle - length * radius * Math.cos(back);
    const last = Math.max(1, Math.ceil(SHOWN * now.age));
    const stride = Math.max(1, Math.floor(last / DOTS));
    const dots = [];
    for (let age = 0; age < last; age += stride) {
      dots.push(h("circle", { class: "dot", cx: x(1, age * state.angle), cy: y(1, age * state.angle), r: 3, "fill-opacity": state.decay ** age }));
    }
    const point = (key, length, back) =>
      h("circle", { class: `bead bead-${key}`, cx: x(length, back), cy: y(length, back), r: 5, "data-length": String(length), "data-back": String(back) });
    const keys = KEYS.flatMap(([key, name], i) => [
      h("circle", { class: `bead bead-${key}`, cx: side + 10, cy: 24 + 26 * i, r: 5 }),
      h("text", { class: "key", x: side + 20, y: 28 + 26 * i }, name),
    ]);
    const random = [
      h("line", { class: "ring ring-random", x1: side + 3, x2: side + 17, y1: 102, y2: 102 }),
      h("text", { class: "key", x: side + 20, y: 106 }, "at random"),
    ];
    svg.replaceChildren(
      h("circle", { class: "ring", cx: middle, cy: middle, r: radius }),
      h("circle", { class: "ring ring-random", cx: middle, cy: middle, r: now.random * radius }),
      h("line", { class: "ring", x1: middle, y1: middle, x2: x(1, now.lag), y2: y(1, now.lag) }),
      ...dots,
      point("row", 1, 0),
      point("projected", 1, now.lag),
      point("average", now.steady, now.lag),
      ...keys,
      ...random,
    );
  }

  onWidth(view, draw);
  change({});
}
