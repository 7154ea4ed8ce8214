// One bar for each method, in four parts that differ by colour and by pattern.

import { h, set } from "./shared.js";
import { ticks } from "./summary.js";
import { UNITS, readable } from "./step-cost-bytes.js";

export const PARTS = ["convolution", "sgd", "per_activation", "per_weight"];

const WIDE = 520;
const BAR = 22;
const TICKS = 26;

// Names and totals stand beside the bars, and above them where the page is narrow.
function layout(width) {
  if (width >= WIDE) return { left: 120, right: width - 146, row: 38, above: 0 };
  return { left: 1, right: width - 1, row: 52, above: 20 };
}

// rows: [{ method, name, parts, total, text }].
export function drawBars(svg, rows, width) {
  const { left, right, row, above } = layout(width);
  const floor = rows.length * row;
  const largest = Math.max(...rows.map(({ total }) => total));
  const x = (size) => left + ((right - left) * size) / largest;
  set(svg, { viewBox: `0 0 ${width} ${floor + TICKS}`, width, height: floor + TICKS });
  const marks = axis(largest, x, { floor, narrow: above > 0, width });
  const bars = rows.flatMap(({ method, name, parts, total, text }, i) => {
    const top = i * row + above + (row - above - BAR) / 2;
    const middle = above ? top - 7 : top + BAR / 2 + 4.5;
    return [
      ...bar(parts, x, top, method),
      h("text", { class: "name", x: above ? left : left - 10, y: middle, "text-anchor": above ? "start" : "end" }, name),
      h("text", { class: "total", x: above ? right : x(total) + 8, y: middle, "text-anchor": above ? "end" : "start" }, text),
    ];
  });
  svg.replaceChildren(...marks, ...bars);
}

function axis(largest, x, { floor, narrow, width }) {
  const unit = 1000 ** UNITS.indexOf(readable(largest).split("\u00a0")[1]);
  return ticks(0, largest / unit, 4).flatMap((mark) => {
    const at = x(mark * unit);
    const text = mark === 0 ? "0" : `${Number(mark.toPrecision(3))}\u00a0${UNITS[Math.log10(unit) / 3]}`;
    const anchor = narrow && mark === 0 ? "start" : at > width - 24 ? "end" : "middle";
    return [
      h("line", { class: mark === 0 ? "floor" : "rule", x1: at, x2: at, y1: 0, y2: floor }),
      h("text", { class: "tick", x: at, y: floor + 18, "text-anchor": anchor }, text),
    ];
  });
}

function bar(parts, x, top, method) {
  let before = 0;
  return PARTS.filter((part) => parts[part] > 0).map((part) => {
    const from = x(before);
    const to = x((before += parts[part]));
    return h("g", { class: `part part-${part}`, "data-method": method, "data-size": parts[part], "data-width": to - from }, ...swatch(part, from, top, to - from, BAR));
  });
}

// A box with the pattern of its part; patterns are lines of their own, for a reference would need an identifier.
export function swatch(part, left, top, width, height) {
  const box = h("rect", { x: left, y: top, width, height });
  const d = PATTERNS[part]?.(left, top, width, height);
  return d ? [box, h("path", { class: "pattern", d })] : [box];
}

const steps = (from, to, step) => Array.from({ length: Math.max(Math.ceil((to - from) / step), 0) }, (_, i) => from + i * step);
const at = (x, y) => `${x.toFixed(1)} ${y.toFixed(1)}`;

const PATTERNS = {
  sgd: (left, top, width, height) =>
    steps(3, width - 1, 5)
      .flatMap((x) => steps(3.5, height, 5).map((y) => `M${at(left + x, top + y)}h0`))
      .join(""),
  per_activation: (left, top, width, height) =>
    steps(6 - height, width, 7)
      .map((x) => {
        const [low, high] = [Math.max(0, -x), Math.min(height, width - x)];
        return `M${at(left + x + low, top + height - low)}L${at(left + x + high, top + height - high)}`;
      })
      .join(""),
  per_weight: (left, top, width, height) =>
    steps(4, width - 1, 4)
      .map((x) => `M${at(left + x, top)}v${height}`)
      .join(""),
};
