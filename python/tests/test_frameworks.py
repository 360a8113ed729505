"""Applications of the frameworks that people use: Flask by WSGI, Starlette by ASGI."""

import asyncio
import contextlib
import threading

from mesh import MeshTest, needs, within

#: Longer than what is read before an application is asked.
LONG = 3 << 20


class Frameworks(MeshTest):
    @needs("flask")
    def test_flask(self):
        import flask

        app = flask.Flask(__name__)

        @app.get("/users/<int:number>")
        def user(number):
            return {"user": number, "ask": flask.request.args["q"], "host": flask.request.host}

        @app.post("/count")
        def count():
            total = 0
            while piece := flask.request.stream.read(65536):
                total += len(piece)
            return str(total)

        @app.get("/pieces")
        def pieces():
            return flask.Response((f"{at}," for at in range(1000)), mimetype="text/csv")

        service = self.serve(wsgi=app)
        response = self.mesh.get(f"{service.url}/users/7?q=a%20b")
        expected = {"user": 7, "ask": "a b", "host": f"{service.host}:{service.port}"}
        self.assertEqual((response.status, response.json()), (200, expected))
        self.assertEqual(self.mesh.get(f"{service.url}/users/x").status, 404)
        self.assertEqual(self.mesh.post(f"{service.url}/count", bytes(LONG)).text, str(LONG))
        streamed = self.mesh.get(f"{service.url}/pieces")
        self.assertEqual(streamed.text, "".join(f"{at}," for at in range(1000)))
        self.assertEqual(streamed.header("content-type"), "text/csv; charset=utf-8")

    @needs("starlette")
    def test_starlette(self):
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
        from starlette.routing import Route

        begun, ended = threading.Event(), threading.Event()

        async def user(request: Request):
            return JSONResponse({"user": request.path_params["number"], "state": request.state.db})

        async def count(request: Request):
            total = 0
            async for piece in request.stream():
                total += len(piece)
            return PlainTextResponse(str(total))

        async def pieces(request: Request):
            async def each():
                for at in range(1000):
                    yield f"{at},"

            return StreamingResponse(each())

        async def idle(request: Request):
            async def never():
                try:
                    yield b"first"
                    begun.set()
                    await asyncio.Event().wait()
                finally:
                    ended.set()

            return StreamingResponse(never())

        async def lifespan(_):
            yield {"db": "open"}

        routes = [
            Route("/users/{number:int}", user),
            Route("/count", count, methods=["POST"]),
            Route("/pieces", pieces),
            Route("/idle", idle),
        ]
        service = self.serve(asgi=Starlette(routes=routes, lifespan=contextlib.asynccontextmanager(lifespan)))
        self.assertEqual(self.mesh.get(f"{service.url}/users/7").json(), {"user": 7, "state": "open"})
        self.assertEqual(self.mesh.get(f"{service.url}/users/x").status, 404)
        self.assertEqual(self.mesh.post(f"{service.url}/count", bytes(LONG)).text, str(LONG))
        self.assertEqual(self.mesh.get(f"{service.url}/pieces").text, "".join(f"{at}," for at in range(1000)))

        # A stream that says nothing more ends with its caller.
        async def give_up():
            task = asyncio.ensure_future(self.mesh.aget(f"{service.url}/idle"))
            await asyncio.to_thread(within, begun)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(give_up())
        within(ended)
        self.assertEqual(self.mesh.get(f"{service.url}/users/8").json()["user"], 8)
