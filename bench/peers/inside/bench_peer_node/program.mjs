// The program that an adapter is, as bench_peer/program.py: `peer.mjs work`, a worker, or
// `peer.mjs client`, which reads JSON objects from stdin, {"verb": …, …}, and answers each.
//
// A peer is an object of async functions: prepare(), enqueue(task, args), enqueueMany(task, many),
// enqueueInTransaction(task, args) if there is such a thing, isSettled(), counts() with done, failed
// and left, results() with an array or null, and work(), which is a worker until SIGTERM.

import { writeSync } from "node:fs";
import { createInterface } from "node:readline";

import { ledger, now } from "./ledger.mjs";
import { BODIES } from "./tasks.mjs";

/** Milliseconds between two looks whether a job has begun. */
const LOOK_AGAIN = 0.5;
/** Milliseconds that a system is left alone after a job, about, before the next one finds it idle. */
const ALONE = 30;
/** Milliseconds after which a job must have been lost. */
const PATIENCE = 60_000;

class Unsupported extends Error {}

/** What an adapter ends with. */
export async function run(peer) {
  if (process.argv[2] === "work") await peer.work();
  else await serve(new Client(peer));
}

async function serve(client) {
  // What the peer itself prints is no answer.
  process.stdout.write = process.stderr.write.bind(process.stderr);
  for await (const line of createInterface({ input: process.stdin })) {
    const { verb, ...request } = JSON.parse(line);
    writeSync(1, `${JSON.stringify(await answer(client, verb, request))}\n`);
  }
  process.exit();
}

async function answer(client, verb, request) {
  try {
    return { answer: (await client[verb](request)) ?? null };
  } catch (error) {
    if (error instanceof Unsupported) return { unsupported: error.message };
    return { error: String(error?.stack ?? error) };
  }
}

/** Its methods are the verbs. */
class Client {
  #peer;

  constructor(peer) {
    this.#peer = peer;
  }

  prepare() {
    return this.#peer.prepare();
  }

  async fill({ task, first, count }) {
    const many = argsOf(task, first, count);
    return secondsOf(() => this.#peer.enqueueMany(task, many));
  }

  single({ task, first, count }) {
    return oneByOne((args) => this.#peer.enqueue(task, args), argsOf(task, first, count));
  }

  transactions({ task, first, count }) {
    if (!this.#peer.enqueueInTransaction) {
      throw new Unsupported("it can't enqueue within a caller's transaction");
    }
    const many = argsOf(task, first, count);
    return oneByOne((args) => this.#peer.enqueueInTransaction(task, args), many);
  }

  async one_at_a_time({ task, first, count }) {
    for (const args of argsOf(task, first, count)) {
      await this.#timed(task, args);
      const deadline = performance.now() + PATIENCE;
      while (!ledger().hasStarted(args.number)) {
        if (performance.now() > deadline) throw new Error(`job ${args.number} has not begun`);
        await pause(LOOK_AGAIN);
      }
      await pause(ALONE * (0.8 + 0.4 * Math.random()));
    }
  }

  async steady({ task, first, count, rate }) {
    const began = performance.now();
    for (const args of argsOf(task, first, count)) {
      const early = began + ((args.number - first) / rate) * 1000 - performance.now();
      if (early > 0) await pause(early);
      await this.#timed(task, args);
    }
    return (performance.now() - began) / 1000;
  }

  is_settled() {
    return this.#peer.isSettled();
  }

  async check({ task, count }) {
    const counts = await this.#peer.counts();
    const found = await this.#peer.results();
    return { ...counts, results: found && right(found, task, count) };
  }

  async #timed(task, args) {
    const called = now();
    await this.#peer.enqueue(task, args);
    ledger().enqueued(args.number, called, now());
  }
}

const nobody = new Int32Array(new SharedArrayBuffer(4));
/** Timers count whole milliseconds only. First the peer's own timers and sockets have their turn. */
async function pause(milliseconds) {
  await new Promise(setImmediate);
  Atomics.wait(nobody, 0, 0, milliseconds);
}

async function secondsOf(work) {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

function oneByOne(enqueue, many) {
  return secondsOf(async () => {
    for (const args of many) await enqueue(args);
  });
}

function argsOf(task, first, count) {
  return Array.from({ length: count }, (_, i) => BODIES[task].args(first + i));
}

/** Results that are those of different jobs. */
function right(found, task, count) {
  const expected = new Set(Array.from({ length: count }, (_, i) => BODIES[task].result(i)));
  return found.filter((result) => expected.delete(result)).length;
}
