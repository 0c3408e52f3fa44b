// The ledger of bench_peer/ledger.py. Node.js can't map a file, so what has begun is written when the
// event loop comes round, or after some milliseconds of a turn in which tasks keep it busy: once for all
// jobs, and for neighbours at once. The times are those at which the jobs began.

import { openSync, fstatSync, readSync, writeSync } from "node:fs";

import { LEDGER } from "./environment.mjs";

const COLUMNS = 4;
const BYTES = 8;
/** Nanoseconds: the harness looks about as often. */
const LATE = 5_000_000n;
const [CALLED, RETURNED, STARTED, RUNS] = [0, 1, 2, 3];

/** CLOCK_MONOTONIC in nanoseconds, as a BigInt. */
export const now = () => process.hrtime.bigint();

class Ledger {
  #file = openSync(LEDGER, "r+");
  #size = fstatSync(this.#file).size / COLUMNS / BYTES;
  #begun = [];

  constructor() {
    process.on("exit", () => this.flush());
  }

  /** A task begins. */
  begin(number) {
    const time = now();
    if (this.#begun.push({ number, time }) === 1) setImmediate(() => this.flush());
    else if (time - this.#begun[0].time > LATE) this.flush();
  }

  /** Write what has begun since the last time. */
  flush() {
    const begun = this.#begun.sort((one, other) => one.number - other.number);
    this.#begun = [];
    for (let first = 0, last = 0; first < begun.length; first = last) {
      last = first + 1;
      while (last < begun.length && begun[last].number === begun[last - 1].number + 1) last += 1;
      this.#writeNeighbours(begun.slice(first, last));
    }
  }

  /** The client's columns: when it called the enqueue of a job, and when that returned. */
  enqueued(number, called, returned) {
    this.#write(CALLED, number, BigUint64Array.of(called));
    this.#write(RETURNED, number, BigUint64Array.of(returned));
  }

  hasStarted(number) {
    return this.#read(STARTED, number, 1)[0] !== 0n;
  }

  #writeNeighbours(begun) {
    const { number } = begun[0];
    const runs = this.#read(RUNS, number, begun.length);
    const started = BigUint64Array.from(begun, ({ time }) => time);
    if (runs.some((count) => count > 0n)) {
      // Again: the first time counts.
      this.#read(STARTED, number, begun.length).forEach((time, i) => {
        if (time) started[i] = time;
      });
    }
    this.#write(STARTED, number, started);
    this.#write(RUNS, number, runs.map((count) => count + 1n));
  }

  #read(column, number, count) {
    const numbers = new BigUint64Array(count);
    readSync(this.#file, numbers, 0, numbers.byteLength, this.#position(column, number));
    return numbers;
  }

  #write(column, number, numbers) {
    writeSync(this.#file, numbers, 0, numbers.byteLength, this.#position(column, number));
  }

  #position(column, number) {
    return (column * this.#size + number) * BYTES;
  }
}

let opened;
/** The run's one; a process opens it when it first needs it. */
export const ledger = () => (opened ??= new Ledger());
