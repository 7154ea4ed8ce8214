// A point cloud to turn: its family, its points, the neighbours of one of them, and what centring takes of its edges.

import { announcer, format, h, math, onWidth, set, show, slider } from "./shared.js";
import { alongOnes, graph, kept, pointsOf, seenFrom, turnedBy } from "./point-cloud-space.js";

export const COUNTS = [32, 64, 128, 256];
export const MOST = 20;
const BEGIN = { family: 0, points: 256, k: 10, chosen: 0, jitter: false, turn: 30, tilt: 20 };
const TAP = 5; // pixels by which a finger may slip
const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function render(el, data) {
  const { names, clouds, moves } = data;
  let state = { ...BEGIN, ...data.start };
  if (!COUNTS.includes(state.points)) throw new RangeError(`points must be one of ${COUNTS.join(", ")}, got ${state.points}`);
  if (!names[state.family]) throw new RangeError(`family must be under ${names.length}, got ${state.family}`);
  let now, drag;

  const family = h("select", { "aria-label": "family", change: () => change({ family: family.selectedIndex }) }, ...names.map((name) => h("option", {}, name)));
  const range = h("input", { type: "range", min: 0, max: COUNTS.length - 1, step: 1, "aria-label": "points" });
  const rangeText = h("data");
  range.addEventListener("input", () => change({ points: COUNTS[range.valueAsNumber] }));
  const points = h("label", { class: "explorable-slider" }, h("span", {}, "points"), rangeText, range);
  const whole = (label, min, max, key, unit = "") => slider({ label, min, max, step: 1, digits: 0, unit, input: (x) => change({ [key]: x }) });
  const k = whole("neighbours k", 1, MOST, "k");
  const chosen = whole("chosen point", 0, 255, "chosen");
  const turn = whole("turn", -180, 180, "turn", "°");
  const tilt = whole("tilt", -90, 90, "tilt", "°");
  const jitter = h("input", { type: "checkbox", change: () => change({ jitter: jitter.checked }) });

  const { node: summary, say } = announcer();
  const svg = h("svg", { class: "point-cloud", tabindex: 0, role: "group" });
  const view = h("div", { class: "point-cloud-view" }, svg);
  const cells = { reach: h("data"), kept: h("data"), share: h("data") };
  const row = (key, unit, ...name) => h("tr", { "data-row": key }, h("th", { scope: "row" }, ...name), h("td", {}, cells[key], unit));
  const table = h(
    "table",
    {},
    h(
      "tbody",
      {},
      row("reach", "", "farthest of the ", math("k"), " nearest"),
      row("kept", "\u00a0%", "neighbours that jitter leaves, all points"),
      row("share", "\u00a0%", "of all edges lies along ", math("(1, …, 1)")),
    ),
  );
  const top = h(
    "div",
    { class: "explorable-buttons" },
    h("label", { class: "explorable-choice" }, "family ", family),
    h("label", { class: "explorable-choice" }, jitter, " jitter"),
  );
  const inputs = h("div", { class: "explorable-controls" }, h("div", {}, turn.node, tilt.node), h("div", {}, points, k.node, chosen.node));
  const key = h("p", { class: "point-cloud-key" }, dot("chosen"), " chosen point ", dot("near"), " its nearest (it is the first)");
  el.append(top, view, key, inputs, summary, table);

  function change(part) {
    const was = state;
    state = { ...state, ...part };
    state.k = Math.min(state.k, state.points);
    state.chosen = Math.min(state.chosen, state.points - 1);
    const moved = ["family", "points", "k", "jitter"].some((name) => state[name] !== was[name]);
    if (!now || moved) now = space(state);
    now.turned = now.points.map((p) => turnedBy(p, state.turn));
    now.share = alongOnes(now.turned, now.neighbours);
    now.near = now.neighbours[state.chosen];
    now.reach = Math.hypot(...now.points[now.near.at(-1)].map((x, axis) => x - now.points[state.chosen][axis]));
    family.selectedIndex = state.family;
    range.value = COUNTS.indexOf(state.points);
    rangeText.textContent = rangeText.value = String(state.points);
    set(range, { "aria-valuetext": `${state.points} points` });
    set(chosen.range, { max: state.points - 1 });
    for (const [input, name] of [[k, "k"], [chosen, "chosen"], [turn, "turn"], [tilt, "tilt"]]) input.set(state[name]);
    jitter.checked = state.jitter;
    show(cells.reach, now.reach, 2);
    show(cells.kept, 100 * now.kept, 0);
    show(cells.share, 100 * now.share, 1);
    const words =
      `${names[state.family]}, ${state.points} points${state.jitter ? ", jittered" : ""}: the ${state.k} nearest of point ${state.chosen} lie within ${format(now.reach, 2)}. ` +
      `Jitter leaves ${format(100 * now.kept, 0)}\u00a0% of all neighbours as they are. Of the squared length of all edges, ` +
      `${format(100 * now.share, 1)}\u00a0% lies along (1, …, 1), where no centred row looks.`;
    set(svg, { "aria-label": `Point cloud in space, turned by ${format(state.turn, 0)}°, seen from ${format(state.tilt, 0)}° above. Arrow keys turn it. ${words}` });
    say(words);
    draw();
  }

  // What does not depend on where one looks from: no turn changes a distance, so none changes a neighbour.
  function space({ family, points, k, jitter }) {
    const [still, moved] = [false, true].map((on) => pointsOf(clouds[family], moves, points, on));
    const graphs = [graph(still, k), graph(moved, k)];
    return { points: jitter ? moved : still, neighbours: graphs[Number(jitter)], kept: kept(...graphs) };
  }

  function draw() {
    const width = Math.round(view.clientWidth);
    if (!width || !now) return;
    const tall = Math.round(Math.min(0.8 * width, 400));
    const zoom = tall / 2 - 12;
    set(svg, { viewBox: `0 0 ${width} ${tall}`, width, height: tall });
    now.screen = now.turned.map((p) => {
      const { right, up, towards } = seenFrom(p, state.tilt);
      return { x: width / 2 + zoom * right, y: tall / 2 - zoom * up, towards };
    });
    const order = now.screen.map((_, i) => i).sort((i, j) => now.screen[i].towards - now.screen[j].towards);
    const at = (i) => ({ cx: now.screen[i].x.toFixed(1), cy: now.screen[i].y.toFixed(1) });
    const front = (i) => (1 + Math.max(-1, Math.min(1, now.screen[i].towards))) / 2; // 0 at the back, 1 in front
    const own = now.screen[state.chosen];
    svg.replaceChildren(
      ...order.map((i) => h("circle", { class: "point", ...at(i), r: (1.7 + 1.3 * front(i)).toFixed(2), "fill-opacity": (0.3 + 0.6 * front(i)).toFixed(2), "data-point": i })),
      ...now.near.slice(1).map((j) => h("line", { class: "edge", x1: own.x, y1: own.y, x2: now.screen[j].x, y2: now.screen[j].y })),
      ...now.near.slice(1).map((j) => h("circle", { class: "near", ...at(j), r: 4.5, "data-near": j })),
      h("circle", { class: "chosen", ...at(state.chosen), r: 6.5, "data-chosen": state.chosen }),
    );
  }

  const spun = (x) => ((((x + 180) % 360) + 360) % 360) - 180;
  const lifted = (x) => Math.max(-90, Math.min(90, x));
  const place = (event) => {
    const box = svg.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  svg.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (!arrow) return;
    event.preventDefault();
    const step = event.shiftKey ? 15 : 5;
    change({ turn: spun(state.turn + step * arrow[0]), tilt: lifted(state.tilt + step * arrow[1]) });
  });
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    drag = { from: place(event), turn: state.turn, tilt: state.tilt, far: false };
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const { x, y } = place(event);
    const [dx, dy] = [x - drag.from.x, y - drag.from.y];
    drag.far ||= Math.hypot(dx, dy) > TAP;
    if (drag.far) change({ turn: Math.round(spun(drag.turn + 0.5 * dx)), tilt: Math.round(lifted(drag.tilt + 0.4 * dy)) });
  });
  // A tap chooses the point that is nearest on the screen; of two as near, the one in front.
  svg.addEventListener("pointerup", (event) => {
    if (drag && !drag.far) {
      const to = place(event);
      const cost = ({ x, y, towards }) => Math.hypot(x - to.x, y - to.y) - 2 * towards;
      const costs = now.screen.map(cost);
      change({ chosen: costs.indexOf(Math.min(...costs)) });
    }
    drag = null;
  });
  svg.addEventListener("pointercancel", () => (drag = null));

  onWidth(view, draw);
  change({});
}

// The sign of a kind of point, for the key.
const dot = (kind) => h("svg", { class: "point-cloud-sign", width: 16, height: 16, "aria-hidden": "true" }, h("circle", { class: kind, cx: 8, cy: 8, r: 5 }));
