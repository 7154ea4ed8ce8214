// Metric against epoch for several methods and seeds: mean, range over seeds, and the values under a cursor. Many
// methods get a panel each.

import { drawPanels, drawTogether, isLost } from "./learning-curves-plot.js";
import { announcer, format, h, onWidth, set, show, slider } from "./shared.js";
import { byMethod, overEpochs } from "./summary.js";

const METRICS = [
  { key: "test_error", name: "test error", unit: " %", digits: 2 },
  { key: "train_error", name: "train error", unit: " %", digits: 2 },
  { key: "train_loss", name: "train loss", unit: "", digits: 3 },
];
const MOST = 5; // methods that can be told apart in one plot

export function render(el, data) {
  const runs = withEpochs(data.runs ?? data);
  const groups = byMethod(runs);
  const metrics = METRICS.filter(({ key }) => runs.some((run) => run.curve.some((point) => Number.isFinite(point[key]))));
  const lastEpoch = Math.max(1, ...runs.flatMap((run) => run.curve.map((point) => point.epoch)));
  const look = new Map([...groups].map(([method, [first]]) => [method, { label: first.label ?? method, color: first.color ?? "currentColor", dash: dashes(first.dash) }]));
  const state = { metric: metrics.find(({ key }) => key === data.metric) ?? metrics[0], shown: new Set(groups.keys()), epoch: lastEpoch, log: false, seeds: false, together: groups.size <= MOST };

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
    h("form", { class: "curves-bar" }, bar("Metric", ...metricInputs), bar("Options", option("log", "log scale"), option("seeds", "every seed"), ...(state.together ? [] : [option("together", "one plot")])), bar("Methods", ...methodInputs)),
    view,
    epoch.node,
    table,
    summary,
  );
  el.querySelector("form").addEventListener("submit", (event) => event.preventDefault());

  let lines, pointed;
  let width = 0;

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
    if (!width || !lines) return;
    const { parts, height, epochAt } = (state.together ? drawTogether : drawPanels)({ lines, state, width, lastEpoch });
    set(svg, { viewBox: `0 0 ${width} ${height}`, width, height });
    svg.replaceChildren(...parts);
    pointed = epochAt;
  }

  const follow = (event) => {
    if (event.type === "pointermove" && event.pointerType !== "mouse" && event.buttons === 0) return;
    const box = svg.getBoundingClientRect();
    const at = pointed(event.clientX - box.left);
    if (at !== state.epoch) update({ epoch: at });
  };
  svg.addEventListener("pointerdown", follow);
  svg.addEventListener("pointermove", follow);

  onWidth(view, (now) => {
    width = now;
    draw();
  });
  update({});
}

// A curve counts its epochs from 1 where it does not say.
function withEpochs(runs) {
  return runs.map((run) => ({ ...run, curve: run.curve.map((point, i) => ({ epoch: i + 1, ...point })) }));
}

function lostNote(all) {
  const gone = all.filter(isLost);
  if (!gone.length) return "";
  const when = gone.map((run) => run.curve.length + 1);
  const first = Math.min(...when);
  const last = Math.max(...when);
  return `${gone.length} diverged in epoch ${first === last ? first : `${first} to ${last}`}`;
}

const dashes = (dash) => (dash?.length ? dash.map((length) => 2 * length).join(" ") : null);

// A piece of the line, as it stands in the plot.
function key({ color, dash }) {
  const line = h("path", { d: "M0 6H24", stroke: color, "stroke-dasharray": dash });
  return h("svg", { class: "curves-key", viewBox: "0 0 24 12", width: 24, height: 12, "aria-hidden": "true" }, line);
}
