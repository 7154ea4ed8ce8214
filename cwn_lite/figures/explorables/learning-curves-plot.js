// Learning curves drawn: all methods in one plot, or a small panel for each on the same axes.

import { format, h, spread, textWidth } from "./shared.js";
import { ticks } from "./summary.js";

const TOP = 26;
const BOTTOM = 30;
const LEFT = 40;
const RIGHT = 14;
const FONT = "600 13px system-ui, sans-serif";
const SMALL = "12px system-ui, sans-serif";
const PANEL = { least: 112, gap: 16, tall: 84, head: 20, note: 15, foot: 10 };

export const isLost = (run) => Boolean(run.status) && run.status !== "done";

// Each drawing takes {lines, state, width, lastEpoch} and returns its parts, its height, and the epoch at a pixel.
export function drawTogether({ lines, state, width, lastEpoch }) {
  const drawn = lines.filter(({ points }) => points.length);
  const height = Math.round(Math.min(420, Math.max(260, width * 0.52)));
  const right = width - RIGHT - Math.max(36, ...drawn.map((line) => textWidth(line.label, FONT)));
  const place = placing({ drawn, state, lastEpoch }, LEFT, right, TOP, height - BOTTOM);
  const { x, y } = place;
  const parts = [...rules(place, state, height / 60), title(state, place)];
  parts.push(...epochs(place, lastEpoch, width / 90), text("tick", right + 13, height - BOTTOM + 17, "epoch", "start"));

  // Bands first, then lines, so that no band dims a line.
  parts.push(...drawn.map((line) => band(line, place)), ...drawn.flatMap((line) => seeds(line, place, state)));
  parts.push(...drawn.map((line) => mean(line, place)));
  for (const line of drawn) {
    for (const [px, py] of ends(line, place, state)) {
      parts.push(h("path", { class: "lost", d: cross(px, py), stroke: line.color }), text("lost-name", px + 9, py - 6, "diverged", "start"));
    }
  }
  parts.push(cursor(place, state), ...drawn.flatMap((line) => bead(line, place, state)));

  // Names at the ends of the lines, pushed apart; a leader where a name had to move.
  const last = drawn.map(({ points }) => points[points.length - 1]);
  const wanted = last.map((p) => y(p.mean));
  spread(wanted, 17, TOP, height - BOTTOM - 4).forEach((to, i) => {
    const from = x(last[i].epoch);
    if (right - from > 4 || Math.abs(to - wanted[i]) > 4) {
      parts.push(h("path", { class: "leader", d: way([[from + 5, wanted[i]], [right + 8, to]]), stroke: drawn[i].color }));
    }
    parts.push(name(drawn[i], right + 12, to + 4.5));
  });
  return { parts, height, epochAt: (px) => place.epochAt(px) };
}

// One panel per method, the best last mean first; the other methods' means are faint behind it.
export function drawPanels({ lines, state, width, lastEpoch }) {
  const drawn = lines.filter(({ points }) => points.length);
  const room = width - LEFT - RIGHT + PANEL.gap;
  const columns = Math.max(1, Math.min(4, Math.floor(room / (PANEL.least + PANEL.gap))));
  const wide = room / columns - PANEL.gap;
  const notes = new Map(lines.map((line) => [line, lostCount(line)]));
  const fits = lines.every((line) => textWidth(line.label, FONT) + 8 + textWidth(notes.get(line), SMALL) <= wide);
  const head = PANEL.head + (fits ? 0 : PANEL.note);
  const step = head + PANEL.tall + PANEL.foot;
  const parts = [];
  const places = ordered(lines).map((line, i) => {
    const left = LEFT + (i % columns) * (wide + PANEL.gap);
    const top = TOP - 6 + Math.floor(i / columns) * step + head;
    const place = placing({ drawn, state, lastEpoch }, left, left + wide, top, top + PANEL.tall);
    parts.push(...rules(place, state, 4, i % columns === 0));
    if (i + columns >= lines.length) parts.push(...epochs(place, lastEpoch, wide / 45)); // nothing stands below it
    parts.push(h("path", { class: "other", d: drawn.filter((each) => each !== line).map((each) => course(each, place)).join("") }));
    parts.push(band(line, place), ...seeds(line, place, state), mean(line, place));
    parts.push(...ends(line, place, state).map(([px, py]) => h("path", { class: "lost", d: cross(px, py), stroke: line.color })));
    parts.push(cursor(place, state), ...bead(line, place, state), name(line, left, top - head + 13));
    const beside = left + textWidth(line.label, FONT) + 8;
    if (notes.get(line)) parts.push(text("panel-note", fits ? beside : left, top - head + 13 + (fits ? 0 : PANEL.note), notes.get(line), "start"));
    return place;
  });
  const bottom = TOP - 6 + Math.ceil(Math.max(1, lines.length) / columns) * step - PANEL.foot;
  if (!places.length) places.push(placing({ drawn, state, lastEpoch }, LEFT, width - RIGHT, TOP, bottom));
  parts.push(title(state, places[0]), text("tick", LEFT + wide / 2, bottom + 32, "epoch", "middle"));
  const row = places.slice(0, columns); // a panel ends in the middle of the gap to the next
  const epochAt = (px) => row.reduce((before, next) => (px > next.left - PANEL.gap / 2 ? next : before)).epochAt(px);
  return { parts, height: bottom + 38, epochAt };
}

