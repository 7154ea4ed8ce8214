// A reparameterized row under SGD: how its length, its gradient and its turning settle, or explode, step by step.

import { animate, announcer, h, math, onWidth, set, show } from "./shared.js";
import { STEPS, simulate } from "./equilibrium-dynamics.js";
import { magnitude, powerSlider } from "./equilibrium-controls.js";
import { PANELS, STOPS, drawPanels } from "./equilibrium-plot.js";
import { tell } from "./equilibrium-words.js";

const FAN_IN = 144; // 16 channels of 3×3
const START = { lr: 0.1, weight_decay: 5e-4, r0: Math.SQRT2, gradient: 1, fade: 1 };
const PRESETS = [
  { name: "He’s start", ...START },
  { name: "no decay", ...START, weight_decay: 0 },
  { name: "small start", ...START, r0: 0.02 },
  { name: "long start", ...START, r0: 20, weight_decay: 5e-3 },
  { name: "strong decay", ...START, lr: 0.5, weight_decay: 0.05, gradient: 0.05 },
  { name: "fades and returns", ...START, weight_decay: 0.05, fade: 0.01 },
];
const COLUMNS = ["first", "step", "settled", "ours"];

export function render(el, data) {
  let state = { c: 2, ...START, ...data };
  let step = STEPS;
  let run, finish, stepAt;

  const sliders = {
    lr: powerSlider({ label: "learning rate α", low: -3, high: 0, input: (lr) => change({ lr }) }),
    weight_decay: powerSlider({ label: "weight decay λ", low: -5, high: -1, off: true, input: (x) => change({ weight_decay: x }) }),
    r0: powerSlider({ label: "first length r₀", low: -2, high: 2, input: (r0) => change({ r0 }) }),
    gradient: powerSlider({ label: "gradient size G", low: -2, high: 1, input: (gradient) => change({ gradient }) }),
    fade: powerSlider({ label: "factor on G, steps 301–3,000", low: -3, high: 0, input: (fade) => change({ fade }) }),
  };
  const presets = PRESETS.map(({ name, ...setting }) => ({
    setting,
    node: h("button", { type: "button", click: () => travel(setting) }, name),
  }));
  const { node: summary, say } = announcer();

  const svg = h("svg", { class: "equilibrium", role: "img" });
  const view = h("div", { class: "equilibrium-view" }, svg);
  const cursor = h("input", { type: "range", min: 0, max: STOPS.length - 1, step: 1, "aria-label": "step under the cursor" });
  const cursorText = h("data");
  cursor.addEventListener("input", () => look(STOPS[cursor.valueAsNumber]));
  const cursorNode = h("label", { class: "explorable-slider equilibrium-cursor" }, h("span", {}, "step under the cursor"), cursorText, cursor);

  const cells = {};
  const stepHead = h("th", { scope: "col" });
  const columns = [h("th", { scope: "col" }, "first step"), stepHead, h("th", { scope: "col" }, "equilibrium"), h("th", { scope: "col" }, "CWO")];
  const rows = PANELS.map(({ key, title, symbol }) => {
    cells[key] = COLUMNS.map(() => h("data"));
    const head = h("th", { scope: "row" }, math(symbol), " ", h("small", {}, title.split(" ")[0]));
    return h("tr", { "data-row": key }, head, ...cells[key].map((cell) => h("td", {}, cell)));
  });
  const table = h("table", { class: "equilibrium-table" }, h("thead", {}, h("tr", {}, h("td"), ...columns)), h("tbody", {}, ...rows));

  const fact = (key, ...name) => {
    cells[key] = h("data");
    return h("tr", { "data-row": key }, h("th", { scope: "row" }, ...name), h("td", {}, cells[key]));
  };
  const noBalance = h("small");
  const facts = h(
    "table",
    {},
    h(
      "tbody",
      {},
      fact("sigma", math("σ"), h("sub", {}, "w"), " ", h("small", {}, `of ${FAN_IN} weights at r₀`)),
      fact("largest", "largest gradient"),
      fact("until", "steps until ", math("r"), " is within 10\u00a0% of\u00a0", math("r*"), " ", noBalance),
    ),
  );

  el.append(
    h(
      "div",
      { class: "equilibrium-layout" },
      h("div", { class: "explorable-buttons", role: "group", "aria-label": "Settings that show one thing each" }, ...presets.map(({ node }) => node)),
      summary,
      h("div", { class: "equilibrium-plots" }, legend(), view, cursorNode),
      h("div", { class: "equilibrium-side" }, ...Object.values(sliders).map(({ node }) => node), facts),
      table,
    ),
  );

  // A journey to a preset ends before anything else happens, so that it cannot undo it later.
  function settle() {
    const end = finish;
    finish = null;
    end?.();
  }

  function change(part) {
    settle();
    update({ ...state, ...part });
  }

  function travel(target) {
    settle();
    const from = state;
    finish = animate(
      500,
      (t) => update(between(from, { ...from, ...target }, t)),
      () => {
        finish = null;
        update({ ...from, ...target });
      },
    );
  }

  function update(next) {
    state = next;
    run = simulate(state);
    for (const key of Object.keys(sliders)) sliders[key].set(state[key]);
    for (const { node, setting } of presets) node.setAttribute("aria-pressed", Object.keys(setting).every((key) => setting[key] === state[key]));
    put(cells.sigma, state.r0 / Math.sqrt(FAN_IN));
    put(cells.largest, run.largest);
    show(cells.until, run.until, 0);
    const never = state.weight_decay === 0;
    cells.until.textContent = never ? "never" : Number.isFinite(run.until) ? run.until.toLocaleString("en") : ">\u00a010,000";
    noBalance.textContent = never ? "(without decay there is none)" : "";
    say(tell(run));
    look(step);
  }

  function look(t) {
    step = t;
    cursor.value = STOPS.indexOf(step);
    cursorText.value = step;
    cursorText.textContent = step.toLocaleString("en");
    cursor.setAttribute("aria-valuetext", `step ${step}`);
    stepHead.textContent = `step ${step.toLocaleString("en")}`;
    const seen = { first: run.at(1), step: run.at(step), settled: run.settledAt(step), ours: run.oursAt(step) };
    for (const { key } of PANELS) {
      COLUMNS.forEach((column, i) => {
        const none = column === "settled" && !Number.isFinite(run.settled.length);
        put(cells[key][i], none ? Infinity : seen[column][key], key === "angle" ? "°" : "");
      });
    }
    const words = PANELS.map(({ key, title }) => `${title.split(" ")[0]} ${magnitude(seen.step[key])}, CWO ${magnitude(seen.ours[key])}`);
    set(svg, { "aria-label": `Length, gradient and angle of each of 10,000 steps. At step ${step}: ${words.join("; ")}.` });
    draw();
  }

  function draw() {
    const width = Math.round(view.clientWidth);
    if (width > 0) stepAt = drawPanels(svg, run, step, width);
  }

  const follow = (event) => {
    if (event.type === "pointermove" && event.pointerType !== "mouse" && event.buttons === 0) return;
    const t = stepAt(event.clientX - svg.getBoundingClientRect().left);
    if (t !== step) look(t);
  };
  svg.addEventListener("pointerdown", follow);
  svg.addEventListener("pointermove", follow);

  update(state);
  onWidth(view, draw);
}

// Rounded to three digits in the page, exact in its `value`.
function put(node, x, unit = "") {
  node.textContent = magnitude(x) + (Number.isFinite(x) ? unit : "");
  node.value = String(x);
}

// The setting a part t of the way from one to another, in equal factors; no decay counts as hardly any.
function between(from, to, t) {
  const mix = (a, b) => (a === b ? a : Math.exp((1 - t) * Math.log(a || 1e-6) + t * Math.log(b || 1e-6)));
  return Object.fromEntries(Object.keys(to).map((key) => [key, mix(from[key], to[key])]));
}

function legend() {
  const entry = (of, text, dash) => {
    const line = h("path", { class: of, d: "M0 6H36", "stroke-dasharray": dash });
    return h("span", {}, h("svg", { class: "equilibrium equilibrium-key", viewBox: "0 0 36 12", width: 36, height: 12, "aria-hidden": "true" }, line), ` ${text}`);
  };
  return h("p", { class: "equilibrium-legend" }, entry("path", "reparameterized", "18 4 8 4"), entry("settled", "its equilibrium"), entry("ours", "CWO"));
}
