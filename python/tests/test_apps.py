"""ASGI and WSGI applications as handlers."""

import asyncio
import os
import sys

import meltemi
from mesh import MeshTest


class Asgi(MeshTest):
    def test_an_application_starts_serves_and_ends(self):
        told = []

        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                while True:
                    message = await receive()
                    told.append(message["type"])
                    scope["state"]["db"] = "open"
                    await send({"type": message["type"] + ".complete"})
                    if message["type"] == "lifespan.shutdown":
                        return
            message = await receive()
            told.append((scope["method"], scope["path"], scope["query_string"], scope["state"], message["body"]))
            await send({"type": "http.response.start", "status": 202, "headers": [(b"x-a", b"b")]})
            for piece in (b"one", b"two"):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        service = self.serve(asgi=app)
        response = self.mesh.post(f"{service.url}/a%20b?c", b"sent")
        self.assertEqual((response.status, response.header("x-a"), response.body), (202, "b", b"onetwo"))
        service.drain()
        expected = ("POST", "/a b", b"c", {"db": "open"}, b"sent")
        self.assertEqual(told, ["lifespan.startup", expected, "lifespan.shutdown"])

    def test_one_that_fails_is_an_answer_and_one_that_breaks_off_is_never_whole(self):
        async def app(scope, receive, send):
            assert scope["type"] == "http", "no lifespan"
            if scope["path"] == "/half":
                await send({"type": "http.response.start", "status": 200})
                await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise RuntimeError("as it was asked to")

        service = self.serve(asgi=app)
        with self.assertLogs("meltemi", "ERROR"):
            self.assertEqual(self.mesh.get(service.url).status, 500)
            # What broke off before its head had left is no answer at all: the caller's own data path says so then.
            try:
                self.assertEqual(self.mesh.get(f"{service.url}/half").status, 503)
            except meltemi.BrokenOffError:
                pass

    def test_one_that_ends_the_program_ends_its_answer_alone(self):
        async def app(scope, receive, send):
            assert scope["type"] == "http", "no lifespan"
            if scope["path"] == "/exit":
                sys.exit(3)
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"well"})

        service = self.serve(asgi=app)
        for _ in range(2):
            with self.assertLogs("meltemi", "ERROR"):
                self.assertEqual(self.mesh.get(f"{service.url}/exit").status, 500)
            self.assertEqual(self.mesh.get(service.url).body, b"well")

    def test_one_that_ends_the_program_at_its_start_is_not_registered(self):
        async def app(scope, receive, send):
            await receive()
            sys.exit(3)

        with self.assertRaisesRegex(RuntimeError, "SystemExit"):
            meltemi.Service("broken", 9098, asgi=app).register(mesh=self.mesh)

    def test_one_that_does_not_end_holds_nobody_up(self):
        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await asyncio.Event().wait()
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"well"})

        service = self.serve(asgi=app)
        self.assertEqual(self.mesh.get(service.url).body, b"well")
        if os.fork() == 0:
            # In a child there is no loop to end.
            service.close()
            os._exit(0)
        self.assertEqual(os.wait()[1], 0)
        with self.assertLogs("meltemi", "ERROR"):
            service.drain()

    def test_one_that_does_not_start_is_not_registered(self):
        async def app(scope, receive, send):
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no database"})

        service = meltemi.Service("broken", 9099, asgi=app)
        with self.assertRaisesRegex(RuntimeError, "no database"):
            service.register(mesh=self.mesh)
        self.assertFalse(service.is_registered)


class Wsgi(MeshTest):
    def test_an_application_serves(self):
        closed = []

        class Pieces(list):
            def close(self):
                closed.append(True)

        def app(environ, start_response):
            write = start_response("201 Created", [("Content-Type", "text/plain"), ("X-Path", environ["PATH_INFO"])])
            write(b"first ")
            body = environ["wsgi.input"].read()
            return Pieces([environ["REQUEST_METHOD"].encode(), b" ", body, b" ", environ["HTTP_X_ONE"].encode()])

        service = self.serve(wsgi=app)
        response = self.mesh.post(f"{service.url}/a%20b", b"sent", headers={"x-one": "1"})
        self.assertEqual((response.status, response.header("x-path")), (201, "/a b"))
        self.assertEqual((response.body, closed), (b"first POST sent 1", [True]))

    def test_what_was_asked_is_bytes_one_a_character(self):
        def app(environ, start_response):
            start_response("200 OK", [])
            return [environ["PATH_INFO"].encode("latin-1"), b"?", environ["QUERY_STRING"].encode("latin-1")]

        service = self.serve(wsgi=app)
        self.assertEqual(self.mesh.get(f"{service.url}/ä?q=ä☃").text, "/ä?q=ä☃")
        self.assertEqual(self.mesh.get(f"{service.url}/%C3%A4?q=%C3%A4").text, "/ä?q=%C3%A4")

    def test_one_that_ends_the_program_or_answers_with_text_is_an_answer(self):
        def app(environ, start_response):
            if environ["PATH_INFO"] == "/exit":
                sys.exit(3)
            start_response("200 OK", [])
            return ["text"]

        service = self.serve(wsgi=app)
        for path in ("/exit", "/"):
            with self.assertLogs("meltemi", "ERROR"):
                self.assertEqual(self.mesh.get(f"{service.url}{path}").status, 500)

    def test_one_that_fails_is_an_answer(self):
        def app(environ, start_response):
            raise RuntimeError("as it was asked to")

        service = self.serve(wsgi=app)
        with self.assertLogs("meltemi", "ERROR"):
            self.assertEqual(self.mesh.get(service.url).status, 500)
