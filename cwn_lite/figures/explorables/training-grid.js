// A grid of trainings: which learning rates and first lengths a method bears, seed by seed. Twin of training_grid.py.

import { announcer, format, h, set } from "./shared.js";

const TRAINS = 50; // per cent of the test images
export const QUANTITIES = {
  error: "mean test error (%) of the runs that train",
  worst: "largest test error (%) of the runs that train",
  trained: "runs that train",
  diverged: "runs that diverge",
};

// What a cell shows; null where no run trains and an error is asked for.
export function cellValue(runs, quantity) {
  const good = runs.filter((error) => error !== null && error < TRAINS);
  if (quantity === "diverged") return runs.filter((error) => error === null).length;
  if (quantity === "trained") return good.length;
  if (good.length === 0) return null;
  return quantity === "worst" ? Math.max(...good) : good.reduce((sum, error) => sum + error, 0) / good.length;
}

// The ground of a cell: none of its runs trains, fewer than half or half, more, all.
export function shade(runs) {
  const good = cellValue(runs, "trained");
  if (good === 0 || good === runs.length) return good === 0 ? 0 : 3;
  return 2 * good > runs.length ? 2 : 1;
}

const plain = (x) => String(Number(x.toPrecision(2)));
const unique = (values) => [...new Set(values)].sort((a, b) => a - b);

export function render(el, data) {
  const { cells, names } = data;
  const methods = [...new Set(cells.map(({ method }) => method))];
  let state = { method: methods[0], layers: cells[0].layers, decay: cells[0].decay, quantity: "error", ...data.start };

  const pick = (label, key, options) => {
    const node = h("select", { "aria-label": label }, ...options.map(([value, text]) => h("option", { value }, text)));
    node.addEventListener("change", () => change({ [key]: typeof state[key] === "number" ? Number(node.value) : node.value }));
    return { key, node, label: h("label", { class: "training-grid-pick" }, h("span", {}, label), node) };
  };
  const picks = [
    pick("method", "method", methods.map((m) => [m, names[m] ?? m])),
    pick("layers", "layers", unique(cells.map(({ layers }) => layers)).map((n) => [n, `${n}`])),
    pick("weight decay", "decay", unique(cells.map(({ decay }) => decay)).map((x) => [x, x ? `${x}` : "none"])),
    pick("shown", "quantity", Object.entries(QUANTITIES)),
  ];
  const { node: summary, say } = announcer();
  const table = h("table", { class: "training-grid" });
  const key = h(
    "p",
    { class: "training-grid-key" },
    ...["none of three", "one", "two", "all"].map((text, i) => h("span", { class: `training-grid-cell shade-${i}` }, text)),
    " train",
  );
  el.append(h("div", { class: "explorable-controls" }, ...picks.map(({ label }) => label)), h("div", {}, table, key), summary);

  function change(part) {
    state = { ...state, ...part };
    for (const { key: name, node } of picks) node.value = String(state[name]);
    const here = cells.filter((c) => c.method === state.method && c.layers === state.layers && c.decay === state.decay);
    const lengths = unique(here.map(({ length }) => length));
    const rates = unique(here.map(({ lr }) => lr)).reverse();
    const head = h("tr", {}, h("th", { scope: "col" }, "rate"), ...lengths.map((x) => h("th", { scope: "col" }, plain(x))));
    const rows = rates.map((lr) =>
      h("tr", {}, h("th", { scope: "row" }, plain(lr)), ...lengths.map((x) => box(here.find((c) => c.lr === lr && c.length === x)))),
    );
    const caption = h("caption", {}, "columns: length of the first rows, He’s is 1");
    table.replaceChildren(caption, h("thead", {}, head), h("tbody", {}, ...rows));
    say(words(here, rates));
  }

  function box(cell) {
    if (!cell) return h("td", {}, "");
    const x = cellValue(cell.runs, state.quantity);
    const digits = state.quantity === "error" || state.quantity === "worst" ? 1 : 0;
    const td = h("td", { class: `training-grid-cell shade-${shade(cell.runs)}`, "data-value": x === null ? "" : String(x) });
    const spoken = h("span", { class: "explorable-unseen" }, `, ${cellValue(cell.runs, "trained")} of ${cell.runs.length} train`);
    td.append(x === null ? "–" : format(x, digits), spoken);
    return td;
  }

  function words(here, rates) {
    const count = (some) => {
      const runs = some.flatMap((cell) => cell.runs);
      return `${cellValue(runs, "trained")} of ${runs.length}`;
    };
    const byRate = rates.map((lr) => `${count(here.filter((c) => c.lr === lr))} at rate ${plain(lr)}`);
    const decay = state.decay ? `weight decay ${state.decay}` : "no weight decay";
    const name = names[state.method] ?? state.method;
    return `${name}, ${state.layers} layers, ${decay}: ${count(here)} runs train, ${byRate.join(", ")}.`;
  }

  set(table, { "aria-label": "trainings by learning rate and first length" });
  change({});
}
