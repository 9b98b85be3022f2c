"""absurd: its asynchronous client, 4 workers a process, 25 tasks a claim; a step is a checkpoint. It has no bulk API and no wake-ups: it polls."""

import asyncio
import os

import measure
import psycopg
from absurd_sdk import AsyncAbsurd

QUEUE = "bench"
# Clients that spawn at once, since a spawn is a round trip of its own.
CLIENTS = 8
# Workers of a process, each of which has one connection.
WORKERS = 4


class Subject(measure.Peer):
    bulk = 10_000
    drain = 4_000
    workflows = 200

    async def connect(self):
        parts = measure.parts(self.url)
        self.conninfo = psycopg.conninfo.make_conninfo(**{name: value for name, value in parts.items() if value})
        self.connection = await psycopg.AsyncConnection.connect(self.conninfo, autocommit=True)
        installed = await self._one("select to_regnamespace('absurd') is not null")
        if not installed:
            await self._install()
        self.clients = [AsyncAbsurd(self.conninfo, queue_name=QUEUE) for _ in range(CLIENTS)]

    async def _one(self, statement):
        cursor = await self.connection.execute(statement)
        return (await cursor.fetchone())[0]

    async def _install(self):
        environment = {**os.environ, "ABSURD_DATABASE_URL": self.url}
        for command in (["init"], ["create-queue", QUEUE]):
            program = await asyncio.create_subprocess_exec(
                ".venv/bin/absurdctl", *command, env=environment, stdout=asyncio.subprocess.DEVNULL
            )
            if await program.wait() != 0:
                raise RuntimeError(f"absurdctl {command[0]} failed")

    async def _spawn(self, task, numbers):
        numbers = iter(numbers)

        async def spawn(client):
            for n in numbers:
                await client.spawn(task, {"n": n}, queue=QUEUE)

        await asyncio.gather(*map(spawn, self.clients))

    async def enqueue_many(self, jobs):
        await self._spawn("no_op", range(jobs))

    async def enqueue_ping(self):
        await self.clients[0].spawn("ping", {}, queue=QUEUE)

    async def enqueue_workflows(self, workflows):
        await self._spawn("workflow", range(workflows))

    async def unfinished(self):
        return await self._one(f"select count(*) from absurd.t_{QUEUE} where state not in ('completed', 'failed', 'cancelled')")

    async def work(self, role):
        await asyncio.gather(*(self._worker(number) for number in range(WORKERS)))

    async def _worker(self, number):
        client = AsyncAbsurd(self.conninfo, queue_name=QUEUE)

        @client.register_task("no_op", queue=QUEUE)
        async def no_op(params, context):
            measure.count()

        @client.register_task("ping", queue=QUEUE)
        async def ping(params, context):
            measure.picked_up()

        @client.register_task("workflow", queue=QUEUE)
        async def workflow(params, context):
            for n in range(measure.STEPS):

                async def step(n=n):
                    measure.count()
                    return n

                await context.step(f"step {n}", step)

        await client.start_worker(worker_id=f"{os.getpid()}-{number}", concurrency=25)
