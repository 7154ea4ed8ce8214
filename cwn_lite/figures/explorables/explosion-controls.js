// The inputs in two groups, by what they do: those whose effect compounds with depth, and those that enter once.

import { format, h, set } from "./shared.js";
import { formula, tell } from "./explosion-words.js";

const DECADES = [-4, 2];

// `change(part)` is told of every slider, `choose(gain)` of the buttons. `update(state)` moves all without an event.
export function controls({ n, layers, change, choose, restart }) {
  const unscaled = Math.sqrt(n);
  const most = Math.ceil(2 * unscaled) / 2;
  const gain = ranged({ label: "gain", sign: "*κ* = ‖*ŵ*‖", min: 0.5, max: most, step: 0.01, write: (x) => tell(x) });
  const depth = ranged({ label: "depth", min: 2, max: layers, step: 1, write: (x) => `${x} layers` });
  const sigma = ranged({ label: "standard deviation", sign: "*σ*", min: DECADES[0], max: DECADES[1], step: 0.05, write: (x) => tell(x), read: Math.log10 });
  const decay = ranged({ label: "weight decay", sign: "*λ*", min: 0, max: 0.01, step: 0.0001, write: (x) => (x ? format(x, 4) : "0") });
  gain.listen((x) => change({ gain: x }));
  depth.listen((x) => change({ depth: x }));
  sigma.listen((x) => change({ sigma: 10 ** x }));
  decay.listen((x) => change({ decay: x }));

  const presets = [
    { value: Math.SQRT2, sign: "√2", word: "scaled, " },
    { value: Math.sqrt((2 * Math.PI) / (Math.PI - 1)), sign: "√*c*⋆", name: "√c⋆, keeps the signal" },
    { value: unscaled, sign: "√*n*", word: "unscaled, " },
  ].map(({ value, sign, word = "", name = null }) => {
    const button = h("button", { type: "button", "aria-label": name, click: () => choose(value) }, word, formula(sign));
    return { button, value };
  });

  const node = h(
    "div",
    { class: "explosion-controls" },
    group("Compounds with depth", gain.node, h("div", { class: "explosion-presets" }, ...presets.map(({ button }) => button)), depth.node),
    group(
      "Enters once, in every layer",
      sigma.node,
      decay.node,
      h("p", { class: "explosion-note" }, "1,000 steps of decay alone at learning rate 0.1. A gradient would pull the other way and make σ larger; here there is none."),
    ),
    h("button", { type: "button", class: "explosion-reset", click: restart }, "Reset"),
  );

  function update(state) {
    gain.set(state.gain);
    depth.set(state.depth);
    sigma.set(state.sigma);
    decay.set(state.decay);
    for (const { button, value } of presets) set(button, { "aria-pressed": String(Math.abs(state.gain - value) < 1e-9) });
  }
  return { node, update };
}

const group = (name, ...children) => h("fieldset", {}, h("legend", {}, name), ...children);

// A native slider like the shared one, for values that it cannot write; `read` takes a value to where the thumb stands.
function ranged({ label, sign = "", min, max, step, write, read = (x) => x }) {
  const name = `${label} ${sign.replaceAll("*", "")}`.trim();
  const range = h("input", { type: "range", min, max, step, "aria-label": name });
  const value = h("span"); // no output element: each would be a live region of its own
  const node = h("label", { class: "explorable-slider" }, h("span", {}, `${label} `, formula(sign)), value, range);
  const move = (x) => {
    range.value = read(x);
    value.textContent = write(x);
    range.setAttribute("aria-valuetext", value.textContent);
  };
  return { node, set: move, listen: (input) => range.addEventListener("input", () => input(range.valueAsNumber)) };
}
