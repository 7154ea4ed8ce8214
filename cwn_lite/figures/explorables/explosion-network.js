// A deep ReLU network behind Weight Standardization, and CWO, forwards and backwards in float64. Pure functions.

import { centre, dot, norm, project, scale, subtract } from "./projection.js";

const OURS = 2; // ‖w‖² of CWO's rows
const DECAY = { lr: 0.1, steps: 1000 };

// Both networks layer by layer, as cwn_lite/figures/explosion.py has them from autograd.
export function profiles({ weights, inputs, cotangent, sigma, depth, gain, decay = 0 }) {
  const left = sigma * (1 - DECAY.lr * decay) ** DECAY.steps;
  const directions = weights.slice(0, depth);
  const trained = directions.map((layer) => layer.map((row) => scale(left, unitSpread(row))));
  return {
    sigma: left,
    ws: passes(trained.map((layer) => layer.map((row) => standardized(row, gain))), inputs, cotangent),
    ours: passes(directions.map((layer) => layer.map(constrained)), inputs, cotangent),
  };
}

const spreadOf = (row) => norm(centre(row)) / Math.sqrt(row.length); // Eq. 16-17
const unitSpread = (row) => scale(1 / spreadOf(row), centre(row));

// A row is what the layer multiplies with, `row`, and what becomes of a gradient on its way to the trained weights, `back`.
function standardized(w, gain) {
  const sigma = spreadOf(w);
  const z = unitSpread(w); // Eq. 15
  const factor = gain / Math.sqrt(w.length);
  const back = (g) => scale(factor / sigma, centre(subtract(g, scale(dot(z, g) / w.length, z)))); // Eq. 18-19
  return { row: scale(factor, z), back };
}

// Our row is trained itself; the projection leaves the part of its gradient without mean and radial part.
function constrained(direction) {
  const row = project(direction, OURS);
  const back = (g) => centre(subtract(g, scale(dot(row, g) / OURS, row)));
  return { row, back };
}

// y_l = ŵ_l h_{l−1}, h_l = ReLU(y_l); the loss is the mean over the batch of ⟨a, y⟩ at the last layer.
function passes(layers, inputs, cotangent) {
  const seen = []; // input h and output y of each layer, one vector per sample
  let h = inputs;
  for (const rows of layers) {
    const y = h.map((x) => rows.map(({ row }) => dot(row, x)));
    seen.push({ h, y });
    h = y.map((sample) => sample.map((v) => Math.max(0, v)));
  }
  const gradient = [];
  let above = inputs.map(() => scale(1 / inputs.length, cotangent)); // ∂L/∂y, sample by sample
  for (let l = layers.length - 1; l >= 0; l--) {
    const rows = layers[l];
    const parts = rows.map(({ back }, i) => norm(back(combine(above.map((d) => d[i]), seen[l].h))));
    gradient[l] = norm(parts);
    if (l === 0) break;
    const matrix = rows.map(({ row }) => row);
    above = above.map((d, b) => combine(d, matrix).map((v, j) => (seen[l - 1].y[b][j] > 0 ? v : 0)));
  }
  return { rms: seen.map(({ y }) => norm(y.flat()) / Math.sqrt(y.length * y[0].length)), gradient };
}

// Σ factors[i] · vectors[i].
function combine(factors, vectors) {
  const total = new Array(vectors[0].length).fill(0);
  vectors.forEach((vector, i) => vector.forEach((x, j) => (total[j] += factors[i] * x)));
  return total;
}

// The factor from one layer's RMS to the next: geometric mean from the first layer to the last.
export const growth = (rms) => (rms.at(-1) / rms[0]) ** (1 / (rms.length - 1));

// The two causes of a gradient larger than CWO's, the same in every layer: their product is the whole difference.
export function causes({ sigma, depth, gain, n }) {
  return { gain: (gain / Math.sqrt(OURS)) ** depth, sigma: Math.sqrt(OURS / n) / sigma };
}
