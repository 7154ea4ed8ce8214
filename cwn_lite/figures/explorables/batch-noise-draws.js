// What batch norm divides by, drawn many times. Twin of cwn_lite/figures/batch_noise.py: same draws, number by number.

import { normals } from "./draws.js";

export const SIZES = [2, 3, 4, 5, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512];
export const DRAWS = 2000;
export const KINDS = { normal: "normal", relu: "normal, after a ReLU" };
export const BINS = { low: -1, high: 3, width: 0.05 };

const STATISTICS_SEED = 1;
const NOISE_SEED = 2;

// Mean, variance and kurtosis of one sample; for max(z, 0) from the half moments of a normal z.
export function moments(kind) {
  if (kind === "normal") return { mean: 0, variance: 1, kurtosis: 3 };
  const m = 1 / Math.sqrt(2 * Math.PI);
  const variance = 1 / 2 - m * m;
  return { mean: m, variance, kurtosis: (3 / 2 - 8 * m * m + 3 * m * m - 3 * m ** 4) / variance ** 2 };
}

// For each size N and draw k, from the first N samples of the draw: mean and standard deviation (divided by N) of the
// batch, as offset ζ = (m_B − m)/σ_y and spread σ_B/σ_y.
export function statistics(kind) {
  const { mean, variance } = moments(kind);
  const most = SIZES.at(-1);
  const z = normals(STATISTICS_SEED, DRAWS * most);
  const found = new Map(SIZES.map((size) => [size, { offset: new Float64Array(DRAWS), spread: new Float64Array(DRAWS) }]));
  for (let k = 0; k < DRAWS; k++) {
    let sum = 0;
    let squares = 0;
    for (let j = 0; j < most; j++) {
      const x = kind === "relu" ? Math.max(z[k * most + j], 0) : z[k * most + j];
      sum += x;
      squares += x * x;
      const at = found.get(j + 1);
      if (!at) continue;
      const m = sum / (j + 1);
      at.offset[k] = (m - mean) / Math.sqrt(variance);
      at.spread[k] = Math.sqrt(Math.max(squares / (j + 1) - m * m, 0) / variance);
    }
  }
  return found;
}

const NOISE = normals(NOISE_SEED, DRAWS);

// Everything that the figure shows for N samples of a kind, and for noise σ on the scale.
export function simulate(found, { kind, size, sigma }) {
  const { offset, spread } = found.get(size);
  const bn = Array.from(spread, (s) => 1 / s); // no sample above 0: infinite, up to batch norm's ε
  const ours = Array.from(NOISE, (g) => 1 + sigma * g);
  const square = kind === "normal" && size > 3 ? size / (size - 3) : Infinity; // of a factor, by its law
  return {
    bn: { factors: bn, spread: deviation(spread), rule: Math.sqrt((moments(kind).kurtosis - 1) / (4 * size)), square, offset: deviation(offset), far: far(bn) },
    ours: { factors: ours, spread: deviation(ours), rule: sigma, square: 1 + sigma * sigma, offset: 0, far: far(ours) },
  };
}

// Standard deviation over the draws.
function deviation(values) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return Math.sqrt(values.reduce((a, x) => a + (x - mean) ** 2, 0) / values.length);
}

// Share of factors that more than double or more than halve (or turn) the signal.
const far = (values) => values.filter((x) => x > 2 || x < 0.5).length / values.length;

// Share of the draws in each bin, and beyond either end.
export function histogram(values) {
  const { low, high, width } = BINS;
  const bins = new Array(Math.round((high - low) / width)).fill(0);
  let below = 0;
  let above = 0;
  for (const x of values) {
    const i = Math.floor((x - low) / width);
    if (i < 0) below += 1 / values.length;
    else if (i >= bins.length) above += 1 / values.length;
    else bins[i] += 1 / values.length;
  }
  return { bins, below, above };
}
