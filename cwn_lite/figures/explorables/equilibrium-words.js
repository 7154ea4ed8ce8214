// What happens at a setting, in two sentences and no formula.

import { magnitude } from "./equilibrium-controls.js";
import { FADED } from "./equilibrium-dynamics.js";

export function tell(run) {
  return run.setting.fade < 1 ? returning(run) : `${beginning(run)} ${ending(run)}`;
}

// Near a right angle the third digit is the one that matters.
const degrees = (angle) => `${magnitude(angle, angle > 80 ? 3 : 2)}°`;

function beginning({ at, second, settled }) {
  const first = at(1);
  if (first.angle > 45) {
    return `The row is so short for its gradient that the first step turns it by ${degrees(first.angle)} and throws it out to length ${magnitude(second)}, where a step turns it by ${degrees(at(2).angle)}.`;
  }
  if (first.length > 1.25 * settled.length) {
    return `The row is so long for its gradient that the first step turns it by only ${degrees(first.angle)}; decay shortens it.`;
  }
  return `The first step turns the row by ${degrees(first.angle)}.`;
}

function ending({ setting, end, at, settled, until, ours }) {
  const last = at(10000);
  if (setting.weight_decay === 0) {
    const growth = last.length > 1.01 * setting.r0 ? `it only grows, to ${magnitude(end)}, so its gradient only falls` : "it can only grow, too slowly to see here";
    return `Nothing shortens it: ${growth}, and the last step turns it by ${degrees(last.angle)}, where CWO still turns by ${degrees(ours.angle)}.`;
  }
  if (until === Infinity) {
    return `Decay and gradient would balance at length ${magnitude(settled.length)}, but 10,000 steps are too few to come near: the last turns it by ${degrees(last.angle)}.`;
  }
  const when = until === 0 ? "From the start" : until === 1 ? "After one step" : `After ${until.toLocaleString("en")} steps`;
  return `${when} decay and gradient nearly balance, at length ${magnitude(settled.length)}, and every step turns the row by about ${degrees(settled.angle)}, whatever the gradient’s size.`;
}

// A gradient that fades and comes back: how short the row is by then, and how far the first step turns it.
function returning({ at, oursAt }) {
  const [before, back] = [at(FADED[1]), at(FADED[1] + 1)];
  const steps = FADED.map((t) => t.toLocaleString("en"));
  return `From step ${steps[0]} to ${steps[1]} the gradient is faded, and in the end a step turns the row, by then ${magnitude(back.length)} long, by ${degrees(before.angle)}. The first step after that turns it by ${degrees(back.angle)}, CWO by ${degrees(oursAt(FADED[1] + 1).angle)}.`;
}
