// Numbers of any size for reading, formulas with their letters in place, and the state in words.

import { h } from "./shared.js";

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

export const power = (exponent) => `10${[...String(exponent)].map((c) => RAISED[c]).join("")}`;

// Three digits near one, "1.2·10⁷" further away: a change of size has to be seen at once.
export function tell(x, digits = 3) {
  if (x === 0) return "0";
  if (!Number.isFinite(x)) return "–";
  const size = Math.abs(Number(x.toPrecision(digits)));
  if (size >= 0.01 && size < 1000) return x.toPrecision(digits).replace("-", "−");
  const [mantissa, exponent] = x.toExponential(digits - 2).split("e");
  return `${mantissa.replace("-", "−")}·${power(Number(exponent))}`;
}

// A formula: "*w*" is a letter, "_l" its index, the rest upright. For HTML, and with tag "tspan" for SVG.
export function formula(text, tag = "span") {
  const index = (letters) =>
    tag === "span" ? [h("sub", {}, letters)] : [h("tspan", { class: "index", dy: 4 }, letters), h("tspan", { dy: -4 }, "\u200b")];
  const parts = text.split(/\*(.+?)\*|_(\w)/).flatMap((part, i) => {
    if (!part) return [];
    if (i % 3 === 1) return [h(tag, { class: "letter" }, part)];
    return i % 3 === 2 ? index(part) : [part];
  });
  return h(tag, { class: "explosion-formula" }, ...parts);
}

// What the sliders have made, cause by cause.
export function describe({ gain, depth, growth, causes }) {
  const parts = `${tell(causes.gain)} times for the gain, compounded over ${depth} layers, and ${tell(causes.sigma)} times for σ, once`;
  return (
    `With a gain of ${tell(gain)} the activations ${fate(growth, growth ** (depth - 1))}. ` +
    `Every layer’s gradient is ${tell(causes.gain * causes.sigma)} times that of CWO: ${parts}.`
  );
}

function fate(perLayer, whole) {
  if (!(perLayer > 0)) return "die out";
  if (Math.abs(perLayer - 1) < 0.05) return `about keep their size: ×${tell(perLayer)} per layer`;
  const way = perLayer > 1 ? "grow" : "shrink";
  return `${way}: ×${tell(perLayer)} per layer, ×${tell(whole)} from the first to the last`;
}