// Lines that reach the last epoch by their last mean, then those that do not, then those without any point.
export function ordered(lines) {
  const last = ({ points }) => points[points.length - 1] ?? { epoch: 0, mean: 0 };
  return lines.toSorted((a, b) => last(b).epoch - last(a).epoch || last(a).mean - last(b).mean);
}

// The axes that all lines share, in a rectangle of the picture.
function placing({ drawn, state, lastEpoch }, left, right, top, bottom) {
  const extremes = drawn.flatMap((line) => line.points.flatMap((p) => [p.min, p.max]));
  let low = Math.min(...extremes);
  let high = Math.max(...extremes);
  if (!drawn.length) [low, high] = [0, 1];
  const log = state.log && low > 0;
  if (log) [low, high] = [low / 1.15, high * 1.15];
  else {
    const pad = 0.05 * (high - low || Math.abs(high) || 1);
    [low, high] = [low - pad < 0 && low >= 0 ? 0 : low - pad, high + pad];
  }
  const f = log ? Math.log : (v) => v;
  const x = (e) => left + ((right - left) * (e - 1)) / Math.max(1, lastEpoch - 1);
  const y = (v) => bottom - ((bottom - top) * (f(v) - f(low))) / (f(high) - f(low));
  const epochAt = (px) => Math.min(lastEpoch, Math.max(1, Math.round(1 + ((px - left) / (right - left)) * (lastEpoch - 1))));
  return { left, right, top, bottom, low, high, log, x, y, epochAt };
}

// Axes: rules and numbers, no boxes.
function rules({ left, right, bottom, low, high, log, y }, state, count, numbers = true) {
  const levels = ticks(low, high, Math.max(log ? 0 : 2, count), log);
  const decimals = Math.max(0, ...levels.map((v) => (String(Number(v.toPrecision(6))).split(".")[1] ?? "").length));
  return [
    ...levels.flatMap((v) => [
      h("line", { class: "rule", x1: left, x2: right, y1: y(v), y2: y(v) }),
      ...(numbers ? [text("tick", left - 7, y(v) + 4, format(v, log ? Math.max(0, -Math.floor(Math.log10(v))) : decimals), "end")] : []),
    ]),
    h("line", { class: "frame", x1: left, x2: right, y1: bottom, y2: bottom }),
  ];
}

function epochs({ x, bottom }, lastEpoch, count) {
  const marks = ticks(1, lastEpoch, Math.max(1, count)).filter((v) => Number.isInteger(v) && v >= 1);
  return marks.map((e) => text("tick", x(e), bottom + 17, format(e, 0), "middle"));
}

const title = ({ metric: { name, unit } }, { log }) => text("tick", 2, 13, `${name}${unit && ","}${unit}${log ? ", log scale" : ""}`, "start");

const way = (points) => points.map((p, i) => `${i ? "L" : "M"}${p[0].toFixed(1)} ${p[1].toFixed(1)}`).join("");
const course = ({ points }, { x, y }) => way(points.map((p) => [x(p.epoch), y(p.mean)]));

function band({ color, points }, { x, y }) {
  if (!points.length) return h("path", { class: "band" });
  const around = [...points.map((p) => [x(p.epoch), y(p.max)]), ...points.toReversed().map((p) => [x(p.epoch), y(p.min)])];
  return h("path", { class: "band", d: `${way(around)}z`, fill: color });
}

const mean = (line, place) => h("path", { class: "mean", d: course(line, place), stroke: line.color, "stroke-dasharray": line.dash });

function seeds({ all, color }, { x, y }, state) {
  const seen = ({ curve }) => curve.filter((p) => Number.isFinite(p[state.metric.key]));
  const d = (run) => way(seen(run).map((p) => [x(p.epoch), y(p[state.metric.key])]));
  return state.seeds ? all.map((run) => h("path", { class: "seed", d: d(run), stroke: color })) : [];
}

// Where the runs that were lost had their last value.
function ends({ all }, { x, y }, state) {
  const last = all.filter(isLost).map(({ curve }) => curve.findLast((p) => Number.isFinite(p[state.metric.key])));
  return last.filter(Boolean).map((p) => [x(p.epoch), y(p[state.metric.key])]);
}

const cursor = ({ x, top, bottom }, { epoch }) => h("line", { class: "cursor", x1: x(epoch), x2: x(epoch), y1: top - 6, y2: bottom });

function bead({ points, color }, { x, y }, { epoch }) {
  const at = points.find((p) => p.epoch === epoch);
  return at ? [h("circle", { class: "bead", cx: x(at.epoch), cy: y(at.mean), r: 4.5, fill: color })] : [];
}

function name({ label, color }, x, y) {
  const node = text("end", x, y, label, "start");
  node.style.fill = `color-mix(in srgb, ${color} 55%, var(--ex-ink))`;
  return node;
}

function lostCount({ all }) {
  const gone = all.filter(isLost).length;
  return gone ? `${gone} of ${all.length} diverged` : "";
}

const cross = (x, y) => `M${x - 5} ${y - 5}l10 10m0 -10l-10 10`;

function text(className, x, y, content, anchor) {
  return h("text", { class: className, x, y, "text-anchor": anchor }, content);
}
