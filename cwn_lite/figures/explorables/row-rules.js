// One step of a row of three weights by the rule of each idea: where the rule acts, and where it leads.

import { announcer, format, h, math, onWidth, placeLabels, set, show, slider, textWidth } from "./shared.js";
import { add, angleBetween, centre, dot, norm, project, scale, subtract } from "./projection.js";
import { camera, frontAndBack, onSphere, path } from "./space.js";

const C = 2;
const GRADIENT = [-1.65, 0.3, -0.1];
const PLANE = 2.05;
const DEGREE = Math.PI / 180;
const FONT = "italic 600 15px Georgia, serif";
const SELF = "the row itself";
const NONE = "none: the row stays where the step leads";
const PLAIN = "as it is";
const TO_SPHERE = "scaled back to the sphere";
const TO_BOTH = "to the nearest point of the circle: centred, then scaled";

// What a rule does in each place; a place that it leaves alone says what plain SGD does there.
export const RULES = {
  plain: { name: "SGD", where: [SELF, PLAIN, "by the rate times the gradient", NONE] },
  muon: { name: "Muon", where: [SELF, "made of length one; of many rows, the polar factor", "by the rate times the row's length at the start", NONE] },
  mano: { name: "Mano", where: [SELF, "orthogonal to the row, then of length one", "of a size of its own, whatever the row", NONE] },
  ngpt: { name: "nGPT (rows)", where: [SELF, PLAIN, "by the rate times the gradient", TO_SPHERE] },
  macro: { name: "MACRO, AngularMuown", where: [SELF, "orthogonal to the row; of many rows, the polar factor", "by an angle", TO_SPHERE] },
  ws: { name: "scaled WS", where: ["centred and scaled from a trained row behind it", "orthogonal to the row, over the trained row's length, by the chain rule", "of the trained row", "none: the trained row grows"] },
  nero: { name: "Nero", where: [SELF, "over its length", "by the rate times the row's length", TO_BOTH] },
  req: { name: "fixed rotation", where: [SELF, "centred and orthogonal to the row, then over its length", "by an angle", TO_BOTH] },
  cwo: { name: "CWO", where: [SELF, PLAIN, "by the rate times the gradient", TO_BOTH] },
};
const PLACES = ["forward", "gradient", "step", "return"];

const sphere = (v) => scale(Math.sqrt(C) / norm(v), v);
const unit = (v) => scale(1 / norm(v), v);

// The next row by each rule, as in cwn_lite/figures/row_rules.py.
export function after({ angle, size, rate, length }) {
  const root = Math.sqrt(C);
  const w = onSphere(root, angle * DEGREE);
  const g = scale(size, GRADIENT);
  const orthogonal = (d) => subtract(d, scale(dot(w, d) / C, w));
  const tangent = orthogonal(g);
  const both = orthogonal(centre(g));
  const plain = subtract(w, scale(rate, g));
  const turned = (d) => subtract(w, scale(rate * root, unit(d)));
  const points = {
    plain,
    muon: turned(g),
    mano: subtract(w, scale(rate * 0.2 * Math.sqrt(3), unit(tangent))),
    ngpt: sphere(plain),
    macro: sphere(turned(tangent)),
    ws: project(subtract(scale(length, w), scale(rate / length, both)), C),
    nero: project(turned(g), C),
    req: project(turned(both), C),
    cwo: project(plain, C),
  };
  const next = (point) => ({ point, square: dot(point, point), offset: point.reduce((a, b) => a + b, 0), turned: angleBetween(w, point) });
  return { w, g, next: Object.fromEntries(Object.entries(points).map(([name, point]) => [name, next(point)])) };
}

