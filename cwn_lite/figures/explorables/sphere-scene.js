// Draws the sphere, the plane and the step: quiet ink for the space, colour, shape and dash for the points.

import { h, placeLabels, textWidth } from "./shared.js";
import { add, norm, scale } from "./projection.js";
import { angleOf, frontAndBack, onSphere, path, UP } from "./space.js";

const NOTES = {
  w: "w",
  g: "g",
  plain: "w − αg",
  centred: "w − αPg",
  onPlane: "P(w − αg)",
  projected: "w⁺",
  printed: "Eq. 11",
};

const FONT = "italic 600 15px Georgia, serif"; // as wide as any that the style may choose
const HANDLES = { w: true, g: true };

const SHAPES = {
  circle: (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  square: (r) => `M${-r} ${-r}h${2 * r}v${2 * r}h${-2 * r}z`,
  diamond: (r) => `M0 ${-1.3 * r}L${1.3 * r} 0L0 ${1.3 * r}L${-1.3 * r} 0z`,
  triangle: (r) => `M0 ${-1.2 * r}L${1.15 * r} ${0.9 * r}H${-1.15 * r}z`,
  cross: (r) => `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}`,
};
const SHAPE = { w: "circle", g: "diamond", plain: "square", centred: "triangle", onPlane: "triangle", projected: "circle", printed: "cross" };

// The mark of a point: the same in the picture, in the table and on the handles.
export function sign(key, r = 0) {
  const mark = h("path", { class: `mark mark-${key}`, d: SHAPES[SHAPE[key]](r || 5) });
  if (r) return mark;
  return h("svg", { class: "sphere-key", viewBox: "-9 -9 18 18", width: 18, height: 18, "aria-hidden": "true" }, mark);
}

export function drawScene({ backdrop, labels, now, camera, off, trace, ghost, plane, width, height, memory }) {
  const radius = Math.sqrt(now.c);
  const origin = camera.to([0, 0, 0]);
  const line = (className, ...points) => h("path", { class: className, d: path(points.map((p) => camera.to(p))) });
  const shapes = [];

  // The space: plane, sphere, circles of equal 1ᵀw, the circle that is both.
  const rim = ring((t) => onSphere(plane, t), camera);
  const disc = frontAndBack((t) => onSphere(plane, t), camera);
  shapes.push(h("path", { class: "plane", d: path(rim) + "z" }));
  shapes.push(h("circle", { class: "ball", cx: origin.x, cy: origin.y, r: camera.zoom * radius }));
  shapes.push(h("path", { class: "plane-edge plane-back", d: disc.back }), h("path", { class: "plane-edge", d: disc.front }));
  for (const latitude of [-60, -30, 30, 60]) {
    const { front, back } = frontAndBack((t) => onSphere(radius, t, (latitude * Math.PI) / 180), camera);
    shapes.push(h("path", { class: "grid grid-back", d: back }), h("path", { class: "grid", d: front }));
  }
  for (let k = 0; k < 6; k++) {
    const { front } = frontAndBack((t) => onSphere(radius, (k * Math.PI) / 6, t), camera);
    shapes.push(h("path", { class: "grid", d: front }));
  }
  shapes.push(h("path", { class: "slice", d: path(ring((t) => onSphere(radius, t), camera)) + "z" }));
  const feasible = frontAndBack((t) => onSphere(radius, t), camera);
  shapes.push(h("path", { class: "feasible feasible-back", d: feasible.back }), h("path", { class: "feasible", d: feasible.front }));
  const pole = scale(radius * 1.2, UP);
  shapes.push(line("axis", scale(radius, UP), pole), head("axis-head", camera, scale(radius, UP), pole));

  // The step.
  const turned = off ? [] : arc(now.w, now.projected, radius);
  if (!off) shapes.push(line("turned", ...turned));
  const tip = add(now.w, now.g);
  const drop = off ? now.onPlane : now.centred;
  if (trace.length) {
    shapes.push(line("trail", ...trace, now.w));
    for (const p of trace) shapes.push(disk("trail-dot", camera.to(p), 2.5));
  }
  shapes.push(line("spoke", [0, 0, 0], now.w), disk("origin", origin, 2.5));
  shapes.push(line("arrow arrow-g", now.w, tip));
  shapes.push(line("arrow arrow-plain", now.w, now.plain), head("head head-plain", camera, now.w, now.plain));
  shapes.push(line("arrow arrow-centred", now.w, now.centred), head("head head-centred", camera, now.w, now.centred));
  shapes.push(line("arrow arrow-drop", now.plain, drop));
  shapes.push(line("arrow arrow-pull", norm(drop) > radius ? drop : [0, 0, 0], now.projected));
  if (norm(drop) <= radius) shapes.push(line("arrow arrow-pull", [0, 0, 0], drop));
  if (off) shapes.push(line("arrow arrow-printed", [0, 0, 0], norm(now.centred) > radius ? now.centred : now.printed));
  const shown = ["plain", "centred", ...(off ? ["onPlane", "printed"] : []), "projected"];
  for (const key of shown) shapes.push(at(sign(key, 6), camera.to(now[key])));
  if (ghost) shapes.push(disk("ghost", camera.to(ghost), 7));
  backdrop.replaceChildren(...shapes);

  // Names beside the points, and of the two sets.
  const named = ["w", ...shown.filter((k) => k !== "projected").reverse(), "g"];
  named.splice(1, 0, "projected");
  const where = Object.fromEntries(named.map((key) => [key, camera.to(key === "g" ? tip : now[key])]));
  const items = named.map((key) => ({ key, text: NOTES[key], ...where[key], w: textWidth(NOTES[key], FONT) + 2, h: 18, gap: key in HANDLES ? 16 : 12 }));
  const front = rim.filter((p, i) => i % 6 === 0 && p.depth > 0).sort((a, b) => b.x + b.y - a.x - a.y);
  items.push({ key: "one", text: "1", ...camera.to(pole), w: 10, h: 18, gap: 10 });
  items.push({ key: "ball", text: "‖w‖² = c", anchors: outline(origin, camera.zoom * radius), centre: origin, w: 56, h: 16, gap: 8 });
  items.push({ key: "plane", text: "1ᵀw = 0", anchors: front, centre: origin, w: 48, h: 16, gap: 8 });
  const s = (a, b) => [camera.to(a).x, camera.to(a).y, camera.to(b).x, camera.to(b).y];
  const boxes = placeLabels(items, {
    points: [...Object.values(where), origin].map((p) => ({ x: p.x, y: p.y, r: 9 })),
    lines: [...turned.slice(1).map((p, i) => s(turned[i], p)), s(now.w, now.plain), s(now.w, now.centred), s(now.plain, drop), s(drop, now.projected), s(now.w, tip), s(scale(radius, UP), pole)],
    width,
    height,
    memory,
  });
  const names = boxes.map((box) => {
    const text = items.find((item) => item.key === box.key).text;
    return h("text", { class: `name name-${box.key}`, x: box.x + box.w / 2, y: box.y + box.h - 4.5, "text-anchor": "middle" }, text);
  });
  labels.replaceChildren(...names);
}

const ring = (curve, camera) => Array.from({ length: 96 }, (_, i) => camera.to(curve((2 * Math.PI * i) / 96)));
const disk = (className, p, r) => h("circle", { class: className, cx: p.x, cy: p.y, r });
const at = (node, p) => {
  node.setAttribute("transform", `translate(${p.x.toFixed(1)} ${p.y.toFixed(1)})`);
  return node;
};

// Places on the upper silhouette of the sphere where its name can stand.
const outline = (origin, r) =>
  [-45, -30, -60, -135, -150, -120].map((degrees) => {
    const t = (degrees * Math.PI) / 180;
    return { x: origin.x + r * Math.cos(t), y: origin.y + r * Math.sin(t) };
  });

// An arrow head on the screen at b, coming from a; none where the arrow is too short to need one.
function head(className, camera, a, b) {
  const p = camera.to(a);
  const q = camera.to(b);
  const length = Math.hypot(q.x - p.x, q.y - p.y);
  if (length < 16) return h("path", { class: className });
  const x = (q.x - p.x) / length;
  const y = (q.y - p.y) / length;
  const back = { x: q.x - 9 * x, y: q.y - 9 * y };
  return h("path", { class: className, d: path([{ x: back.x - 4 * y, y: back.y + 4 * x }, q, { x: back.x + 4 * y, y: back.y - 4 * x }]) });
}

// The way along the circle from a to b, the shorter one.
function arc(a, b, radius) {
  const from = angleOf(a);
  const turn = ((angleOf(b) - from + 3 * Math.PI) % (2 * Math.PI)) - Math.PI;
  return Array.from({ length: 25 }, (_, i) => onSphere(radius, from + (turn * i) / 24));
}
