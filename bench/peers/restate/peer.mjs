// Restate: its server in a folder of its own, every write forced to the disk, and one process that serves the workflows. 64
// callers each wait for the answer to a workflow before they start the next.

import { mkdtempSync } from "node:fs";
import { createServer } from "node:http2";
import { createServer as listen } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import * as restate from "@restatedev/restate-sdk";
import { Peer, STEPS, Server, Worker, main, pause } from "../measure.mjs";

const CALLERS = 64;

const service = restate.service({
  name: "bench",
  handlers: {
    steps: async (context, n) => {
      for (let step = 0; step < STEPS; step += 1) await context.run(`step ${step}`, () => step);
      return n;
    },
  },
});

/** A port that nobody listens on. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = listen();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

async function post(url, body) {
  const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return answer.json();
}

/** Tries again until it succeeds, for at most half a minute. */
async function eventually(what) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await what();
    } catch (error) {
      if (tries === 300) throw error;
      await pause(100);
    }
  }
}

class Subject extends Peer {
  static workflows = 2_000;
  static jobs = false;

  async begin() {
    const folder = mkdtempSync(join(tmpdir(), "bench-restate-"));
    const [ingress, admin, node, endpoint] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    this.server = new Server(folder, "node_modules/.bin/restate-server", ["--no-logo", "--base-dir", folder, "--listen-mode", "tcp"], {
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
      RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`,
      RESTATE_ADVERTISED_ADDRESS: `http://127.0.0.1:${node}`,
      RESTATE_LOG_FILTER: "error,octocrab=off",
      RESTATE_DISABLE_TELEMETRY: "true",
    });
    [this.ingress, this.admin, this.url] = [`http://127.0.0.1:${ingress}`, `http://127.0.0.1:${admin}`, `http://127.0.0.1:${endpoint}`];
  }

  async end() {
    await this.server?.stop();
  }

  async runWorkflows(workflows) {
    const worker = new Worker(this.url, "steps");
    await eventually(() => post(`${this.admin}/deployments`, { uri: this.url }));
    const run = (n) => post(`${this.ingress}/bench/steps`, n);
    await eventually(() => run(-1));
    let next = 0;
    const begun = performance.now();
    const caller = async () => {
      while (next < workflows) {
        const n = next++;
        const answer = await run(n);
        if (answer !== n) throw new Error(`workflow ${n} answered ${answer}`);
      }
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
    const rate = (workflows / (performance.now() - begun)) * 1e3;
    await worker.stop();
    return rate;
  }

  async work() {
    createServer(restate.createEndpointHandler({ services: [service] })).listen(Number(new URL(this.url).port), "127.0.0.1");
  }
}

await main(Subject);
