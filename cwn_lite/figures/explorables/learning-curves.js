// Metric against epoch for several methods and seeds: mean, range over seeds, and the values under a cursor.

import { announcer, format, h, onWidth, set, show, slider, spread, textWidth } from "./shared.js";
import { byMethod, overEpochs, ticks } from "./summary.js";

const METRICS = [
  { key: "test_error", name: "test error", unit: " %", digits: 2 },
  { key: "train_error", name: "train error", unit: " %", digits: 2 },
  { key: "train_loss", name: "train loss", unit: "", digits: 3 },
];
const TOP = 26;
const BOTTOM = 30;
const LEFT = 40;
const FONT = "600 13px system-ui, sans-serif";

export function render(el, data) {
  const runs = withEpochs(data.runs ?? data);
  const groups = byMethod(runs);
  const metrics = METRICS.filter(({ key }) => runs.some((run) => run.curve.some((point) => Number.isFinite(point[key]))));
  const lastEpoch = Math.max(1, ...runs.flatMap((run) => run.curve.map((point) => point.epoch)));
  const look = new Map([...groups].map(([method, [first]]) => [method, { label: first.label ?? method, color: first.color ?? "currentColor", dash: dashes(first.dash) }]));
  const state = { metric: metrics.find(({ key }) => key === data.metric) ?? metrics[0], shown: new Set(groups.keys()), epoch: lastEpoch, log: false, seeds: false };

  // Inputs. The form gives the radio buttons a group of their own on pages with several figures.
  const choice = (input, ...label) => h("label", { class: "explorable-choice" }, input, ...label);
  const metricInputs = metrics.map((metric) =>
    choice(h("input", { type: "radio", name: "metric", checked: metric === state.metric, change: () => update({ metric }) }), ` ${metric.name}`),
  );
  const methodInputs = [...groups.keys()].map((method) => {
    const box = h("input", { type: "checkbox", checked: true });
    box.addEventListener("change", () => {
      state.shown[box.checked ? "add" : "delete"](method);
      update({});
    });
    return choice(box, key(look.get(method)), look.get(method).label);
  });
  const option = (name, label) => {
    const box = h("input", { type: "checkbox", change: () => update({ [name]: box.checked }) });
    return choice(box, ` ${label}`);
  };
  const bar = (name, ...children) => h("fieldset", {}, h("legend", { class: "explorable-unseen" }, name), h("div", { class: "curves-options" }, ...children));
  const epoch = slider({ label: "epoch under the cursor", min: 1, max: lastEpoch, step: 1, digits: 0, input: (x) => update({ epoch: x }) });
  epoch.node.classList.add("curves-epoch");

  const svg = h("svg", { class: "curves", role: "img" });
  const view = h("div", { class: "curves-view" }, svg);
  const heading = h("th", { scope: "col" });
  const body = h("tbody");
  const table = h(
    "table",
    {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "method"), heading, h("th", { scope: "col" }, "± std"), h("th", { scope: "col" }, "seeds"))),
    body,
  );
  const rows = new Map(
    [...groups.keys()].map((method) => {
      const row = { mean: h("data"), std: h("data"), n: h("data"), note: h("small") };
      const head = h("th", { scope: "row" }, key(look.get(method)), `  ${look.get(method).label} `, row.note);
      row.node = h("tr", { "data-method": method }, head, h("td", {}, row.mean), h("td", {}, row.std), h("td", {}, row.n));
      return [method, row];
    }),
  );
  body.append(...[...rows.values()].map((row) => row.node));
  const { node: summary, say } = announcer();
  summary.classList.add("explorable-unseen"); // the table says it to who sees
  el.append(
    h("form", { class: "curves-bar" }, bar("Metric", ...metricInputs), bar("Options", option("log", "log scale"), option("seeds", "every seed")), bar("Methods", ...methodInputs)),
    view,
    epoch.node,
    table,
    summary,
  );
  el.querySelector("form").addEventListener("submit", (event) => event.preventDefault());

  let lines, scales;

  function update(part) {
    Object.assign(state, part);
    lines = [...groups]
      .filter(([method]) => state.shown.has(method))
      .map(([method, all]) => ({ method, all, ...look.get(method), points: overEpochs(all, state.metric.key) }));
    epoch.set(state.epoch);
    fillTable();
    draw();
  }

  function fillTable() {
    const { name, unit, digits } = state.metric;
    heading.textContent = `${name}${unit && ","}${unit}`;
    const said = [];
    for (const [method, row] of rows) {
      row.node.hidden = !state.shown.has(method);
      const all = groups.get(method);
      const at = overEpochs(all, state.metric.key).find((point) => point.epoch === state.epoch);
      show(row.mean, at?.mean, digits);
      show(row.std, at?.std, digits);
      show(row.n, at?.n ?? 0, 0);
      row.n.textContent += ` of ${all.length}`;
      row.note.textContent = lostNote(all);
      row.node.classList.toggle("curves-none", !at);
      if (row.node.hidden) continue;
      const spreadText = at?.n > 1 ? ` ± ${format(at.std, digits)}` : "";
      said.push(`${look.get(method).label} ${at ? format(at.mean, digits) + unit + spreadText : "has no value"}`);
    }
    const text = `At epoch ${state.epoch}, ${name}: ${said.join("; ") || "no method chosen"}.`;
    set(svg, { "aria-label": `${name} against epoch. ${text}` });
    say(text);
  }

  function draw() {
    const { width, height } = svg.viewBox.baseVal;
    if (!width || !lines) return;
    const drawn = lines.filter((line) => line.points.length);
    const right = width - 14 - Math.max(36, ...drawn.map((line) => textWidth(line.label, FONT)));
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
    const x = (e) => LEFT + ((right - LEFT) * (e - 1)) / Math.max(1, lastEpoch - 1);
    const y = (v) => height - BOTTOM - ((height - BOTTOM - TOP) * (f(v) - f(low))) / (f(high) - f(low));
    scales = { epochAt: (px) => Math.min(lastEpoch, Math.max(1, Math.round(1 + ((px - LEFT) / (right - LEFT)) * (lastEpoch - 1)))) };
    const parts = [];

    // Axes: rules and numbers, no boxes.
    const levels = ticks(low, high, Math.max(3, height / 60), log);
    const decimals = Math.max(0, ...levels.map((v) => (String(Number(v.toPrecision(6))).split(".")[1] ?? "").length));
    for (const v of levels) {
      parts.push(h("line", { class: "rule", x1: LEFT, x2: right, y1: y(v), y2: y(v) }));
      parts.push(text("tick", LEFT - 7, y(v) + 4, format(v, log ? Math.max(0, -Math.floor(Math.log10(v))) : decimals), "end"));
    }
    for (const e of ticks(1, lastEpoch, width / 90).filter((v) => Number.isInteger(v) && v >= 1)) {
      parts.push(text("tick", x(e), height - BOTTOM + 17, format(e, 0), "middle"));
    }
    parts.push(h("line", { class: "frame", x1: LEFT, x2: right, y1: height - BOTTOM, y2: height - BOTTOM }));
    parts.push(text("tick", 2, 13, `${state.metric.name}${state.metric.unit && ","}${state.metric.unit}${log ? ", log scale" : ""}`, "start"));
    parts.push(text("tick", right + 13, height - BOTTOM + 17, "epoch", "start"));

    // Bands first, then lines, so that no band dims a line.
    const way = (points) => points.map((p, i) => `${i ? "L" : "M"}${p[0].toFixed(1)} ${p[1].toFixed(1)}`).join("");
    for (const { color, points } of drawn) {
      const band = [...points.map((p) => [x(p.epoch), y(p.max)]), ...points.toReversed().map((p) => [x(p.epoch), y(p.min)])];
      parts.push(h("path", { class: "band", d: `${way(band)}z`, fill: color }));
    }
    for (const { all, color } of state.seeds ? drawn : []) {
      for (const { curve } of all) {
        const seen = curve.filter((p) => Number.isFinite(p[state.metric.key]));
        parts.push(h("path", { class: "seed", d: way(seen.map((p) => [x(p.epoch), y(p[state.metric.key])])), stroke: color }));
      }
    }
    for (const { points, color, dash } of drawn) {
      parts.push(h("path", { class: "mean", d: way(points.map((p) => [x(p.epoch), y(p.mean)])), stroke: color, "stroke-dasharray": dash }));
    }
    for (const { all, color } of drawn) {
      for (const { curve } of all.filter(lost)) {
        const last = curve.findLast((p) => Number.isFinite(p[state.metric.key]));
        if (!last) continue;
        const [px, py] = [x(last.epoch), y(last[state.metric.key])];
        parts.push(h("path", { class: "lost", d: cross(px, py), stroke: color }), text("lost-name", px + 9, py - 6, "diverged", "start"));
      }
    }

    // The cursor and what it touches.
    parts.push(h("line", { class: "cursor", x1: x(state.epoch), x2: x(state.epoch), y1: TOP - 6, y2: height - BOTTOM }));
    for (const { points, color } of drawn) {
      const at = points.find((p) => p.epoch === state.epoch);
      if (at) parts.push(h("circle", { class: "bead", cx: x(at.epoch), cy: y(at.mean), r: 4.5, fill: color }));
    }

    // Names at the ends of the lines, pushed apart; a leader where a name had to move.
    const ends = drawn.map(({ points }) => points[points.length - 1]);
    const wanted = ends.map((p) => y(p.mean));
    spread(wanted, 17, TOP, height - BOTTOM - 4).forEach((to, i) => {
      const { label, color } = drawn[i];
      const from = x(ends[i].epoch);
      if (right - from > 4 || Math.abs(to - wanted[i]) > 4) {
        parts.push(h("path", { class: "leader", d: way([[from + 5, wanted[i]], [right + 8, to]]), stroke: color }));
      }
      const name = text("end", right + 12, to + 4.5, label, "start");
      name.style.fill = `color-mix(in srgb, ${color} 55%, var(--ex-ink))`;
      parts.push(name);
    });
    svg.replaceChildren(...parts);
  }

  const follow = (event) => {
    if (event.type === "pointermove" && event.pointerType !== "mouse" && event.buttons === 0) return;
    const box = svg.getBoundingClientRect();
    const at = scales.epochAt(event.clientX - box.left);
    if (at !== state.epoch) update({ epoch: at });
  };
  svg.addEventListener("pointerdown", follow);
  svg.addEventListener("pointermove", follow);

  onWidth(view, (width) => {
    const height = Math.round(Math.min(420, Math.max(260, width * 0.52)));
    set(svg, { viewBox: `0 0 ${width} ${height}`, width, height });
    draw();
  });
  update({});
}

// A curve counts its epochs from 1 where it does not say.
function withEpochs(runs) {
  return runs.map((run) => ({ ...run, curve: run.curve.map((point, i) => ({ epoch: i + 1, ...point })) }));
}

const lost = (run) => Boolean(run.status) && run.status !== "done";

function lostNote(all) {
  const gone = all.filter(lost);
  if (!gone.length) return "";
  const when = gone.map((run) => run.curve.length + 1);
  const first = Math.min(...when);
  const last = Math.max(...when);
  return `${gone.length} diverged in epoch ${first === last ? first : `${first} to ${last}`}`;
}

const cross = (x, y) => `M${x - 5} ${y - 5}l10 10m0 -10l-10 10`;
const dashes = (dash) => (dash?.length ? dash.map((length) => 2 * length).join(" ") : null);

function text(className, x, y, content, anchor) {
  return h("text", { class: className, x, y, "text-anchor": anchor }, content);
}

// A piece of the line, as it stands in the plot.
function key({ color, dash }) {
  const line = h("path", { d: "M0 6H24", stroke: color, "stroke-dasharray": dash });
  return h("svg", { class: "curves-key", viewBox: "0 0 24 12", width: 24, height: 12, "aria-hidden": "true" }, line);
}
