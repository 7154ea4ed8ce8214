// The sphere ‖w‖² = c and the plane 1ᵀw = 0 for n = 3: one step of gradient descent, three ways, to be dragged.

import { animate, announcer, format, h, math, onWidth, set, show, slider } from "./shared.js";
import { add, dot, norm, step, subtract } from "./projection.js";
import { angleOf, camera, heightOf, onSphere } from "./space.js";
import { drawScene, sign } from "./sphere-scene.js";

const DEGREE = Math.PI / 180;
const PLANE = 2.05; // radius of the disc that stands for the plane
const START = { angle: 290, height: 0, g: [-1.65, 0.3, -0.1], lr: 1, c: 2, turn: -48, tilt: 28 };
const LIMIT = 2; // of each component of the gradient
const OFF = 25; // degrees off the plane where "start off-centre" puts the weight

const ROWS = [
  { key: "w", name: "weight", formula: "w" },
  { key: "g", name: "gradient", formula: "g" },
  { key: "plain", name: "plain step", formula: "w − αg" },
  { key: "centred", name: "centred step", formula: "w − αPg" },
  { key: "onPlane", name: "all centred", formula: "P(w − αg)", off: true },
  { key: "projected", name: "projected", formula: "w⁺" },
  { key: "printed", name: "Eq. 11 as printed", formula: "", off: true },
];
const FACTS = [
  { key: "moved", name: "distance moved", formula: "‖w⁺ − w‖" },
  { key: "angle", name: "angle turned", formula: "∠(w, w⁺)", unit: "°", factor: 1 / DEGREE, digits: 1 },
  { key: "keep", name: "factor on w", formula: "1 − β" },
  { key: "effective", name: "factor on Pg", formula: "α′" },
];

// Everything that the figure shows follows from this: angles in degrees, as the inputs hold them.
export function scene({ angle, height, g, lr, c }) {
  const w = onSphere(Math.sqrt(c), angle * DEGREE, height * DEGREE);
  return { w, g, lr, c, ...step({ w, g, lr, c }) };
}

