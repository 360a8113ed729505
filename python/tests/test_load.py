"""Much at once, and long bodies: nothing hangs, nothing is held whole that could go piece by piece."""

import asyncio
import multiprocessing
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import meltemi
from mesh import PATIENCE, MeshTest, within


class Much(MeshTest):
    def test_a_thousand_calls_at_once_and_twenty_threads(self):
        service = self.serve(lambda request: request.text)

        async def run():
            calls = [self.mesh.apost(service.url, str(at)) for at in range(1000)]
            return [response.text for response in await asyncio.gather(*calls)]

        numbers = [str(at) for at in range(1000)]
        self.assertEqual(asyncio.run(run()), numbers)
        with ThreadPoolExecutor(20) as pool:
            answers = pool.map(lambda text: self.mesh.post(service.url, text).text, numbers)
            self.assertEqual(list(answers), numbers)

    def test_handlers_that_call_other_services_of_the_program_do_not_wait_for_each_other(self):
        # More than run at the same time: all of the first service's threads wait for the second's.
        waiting = threading.Barrier(64)
        last = self.serve(lambda _: "last")

        def pass_on(_):
            if not waiting.broken:
                waiting.wait(PATIENCE)
            return first.get(last.url).text

        first = self.serve(pass_on)

        async def run():
            return [response.text for response in await asyncio.gather(*[self.mesh.aget(first.url) for _ in range(128)])]

        self.assertEqual(set(asyncio.run(run())), {"last"})

    def test_an_application_that_waits_is_told_that_its_caller_has_gone(self):
        waits, told = threading.Event(), threading.Event()

        async def app(scope, receive, send):
            if scope["type"] == "http":
                await receive()
                waits.set()
                if (await receive())["type"] == "http.disconnect":
                    told.set()

        service = self.serve(asgi=app)

        async def run():
            task = asyncio.ensure_future(self.mesh.aget(service.url))
            await asyncio.to_thread(within, waits)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(run())
        within(told)

    def test_a_request_of_pieces_is_read_by_the_application_and_one_that_is_too_long_is_refused(self):
        async def app(scope, receive, send):
            if scope["type"] != "http":
                return
            total, pieces, more = 0, 0, True
            while more:
                message = await receive()
                total, pieces, more = total + len(message["body"]), pieces + 1, message["more_body"]
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": f"{total} {pieces > 2}".encode()})

        service, narrow = self.serve(asgi=app), self.serve(asgi=app, max_request=1000)
        self.assertEqual(self.mesh.post(service.url, bytes(5 << 20)).text, f"{5 << 20} True")
        self.assertEqual(self.mesh.post(narrow.url, bytes(1000)).status, 200)
        self.assertEqual(self.mesh.post(narrow.url, bytes(1001)).status, 413)

    def test_a_hundred_megabytes_take_a_fraction_of_that(self):
        program = """if True:
            import meltemi
            def peak():
                with open("/proc/self/status") as status:
                    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) >> 10
            async def app(scope, receive, send):
                if scope["type"] == "http":
                    total, more = 0, True
                    while more:
                        message = await receive()
                        total, more = total + len(message["body"]), message["more_body"]
                    await send({"type": "http.response.start", "status": 200})
                    await send({"type": "http.response.body", "body": str(total).encode()})
            mesh = meltemi.Mesh.embedded()
            service = meltemi.Service("upload", 9000, asgi=app).register(mesh=mesh)
            assert mesh.post(service.url, b"x" * (1 << 20)).text == str(1 << 20)
            body = b"x" * (100 << 20)
            before = peak()
            assert mesh.post(service.url, body).text == str(100 << 20)
            grown = peak() - before
            assert grown < 50, f"{grown} MiB"
        """
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=3 * PATIENCE, check=False)
        self.assertEqual((run.returncode, run.stderr), (0, ""))


def _in_child(state_dir, url, told):
    """Another process: it joins by itself, and calls its parent's service."""
    mesh = meltemi.Mesh.local(state_dir)
    told.send(mesh.get(url).text)
    mesh.close()


class Processes(MeshTest):
    def test_a_forked_process_joins_anew_and_calls_its_parent(self):
        service = self.serve(lambda request: request.caller)
        hear, told = multiprocessing.Pipe(duplex=False)
        for kind in ("fork", "spawn"):
            with self.subTest(kind):
                context = multiprocessing.get_context(kind)
                child = context.Process(target=_in_child, args=(str(self.mesh.state_dir), service.url, told))
                child.start()
                self.assertTrue(hear.poll(PATIENCE), "the child says nothing")
                self.assertEqual(hear.recv(), self.mesh.id)
                child.join(PATIENCE)
                self.assertEqual(child.exitcode, 0)

    def test_a_program_that_fails_ends_with_its_own_error_alone(self):
        program = """if True:
            import asyncio, threading, meltemi
            mesh = meltemi.Mesh.embedded()
            entered = threading.Event()
            def handler(_):
                entered.set()
                threading.Event().wait()
            async def app(scope, receive, send):
                if scope["type"] == "http":
                    await asyncio.Event().wait()
            slow = meltemi.Service("slow", 9000, handler=handler).register(mesh=mesh)
            api = meltemi.Service("api", 9001, asgi=app).register(mesh=mesh)
            threading.Thread(target=mesh.get, args=(slow.url,), daemon=True).start()
            threading.Thread(target=mesh.get, args=(api.url,), daemon=True).start()
            assert entered.wait(60)
            raise SystemError("as it was asked to")
        """
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn("SystemError: as it was asked to", run.stderr)
        self.assertNotIn("Fatal Python error", run.stderr)
        self.assertNotIn("panicked", run.stderr)
