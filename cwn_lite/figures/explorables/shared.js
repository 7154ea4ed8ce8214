// What every explorable uses: elements, labelled inputs, numbers, labels that keep out of each other's way.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "g", "path", "circle", "rect", "line", "text", "tspan", "defs", "radialGradient", "stop"]);

// h("p", {class: "note"}, "text", child): an element, in the SVG namespace where the tag asks for it.
export function h(tag, attributes = {}, ...children) {
  const node = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  set(node, attributes);
  node.append(...children);
  return node;
}

// Attributes by name; functions become listeners, null and false remove.
export function set(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value === null || value === false || value === undefined) node.removeAttribute(key);
    else node.setAttribute(key, value === true ? "" : value);
  }
  return node;
}

// Start every figure of this name that is not running yet. A figure that fails keeps its static form.
export function mount(name, render) {
  for (const figure of document.querySelectorAll(`figure[data-explorable="${name}"]:not([data-ready])`)) {
    const stage = figure.querySelector(".explorable-stage");
    const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    const live = h("div", { class: "explorable-live", role: "group", "aria-label": figure.dataset.alt });
    stage.append(live);
    try {
      render(live, data ?? {});
      figure.dataset.ready = "";
    } catch (error) {
      live.remove();
      figure.dataset.failed = "";
      console.error(error);
    }
  }
}

// Rounded for reading, with a true minus sign and no negative zero.
export function format(x, digits = 3) {
  if (!Number.isFinite(x)) return "–";
  const text = x.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

// A number in the page: rounded to read, exact in its `value` for who wants to check.
export function show(node, x, digits = 3) {
  node.textContent = format(x, digits);
  node.value = String(x);
}

// A formula as the reader knows it: letters italic, signs and digits upright.
export function math(formula) {
  const parts = formula.split(/([a-zα-ω]+)/i).map((part, i) => (i % 2 ? h("i", {}, part) : part));
  return h("span", { class: "explorable-math" }, ...parts);
}

const pen = document.createElement("canvas").getContext("2d");

// Width of a text in pixels.
export function textWidth(text, font) {
  pen.font = font;
  return pen.measureText(text).width;
}

// A labelled native slider with its value beside it; `set(x)` moves it without an event.
export function slider({ label, min, max, step, digits = 2, unit = "", input }) {
  const range = h("input", { type: "range", min, max, step, "aria-label": label });
  const value = h("span");
  const node = h("label", { class: "explorable-slider" }, h("span", {}, label), value, range);
  const update = (x) => {
    range.value = x;
    value.textContent = format(x, digits) + unit;
    range.setAttribute("aria-valuetext", value.textContent);
  };
  range.addEventListener("input", () => input(range.valueAsNumber));
  return { node, range, set: update };
}

// A polite live region: it speaks when the reader pauses, not at each pixel of a drag.
export function announcer() {
  const node = h("p", { class: "explorable-summary", role: "status", "aria-live": "polite" });
  let timer;
  const say = (text) => {
    clearTimeout(timer);
    if (!node.textContent) node.textContent = text;
    else timer = setTimeout(() => (node.textContent = text), 150);
  };
  return { node, say };
}

// Call draw(width) now and whenever the width of `node` changes.
export function onWidth(node, draw) {
  let last = 0;
  const check = () => {
    const width = Math.round(node.clientWidth);
    if (width > 0 && width !== last) draw((last = width));
  };
  new ResizeObserver(check).observe(node);
  check();
}

// Run tick(0..1) over `ms`, or only its end where the reader asked for less motion. Returns a function that finishes it.
export function animate(ms, tick, done) {
  let frame, start;
  const finish = () => {
    cancelAnimationFrame(frame);
    tick(1);
    done();
  };
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    finish();
    return () => {};
  }
  const next = (now) => {
    const t = (now - (start ??= now)) / ms;
    if (t >= 1) return finish();
    tick(t);
    frame = requestAnimationFrame(next);
  };
  frame = requestAnimationFrame(next);
  return finish;
}

// Positions as near as possible to the wanted ones, in their order, at least `gap` apart, within [low, high].
export function spread(wanted, gap, low, high) {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b]);
  const groups = [];
  for (const i of order) {
    let group = { members: [i], sum: wanted[i] };
    // Merge with the group above while they overlap; a group is centred on the mean of what its members want.
    const top = (g) => {
      const half = ((g.members.length - 1) * gap) / 2;
      return Math.min(Math.max(g.sum / g.members.length - half, low), high - 2 * half);
    };
    while (groups.length > 0) {
      const above = groups[groups.length - 1];
      if (above.top + above.members.length * gap <= top(group)) break;
      groups.pop();
      group = { members: [...above.members, ...group.members], sum: above.sum + group.sum };
    }
    groups.push({ ...group, top: top(group) });
  }
  const placed = new Array(wanted.length);
  for (const group of groups) group.members.forEach((i, k) => (placed[i] = group.top + k * gap));
  return placed;
}

const overlap = (a, b) =>
  Math.max(0, Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x)) *
  Math.max(0, Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y));

// A box for each label beside its point: clear of other labels, of points and of lines, and in the picture.
// items: [{key, w, h, gap, x, y}]; where several places will do, `anchors: [{x, y}]`, the best first, and `centre`,
// from which the label points away. points: [{x, y, r}]. lines: [[x1, y1, x2, y2]]. `memory` keeps labels from jumping.
export function placeLabels(items, { points, lines, width, height, memory }) {
  const placed = [];
  const ink = lines.flatMap(([x1, y1, x2, y2]) => {
    const n = Math.ceil(Math.hypot(x2 - x1, y2 - y1) / 8) + 1;
    return Array.from({ length: n + 1 }, (_, i) => [x1 + (i / n) * (x2 - x1), y1 + (i / n) * (y2 - y1)]);
  });
  for (const item of items) {
    const anchors = item.anchors ?? [item];
    let best = { cost: Infinity };
    for (const [near, further] of [0, 11, 25].entries()) {
      const radius = item.gap + further;
      for (let k = 0; k < 16 * anchors.length; k++) {
        const anchor = anchors[k >> 4];
        const angle = (k * Math.PI) / 8;
        const cx = anchor.x + Math.cos(angle) * (radius + item.w / 2);
        const cy = anchor.y + Math.sin(angle) * (radius + item.h / 2);
        const box = { x: cx - item.w / 2, y: cy - item.h / 2, w: item.w, h: item.h };
        let cost = near * 40 + (k >> 4) * 12 + (memory.get(item.key) === k ? 0 : 25);
        if (item.centre) {
          const out = Math.atan2(anchor.y - item.centre.y, anchor.x - item.centre.x);
          cost += 60 * (1 - Math.cos(angle - out));
        }
        for (const other of placed) cost += 12 * overlap(box, other);
        for (const p of points) cost += 4 * overlap(box, { x: p.x - p.r, y: p.y - p.r, w: 2 * p.r, h: 2 * p.r });
        for (const [x, y] of ink) {
          if (x > box.x - 2 && x < box.x + box.w + 2 && y > box.y - 1 && y < box.y + box.h + 1) cost += 14;
        }
        const inside = overlap(box, { x: 3, y: 3, w: width - 6, h: height - 6 });
        cost += 60 * (item.w * item.h - inside);
        if (cost < best.cost) best = { ...box, cost, k, key: item.key };
      }
    }
    memory.set(item.key, best.k);
    placed.push(best);
  }
  return placed;
}
