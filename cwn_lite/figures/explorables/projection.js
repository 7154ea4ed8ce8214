// The arithmetic of Eq. 9-14 in float64, step for step as in cwn_lite/projection.py. Pure functions, any n.

const sum = (v) => v.reduce((a, b) => a + b, 0);
export const dot = (a, b) => sum(a.map((x, i) => x * b[i]));
export const norm = (v) => Math.sqrt(dot(v, v));
export const scale = (k, v) => v.map((x) => k * x);
export const add = (a, b) => a.map((x, i) => x + b[i]);
export const subtract = (a, b) => a.map((x, i) => x - b[i]);
export const centre = (v) => {
  const mean = sum(v) / v.length;
  return v.map((x) => x - mean);
};

// The nearest point of {‖w‖² = c, 1ᵀw = 0}: √c Pv/‖Pv‖. Where all of v is equal every point is as near: the rescaled linspace(-1, 1, n).
export function project(v, c = 2) {
  const peak = Math.max(...v.map(Math.abs));
  // Divided by a power of two no bit is lost, and squares neither overflow nor vanish.
  const unit = peak > 0 ? 2 ** -Math.floor(Math.log2(peak)) : 1;
  const u = undirected(v) ? v.map((_, i) => -1 + (2 * i) / (v.length - 1)) : centre(centre(scale(unit, v)));
  return scale(Math.sqrt(c / dot(u, u)), u);
}

const undirected = (v) => Math.max(...v) === Math.min(...v);

// One step from w against the gradient g: every point, and every number that the figure shows.
export function step({ w, g, lr, c = 2 }) {
  const plain = subtract(w, scale(lr, g)); // w − αg
  const centred = subtract(w, scale(lr, centre(g))); // w̃ of Algorithm 1: only the gradient is centred
  const onPlane = centre(plain); // P(w − αg); equals w̃ when 1ᵀw = 0
  const projected = project(plain, c);
  const printed = scale(Math.sqrt(c) / norm(centred), centred); // Eq. 11 to the letter
  const degenerate = undirected(plain);
  const keep = degenerate ? NaN : Math.sqrt(c) / norm(onPlane); // 1 − β
  return {
    plain,
    centred,
    onPlane,
    projected,
    printed,
    degenerate,
    keep,
    beta: 1 - keep,
    effective: keep * lr, // α′
    moved: norm(subtract(projected, w)),
    angle: angleBetween(w, projected),
    length2: dot(projected, projected),
    offset: sum(projected),
    printedLength2: dot(printed, printed),
    printedOffset: sum(printed),
  };
}

// In radians; accurate for small angles too, where acos is not.
export function angleBetween(a, b) {
  const u = scale(1 / norm(a), a);
  const v = scale(1 / norm(b), b);
  return 2 * Math.atan2(norm(subtract(u, v)), norm(add(u, v)));
}
