// What an adapter in Node.js imports, as bench_peer is for one in Python.

export { DSN, SETTINGS, load } from "./environment.mjs";
export { run } from "./program.mjs";
export { BODIES } from "./tasks.mjs";
