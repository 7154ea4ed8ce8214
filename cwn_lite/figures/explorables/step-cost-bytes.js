// Bytes that a training step moves in one layer. Twin of cwn_lite/figures/step_cost.py: same table, same numbers.

export const CHANNELS = [16, 32, 64, 128, 256, 512, 640, 1024, 2048, 4096];
export const KERNELS = [1, 3];
export const SIDES = [1, 4, 7, 8, 14, 16, 28, 32, 56, 112];
export const BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

export const LAYERS = [
  ["ResNet-20, first stage", { channels: 16, kernel: 3, side: 32, batch: 128 }],
  ["ResNet-20, last stage", { channels: 64, kernel: 3, side: 8, batch: 128 }],
  ["WideResNet-28-10, last stage", { channels: 640, kernel: 3, side: 8, batch: 128 }],
  ["ResNet-50, 3×3 of the last stage", { channels: 512, kernel: 3, side: 7, batch: 32 }],
  ["fully connected, 4096", { channels: 4096, kernel: 1, side: 1, batch: 128 }],
];

// How often an operation reads or writes all activations of the layer, and all its weights; tested against counts.
export const PASSES = {
  // Forward: input and weight read, output written. Backward: input, weight and output gradient read, the gradients of
  // input and weight written.
  convolution: { activations: 5, weights: 3 },
  // Weight, gradient and momentum read, weight and momentum written.
  sgd: { activations: 0, weights: 5 },
  // Forward: input read for the statistics and again to be normalized, output written. Backward: input and output
  // gradient read for two sums and again for the input gradient, which is written.
  bn: { activations: 8, weights: 0 },
  // One read of each: the group of one sample is still in the cache when its statistics are known.
  gn: { activations: 5, weights: 0 },
  // Forward: x read, γx + β written. Backward: x and the gradient read for two sums, the gradient read again and that of
  // x written.
  activation_scale: { activations: 6, weights: 0 },
  // Forward: W read, γW written (2). Backward: the gradient times γ (2), the gradient times W (3), its sum for γ (1).
  weight_scale: { activations: 0, weights: 8 },
  // Mean (1), norm (1), subtract in place (2), rescale in place (2); 2 of the 6 go to memory where a weight fits the cache.
  projection: { activations: 0, weights: 6 },
};

// What each method does on top of convolution and SGD, in the order of the bars.
export const EXTRA_PASSES = {
  plain: [],
  fused: ["weight_scale", "projection"],
  unfused: ["activation_scale", "projection"],
  gn: ["gn"],
  bn: ["bn"],
};

const VALUE = 4; // bytes of a float32
const sum = (values) => values.reduce((a, b) => a + b, 0);

// For each method, the bytes by cause.
export function stepBytes({ channels, kernel, side, batch }) {
  const activations = VALUE * batch * channels * side ** 2;
  const weights = VALUE * channels ** 2 * kernel ** 2;
  const moved = (names) => ({
    per_activation: activations * sum(names.map((name) => PASSES[name].activations)),
    per_weight: weights * sum(names.map((name) => PASSES[name].weights)),
  });
  const whole = (name) => sum(Object.values(moved([name])));
  const of = (names) => {
    const parts = { convolution: whole("convolution"), sgd: whole("sgd"), ...moved(names) };
    return { ...parts, extra: parts.per_activation + parts.per_weight, total: sum(Object.values(parts)) };
  };
  return Object.fromEntries(Object.entries(EXTRA_PASSES).map(([method, names]) => [method, of(names)]));
}

// CWO, fused, moves less than batch norm where `positions` of the whole batch exceed `factor` × fan-in.
export function breakEven({ channels, kernel, side, batch }) {
  const factor = sum(EXTRA_PASSES.fused.map((name) => PASSES[name].weights)) / PASSES.bn.activations;
  return { positions: batch * side ** 2, factor, fanIn: channels * kernel ** 2 };
}

export const UNITS = ["B", "kB", "MB", "GB", "TB"];

// Three digits; 0 stands without a unit.
export function readable(size) {
  if (size === 0) return "0";
  let unit = 0;
  for (; Number(size.toPrecision(3)) >= 1000 && unit + 1 < UNITS.length; unit++) size /= 1000;
  return `${size.toPrecision(3)}\u00a0${UNITS[unit]}`;
}
