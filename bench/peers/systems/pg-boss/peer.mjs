// pg-boss: a queue for each task.

import { readFileSync } from "node:fs";

import { BODIES, DSN, SETTINGS, load, run } from "../../inside/bench_peer_node/index.mjs";

const { PgBoss } = await load("pg-boss");
const { default: pg } = await load("pg");

/** Jobs in one insert. */
const CHUNK = 10_000;

/** A job stays in its table with its state; a batch is completed as a whole, and keeps no results. */
class Boss {
  #boss = new PgBoss({
    connectionString: DSN,
    max: SETTINGS.connections,
    useListenNotify: true,
    monitorIntervalSeconds: SETTINGS.count_seconds,
    superviseIntervalSeconds: SETTINGS.count_seconds,
    queueCacheIntervalSeconds: SETTINGS.count_seconds,
  });
  #pool = new pg.Pool({ connectionString: DSN, max: 1 });

  async prepare() {
    await this.#start();
    for (const name of Object.keys(BODIES)) await this.#boss.createQueue(name, { notify: true });
  }

  async enqueue(task, args) {
    await this.#boss.send(task, args);
  }

  async enqueueMany(task, many) {
    for (let first = 0; first < many.length; first += CHUNK) {
      await this.#boss.insert(task, many.slice(first, first + CHUNK).map((data) => ({ data })));
    }
  }

  async enqueueInTransaction(task, args) {
    const client = await this.#pool.connect();
    await client.query("BEGIN");
    await client.query("INSERT INTO own VALUES ($1)", [args.number]);
    const db = { executeSql: (text, values) => client.query(text, values) };
    await this.#boss.send(task, args, { db });
    await client.query("COMMIT");
    client.release();
  }

  async isSettled() {
    return (await this.#row("settled")).settled;
  }

  async counts() {
    return this.#row("counts");
  }

  async results() {
    return null;
  }

  async work() {
    await this.#start();
    process.once("SIGTERM", () => this.#boss.stop({ graceful: true }).then(() => process.exit()));
    const { batch, concurrency } = SETTINGS;
    const options = {
      batchSize: batch,
      localConcurrency: concurrency,
      pollingIntervalSeconds: 0.5,
      notifyPollingIntervalSeconds: 0.5,
      burstWhenBatchFull: true,
      burstWhenReadyExceeds: 1, // a batch of one is never called full
    };
    for (const [name, { body }] of Object.entries(BODIES)) {
      await this.#boss.work(name, options, (jobs) => Promise.all(jobs.map(({ data }) => body(data))));
    }
  }

  async #start() {
    this.#boss.on("error", console.error);
    await this.#boss.start();
  }

  async #row(name) {
    return (await this.#pool.query(statement(name))).rows[0];
  }
}

const statement = (name) => readFileSync(new URL(`${name}.sql`, import.meta.url), "utf8");

await run(new Boss());
