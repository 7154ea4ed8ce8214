// Point clouds in space: turned as in training, seen from a height, their nearest points, and what centring takes.

const THOUSAND = 1000;
const MOVES = 10000;
const three = (flat, i, unit) => [flat[3 * i] / unit, flat[3 * i + 1] / unit, flat[3 * i + 2] / unit];

// The first `count` points of a cloud kept as whole thousandths, moved by jitter (whole ten-thousandths) or not.
export function pointsOf(cloud, moves, count, jitter) {
  return Array.from({ length: count }, (_, i) => {
    const p = three(cloud, i, THOUSAND);
    const move = three(moves, i, MOVES);
    return jitter ? p.map((x, axis) => x + move[axis]) : p;
  });
}

// Turned about the y axis, which points up, by so many degrees: the turn of training.
export function turnedBy([x, y, z], degrees) {
  const c = Math.cos((degrees * Math.PI) / 180);
  const s = Math.sin((degrees * Math.PI) / 180);
  return [c * x + s * z, y, c * z - s * x];
}

// A turned point from a viewer who stands `tilt` degrees above the horizon: right, up, and towards the viewer.
export function seenFrom([x, y, z], tilt) {
  const c = Math.cos((tilt * Math.PI) / 180);
  const s = Math.sin((tilt * Math.PI) / 180);
  return { right: x, up: c * y - s * z, towards: s * y + c * z };
}

const apart = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;

// The k nearest of all points to one of them, itself first; of two as near, the one with the lower number.
export function nearestTo(points, chosen, k) {
  const far = points.map((p) => apart(p, points[chosen]));
  const order = points.map((_, i) => i).sort((i, j) => far[i] - far[j] || i - j);
  return order.slice(0, k);
}

// For every point its k nearest.
export const graph = (points, k) => points.map((_, i) => nearestTo(points, i, k));

// Share of all neighbours of one graph that the other has as well.
export function kept(one, other) {
  let same = 0;
  one.forEach((row, i) => (same += row.filter((j) => other[i].includes(j)).length));
  return same / (one.length * one[0].length);
}

// Share of the squared length of all edge features (x_i, x_j − x_i) that lies along (1, …, 1).
export function alongOnes(points, neighbours) {
  let along = 0;
  let all = 0;
  neighbours.forEach((row, i) => {
    for (const j of row) {
      const edge = [...points[i], ...points[j].map((x, axis) => x - points[i][axis])];
      const sum = edge.reduce((a, b) => a + b);
      along += (sum * sum) / edge.length;
      all += edge.reduce((a, x) => a + x * x, 0);
    }
  });
  return along / all;
}
