// Graphile Worker.

import { readFileSync } from "node:fs";

import { BODIES, DSN, SETTINGS, load, run } from "../../inside/bench_peer_node/index.mjs";

process.env.NO_LOG_SUCCESS = "1"; // as its own benchmark
const { Logger, makeWorkerUtils, run: work } = await load("graphile-worker");
const { default: pg } = await load("pg");

/** Jobs in one add_jobs. */
const CHUNK = 10_000;

const logger = new Logger(() => (level, message) => {
  if (level === "error" || level === "warning") console.error(message);
});

/** A job is deleted when it is done. */
class GraphileWorker {
  #pool = new pg.Pool({ connectionString: DSN, max: 1 });
  #utils;
  #enqueued = 0;

  async prepare() {
    this.#utils = await makeWorkerUtils({ pgPool: this.#pool, preset: { worker: { logger } } });
    await this.#utils.migrate();
  }

  async enqueue(task, args) {
    await this.#utils.addJob(task, args);
    this.#enqueued += 1;
  }

  async enqueueMany(task, many) {
    for (let first = 0; first < many.length; first += CHUNK) {
      const specs = many.slice(first, first + CHUNK).map((payload) => ({ identifier: task, payload }));
      await this.#utils.addJobs(specs);
    }
    this.#enqueued += many.length;
  }

  async enqueueInTransaction(task, args) {
    const client = await this.#pool.connect();
    await client.query("BEGIN");
    await client.query("INSERT INTO own VALUES ($1)", [args.number]);
    await client.query(statement("add_job"), [task, JSON.stringify(args)]);
    await client.query("COMMIT");
    client.release();
    this.#enqueued += 1;
  }

  async isSettled() {
    return (await this.#row("settled")).settled;
  }

  async counts() {
    const { failed, left } = await this.#row("counts");
    return { done: this.#enqueued - failed - left, failed, left };
  }

  async results() {
    return null;
  }

  async work() {
    const { concurrency, local_queue, batch_delay } = SETTINGS;
    const worker = {
      connectionString: DSN,
      logger,
      concurrentJobs: concurrency,
      maxPoolSize: Math.min(concurrency, 24) + 1,
      completeJobBatchDelay: batch_delay,
      failJobBatchDelay: batch_delay,
      localQueue: { size: local_queue },
    };
    const tasks = Object.entries(BODIES).map(([name, { body }]) => [name, body]);
    const runner = await work({ preset: { worker }, taskList: Object.fromEntries(tasks) });
    await runner.promise;
  }

  async #row(name) {
    return (await this.#pool.query(statement(name))).rows[0];
  }
}

const statement = (name) => readFileSync(new URL(`${name}.sql`, import.meta.url), "utf8");

await run(new GraphileWorker());
