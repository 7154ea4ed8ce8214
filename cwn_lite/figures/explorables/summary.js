// Runs to numbers: what a learning curve, its band and its table are made of. Pure functions.

// Per epoch over the finite values of the runs: n, mean, sample standard deviation (n − 1), min, max.
export function overEpochs(runs, metric) {
  const values = new Map();
  for (const { curve } of runs) {
    for (const point of curve) {
      if (!Number.isFinite(point[metric])) continue;
      if (!values.has(point.epoch)) values.set(point.epoch, []);
      values.get(point.epoch).push(point[metric]);
    }
  }
  return [...values]
    .sort(([a], [b]) => a - b)
    .map(([epoch, xs]) => {
      const n = xs.length;
      const mean = xs.reduce((a, b) => a + b, 0) / n;
      const std = n > 1 ? Math.sqrt(xs.reduce((a, x) => a + (x - mean) ** 2, 0) / (n - 1)) : NaN;
      return { epoch, n, mean, std, min: Math.min(...xs), max: Math.max(...xs) };
    });
}

// Runs by method, in the order in which methods first appear.
export function byMethod(runs) {
  const groups = new Map();
  for (const run of runs) {
    if (!groups.has(run.method)) groups.set(run.method, []);
    groups.get(run.method).push(run);
  }
  return groups;
}

// Round tick positions that cover [low, high], about `count` of them; powers of ten and their halves where logarithmic.
export function ticks(low, high, count, log = false) {
  if (log) {
    const marks = [];
    for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k++) {
      for (const m of [1, 2, 5]) marks.push(m * 10 ** k);
    }
    return marks.filter((x) => x >= low * 0.999 && x <= high * 1.001);
  }
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((m) => m * power >= raw * 0.999) * power;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}
