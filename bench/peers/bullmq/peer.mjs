// bullmq on a Redis of its own, whose log is forced to the disk at every write, so that outcomes are as durable as a commit.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Queue, Worker } from "bullmq";
import { Peer, Server, count, main, pickedUp } from "../measure.mjs";

const CALL = 1000;
const NAME = "bench";

class Subject extends Peer {
  static drain = 50_000;

  /** A Redis that only this measurement can reach. */
  async begin() {
    const folder = mkdtempSync(join(tmpdir(), "bench-redis-"));
    this.url = join(folder, "redis.sock");
    const settings = ["--port", "0", "--unixsocket", this.url, "--dir", folder, "--save", "", "--appendonly", "yes"];
    const durable = ["--appendfsync", "always", "--no-appendfsync-on-rewrite", "no", "--maxmemory-policy", "noeviction"];
    this.redis = new Server(folder, "redis-server", [...settings, ...durable, "--logfile", join(folder, "log")]);
  }

  async end() {
    await this.queue?.close();
    await this.redis?.stop();
  }

  get connection() {
    return { path: this.url, maxRetriesPerRequest: null };
  }

  async connect() {
    this.queue = new Queue(NAME, { connection: this.connection });
    await this.queue.waitUntilReady();
  }

  async enqueueMany(jobs) {
    for (let start = 0; start < jobs; start += CALL) {
      const numbers = Array.from({ length: Math.min(CALL, jobs - start) }, (_, n) => start + n);
      await this.queue.addBulk(numbers.map((n) => ({ name: "no_op", data: { n } })));
    }
  }

  async enqueuePing() {
    await this.queue.add("ping", {});
  }

  async unfinished() {
    const counts = await this.queue.getJobCounts("waiting", "active", "prioritized", "delayed");
    return Object.values(counts).reduce((sum, one) => sum + one, 0);
  }

  async work() {
    const worker = new Worker(NAME, async (job) => (job.name === "ping" ? pickedUp() : count()), {
      connection: this.connection,
      concurrency: 100,
    });
    await worker.waitUntilReady();
  }
}

await main(Subject);
