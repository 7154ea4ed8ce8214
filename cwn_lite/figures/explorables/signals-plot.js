// Two courses over the layers on one logarithmic axis: the signal from left to right, the gradient from right to left.

import { h, set } from "./shared.js";

const LEFT = 44;
const RIGHT = 12;
const KEYS = 44; // two lines above the plot
const TALL = 210;
const FEET = 24;
const NAMES = { signal: "signal, from left to right", gradient: "gradient, from right to left" };

// Powers of ten as labels: "10⁻¹²".
export const power = (n) => (n === 0 ? "1" : n === 1 ? "10" : `10${String(n).replace(/./g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)])}`);

// The smallest whole decades around both courses, at least one on each side of 1, and marks on them.
export function decades({ signal, gradient }) {
  const every = [...signal, ...gradient].map(Math.log10);
  const low = Math.min(-1, Math.floor(Math.min(...every)));
  const high = Math.max(1, Math.ceil(Math.max(...every)));
  const step = [1, 2, 5, 10, 20].find((width) => (high - low) / width <= 7);
  const first = Math.ceil(low / step);
  const marks = Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
  return { low, high, marks };
}

export function drawCourses(svg, now, width) {
  const last = now.signal.length - 1;
  const { low, high, marks } = decades(now);
  const right = width - RIGHT;
  const floor = KEYS + TALL;
  const height = floor + FEET;
  const x = (n) => LEFT + ((right - LEFT) * n) / last;
  const y = (v) => floor - (TALL * (Math.log10(v) - low)) / (high - low);
  set(svg, { viewBox: `0 0 ${width} ${height}`, width, height });
  const rules = marks.flatMap((n) => [
    h("line", { class: n === 0 ? "one" : "rule", x1: LEFT, x2: right, y1: y(10 ** n), y2: y(10 ** n) }),
    h("text", { class: "tick", x: LEFT - 6, y: y(10 ** n) + 4, "text-anchor": "end" }, power(n)),
  ]);
  const stops = last >= 10 ? [0, Math.round(last / 2), last] : last > 1 ? [0, last] : [0, 1];
  const feet = stops.map((n) => h("text", { class: "tick", x: x(n), y: floor + 18, "text-anchor": n === 0 ? "start" : n === last ? "end" : "middle" }, n === 0 ? "layer 0" : String(n)));
  const lines = ["signal", "gradient"].flatMap((key, i) => {
    const values = now[key];
    const d = values.map((v, n) => `${n ? "L" : "M"}${x(n).toFixed(1)} ${y(v).toFixed(1)}`).join("");
    const end = key === "signal" ? last : 0;
    const line = 14 + 18 * i;
    return [
      h("path", { class: `course course-${key}`, d, "data-values": values.join(" ") }),
      h("circle", { class: `bead bead-${key}`, cx: x(end), cy: y(values[end]), r: 4 }),
      h("path", { class: `course course-${key}`, d: `M2 ${line - 4}h30` }),
      h("text", { class: "name", x: 40, y: line }, NAMES[key]),
    ];
  });
  svg.replaceChildren(...rules, ...feet, ...lines);
}