export function render(el, data) {
  const start = { ...START, ...data };
  let state, trace, finish, zoom, drag;
  const memory = new Map();
  const off = () => Math.abs(state.height) > 1e-9;

  const svg = h("svg", { class: "sphere", role: "group", "aria-label": "Sphere, plane and step, seen in space" });
  const backdrop = h("g", { "aria-hidden": "true" });
  const labels = h("g", { "aria-hidden": "true", class: "sphere-labels" });
  const weight = handle("w", "Weight on its circle", { "aria-valuemin": 0, "aria-valuemax": 360 }, (k, big) =>
    change({ angle: (state.angle + k[0] * (big ? 15 : 3) + k[1] * (big ? 15 : 3) + 720) % 360 }),
  );
  const gradient = handle("g", "Tip of the gradient, in the plane of the screen", {}, (k, big) => {
    const size = (big ? 0.25 : 0.05) * zoom;
    change({ g: clamp(add(state.g, view().from(k[0] * size, -k[1] * size))) });
  });
  svg.append(backdrop, labels, gradient, weight);

  const { node: summary, say } = announcer();
  const angle = slider({ label: "angle", min: 0, max: 360, step: 1, digits: 0, unit: "°", input: (x) => change({ angle: x }) });
  const height = slider({ label: "off the plane", min: -60, max: 60, step: 1, digits: 0, unit: "°", input: (x) => change({ height: x }) });
  const parts = [0, 1, 2].map((i) =>
    slider({ label: `g${"₁₂₃"[i]}`, min: -LIMIT, max: LIMIT, step: 0.05, input: (x) => change({ g: state.g.with(i, x) }) }),
  );
  const lr = slider({ label: "learning rate α", min: 0, max: 2, step: 0.01, input: (x) => change({ lr: x }) });
  const c = slider({ label: "squared norm c", min: 0.5, max: 3.5, step: 0.01, input: (x) => change({ c: x }) });
  const turn = slider({ label: "turn", min: -180, max: 180, step: 1, digits: 0, unit: "°", input: (x) => change({ turn: x }) });
  const tilt = slider({ label: "tilt", min: -85, max: 85, step: 1, digits: 0, unit: "°", input: (x) => change({ tilt: x }) });
  const offCentre = h("input", { type: "checkbox", change: () => change({ height: offCentre.checked ? OFF : 0 }) });
  const follow = h(
    "select",
    {},
    h("option", { value: "projected" }, "the projection"),
    h("option", { value: "printed" }, "Eq. 11 as printed"),
  );
  const followLabel = h("label", { class: "explorable-choice" }, "step to ", follow);
  const go = h("button", { type: "button", class: "explorable-primary", click: () => takeStep() }, "Take the step");
  const reset = h("button", { type: "button", click: () => restart() }, "Reset");

  const cells = {};
  const points = h(
    "table",
    {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "point ", math("x")), h("th", { scope: "col" }, math("‖x‖²")), h("th", { scope: "col" }, math("1ᵀx")))),
    h(
      "tbody",
      {},
      ...ROWS.map(({ key, name, formula }) => {
        cells[key] = { length2: h("data"), offset: h("data") };
        const head = h("th", { scope: "row" }, sign(key), math(formula), " ", h("small", {}, name));
        cells[key].row = h("tr", { "data-row": key }, head, h("td", {}, cells[key].length2), h("td", {}, cells[key].offset));
        return cells[key].row;
      }),
    ),
  );
  const facts = h(
    "table",
    {},
    h("tbody", {}, ...FACTS.map(({ key, name, formula, unit }) => {
      cells[key] = h("data");
      const head = h("th", { scope: "row" }, math(formula), " ", h("small", {}, name));
      return h("tr", { "data-row": key }, head, h("td", {}, cells[key], unit ?? ""));
    })),
  );
  cells.beta = h("data");
  const verdict = h("span");
  const betaHead = h("th", { scope: "row" }, math("β"), " ", h("small", {}, "the old weight ", verdict));
  facts.tBodies[0].append(h("tr", { "data-row": "beta" }, betaHead, h("td", {}, cells.beta)));

  const group = (name, ...children) => h("fieldset", {}, h("legend", {}, name), ...children);
  const view3d = h("div", { class: "sphere-view" }, svg);
  const startChoice = h("label", { class: "explorable-choice" }, offCentre, " start off-centre");
  el.append(
    h(
      "div",
      { class: "sphere-layout" },
      view3d,
      h("div", { class: "explorable-buttons" }, go, reset, startChoice, followLabel),
      summary,
      h(
        "div",
        { class: "explorable-controls" },
        group("Weight", angle.node, height.node),
        group("Gradient", ...parts.map((p) => p.node)),
        group("Step", lr.node, c.node),
        group("View", turn.node, tilt.node),
      ),
      h("div", { class: "sphere-numbers" }, points, facts),
    ),
  );

  // A step under way ends before anything else happens, so that it cannot undo it later.
  function settle() {
    const end = finish;
    finish = null;
    end?.();
  }

  function restart() {
    settle();
    trace = [];
    memory.clear();
    follow.value = "projected";
    change({ ...start, g: [...start.g] });
  }

  function change(part) {
    settle();
    const before = state;
    state = { ...state, ...part };
    // A trail that another radius or height would leave hanging in the air is no trail of this figure any more.
    if (before && ("c" in part || "height" in part) && !("keepTrace" in part)) trace = [];
    update();
  }

  function takeStep() {
    settle();
    const now = scene(state);
    const next = follow.value === "printed" && off() ? now.printed : now.projected;
    const via = follow.value === "printed" && off() ? [now.w, now.plain, now.centred, next] : [now.w, now.plain, now.onPlane, next];
    finish = animate(
      1100,
      (t) => draw(alongPath(via, ease(t))),
      () => {
        finish = null;
        trace = [...trace, now.w].slice(-60);
        const height = heightOf(next) / DEGREE;
        change({ angle: (angleOf(next) / DEGREE + 360) % 360, height: Math.abs(height) < 1e-9 ? 0 : height, keepTrace: true });
      },
    );
  }

  function update() {
    const now = scene(state);
    angle.set(state.angle);
    height.set(state.height);
    parts.forEach((p, i) => p.set(state.g[i]));
    lr.set(state.lr);
    c.set(state.c);
    turn.set(state.turn);
    tilt.set(state.tilt);
    offCentre.checked = off();
    height.node.hidden = followLabel.hidden = !off();
    for (const { key, off: extra } of ROWS) {
      show(cells[key].length2, dot(now[key], now[key]));
      show(cells[key].offset, now[key].reduce((a, b) => a + b));
      cells[key].row.hidden = Boolean(extra) && !off();
    }
    for (const { key, factor = 1, digits = 3 } of FACTS) show(cells[key], now[key] * factor, digits);
    show(cells.beta, now.beta);
    verdict.textContent = fate(now);
    set(weight, {
      "data-at": now.w.join(" "),
      "aria-valuenow": Math.round(state.angle),
      "aria-valuetext": `angle ${format(state.angle, 0)} degrees, w = (${now.w.map((x) => format(x, 2)).join(", ")})`,
    });
    set(gradient, {
      "data-at": state.g.join(" "),
      "aria-valuenow": format(norm(state.g), 2),
      "aria-valuetext": `g = (${state.g.map((x) => format(x, 2)).join(", ")})`,
    });
    say(describe(now, off()));
    draw();
  }

  const view = () => {
    const size = svg.viewBox.baseVal;
    return camera({ turn: state.turn * DEGREE, tilt: state.tilt * DEGREE, zoom, x: size.width / 2, y: size.height / 2 });
  };

  function draw(ghost = null) {
    const { width, height: tall } = svg.viewBox.baseVal;
    if (!width || !state) return;
    const now = scene(state);
    if (!drag) {
      const points = [now.plain, now.centred, add(now.w, now.g)].map((p) => norm(p) + 0.2);
      zoom = Math.min((width / 2 - 4) / Math.max(PLANE, ...points), (tall / 2 - 6) / (1.22 * Math.sqrt(state.c)));
    }
    const camera3d = view();
    drawScene({ backdrop, labels, now, camera: camera3d, off: off(), trace, ghost, plane: PLANE, width, height: tall, memory });
    place(weight, camera3d.to(now.w));
    place(gradient, camera3d.to(add(now.w, now.g)));
  }

  onWidth(view3d, (width) => {
    const tall = Math.round(Math.min(width * 0.76, 440));
    set(svg, { viewBox: `0 0 ${width} ${tall}`, width, height: tall });
    draw();
  });

  // Pointer: the handles, and the background to look from elsewhere.
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    settle();
    const target = event.target.closest(".sphere-handle") ?? svg;
    drag = { target, from: at(event), g: state.g, turn: state.turn, tilt: state.tilt };
    target.setPointerCapture(event.pointerId);
    if (target !== svg) {
      target.focus({ preventScroll: true });
      event.preventDefault();
    }
  });
  // A finger on a handle must not scroll the page; touch-action would say so, but not on parts of an SVG.
  const keepPage = (event) => event.target.closest(".sphere-handle") && event.preventDefault();
  svg.addEventListener("touchstart", keepPage, { passive: false });
  svg.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const to = at(event);
    const dx = to.x - drag.from.x;
    const dy = to.y - drag.from.y;
    if (drag.target === weight) change({ angle: nearestAngle(to) });
    else if (drag.target === gradient) change({ g: clamp(add(drag.g, view().from(dx, dy))) });
    else change({ turn: ((drag.turn - dx * 0.5 + 540) % 360) - 180, tilt: Math.min(85, Math.max(-85, drag.tilt + dy * 0.4)) });
  });
  for (const end of ["pointerup", "pointercancel"]) {
    svg.addEventListener(end, () => {
      drag = null;
      draw();
    });
  }

  // The angle whose point is nearest to the pointer on screen; of two on one line of sight, the one nearer to where w was.
  function nearestAngle(pointer) {
    const eye = view();
    const cost = (degrees) => {
      const p = eye.to(onSphere(Math.sqrt(state.c), degrees * DEGREE, state.height * DEGREE));
      const away = Math.abs(((degrees - state.angle + 540) % 360) - 180);
      return Math.hypot(p.x - pointer.x, p.y - pointer.y) + 0.12 * away;
    };
    let best = state.angle;
    for (let d = 0; d < 360; d += 0.5) if (cost(d) < cost(best)) best = d;
    return best;
  }

  restart();
}

