// Three quantities against the step, one above the other, on logarithmic axes that never move.

import { h, set, spread } from "./shared.js";
import { FADED, STEPS } from "./equilibrium-dynamics.js";

export const PANELS = [
  { key: "length", title: "length", symbol: "r", low: 0.01, high: 100, marks: [0.01, 0.1, 1, 10, 100] },
  { key: "gradient", title: "gradient", symbol: "G/r", low: 0.01, high: 100, marks: [0.01, 0.1, 1, 10, 100] },
  { key: "angle", title: "angle per step, in degrees", symbol: "θ", low: 0.01, high: 100, marks: [0.01, 0.1, 1, 10, 90] },
];
const LEFT = 36;
const RIGHT = 56;
const TITLE = 34;
const FOOT = 24;
const DASH = "24 4 8 4"; // that of scaled WS in every figure of the book

// The steps that are drawn and that the cursor stops at: all of the first ones, then equal factors, and around a fading.
const EDGES = [FADED[0] - 1, FADED[0], FADED[1], FADED[1] + 1, FADED[1] + 2, FADED[1] + 3];
export const STOPS = [...new Set([...Array.from({ length: 301 }, (_, i) => Math.round(STEPS ** (i / 300))), ...EDGES])].sort((a, b) => a - b);

export function drawPanels(svg, run, step, width) {
  const tall = width < 430 ? 104 : 128;
  const right = width - RIGHT;
  const x = (t) => LEFT + ((right - LEFT) * Math.log(t)) / Math.log(STEPS);
  const height = PANELS.length * (TITLE + tall) + FOOT;
  set(svg, { viewBox: `0 0 ${width} ${height}`, width, height });
  const parts = PANELS.flatMap((panel, i) => {
    const top = i * (TITLE + tall) + TITLE;
    return onePanel(panel, { run, step, x, top, bottom: top + tall, right });
  });
  const floor = height - FOOT;
  for (const t of [1, 10, 100, 1000, 10000]) {
    const text = t === 1 ? "step 1" : t.toLocaleString("en");
    parts.push(label("tick", x(t), floor + 17, text, "middle"));
  }
  svg.replaceChildren(...parts);
  // The stop nearest to a place on the screen.
  return (px) => {
    const t = STEPS ** ((px - LEFT) / (right - LEFT));
    return STOPS.reduce((best, stop) => (Math.abs(Math.log(stop / t)) < Math.abs(Math.log(best / t)) ? stop : best));
  };
}

function onePanel({ key, title, symbol, low, high, marks }, { run, step, x, top, bottom, right }) {
  const y = (v) => bottom - ((bottom - top) * Math.log(v / low)) / Math.log(high / low);
  const inside = (v) => v >= low && v <= high;
  const rules = marks.map((v) => h("line", { class: v === low ? "frame" : "rule", x1: LEFT, x2: right, y1: y(v), y2: y(v) }));
  const ticks = marks.map((v) => label("tick", LEFT - 6, y(v) + 4, String(v), "end"));
  const name = h("text", { class: "title", x: LEFT, y: top - 10 }, h("tspan", { class: "symbol" }, symbol), ` ${title}`);

  // An svg of its own cuts off what leaves the panel.
  const frame = h("svg", { class: "equilibrium-frame", x: LEFT, y: top, width: right - LEFT, height: bottom - top });
  const shift = h("g", { transform: `translate(${-LEFT} ${-top})` });
  const wayOf = (of) => STOPS.map((t, i) => `${i ? "L" : "M"}${x(t).toFixed(1)} ${y(of(t)[key]).toFixed(1)}`).join("");
  const values = STOPS.map((t) => run.at(t)[key]);
  const settled = run.settled[key];
  const balanced = Number.isFinite(run.settled.length);
  if (balanced) shift.append(h("path", { class: "settled", d: wayOf(run.settledAt) }));
  shift.append(h("path", { class: "ours", d: wayOf(run.oursAt) }), h("path", { class: "path", d: wayOf(run.at), "stroke-dasharray": DASH }));
  frame.append(shift);

  const beads = [
    h("line", { class: "cursor", x1: x(step), x2: x(step), y1: top, y2: bottom }),
    ...[["ours", run.oursAt(step)[key]], ["path", run.at(step)[key]]]
      .filter(([, v]) => inside(v))
      .map(([of, v]) => h("circle", { class: `bead bead-${of}`, cx: x(step), cy: y(v), r: 4.5 })),
    h("circle", { class: "bead bead-first", cx: x(1), cy: y(values[0]), r: inside(values[0]) ? 3.5 : 0 }),
  ];
  return [...rules, ...ticks, name, frame, ...exits(values, { low, high, x, top, bottom }), ...beads, ...names()];

  function names() {
    const ends = [
      { of: "path", text: symbol, at: values.at(-1) },
      { of: "ours", text: "CWO", at: run.ours[key] },
      ...(balanced ? [{ of: "settled", text: `${symbol}*`, at: settled }] : []),
    ];
    const wanted = ends.map(({ at }) => y(Math.min(high, Math.max(low, at))));
    return spread(wanted, 15, top + 2, bottom - 2).map((to, i) => {
      const { of, text, at } = ends[i];
      const away = at > high ? " ↑" : at < low ? " ↓" : "";
      return label(`end end-${of}`, right + 8, to + 4, text + away, "start");
    });
  }
}

// A triangle where the line of the row leaves the panel, and where it stays outside from the start.
function exits(values, { low, high, x, top, bottom }) {
  const side = values.map((v) => (v > high ? 1 : v < low ? -1 : 0));
  const marks = [];
  side.forEach((now, i) => {
    if (now === 0 || now === side[i - 1]) return;
    const px = Math.max(x(STOPS[i]), x(1) + 6);
    marks.push(h("path", { class: "exit", d: now > 0 ? `M${px - 5} ${top + 9}h10l-5 -8z` : `M${px - 5} ${bottom - 9}h10l-5 8z` }));
  });
  return marks;
}

function label(className, x, y, content, anchor) {
  return h("text", { class: className, x, y, "text-anchor": anchor }, content);
}
