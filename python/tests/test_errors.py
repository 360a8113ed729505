"""What cannot be is an exception of its own kind: nothing hangs, and the next call works."""

import asyncio
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import meltemi
from mesh import PATIENCE, MeshTest

# Two seconds are promised; five times as much is allowed to a busy machine.
SOON = 10


class Errors(MeshTest):
    def test_bad_input_has_an_exception_of_its_own_each(self):
        service = self.serve(lambda request: b"x" * 1000)
        calls = [
            (meltemi.UnknownServiceError, lambda: self.mesh.get("http://nobody/")),
            (meltemi.UnknownServiceError, lambda: self.mesh.get(f"http://{service.host}:1/")),
            (meltemi.ResultTooLargeError, lambda: self.mesh.call("GET", service.url, max_result=999)),
            (meltemi.RequestError, lambda: self.mesh.get("https://nobody/")),
            (meltemi.RequestError, lambda: self.mesh.get("no url")),
            (meltemi.RequestError, lambda: self.mesh.call("BAD METHOD", service.url)),
            (meltemi.RequestError, lambda: self.mesh.get(service.url, headers={"bad name": "x"})),
            (meltemi.RequestError, lambda: self.mesh.get(service.url, headers={"x": "a\nb"})),
            (meltemi.UnregisteredError, lambda: meltemi.Service("x", 1).get(service.url)),
            (meltemi.SettingsError, lambda: meltemi.Service("x", 0).register(mesh=self.mesh)),
            (meltemi.SettingsError, lambda: meltemi.Service("no name", 1).register(mesh=self.mesh)),
            (meltemi.SettingsError, lambda: meltemi.Service("x", 1).register("nowhere", mesh=self.mesh)),
            (meltemi.SettingsError, lambda: meltemi.Service("x", 1, protocol="htpp").register(mesh=self.mesh)),
            (meltemi.SettingsError, lambda: meltemi.Service("x", 1, handler=repr, forward=True)),
            (meltemi.SettingsError, lambda: service.register(mesh=self.mesh)),
        ]
        for at, (kind, call) in enumerate(calls):
            with self.subTest(at), self.assertRaises(kind) as raised:
                call()
            self.assertIs(type(raised.exception), kind)
        self.assertEqual(len(self.mesh.get(service.url).body), 1000)

    def test_a_service_that_forwards_to_nobody_is_not_registered(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            service = meltemi.Service("absent", unused.getsockname()[1], forward=True)
            with self.assertRaisesRegex(meltemi.NotRegisteredError, "does not answer"):
                service.register(mesh=self.mesh)
        self.assertFalse(service.is_registered)

    def test_a_handler_that_raises_is_an_exception_at_the_caller(self):
        def handler(request):
            if request.path == "/missing":
                return meltemi.Reply("nothing there", status=404)
            raise RuntimeError("as it was asked to")

        service, caller = self.serve(handler), self.serve()
        with self.assertLogs("meltemi", "ERROR"), self.assertRaises(meltemi.HandlerError):
            meltemi.communicate(meltemi.Request(caller, service))
        with self.assertRaises(meltemi.StatusError) as raised:
            meltemi.communicate(meltemi.Request(caller, service, path="/missing"))
        self.assertNotIsInstance(raised.exception, meltemi.HandlerError)
        self.assertEqual(raised.exception.response.status, 404)

    def test_a_call_is_given_up_after_its_time(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def handler(request):
            if request.path == "/wait":
                go_on.wait(PATIENCE)
            return "well"

        service, caller = self.serve(handler), self.serve()
        waiting = service.url + "/wait"
        asking = meltemi.Request(caller, service, path="/wait", timeout=0.2)
        for call in (
            lambda: self.mesh.get(waiting, timeout=0.2),
            lambda: self.mesh.post(waiting, timeout=0.2),
            lambda: meltemi.communicate(asking),
            lambda: asyncio.run(self.mesh.aget(waiting, timeout=0.2)),
            lambda: asyncio.run(caller.apost(waiting, timeout=0.2)),
            lambda: asyncio.run(meltemi.acommunicate(asking)),
        ):
            with self.assertRaisesRegex(meltemi.TimedOutError, "within 200ms"):
                call()
        for timeout in (PATIENCE, None, float("inf"), 10**30):
            self.assertEqual(self.mesh.get(service.url, timeout=timeout).text, "well")

    def test_a_handler_that_ends_the_program_ends_its_answer_alone(self):
        def handler(request):
            if request.path == "/exit":
                sys.exit(3)
            return "well"

        service = self.serve(handler)
        for _ in range(2):
            with self.assertLogs("meltemi", "ERROR"):
                self.assertEqual(self.mesh.get(f"{service.url}/exit").status, 500)
            self.assertEqual(self.mesh.get(service.url).text, "well")

    def test_a_length_that_is_not_the_answers_does_not_go_on_the_wire(self):
        lengths = {"/short": "1", "/long": "1000", "/no": "x"}

        def handler(request):
            body = "" if request.method == "HEAD" else "four"
            return meltemi.Reply(body, headers={"content-length": lengths[request.path]})

        service = self.serve(handler)
        for path in lengths:
            self.assertEqual(self.mesh.get(f"{service.url}{path}").body, b"four")
        head = self.mesh.call("HEAD", f"{service.url}/long")
        self.assertEqual((head.header("content-length"), head.body), ("1000", b""))

    def test_the_longest_name_of_a_service_can_be_registered(self):
        name = "x" * 63
        with meltemi.Service(name, 8001, handler=lambda request: "well").register(mesh=self.mesh) as service:
            self.assertLessEqual(len(service.instance.split("/")[1]), 63)
            self.assertEqual(self.mesh.get(service.url).text, "well")

    def test_an_answer_that_is_none_is_a_failure_of_the_handler(self):
        service = self.serve(lambda request: object())
        with self.assertLogs("meltemi", "ERROR"):
            self.assertEqual(self.mesh.get(service.url).status, 500)

    def test_a_closed_service_calls_nobody_and_is_unknown(self):
        service, other = self.serve(), self.serve()
        service.close()
        with self.assertRaises(meltemi.UnregisteredError):
            service.get(other.url)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                self.mesh.get(service.url)
            except (meltemi.UnknownServiceError, meltemi.NoInstanceError):
                return
        self.fail("it is called though it was closed")

    def test_a_fork_after_the_mesh_was_joined_is_told_in_the_child_alone(self):
        service = self.serve(lambda _: "here")
        self.assertEqual(self.mesh.get(service.url).text, "here")
        child = os.fork()
        if child == 0:
            try:
                self.mesh.get(service.url)
            except meltemi.ForkError:
                os._exit(0)
            finally:
                os._exit(1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertEqual(self.mesh.get(service.url).text, "here")


class WithoutControlPlane(MeshTest):
    def test_it_is_said_soon_and_clearly(self):
        # Roots that some mesh has: another one is not asked for them, as nobody answers.
        import json

        state = json.loads((Path(self.mesh.state_dir) / "control.json").read_text())
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = f"https://127.0.0.1:{unused.getsockname()[1]}"
        began = time.monotonic()
        with self.assertRaisesRegex(meltemi.ControlPlaneError, "meltemi control"):
            meltemi.Mesh.connect(address, "a.b.c", trust_bundle=state["trust_bundle"])
        with tempfile.TemporaryDirectory() as empty, self.assertRaises(meltemi.ControlPlaneError):
            meltemi.Mesh.local(empty)
        self.assertLess(time.monotonic() - began, SOON)
        with self.assertRaises(meltemi.SettingsError):
            meltemi.Mesh.connect("mesh:15012", "", trust_bundle="none")


class Leaks(MeshTest):
    def test_services_and_failed_calls_leave_no_threads_and_files(self):
        def open_now():
            return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

        def round_trip():
            service = self.serve(lambda _: "here")
            self.mesh.get(service.url)
            for url in ("http://nobody/", "https://x/"):
                with self.assertRaises(meltemi.Error):
                    self.mesh.get(url)
            service.drain()

        for _ in range(3):
            round_trip()
        before = open_now()
        for _ in range(10):
            round_trip()
        # Threads that end are gone a moment later; ten services that stayed would have twenty threads and more files.
        until = time.monotonic() + 60
        while time.monotonic() < until:
            now = open_now()
            if now[0] < before[0] + 10 and now[1] < before[1] + 20:
                return
        self.fail(f"threads and files: {before} before, {now} after")
