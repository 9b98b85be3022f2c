// graphile-worker: a local queue of 500 and batched completions, as its page "Performance" has them; LISTEN and no local
// queue for single jobs.

import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";
import { Peer, count, main, parts, pickedUp } from "../measure.mjs";

const CALL = 1000;
const CONCURRENCY = 24;
// A line for every job that ended well would be part of the measurement.
const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});

class Subject extends Peer {
  async connect() {
    this.pool = new pg.Pool({ ...parts(this.url), max: CONCURRENCY + 2 });
    this.pool.on("error", (error) => console.error(error.message));
    this.pool.on("connect", (client) => client.on("error", (error) => console.error(error.message)));
    this.utils = await makeWorkerUtils({ pgPool: this.pool, logger });
    await this.utils.migrate();
  }

  async enqueueMany(jobs) {
    for (let start = 0; start < jobs; start += CALL) {
      const numbers = Array.from({ length: Math.min(CALL, jobs - start) }, (_, n) => start + n);
      await this.utils.addJobs(numbers.map((n) => ({ identifier: "no_op", payload: { n } })));
    }
  }

  async enqueuePing() {
    await this.utils.addJob("ping", {});
  }

  // Jobs that ended well are deleted.
  async unfinished() {
    const { rows } = await this.pool.query("select count(*)::int as jobs from graphile_worker._private_jobs");
    return rows[0].jobs;
  }

  async work(role) {
    const batched = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
    await run({
      pgPool: this.pool,
      logger,
      noHandleSignals: true,
      taskList: { no_op: async () => count(), ping: async () => pickedUp() },
      preset: { worker: { concurrentJobs: CONCURRENCY, ...(role === "drain" ? batched : {}) } },
    });
  }
}

await main(Subject);
