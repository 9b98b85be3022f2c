// The workloads for the peers that are npm packages, which are the same for every one of them.
//
// A folder's `peer.mjs` exports a class `Subject` with the members of `Peer`. Worker processes are the same program started
// again; one ends when its standard input does, so none outlives the measurement.

import { spawn } from "node:child_process";
import { performance } from "node:perf_hooks";

const BULK = 100_000;
const PICKUPS = 200;
const WARM_UP = 10;
export const STEPS = 10;
// Workflows of a round, as a share of a drain's jobs.
const SHARE = 20;

let ran = 0;
let pickedUpBy = null;

/** Counts a job. */
export function count() {
  ran += 1;
}

/** Tells that a ping has begun. */
export function pickedUp() {
  const at = performance.now();
  pickedUpBy?.(at);
}

/** Host (a folder for a socket), port, user, password and database of an address, as the client `pg` wants them. */
export function parts(url) {
  const address = new URL(url);
  return {
    host: address.searchParams.get("host") ?? address.hostname,
    port: Number(address.port || 5432),
    user: decodeURIComponent(address.username || "postgres"),
    password: decodeURIComponent(address.password),
    database: address.pathname.slice(1),
  };
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A server of a peer's own, in a folder of its own. It ends, and the folder goes, when this process does, however it does. */
export class Server {
  #process;

  constructor(folder, command, settings, environment = {}) {
    const script = '"$@" & cat >/dev/null; kill $!; wait $!; rm -rf "$folder"';
    this.#process = spawn("sh", ["-c", script, "sh", command, ...settings], {
      stdio: ["pipe", "ignore", "inherit"],
      env: { ...process.env, ...environment, folder },
    });
  }

  async stop() {
    const exited = new Promise((resolve) => this.#process.on("exit", resolve));
    this.#process.stdin.end();
    await exited;
  }
}

/** What a peer has to be able to do. */
export class Peer {
  /** The most jobs of a drain, so that it ends within some 20 seconds; what counts is the rate. */
  static drain = 200_000;
  /** The most workflows at once; null for one without durable steps. */
  static workflows = null;
  /** Whether it is measured with jobs. */
  static jobs = true;

  constructor(url) {
    this.url = url;
  }

  /** The address that its worker processes are given. */
  get address() {
    return this.url;
  }

  /** Starts what the peer needs beside the database, once a workload. */
  async begin() {}
  /** Stops it. */
  async end() {}
  /** Connects, and brings the schema if it is not there. */
  async connect() {}
  /** Enqueues no-op jobs by the bulk API. */
  async enqueueMany(_jobs) {}
  /** Enqueues one job that tells when it begins. */
  async enqueuePing() {}
  /** Runs workflows of `STEPS` steps in a worker process; workflows a second. */
  async runWorkflows(_workflows) {}
  /** Jobs that have no recorded outcome yet. */
  async unfinished() {}
  /** Runs jobs until the process ends. `role` is `drain`, `pickup` or `steps`. */
  async work(_role) {}
}

/** A worker process. */
export class Worker {
  #process;
  #waiting = [];
  #heard = Buffer.alloc(0);

  constructor(address, role) {
    this.#process = spawn(process.execPath, [process.argv[1], address, "work", role], { stdio: ["pipe", "pipe", "inherit"] });
    this.#process.stdout.on("data", (data) => {
      this.#heard = Buffer.concat([this.#heard, data]);
      while (this.#heard.length >= 8) {
        this.#waiting.shift()?.resolve(Number(this.#heard.readBigUInt64LE()));
        this.#heard = this.#heard.subarray(8);
      }
    });
    this.#process.stdin.on("error", () => {});
    this.#process.on("exit", () => this.#waiting.forEach(({ reject }) => reject(new Error("a worker process ended"))));
  }

  ran() {
    const answer = new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    this.#process.stdin.write("?");
    return answer;
  }

  async stop() {
    const exited = new Promise((resolve) => this.#process.on("exit", resolve));
    this.#process.stdin.end();
    await exited;
  }
}

function answerQuestions() {
  process.stdin.on("data", (questions) => {
    const answer = Buffer.alloc(8);
    answer.writeBigUInt64LE(BigInt(ran));
    for (const _ of questions) process.stdout.write(answer);
  });
  process.stdin.on("end", () => process.exit(0));
}

async function ranIn(workers, least) {
  for (;;) {
    const told = (await Promise.all(workers.map((worker) => worker.ran()))).reduce((sum, one) => sum + one, 0);
    if (told >= least) return told;
    await pause(5);
  }
}

/** Jobs a second, from the first that ran to the last outcome that was recorded. */
async function empty(peer, role, jobs, processes) {
  const workers = Array.from({ length: processes }, () => new Worker(peer.address, role));
  const first = await ranIn(workers, 1);
  const begun = performance.now();
  await ranIn(workers, jobs);
  while ((await peer.unfinished()) > 0) await pause(5);
  const rate = ((jobs - first) / (performance.now() - begun)) * 1e3;
  await Promise.all(workers.map((worker) => worker.stop()));
  return rate;
}

async function bulk(peer) {
  const begun = performance.now();
  await peer.enqueueMany(BULK);
  const rate = (BULK / (performance.now() - begun)) * 1e3;
  const waiting = await peer.unfinished();
  if (waiting !== BULK) throw new Error(`${waiting} of ${BULK} jobs were enqueued`);
  return { "bulk enqueue of 100,000 (jobs/s)": rate };
}

async function drain(peer, jobs) {
  const figures = {};
  for (const [figure, processes] of [["drain, 1 process (jobs/s)", 1], ["drain, 4 processes (jobs/s)", 4]]) {
    await peer.enqueueMany(jobs);
    figures[figure] = await empty(peer, "drain", jobs, processes);
  }
  return figures;
}

async function pickup(peer) {
  await peer.work("pickup");
  const waits = [];
  for (let n = 0; n < PICKUPS + WARM_UP; n += 1) {
    // Not in step with any period of polling.
    await pause(90 + ((n * 37) % 60));
    const heard = new Promise((resolve) => (pickedUpBy = resolve));
    await peer.enqueuePing();
    const committed = performance.now();
    const at = await heard;
    if (n >= WARM_UP) waits.push(Math.max(0, at - committed));
  }
  waits.sort((a, b) => a - b);
  const ofHundred = (part) => waits[Math.floor((PICKUPS * part) / 100)];
  return { "idle pickup p50 (ms)": ofHundred(50), "idle pickup p99 (ms)": ofHundred(99) };
}

async function measure(peer, workload, jobs) {
  await peer.connect();
  switch (workload) {
    case "bulk":
      return bulk(peer);
    case "drain":
      return drain(peer, Math.min(jobs, peer.constructor.drain));
    case "pickup":
      return pickup(peer);
    case "steps": {
      const workflows = Math.max(1, Math.min(Math.floor(jobs / SHARE), peer.constructor.workflows));
      return { "workflow steps (steps/s)": (await peer.runWorkflows(workflows)) * STEPS };
    }
    default:
      throw new Error(`there is no workload ${workload}`);
  }
}

/** One workload, or one worker process of it. */
export async function main(Subject) {
  const [url, what, last] = process.argv.slice(2);
  const peer = new Subject(url);
  if (what === "work") {
    answerQuestions();
    await peer.connect();
    await peer.work(last);
    return;
  }
  const measured = what === "steps" ? Subject.workflows !== null : Subject.jobs;
  let figures = {};
  try {
    if (measured) {
      await peer.begin();
      figures = await measure(peer, what, Number(last));
    }
  } finally {
    await peer.end();
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0));
}
