// Three dimensions on a flat page: the frame of the plane 1ᵀw = 0, a camera without perspective, circles on a sphere.

import { add, dot, scale } from "./projection.js";

// An orthonormal frame: E1 and E2 span the plane, UP is the direction of 1.
export const E1 = [1, -1, 0].map((x) => x / Math.sqrt(2));
export const E2 = [1, 1, -2].map((x) => x / Math.sqrt(6));
export const UP = [1, 1, 1].map((x) => x / Math.sqrt(3));

const combine = (a, b, c) => add(add(scale(a, E1), scale(b, E2)), scale(c, UP));

// The point of a sphere at an angle along the circle and a height off it, both in radians.
export const onSphere = (radius, angle, height = 0) =>
  combine(
    radius * Math.cos(height) * Math.cos(angle),
    radius * Math.cos(height) * Math.sin(angle),
    radius * Math.sin(height),
  );

export const angleOf = (w) => Math.atan2(dot(w, E2), dot(w, E1));
export const heightOf = (w) => Math.atan2(dot(w, UP), Math.hypot(dot(w, E1), dot(w, E2)));

// Seen from the direction (turn, tilt): to(p) gives screen x, y and depth (towards the reader), from(x, y) the vector in the view plane.
export function camera({ turn, tilt, zoom, x, y }) {
  const towards = onSphere(1, turn, tilt);
  const right = combine(-Math.sin(turn), Math.cos(turn), 0);
  const up = onSphere(1, turn, tilt + Math.PI / 2);
  return {
    zoom,
    to: (p) => ({ x: x + zoom * dot(p, right), y: y - zoom * dot(p, up), depth: dot(p, towards) }),
    from: (dx, dy) => add(scale(dx / zoom, right), scale(-dy / zoom, up)),
  };
}

const number = (x) => x.toFixed(1);
export const path = (points) => points.map((p, i) => `${i ? "L" : "M"}${number(p.x)} ${number(p.y)}`).join("");

// A closed curve on the sphere as two paths: what faces the reader, and what is hidden behind.
export function frontAndBack(curve, view, samples = 120) {
  const points = Array.from({ length: samples + 1 }, (_, i) => view.to(curve((2 * Math.PI * i) / samples)));
  const runs = { front: [], back: [] };
  let last = null;
  for (let i = 0; i < samples; i++) {
    const side = points[i].depth + points[i + 1].depth >= 0 ? "front" : "back";
    if (side !== last) runs[side].push([points[i]]);
    runs[side][runs[side].length - 1].push(points[i + 1]);
    last = side;
  }
  return { front: runs.front.map(path).join(""), back: runs.back.map(path).join("") };
}
