"""dbos: workflows on a queue, 64 threads a process; a step is kept in a transaction of its own.

There is no bulk API: many enqueues share a transaction, as the client allows.
"""

import asyncio
import os

import measure
import sqlalchemy
from dbos import DBOS, DBOSClient

QUEUE = "bench"
# Enqueues in one transaction.
CALL = 1000
THREADS = 64
# Workflows that a process takes off the queue and has not ended.
CONCURRENCY = 1000
# Seconds between looks at the queue.
POLLING = 0.05


@DBOS.workflow(name="no_op")
def no_op(n):
    measure.count()


@DBOS.workflow(name="ping")
def ping():
    measure.picked_up()


@DBOS.step()
def step(n):
    measure.count()
    return n


@DBOS.workflow(name="steps")
def steps(n):
    for number in range(measure.STEPS):
        step(number)


class Subject(measure.Peer):
    bulk = 20_000
    drain = 4_000
    workflows = 200

    async def connect(self):
        parts = measure.parts(self.url)
        self.address = sqlalchemy.URL.create(
            "postgresql+psycopg",
            username=parts["user"],
            password=parts["password"] or None,
            database=parts["dbname"],
            query={"host": parts["host"], "port": str(parts["port"])},
        ).render_as_string(hide_password=False)
        self.launching = asyncio.Lock()
        self.launched = False
        self.client = None

    async def _connect_client(self):
        """The client expects the schema, which a process brings when it is launched."""
        await self._launch([])
        if self.client is None:
            self.client = DBOSClient(system_database_url=self.address)
            self.engine = sqlalchemy.create_engine(self.address)

    async def _launch(self, queues):
        async with self.launching:
            if not self.launched:
                await asyncio.to_thread(self._launch_now, queues)
                self.launched = True

    def _launch_now(self, queues):
        config = {
            "name": "bench",
            "system_database_url": self.address,
            "sys_db_pool_size": 20,
            "executor_id": str(os.getpid()),
            "application_version": "bench",
            "log_level": "ERROR",
            "runtimeConfig": {"max_executor_threads": THREADS, "run_admin_server": False},
        }
        DBOS(config=config)
        DBOS.listen_queues(queues)
        DBOS.launch()

    def _enqueue(self, name, arguments):
        options = {"workflow_name": name, "queue_name": QUEUE, "app_version": "bench"}
        for start in range(0, len(arguments), CALL):
            with self.engine.begin() as connection:
                for argument in arguments[start : start + CALL]:
                    self.client.enqueue_in_transaction(connection, options, *argument)

    async def enqueue_many(self, jobs):
        await self._connect_client()
        await asyncio.to_thread(self._enqueue, "no_op", [(n,) for n in range(jobs)])

    async def enqueue_ping(self):
        await self._connect_client()
        await asyncio.to_thread(self._enqueue, "ping", [()])

    async def enqueue_workflows(self, workflows):
        await self._connect_client()
        await asyncio.to_thread(self._enqueue, "steps", [(n,) for n in range(workflows)])

    async def unfinished(self):
        def count():
            with self.engine.connect() as connection:
                statement = "select count(*) from dbos.workflow_status where status in ('ENQUEUED', 'PENDING')"
                return connection.execute(sqlalchemy.text(statement)).scalar_one()

        return await asyncio.to_thread(count)

    async def work(self, role):
        await self._launch([QUEUE])
        await asyncio.to_thread(
            DBOS.register_queue, QUEUE, worker_concurrency=CONCURRENCY, polling_interval_sec=POLLING, on_conflict="always_update"
        )
        await measure.forever()
