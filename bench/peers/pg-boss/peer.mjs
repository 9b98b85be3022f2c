// pg-boss: LISTEN on the queue, batches of 1000 that are fetched without pause while they come full.

import pg from "pg";
import { PgBoss } from "pg-boss";
import { Peer, count, main, parts, pickedUp } from "../measure.mjs";

const CALL = 1000;
const QUEUES = ["no_op", "ping"];

class Subject extends Peer {
  async connect() {
    this.pool = new pg.Pool({ ...parts(this.url), max: 2 });
    this.boss = new PgBoss({ ...parts(this.url), max: 10, useListenNotify: true });
    this.boss.on("error", (error) => console.error(error));
    await this.boss.start();
    for (const queue of QUEUES) {
      if ((await this.boss.getQueue(queue)) === null) await this.boss.createQueue(queue, { notify: true });
    }
  }

  async enqueueMany(jobs) {
    for (let start = 0; start < jobs; start += CALL) {
      const numbers = Array.from({ length: Math.min(CALL, jobs - start) }, (_, n) => start + n);
      await this.boss.insert("no_op", numbers.map((n) => ({ data: { n } })));
    }
  }

  async enqueuePing() {
    await this.boss.send("ping", {});
  }

  async unfinished() {
    const { rows } = await this.pool.query("select count(*)::int as jobs from pgboss.job where state < 'completed' and name = 'no_op'");
    return rows[0].jobs;
  }

  async work(role) {
    if (role === "pickup") {
      await this.boss.work("ping", async () => pickedUp());
      return;
    }
    await this.boss.work("no_op", { batchSize: 1000, burstWhenBatchFull: true }, async (jobs) => jobs.forEach(count));
  }
}

await main(Subject);
