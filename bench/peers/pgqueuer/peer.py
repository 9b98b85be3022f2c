"""pgqueuer: asyncpg with uvloop, jobs enqueued as lists of 1000, claimed 100 at a time; outcomes are logged in batches."""

import asyncio
import json

import asyncpg
import measure
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.queries import Queries

CALL = 1000

uvloop.install()


class Subject(measure.Peer):
    drain = 20_000

    async def connect(self):
        parts = measure.parts(self.url)
        self.pool = await asyncpg.create_pool(
            host=parts["host"], port=parts["port"], user=parts["user"], database=parts["dbname"], min_size=2, max_size=10
        )
        self.driver = AsyncpgPoolDriver(self.pool)
        self.queries = Queries(self.driver)
        if not await self.queries.schema_is_installed():
            await self.queries.install()

    async def enqueue_many(self, jobs):
        for start in range(0, jobs, CALL):
            numbers = range(start, min(jobs, start + CALL))
            payloads = [json.dumps({"n": n}).encode() for n in numbers]
            await self.queries.enqueue(["no_op"] * len(numbers), payloads, [0] * len(numbers))

    async def enqueue_ping(self):
        await self.queries.enqueue("ping", None)

    async def unfinished(self):
        return await self.pool.fetchval("select count(*) from pgqueuer")

    async def work(self, role):
        queuer = PgQueuer(self.driver)

        @queuer.entrypoint("no_op")
        async def no_op(job):
            json.loads(job.payload)
            measure.count()

        @queuer.entrypoint("ping")
        async def ping(job):
            measure.picked_up()

        await queuer.run(batch_size=100 if role == "drain" else 10)
