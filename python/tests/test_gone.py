"""Callers that go: what a handler asks others for them meanwhile ends, and nothing stays behind that waits for nobody."""

import asyncio
import contextlib
import contextvars
import logging
import queue
import threading

import meltemi
from mesh import PATIENCE, MeshTest, within

#: Plain handlers of one service that run at the same time.
THREADS = 64


class Gone(MeshTest):
    @contextlib.contextmanager
    def no_complaints(self):
        """Fails where something is logged as an error."""
        records = []
        complaints = logging.Handler(logging.ERROR)
        complaints.emit = records.append
        log = logging.getLogger("meltemi")
        log.addHandler(complaints)
        try:
            yield
        finally:
            log.removeHandler(complaints)
        self.assertEqual([record.getMessage() for record in records], [])

    def silent(self):
        """A service that does not answer, the event that it was called, and the one that its caller has gone."""
        called, left = threading.Event(), threading.Event()

        async def app(scope, receive, send):
            if scope["type"] == "http":
                await receive()
                called.set()
                await receive()
                left.set()

        return self.serve(asgi=app), called, left

    def given_up(self, url, until):
        """Calls, and gives the call up at an event."""

        async def run():
            task = asyncio.ensure_future(self.mesh.aget(url, timeout=None))
            await asyncio.to_thread(within, until)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(run())

    def test_a_plain_handlers_call_ends_with_its_caller_and_so_does_the_next_one(self):
        silent, called, left = self.silent()
        ended = queue.Queue()

        def handler(_):
            for _ in range(2):
                try:
                    between.get(silent.url, timeout=None)
                except meltemi.Error as error:
                    ended.put(type(error))
            # Nobody's request: it is asked for itself.
            ended.put(contextvars.Context().run(between.get, other.url).text)
            raise meltemi.CallerGoneError("as most handlers do")

        between, other = self.serve(handler), self.serve(lambda _: "asked for itself")
        with self.no_complaints():
            self.given_up(between.url, called)
            within(left)
            said = [ended.get(timeout=PATIENCE) for _ in range(3)]
        self.assertEqual(said, [meltemi.CallerGoneError, meltemi.CallerGoneError, "asked for itself"])

    def test_an_applications_calls_end_with_its_caller_those_of_its_tasks_and_threads_too(self):
        ended = queue.Queue()

        def told(ask):
            try:
                ask()
            except meltemi.Error as error:
                ended.put(type(error))

        async def atold(asking):
            try:
                await asking
            except meltemi.Error as error:
                ended.put(type(error))

        silent = [self.silent() for _ in range(2)]
        all_called = threading.Event()

        async def app(scope, receive, send):
            if scope["type"] != "http":
                return
            thread = asyncio.to_thread(told, lambda: self.mesh.get(silent[0][0].url, timeout=None))
            task = asyncio.create_task(atold(self.mesh.aget(silent[1][0].url, timeout=None)))
            waiting = asyncio.gather(thread, task)
            await asyncio.to_thread(lambda: [within(called) for _, called, _ in silent])
            all_called.set()
            await waiting
            # The application may clear up, and fails then with what it was told.
            await self.mesh.aget(silent[0][0].url)

        with self.no_complaints():
            self.given_up(self.serve(asgi=app).url, all_called)
            said = [ended.get(timeout=PATIENCE) for _ in range(2)]
        self.assertEqual(said, [meltemi.CallerGoneError] * 2)
        for _, _, left in silent:
            within(left)

    def test_a_task_that_outlives_its_application_asks_for_itself(self):
        silent, called, _ = self.silent()
        other = self.serve(lambda _: "asked for itself")
        ended, said, tasks = threading.Event(), queue.Queue(), []

        async def later():
            await asyncio.to_thread(within, ended)
            said.put((await self.mesh.aget(other.url)).text)

        async def app(scope, receive, send):
            if scope["type"] == "http":
                tasks.append(asyncio.create_task(later()))
                asyncio.current_task().add_done_callback(lambda _: ended.set())
                await self.mesh.aget(silent.url, timeout=None)

        self.given_up(self.serve(asgi=app).url, called)
        self.assertEqual(said.get(timeout=PATIENCE), "asked for itself")

    def test_a_wsgi_applications_call_ends_with_its_caller(self):
        silent, called, left = self.silent()
        ended = queue.Queue()

        def app(environ, start_response):
            try:
                self.mesh.get(silent.url, timeout=None)
            except meltemi.Error as error:
                ended.put(type(error))
                raise

        self.given_up(self.serve(wsgi=app).url, called)
        within(left)
        self.assertEqual(ended.get(timeout=PATIENCE), meltemi.CallerGoneError)

    def test_handlers_that_wait_for_their_own_service_do_so_no_longer_than_their_callers(self):
        begun = threading.Semaphore(0)

        def handler(request):
            if request.path == "/":
                return "free"
            begun.release()
            return service.get(service.url, timeout=None).text

        service = self.serve(handler)

        async def run():
            # All threads of the service wait for one more.
            callers = [asyncio.ensure_future(self.mesh.aget(f"{service.url}/on", timeout=None)) for _ in range(THREADS)]
            for _ in callers:
                self.assertTrue(await asyncio.to_thread(begun.acquire, timeout=PATIENCE))
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            return (await self.mesh.aget(service.url, timeout=PATIENCE)).text

        self.assertEqual(asyncio.run(run()), "free")

    def test_what_a_handler_asks_before_it_has_answered_goes_on_while_its_caller_waits(self):
        last = self.serve(lambda _: "last")
        first = self.serve(lambda _: first.get(last.url).text)
        self.assertEqual(self.mesh.get(first.url).text, "last")

    def test_an_answer_that_breaks_off_is_a_failure_of_the_handler_that_has_asked_for_it(self):
        async def app(scope, receive, send):
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 200})
                # So much that its head has been sent: without one there is no answer that could break off.
                for _ in range(64):
                    await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})

        broken = self.serve(asgi=app)
        between = self.serve(lambda _: between.get(broken.url).text)
        with self.assertLogs("meltemi", "ERROR") as logs:
            self.assertEqual(self.mesh.get(between.url).status, 500)
        self.assertIn(f"a handler of {between.name} failed", "".join(logs.output))
