"""The workloads for the peers that are Python packages, which are the same for every one of them.

A folder's `peer.py` has a class `Subject` with the methods of `Peer`. Worker processes are the same program started again; one ends when its standard
input does, so none outlives the measurement.
"""

import asyncio
import importlib
import json
import os
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qs, unquote, urlsplit

PICKUPS = 200
WARM_UP = 10
STEPS = 10
# Workflows of a round, as a share of a drain's jobs.
SHARE = 20

_ran = 0
_picked_up: asyncio.Queue | None = None
_loop: asyncio.AbstractEventLoop | None = None


def count():
    """Counts a job, or a step of a workflow."""
    global _ran
    _ran += 1


def picked_up():
    """Tells that a ping has begun; from any thread."""
    at = time.perf_counter()
    _loop.call_soon_threadsafe(_picked_up.put_nowait, at)


async def forever():
    """Never returns."""
    await asyncio.Event().wait()


def parts(url):
    """Host (a folder for a socket), port, user, password and database of an address."""
    address = urlsplit(url)
    query = parse_qs(address.query)
    return {
        "host": query["host"][0] if "host" in query else address.hostname,
        "port": address.port or 5432,
        "user": unquote(address.username or "postgres"),
        "password": unquote(address.password or ""),
        "dbname": address.path.lstrip("/"),
    }


class Peer:
    """What a peer has to be able to do."""

    # Jobs of a bulk; fewer where they take a minute, since what counts is the rate.
    bulk = 100_000
    # The most jobs of a drain, so that it ends within some 20 seconds; what counts is the rate.
    drain = 200_000
    # The most workflows at once; None for one without durable steps.
    workflows = None
    # Whether it is meant to run in several processes.
    fleet = True

    def __init__(self, url):
        self.url = url

    async def connect(self):
        """Connects, and brings the schema if it is not there."""

    async def enqueue_many(self, jobs):
        """Enqueues no-op jobs by the bulk API."""
        raise NotImplementedError

    async def enqueue_ping(self):
        """Enqueues one job that tells when it begins."""
        raise NotImplementedError

    async def enqueue_workflows(self, workflows):
        """Enqueues workflows of `STEPS` steps."""
        raise NotImplementedError

    async def unfinished(self):
        """Jobs that have no recorded outcome yet."""
        raise NotImplementedError

    async def work(self, role):
        """Runs jobs until it is cancelled. `role` is `drain`, `pickup` or `steps`."""
        raise NotImplementedError


class Worker:
    """A worker process."""

    def __init__(self, url, role):
        command = [sys.executable, "-c", "import measure; measure.main()", url, "work", role]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ran(self):
        self.process.stdin.write(b"?")
        self.process.stdin.flush()
        answer = self.process.stdout.read(8)
        if len(answer) < 8:
            raise RuntimeError("a worker process ended")
        return int.from_bytes(answer, "little")

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def _answer_questions():
    while os.read(0, 1):
        os.write(1, _ran.to_bytes(8, "little"))
    os._exit(0)


def _ran_in(workers, least):
    while (told := sum(worker.ran() for worker in workers)) < least:
        time.sleep(0.01)
    return told


async def _empty(peer, role, jobs, processes):
    """Jobs or steps a second, from the first that ran to the last outcome that was recorded."""
    workers = [Worker(peer.url, role) for _ in range(processes)]
    first = await asyncio.to_thread(_ran_in, workers, 1)
    begun = time.perf_counter()
    await asyncio.to_thread(_ran_in, workers, jobs)
    while await peer.unfinished() > 0:
        await asyncio.sleep(0.005)
    rate = (jobs - first) / (time.perf_counter() - begun)
    for worker in workers:
        worker.stop()
    return rate


async def _bulk(peer):
    begun = time.perf_counter()
    await peer.enqueue_many(peer.bulk)
    rate = peer.bulk / (time.perf_counter() - begun)
    waiting = await peer.unfinished()
    if waiting != peer.bulk:
        raise RuntimeError(f"{waiting} of {peer.bulk} jobs were enqueued")
    return {"bulk enqueue of 100,000 (jobs/s)": rate}


async def _drain(peer, jobs):
    figures = {}
    fleets = {"drain, 1 process (jobs/s)": 1, "drain, 4 processes (jobs/s)": 4}
    for figure, processes in fleets.items():
        if processes == 1 or peer.fleet:
            await peer.enqueue_many(jobs)
            figures[figure] = await _empty(peer, "drain", jobs, processes)
    return figures


async def _steps(peer, workflows):
    await peer.enqueue_workflows(workflows)
    return {"workflow steps (steps/s)": await _empty(peer, "steps", workflows * STEPS, 1)}


async def _pickup(peer):
    global _picked_up, _loop
    _picked_up, _loop = asyncio.Queue(), asyncio.get_running_loop()
    worker = asyncio.create_task(peer.work("pickup"))
    waits = []
    for n in range(PICKUPS + WARM_UP):
        # Not in step with any period of polling.
        await asyncio.sleep((90 + n * 37 % 60) / 1000)
        await peer.enqueue_ping()
        committed = time.perf_counter()
        heard = asyncio.ensure_future(_picked_up.get())
        await asyncio.wait({heard, worker}, return_when=asyncio.FIRST_COMPLETED)
        if worker.done():
            raise RuntimeError("the worker ended") from worker.exception()
        if n >= WARM_UP:
            waits.append(max(0.0, heard.result() - committed) * 1e3)
    waits.sort()
    return {"idle pickup p50 (ms)": waits[PICKUPS * 50 // 100], "idle pickup p99 (ms)": waits[PICKUPS * 99 // 100]}


async def _measure(kind, url, workload, jobs):
    peer = kind(url)
    if workload == "steps" and peer.workflows is None:
        return {}
    await peer.connect()
    match workload:
        case "bulk":
            return await _bulk(peer)
        case "drain":
            return await _drain(peer, min(jobs, peer.drain))
        case "pickup":
            return await _pickup(peer)
        case "steps":
            return await _steps(peer, max(1, min(jobs // SHARE, peer.workflows)))
    raise ValueError(f"there is no workload {workload}")


async def _work(kind, url, role):
    peer = kind(url)
    await peer.connect()
    threading.Thread(target=_answer_questions, daemon=True).start()
    await peer.work(role)


def main():
    """One workload, or one worker process of it."""
    kind = importlib.import_module("peer").Subject
    url, what, last = sys.argv[1:]
    if what == "work":
        asyncio.run(_work(kind, url, last))
        return
    print(json.dumps(asyncio.run(_measure(kind, url, what, int(last)))), flush=True)
    # Threads of a worker that was only cancelled shall not keep the process.
    os._exit(0)
