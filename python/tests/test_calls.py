"""Calls and handlers: what is sent arrives, what is answered comes back, and Python's other threads go on meanwhile."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from unittest import mock

import meltemi
from mesh import PATIENCE, MeshTest, within


class Calls(MeshTest):
    def test_a_handlers_answer_is_what_it_gives(self):
        answers = [
            ("text", 200, "text/plain; charset=utf-8", b"text"),
            (b"\x00\xff", 200, "application/octet-stream", b"\x00\xff"),
            ({"a": [1, None]}, 200, "application/json", b'{"a": [1, null]}'),
            (None, 204, None, b""),
            (meltemi.Reply("made", status=201, headers={"content-type": "a/b"}), 201, "a/b", b"made"),
        ]
        given = []
        service = self.serve(lambda request: given[-1])
        for answer, status, kind, body in answers:
            given.append(answer)
            response = self.mesh.get(service.url)
            self.assertEqual((response.status, response.header("Content-Type"), response.body), (status, kind, body))
            self.assertIsNone(response.flags)

    def test_a_handler_sees_what_was_sent_and_who_has_sent_it(self):
        seen = []

        def handler(request):
            seen.append(request)
            return request.json()

        called, caller = self.serve(handler), self.serve()
        url = f"{called.url}/a%20b?c=d"
        response = caller.post(url, json={"x": 1}, headers=[("x-one", "1"), ("x-one", "2")])
        self.assertEqual(response.json(), {"x": 1})
        request = seen[0]
        self.assertEqual((request.method, request.path, request.query), ("POST", "/a%20b", "c=d"))
        self.assertEqual([value for name, value in request.headers if name == "x-one"], ["1", "2"])
        self.assertEqual(request.caller, caller.id)
        self.assertEqual(caller.id, f"spiffe://cluster.local/ns/default/sa/{caller.host}")

    def test_long_bodies_pass_both_ways(self):
        service = self.serve(lambda request: request.body)
        long = bytes(range(251)) * 40_000
        self.assertEqual(self.mesh.post(service.url, long).body, long)

    def test_other_threads_go_on_while_a_call_waits(self):
        entered, released = threading.Event(), threading.Event()

        def handler(_):
            entered.set()
            within(released)
            return "done"

        service = self.serve(handler)
        answers = []
        calling = threading.Thread(target=lambda: answers.append(self.mesh.get(service.url).text))
        calling.start()
        within(entered)
        released.set()
        calling.join(PATIENCE)
        self.assertEqual(answers, ["done"])

    def test_a_service_without_a_handler_says_who_it_is(self):
        service, caller = self.serve(), self.serve()
        response = meltemi.communicate(meltemi.Request(caller, service, path="/x"))
        said = response.result.value
        self.assertEqual(said, {"service": service.name, "port": service.port, "caller": caller.id, "path": "/x"})

    def test_instances_take_turns_and_one_that_is_drained_is_called_no_more(self):
        one = self.serve(lambda _: "one")
        other = meltemi.Service(one.host, one.port, handler=lambda _: "other").register(mesh=self.mesh)
        # The program hears of the second instance by itself; from then on they take exact turns.
        until = time.monotonic() + PATIENCE
        while len({self.mesh.get(one.url).text for _ in range(2)}) < 2:
            self.assertLess(time.monotonic(), until, "the second instance is not called")
        turns = [self.mesh.get(one.url).text for _ in range(10)]
        self.assertEqual(turns.count("one"), 5)
        other.drain()
        self.assertEqual({self.mesh.get(one.url).text for _ in range(4)}, {"one"})

    def test_ctrl_c_ends_a_call_that_waits(self):
        program = """if True:
            import signal, threading, meltemi
            # What runs in the background of a shell inherits that it is ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            mesh = meltemi.Mesh.embedded()
            def handler(_):
                print("entered", flush=True)
                threading.Event().wait(60)
            slow = meltemi.Service("slow", 9000, handler=handler).register(mesh=mesh)
            try:
                mesh.get(slow.url)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
                # The handler's thread waits on: the process need not.
                import os
                os._exit(0)
        """
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
            self.assertEqual(process.stdout.readline(), "entered\n")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.stdout.readline(), "interrupted\n")
            self.assertEqual(process.wait(PATIENCE), 0)


class Asyncio(MeshTest):
    def test_a_hundred_calls_at_once(self):
        service = self.serve(lambda request: request.text)

        async def run():
            calls = [self.mesh.apost(service.url, str(at)) for at in range(100)]
            return [response.text for response in await asyncio.gather(*calls)]

        self.assertEqual(asyncio.run(run()), [str(at) for at in range(100)])

    def test_a_cancelled_task_ends_its_request_and_leaves_nothing(self):
        started, gone = threading.Event(), threading.Event()

        async def app(scope, receive, send):
            if scope["type"] != "http":
                return
            await send({"type": "http.response.start", "status": 200})
            try:
                while True:
                    await send({"type": "http.response.body", "body": b"more" * 1024, "more_body": True})
                    started.set()
            except meltemi.BrokenOffError:
                gone.set()
                raise

        service = self.serve(asgi=app)

        async def run():
            task = asyncio.ensure_future(self.mesh.aget(service.url))
            await asyncio.to_thread(within, started)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(within, gone)
            # The loop and the mesh serve on.
            return await meltemi.acommunicate(meltemi.Request(self.mesh, quick))

        quick = self.serve(lambda _: "well")
        self.assertEqual(asyncio.run(run()).result.value, "well")

    def test_services_come_and_go(self):
        async def run():
            service = meltemi.Service("brief", 9090, handler=lambda _: "here")
            await service.aregister(mesh=self.mesh)
            response = await service.aget(service.url)
            await service.adrain()
            return response.text

        self.assertEqual(asyncio.run(run()), "here")

    def test_async_with_ends_what_it_began(self):
        async def run():
            async with await asyncio.to_thread(meltemi.Mesh.embedded) as mesh:
                service = meltemi.Service("brief", 9090, handler=lambda _: "here")
                async with await service.aregister(mesh=mesh):
                    said = (await mesh.aget(service.url)).text
                return said, service.is_registered, mesh

        said, is_registered, mesh = asyncio.run(run())
        self.assertEqual((said, is_registered), ("here", False))
        with self.assertRaises(meltemi.UnregisteredError):
            mesh.get("http://brief:9090/")


class Defaults(MeshTest):
    def test_a_default_mesh_that_was_closed_is_followed_by_another(self):
        nowhere = {name: "" for name in ("MELTEMI_CONTROL", "MELTEMI_STATE_DIR")}
        with mock.patch.dict(os.environ, nowhere):
            with meltemi.default_mesh() as first:
                self.assertIs(meltemi.default_mesh(), first)
            with meltemi.default_mesh() as second:
                self.assertIsNot(second, first)
                service = meltemi.Service("brief", 9091, handler=lambda _: "here").register()
                self.assertEqual(meltemi.communicate(meltemi.Request(None, service)).text, "here")
