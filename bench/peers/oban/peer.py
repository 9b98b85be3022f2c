"""oban: jobs inserted 1000 a call, 100 at once in a process, woken by its notifier; each outcome is an update of its own.

Bulk acknowledgement is a part of its paid edition and is not measured.
"""

import measure
import psycopg
import uvloop
from oban import Oban, worker
from oban.schema import install_sql

CALL = 1000
CONCURRENCY = 100

uvloop.install()


@worker(queue="bench")
class NoOp:
    async def process(self, job):
        measure.count()


@worker(queue="bench")
class Ping:
    async def process(self, job):
        measure.picked_up()


class Subject(measure.Peer):
    drain = 10_000

    async def connect(self):
        parts = measure.parts(self.url)
        conninfo = psycopg.conninfo.make_conninfo(**{name: value for name, value in parts.items() if value})
        self.pool = await Oban.create_pool(dsn=conninfo, min_size=2, max_size=20)
        async with self.pool.connection() as connection:
            found = await connection.execute("select to_regclass('public.oban_jobs') is not null")
            if not (await found.fetchone())[0]:
                await connection.execute(install_sql())
        self.oban = Oban(pool=self.pool, name="producer")

    async def enqueue_many(self, jobs):
        for start in range(0, jobs, CALL):
            await self.oban.enqueue_many([NoOp.new({"n": n}) for n in range(start, min(jobs, start + CALL))])

    async def enqueue_ping(self):
        await self.oban.enqueue(Ping.new({}))

    async def unfinished(self):
        async with self.pool.connection() as connection:
            found = await connection.execute("select count(*) from oban_jobs where state in ('available', 'executing', 'retryable')")
            return (await found.fetchone())[0]

    async def work(self, role):
        async with Oban(pool=self.pool, name="worker", queues={"bench": CONCURRENCY}):
            await measure.forever()
