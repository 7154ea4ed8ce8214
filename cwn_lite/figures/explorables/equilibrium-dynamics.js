// The length r of a row whose loss does not depend on it, under SGD with decay. Twin of cwn_lite/figures/equilibrium.py.

export const STEPS = 10000;
export const FADED = [301, 3000]; // the steps in which a gradient that fades is `fade` times as large; then it returns

const DEGREES = 180 / Math.PI;

// G at a step, from 1.
export const gradientAt = (t, { gradient, fade = 1 }) => gradient * (t >= FADED[0] && t <= FADED[1] ? fade : 1);

// Lengths before the first step and after each: r₊² = (1 − αλ)² r² + α² G² / r².
export function normPath(setting, steps = STEPS) {
  const { r0, lr, weight_decay } = setting;
  const path = new Float64Array(steps + 1);
  path[0] = r0;
  for (let t = 0; t < steps; t++) path[t + 1] = Math.hypot((1 - lr * weight_decay) * path[t], (lr * gradientAt(t + 1, setting)) / path[t]);
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
  const { lr, weight_decay, c } = setting;
  const path = normPath(setting);
  const three = (length, size, angle) => ({ length, gradient: size / length, angle });
  const at = (t) => {
    const gradient = gradientAt(t, setting);
    return three(path[t - 1], gradient, stepAngle(path[t - 1], { lr, weight_decay, gradient }));
  };
  const settledAt = (t) => {
    const gradient = gradientAt(t, setting);
    const { length, angle } = equilibrium({ lr, weight_decay, gradient });
    return three(length, gradient, angle);
  };
  // Rows held at √c turn by the same formula; decay shortens them too, but the projection undoes that.
  const oursAt = (t) => {
    const gradient = gradientAt(t, setting);
    return three(Math.sqrt(c), gradient, stepAngle(Math.sqrt(c), { lr, weight_decay: 0, gradient }));
  };
  const settled = settledAt(1);
  const until = path.findIndex((r) => Math.abs(r - settled.length) <= 0.1 * settled.length);
  let largest = 0;
  for (let t = 1; t <= STEPS; t++) largest = Math.max(largest, gradientAt(t, setting) / path[t - 1]);
  return {
    setting,
    at,
    settledAt,
    oursAt,
    second: path[1],
    end: path[STEPS],
    settled,
    ours: oursAt(1),
    largest,
    until: weight_decay > 0 && until >= 0 ? until : Infinity,
  };
}
