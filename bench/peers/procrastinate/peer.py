"""procrastinate: jobs deferred in batches of 1000, 20 at once in a process, LISTEN for wake-ups."""

import measure
import procrastinate

CALL = 1000
CONCURRENCY = 20


class Subject(measure.Peer):
    drain = 4_000

    async def connect(self):
        # One more connection than jobs at once, and one that listens.
        self.connector = procrastinate.PsycopgConnector(kwargs=measure.parts(self.url), min_size=2, max_size=CONCURRENCY + 4)
        self.app = procrastinate.App(connector=self.connector)
        await self.app.open_async()
        if not await self.app.check_connection_async():
            await self.app.schema_manager.apply_schema_async()

        @self.app.task(name="no_op")
        async def no_op(n):
            measure.count()

        @self.app.task(name="ping")
        async def ping():
            measure.picked_up()

        self.no_op, self.ping = no_op, ping

    async def enqueue_many(self, jobs):
        for start in range(0, jobs, CALL):
            await self.no_op.batch_defer_async(*({"n": n} for n in range(start, min(jobs, start + CALL))))

    async def enqueue_ping(self):
        await self.ping.defer_async()

    async def unfinished(self):
        row = await self.connector.execute_query_one_async(
            "select count(*) as jobs from procrastinate_jobs where status in ('todo', 'doing')"
        )
        return row["jobs"]

    async def work(self, role):
        await self.app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False)
