// Random numbers that a browser and Python draw alike: the twin of cwn_lite/figures/draws.py.

// Number i of a fixed sequence of uniform 32-bit integers (mulberry32, whose state is a counter).
export function uniform(seed, i) {
  const a = (seed + Math.imul(0x6d2b79f5, i + 1)) | 0;
  let t = Math.imul(a ^ (a >>> 15), a | 1);
  t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}

// `count` (even) normal numbers by Box and Muller.
export function normals(seed, count) {
  const z = new Float64Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform(seed, i) + 0.5 / 4294967296));
    const angle = 2 * Math.PI * uniform(seed, i + 1);
    z[i] = radius * Math.cos(angle);
    z[i + 1] = radius * Math.sin(angle);
  }
  return z;
}
