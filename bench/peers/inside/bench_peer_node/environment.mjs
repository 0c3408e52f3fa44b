// What the harness says to a peer's processes: bench_peer/environment.py for Node.js.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { env } = process;

/** The empty database of this run; workers and clients have roles of their own. */
export const DSN = env.BENCH_DSN ?? "";
/** What system.toml says for this workload. */
export const SETTINGS = JSON.parse(env.BENCH_SETTINGS ?? "{}");
/** Where the run's ledger is. */
export const LEDGER = env.BENCH_LEDGER ?? "";

/** Import a package of the peer's own; NODE_PATH has them, which `import` itself doesn't look at. */
export const load = (name) =>
  import(pathToFileURL(createRequire(import.meta.url).resolve(name)).href);
