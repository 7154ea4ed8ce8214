// Intervals over a few seeds, drawn many times. Twin of cwn_lite/figures/seed_intervals.py: same draws, number by number.

import { normals, uniform } from "./draws.js";

export const SEEDS = [2, 10];
export const EXPERIMENTS = 2000;
export const LOSS = 60;
export const STUDENT = [12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157];

const Z = normals(3, EXPERIMENTS * SEEDS[1]);
const U = Float64Array.from({ length: Z.length }, (_, i) => uniform(4, i));

// Of each experiment the ends of the interval, NaN where fewer than two runs are left; and how many hold the truth.
export function experiments({ seeds, gap, failing, trained }) {
  const truth = trained ? gap : gap + LOSS * failing;
  const intervals = [];
  let made = 0;
  let held = 0;
  let decided = 0;
  for (let e = 0; e < EXPERIMENTS; e++) {
    const d = [];
    for (let j = e * SEEDS[1]; j < e * SEEDS[1] + seeds; j++) {
      const fails = U[j] < failing;
      if (!(fails && trained)) d.push(gap + Z[j] + (fails ? LOSS : 0));
    }
    const n = d.length;
    const mean = d.reduce((a, b) => a + b, 0) / n;
    const squares = d.reduce((a, x) => a + (x - mean) ** 2, 0);
    const half = n < 2 ? NaN : STUDENT[n - 2] * Math.sqrt(squares / (n - 1) / n);
    const [low, high] = [mean - half, mean + half];
    intervals.push({ low, high, holds: low <= truth && truth <= high });
    if (Number.isFinite(half)) made += 1;
    if (low <= truth && truth <= high) held += 1;
    if (low > 0 || high < 0) decided += 1;
  }
  return { intervals, truth, covered: held / Math.max(made, 1), decided: decided / EXPERIMENTS };
}
