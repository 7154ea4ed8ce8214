// The length r of a row whose loss does not depend on it, under SGD with decay. Twin of cwn_lite/figures/equilibrium.py.

export const STEPS = 10000;

const DEGREES = 180 / Math.PI;

// Lengths before the first step and after each: r₊² = (1 − αλ)² r² + α² G² / r².
export function normPath({ r0, lr, weight_decay, gradient }, steps = STEPS) {
  const path = new Float64Array(steps + 1);
  path[0] = r0;
  for (let t = 0; t < steps; t++) path[t + 1] = Math.hypot((1 - lr * weight_decay) * path[t], (lr * gradient) / path[t]);
  return path;
}

// Degrees by which one step turns a row of this length: tan θ = αG / ((1 − αλ) r²).
export function stepAngle(length, { lr, weight_decay, gradient }) {
  return DEGREES * Math.atan2(lr * gradient, (1 - lr * weight_decay) * length ** 2);
}

// Where decay and gradient balance; without decay nowhere. 1 − αλ = cos θ* is not used as such: a small αλ would drown.
export function equilibrium({ lr, weight_decay, gradient }) {
  const decay = lr * weight_decay;
  if (decay === 0) return { length: Infinity, angle: 0 };
  const length = Math.sqrt((lr * gradient) / Math.sqrt(decay * (2 - decay)));
  return { length, angle: 2 * DEGREES * Math.asin(Math.sqrt(decay / 2)) };
}

// Everything that the figure shows follows from this. Step t, from 1, is taken at length path[t − 1].
export function simulate(setting) {
  const { gradient, weight_decay, c } = setting;
  const path = normPath(setting);
  const before = path.subarray(0, STEPS);
  const at = (t) => ({ length: path[t - 1], gradient: gradient / path[t - 1], angle: stepAngle(path[t - 1], setting) });
  const { length, angle } = equilibrium(setting);
  const until = path.findIndex((r) => Math.abs(r - length) <= 0.1 * length);
  return {
    setting,
    at,
    second: path[1],
    end: path[STEPS],
    settled: { length, gradient: gradient / length, angle },
    // Rows held at √c turn by the same formula; decay shortens them too, but the projection undoes that.
    ours: { length: Math.sqrt(c), gradient: gradient / Math.sqrt(c), angle: stepAngle(Math.sqrt(c), { ...setting, weight_decay: 0 }) },
    largest: gradient / before.reduce((a, b) => Math.min(a, b)),
    until: weight_decay > 0 && until >= 0 ? until : Infinity,
  };
}