export function render(el, data) {
  let state = { rule: "cwo", angle: 290, size: 1, rate: 0.8, length: 1, turn: -48, ...data };
  if (!(state.rule in RULES)) throw new RangeError(`rule must be one of ${Object.keys(RULES).join(", ")}, got ${state.rule}`);
  const memory = new Map();
  let now;

  const options = Object.entries(RULES).map(([key, { name }]) => h("option", { value: key }, name));
  const select = h("select", { "aria-label": "rule" }, ...options);
  select.addEventListener("change", () => change({ rule: select.value }));
  const choice = h("label", { class: "explorable-choice" }, "rule ", select);
  const input = (key) => (x) => change({ [key]: x });
  const sliders = {
    rate: slider({ label: "rate α", min: 0.05, max: 1.5, step: 0.05, input: input("rate") }),
    size: slider({ label: "gradient, times", min: 0.1, max: 3, step: 0.1, digits: 1, input: input("size") }),
    length: slider({ label: "trained row of WS, times", min: 0.5, max: 3, step: 0.1, digits: 1, input: input("length") }),
    angle: slider({ label: "where w stands", min: 0, max: 360, step: 5, digits: 0, unit: "°", input: input("angle") }),
    turn: slider({ label: "view", min: -180, max: 180, step: 4, digits: 0, unit: "°", input: input("turn") }),
  };

  const { node: summary, say } = announcer();
  const svg = h("svg", { class: "row-rules", role: "img" });
  const view = h("div", { class: "row-rules-view" }, svg);
  const where = PLACES.map(() => h("dd"));
  const list = h("dl", { class: "row-rules-where" }, ...PLACES.flatMap((place, i) => [h("dt", {}, place), where[i]]));
  const cells = {};
  const fact = (key, name, sign) => h("tr", { "data-row": key }, h("th", { scope: "row" }, name, " ", math(sign)), h("td", {}, (cells[key] = h("data"))));
  const table = h("table", {}, h("tbody", {}, fact("square", "squared norm", "‖w⁺‖²"), fact("offset", "sum", "1ᵀw⁺"), fact("turned", "turned by, in radians", "∠(w, w⁺)")));
  el.append(
    h("div", { class: "explorable-buttons" }, choice),
    h("div", { class: "row-rules-layout" }, view, h("div", {}, list, table)),
    summary,
    h("div", { class: "explorable-controls" }, ...Object.values(sliders).map((s) => s.node)),
  );

  function change(part) {
    state = { ...state, ...part };
    now = after(state);
    const { name, where: texts } = RULES[state.rule];
    const found = now.next[state.rule];
    select.value = state.rule;
    for (const [key, s] of Object.entries(sliders)) s.set(state[key]);
    for (const [i, node] of where.entries()) {
      node.textContent = texts[i];
      node.dataset.acts = String(texts[i] !== RULES.plain.where[i]);
    }
    for (const [key, cell] of Object.entries(cells)) show(cell, found[key]);
    const kept = [
      Math.abs(found.square - C) < 1e-9 ? "the norm is kept" : `the squared norm goes from 2 to ${format(found.square, 2)}`,
      Math.abs(found.offset) < 1e-9 ? "the sum stays zero" : `the sum becomes ${format(found.offset, 2)}`,
    ];
    const words = `${name}: the row turns by ${format(found.turned, 2)} radians; ${kept.join(", ")}. Return: ${texts[3]}.`;
    set(svg, { "aria-label": `Sphere, plane, a row and where one step takes it. ${words}` });
    say(words);
    draw();
  }

  function draw() {
    const width = Math.round(view.clientWidth);
    if (!width || !now) return;
    const height = Math.round(Math.min(0.8 * width, 300));
    const radius = Math.sqrt(C);
    const eye = camera({ turn: state.turn * DEGREE, tilt: 28 * DEGREE, zoom: Math.min(width, 1.3 * height) / 4.7, x: width / 2, y: height / 2 });
    const both = (className, curve) => {
      const { front, back } = frontAndBack(curve, eye);
      return [h("path", { class: `${className} back`, d: back }), h("path", { class: className, d: front })];
    };
    const line = (className, a, b) => h("path", { class: className, d: path([eye.to(a), eye.to(b)]) });
    const spot = (className, p, r, key) => h("circle", { class: className, cx: eye.to(p).x, cy: eye.to(p).y, r, ...(key ? { "data-rule": key } : {}) });
    const origin = eye.to([0, 0, 0]);
    const disc = Array.from({ length: 96 }, (_, i) => eye.to(onSphere(PLANE, (i * Math.PI) / 48)));
    const chosen = now.next[state.rule].point;
    // Only the direction of the gradient is drawn: its length is the slider's.
    const tip = add(now.w, scale(0.35 + 0.2 * state.size, unit(now.g)));
    const shapes = [
      h("path", { class: "plane", d: path(disc) + "z" }),
      h("circle", { class: "ball", cx: origin.x, cy: origin.y, r: eye.zoom * radius }),
      ...both("rim", (t) => onSphere(PLANE, t)),
      ...[-60, -30, 30, 60].flatMap((height) => both("grid", (t) => onSphere(radius, t, height * DEGREE))),
      ...both("feasible", (t) => onSphere(radius, t)),
      line("spoke", [0, 0, 0], now.w),
      line("way way-g", now.w, tip),
      ...Object.entries(now.next).map(([key, { point }]) => spot("spot", point, 3.5, key)),
      line("way", now.w, chosen),
      spot("spot-w", now.w, 6),
      spot("spot-g", tip, 3.5),
      spot("spot-now", chosen, 7),
    ];
    const at = { w: eye.to(now.w), "w⁺": eye.to(chosen), g: eye.to(tip) };
    const items = Object.entries(at).map(([key, p]) => ({ key, ...p, w: textWidth(key, FONT) + 2, h: 17, gap: 9 }));
    const points = Object.values(at).map(({ x, y }) => ({ x, y, r: 8 }));
    const lines = [[at.w.x, at.w.y, at["w⁺"].x, at["w⁺"].y], [at.w.x, at.w.y, at.g.x, at.g.y]];
    const names = placeLabels(items, { points, lines, width, height, memory }).map((box) =>
      h("text", { class: "name", x: box.x, y: box.y + box.h - 4 }, box.key),
    );
    set(svg, { viewBox: `0 0 ${width} ${height}`, width, height });
    svg.replaceChildren(...shapes, ...names);
  }

  onWidth(view, draw);
  change({});
}
