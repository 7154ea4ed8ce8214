// One slide at a time, by keys, buttons and swipes; notes below, or in a window of their own that follows.
"use strict";

const KEYS = [
  ["→ ↓ space, page down", "next slide"],
  ["← ↑ page up", "slide before"],
  ["Home, End", "first, last slide"],
  ["N", "speaker notes, here"],
  ["S", "speaker's window: notes, clock, next slide; both windows follow each other"],
  ["P", "play with the figure, where it can be"],
  ["F", "full screen"],
  ["?", "these keys"],
];
const root = document.documentElement;
const all = [...document.querySelectorAll("main > section")];
const names = all.map((section) => section.id);
const title = (section) => section?.querySelector("h1, h2").textContent ?? "";
const speaks = new URLSearchParams(location.search).has("speaker");
const began = Date.now();
let at = 0;
let other = speaks ? window.opener : null;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const button = (label, text, onclick) => make("button", { type: "button", "aria-label": label, title: label, onclick }, text);
const back = button("Slide before", "←", () => go(at - 1));
const forth = button("Next slide", "→", () => go(at + 1));
const where = make("p", { class: "where" });
const next = make("p", { class: "next" });
const said = make("p", { class: "unseen", "aria-live": "polite" });
const notes = button("Speaker notes", "Notes", () => note());
notes.setAttribute("aria-pressed", "false");
const bar = make("nav", { class: "bar", "aria-label": "Slides" });
bar.append(back, where, forth, next, notes, button("Keys", "?", help), said);

const isWide = (box) => box.scrollWidth > box.clientWidth + 1;

function go(to, { told = false } = {}) {
  at = Math.max(0, Math.min(all.length - 1, to));
  all.forEach((section, index) => section.classList.toggle("now", index === at));
  all[at].querySelector(".said").scrollTop = 0;
  all[at].scrollTop = 0;
  back.disabled = at === 0;
  forth.disabled = at === all.length - 1;
  where.textContent = `${at + 1} / ${all.length}`;
  said.textContent = `Slide ${at + 1} of ${all.length}: ${title(all[at])}`;
  tell();
  history.replaceState(null, "", `#${names[at]}`);
  if (!told) other?.postMessage({ slide: names[at] }, "*");
}

// Below: what comes next, and for the speaker how long it has been.
function tell() {
  const after = at + 1 < all.length ? `Next: ${title(all[at + 1])}` : "The end";
  next.textContent = speaks ? `${Math.floor((Date.now() - began) / 60000)} min. ${after}` : "";
}

function note(on = !root.classList.contains("noted")) {
  root.classList.toggle("noted", on);
  notes.setAttribute("aria-pressed", String(on));
  for (const box of document.querySelectorAll("details.notes")) box.open = on;
}

function dialog(heading, ...content) {
  const shut = button("Close", "Close", () => box.close());
  const box = make("dialog", { "aria-label": heading, onclose: () => box.remove() }, make("h2", {}, heading), ...content, shut);
  document.body.append(box);
  box.showModal();
}

function help() {
  const lines = KEYS.flatMap(([keys, what]) => [make("dt", {}, keys), make("dd", {}, what)]);
  dialog("Keys", make("dl", {}, ...lines));
}

// The scripts of a copied template run as they are put into the page.
function play(section = all[at]) {
  const live = section.querySelector("template.live");
  if (live) dialog(title(section), document.importNode(live.content, true));
}

function speaker() {
  const here = location.href.split(/[?#]/)[0];
  other = window.open(`${here}?speaker#${names[at]}`, "speaker", "width=1000,height=760") ?? other;
}

const ACTS = {
  ArrowRight: () => go(at + 1), ArrowDown: () => go(at + 1), PageDown: () => go(at + 1), " ": () => go(at + 1),
  ArrowLeft: () => go(at - 1), ArrowUp: () => go(at - 1), PageUp: () => go(at - 1),
  Home: () => go(0), End: () => go(all.length - 1),
  n: () => note(), s: speaker, p: () => play(), "?": help,
  f: () => (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen()),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.target.closest("input, select, textarea")) return;
  if (key === " " && event.target.closest("button, summary, a")) return;
  // What scrolls and has the focus keeps the keys that scroll it.
  const box = event.target.closest("[tabindex]");
  if (box && /^(Arrow(Up|Down)|Page| |Home|End)/.test(key)) return;
  if (box && isWide(box) && /^Arrow/.test(key)) return;
  const act = key === " " && event.shiftKey ? ACTS.ArrowLeft : Object.hasOwn(ACTS, key) ? ACTS[key] : null;
  if (!act) return;
  event.preventDefault();
  act();
});

let start = null;
addEventListener("touchstart", (event) => {
  const [touch] = event.touches;
  let box = event.target;
  while (box && box !== document.body && !(isWide(box) && getComputedStyle(box).overflowX === "auto")) box = box.parentElement;
  const free = event.touches.length === 1 && box === document.body && !document.querySelector("dialog[open]");
  start = free ? touch : null;
}, { passive: true });
addEventListener("touchend", (event) => {
  const [touch] = event.changedTouches;
  const [x, y] = start ? [touch.clientX - start.clientX, touch.clientY - start.clientY] : [0, 0];
  if (Math.abs(x) > 50 && Math.abs(x) > 2 * Math.abs(y)) go(at + (x < 0 ? 1 : -1));
  start = null;
}, { passive: true });

addEventListener("message", (event) => {
  if (!event.source || (event.source !== other && event.source !== window.opener)) return;
  other = event.source;
  const to = names.indexOf(event.data?.slide);
  if (to >= 0) go(to, { told: true });
});
addEventListener("hashchange", () => go(Math.max(0, names.indexOf(location.hash.slice(1)))));

root.classList.add("deck");
document.body.append(bar);
for (const box of document.querySelectorAll(".said")) {
  for (const [name, value] of Object.entries({ tabindex: "0", role: "group", "aria-label": "Speaker notes" })) box.setAttribute(name, value);
}
for (const box of document.querySelectorAll("pre, table, .formula, .said math[display=block]")) {
  new ResizeObserver(() => (isWide(box) ? box.setAttribute("tabindex", "0") : box.removeAttribute("tabindex"))).observe(box);
}
for (const live of document.querySelectorAll("template.live")) {
  live.previousElementSibling.append(make("button", { type: "button", class: "play", onclick: () => play() }, "Play with it"));
}
if (speaks) {
  note(true);
  setInterval(tell, 10000);
}
go(Math.max(0, names.indexOf(location.hash.slice(1))));
