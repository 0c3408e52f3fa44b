// The bodies of the tasks, the same as in bench_peer/tasks.py: an adapter registers these functions.
// A name, a function of the job's arguments, which may be async; and of a job's number: its arguments,
// and the result that it must have.

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { ledger } from "./ledger.mjs";

/** Milliseconds that `nap` sleeps. */
const NAP = 50;
/** 10 KB that don't compress. */
const FILLING = Buffer.concat(
  Array.from({ length: 235 }, (_, i) => createHash("sha256").update(`${i}`).digest()),
)
  .subarray(0, 7500)
  .toString("base64");
/** Turns of one try to calibrate: some milliseconds; the best of all tries counts. */
const TURNS = 5_000_000;
const TRIES = 15;

/** Milliseconds: 300 to 700, as `sleep_seconds` of bench_peer/tasks.py. */
export const sleepMilliseconds = (number) => 300 + 400 * (((number * 2_654_435_761) % 2 ** 32) / 2 ** 32);

let sink = 0;
function burn(turns) {
  let value = sink;
  for (let turn = 0; turn < turns; turn += 1) value = (Math.imul(value, 1_103_515_245) + 12_345) | 0;
  sink = value;
}

let perMillisecond;
/** Turns that take 1 ms of CPU, of this compiler's code on this machine. */
function calibrated() {
  if (perMillisecond === undefined) {
    const seconds = Array.from({ length: TRIES }, () => {
      const before = process.cpuUsage();
      burn(TURNS);
      const { user, system } = process.cpuUsage(before); // only their sum is exact
      return (user + system) / 1e6;
    });
    perMillisecond = Math.round(TURNS / Math.min(...seconds.slice(3)) / 1000);
  }
  return perMillisecond;
}

const numbered = (body) => ({ body, args: (number) => ({ number }), result: (number) => number });

export const BODIES = {
  noop: numbered(({ number }) => {
    ledger().begin(number);
    return number;
  }),
  large: {
    body: ({ number, text }) => {
      ledger().begin(number);
      return text;
    },
    args: (number) => ({ number, text: BODIES.large.result(number) }),
    result: (number) => `${String(number).padStart(8, "0")}${FILLING}`,
  },
  cpu: numbered(({ number }) => {
    ledger().begin(number);
    burn(calibrated());
    return number;
  }),
  nap: numbered(async ({ number }) => {
    ledger().begin(number);
    await sleep(NAP);
    return number;
  }),
  sleep: numbered(async ({ number }) => {
    ledger().begin(number);
    await sleep(sleepMilliseconds(number));
    return number;
  }),
};
