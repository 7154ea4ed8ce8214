// Sliders for magnitudes, and magnitudes as text: equal ways on the track are equal factors.

import { h } from "./shared.js";

const STEP = 0.05; // of the decimal logarithm: a factor of 1.12

// Three significant digits: 0.0141, 5.13·10⁻⁴, 12,300.
export function magnitude(x, digits = 3) {
  if (!Number.isFinite(x)) return "–";
  const rounded = Number(x.toPrecision(digits));
  if (rounded === 0) return "0";
  if (rounded >= 1000) return rounded.toLocaleString("en");
  if (rounded >= 0.001) return x.toPrecision(digits);
  const [mantissa, exponent] = x.toExponential(digits - 1).split("e");
  return `${mantissa}·10${exponent.replace(/./g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)])}`;
}

// The same without zeros that say nothing: settings are round numbers.
export const roundNumber = (x) => magnitude(x).replace(/(\.\d*?)0+(?=·|$)/, "$1").replace(/\.(?=·|$)/, "");

// A native slider from 10^low to 10^high; with `off` one notch below the lowest is 0. `set(x)` moves it without an event.
export function powerSlider({ label, low, high, off = false, input }) {
  const lowest = off ? low - STEP : low;
  const range = h("input", { type: "range", min: lowest, max: high, step: STEP, "aria-label": label });
  const value = h("data");
  const node = h("label", { class: "explorable-slider" }, h("span", {}, label), value, range);
  const set = (x) => {
    range.value = x > 0 ? Math.log10(x) : lowest;
    value.textContent = roundNumber(x);
    value.value = String(x);
    range.setAttribute("aria-valuetext", x > 0 ? String(Number(x.toPrecision(3))) : "0");
  };
  const isOff = () => off && range.valueAsNumber < low - STEP / 2;
  range.addEventListener("input", () => input(isOff() ? 0 : Number((10 ** range.valueAsNumber).toPrecision(3))));
  return { node, set };
}