const clamp = (g) => g.map((x) => Math.min(LIMIT, Math.max(-LIMIT, x)));
const ease = (t) => t * t * (3 - 2 * t);

// The point at t in [0, 1] of a broken line, each leg taking the same time.
function alongPath(points, t) {
  const leg = Math.min(Math.floor(t * (points.length - 1)), points.length - 2);
  const s = t * (points.length - 1) - leg;
  return add(points[leg], subtract(points[leg + 1], points[leg]).map((x) => s * x));
}

// A focusable handle: arrow keys call move([±1 or 0, ±1 or 0], shift).
function handle(key, label, extra, move) {
  const keys = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const node = h(
    "g",
    { class: `sphere-handle sphere-handle-${key}`, tabindex: 0, role: "slider", "aria-label": label, ...extra },
    h("circle", { class: "sphere-touch", r: 20 }),
    h("circle", { class: "sphere-focus", r: 13 }),
    sign(key, 7),
  );
  node.addEventListener("keydown", (event) => {
    if (!(event.key in keys)) return;
    event.preventDefault();
    move(keys[event.key], event.shiftKey);
  });
  return node;
}

const place = (node, p) => set(node, { transform: `translate(${p.x.toFixed(1)} ${p.y.toFixed(1)})` });

// The state in words, for who does not see the picture and for who wants to be told what it shows.
function describe(now, off) {
  const fall = now.plain.reduce((a, b) => a + b);
  const first = `The plain step ends at squared norm ${format(dot(now.plain, now.plain), 2)} with its entries summing to ${format(fall, 2)}.`;
  if (now.degenerate) return `${first} Its centred part is zero, so every point of the circle is as near: a fixed one is taken.`;
  const turned = `Projected, the weight moves ${format(now.moved, 2)} and turns by ${format(now.angle / DEGREE, 0)}°; the old weight ${fate(now)}, multiplied by ${format(now.keep, 2)}.`;
  const printed = off ? ` Eq. 11 as printed keeps an offset: its entries sum to ${format(now.printedOffset, 2)}, not to 0.` : "";
  return `${first} ${turned}${printed}`;
}

// What Eq. 12 does to the old weight: β has either sign.
function fate({ degenerate, beta }) {
  if (degenerate) return "has no factor";
  return beta > 1e-9 ? "shrinks" : beta < -1e-9 ? "grows" : "stays";
}
