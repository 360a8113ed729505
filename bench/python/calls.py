"""Calls per second from Python: through the mesh by the SDK, mutual TLS included, and directly by httpx and aiohttp.

    pip install ./python httpx aiohttp
    python bench/python/calls.py --rounds 5 --seconds 2

One server in a process of its own, as fast as plain asyncio lets it be, answers all of them: directly on its port, and as a
service of the mesh that forwards to this very port. Contestants take turns in an order that is shuffled anew each round.
"""

import argparse
import asyncio
import multiprocessing
import platform
import random
import statistics
import time

import aiohttp
import httpx

import meltemi

ANSWER = b"x" * 1024
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1024\r\n\r\n"


class Server(asyncio.Protocol):
    """Answers each head with the same bytes; requests here have no body."""

    def connection_made(self, transport):
        self.transport = transport
        self.waiting = b""

    def data_received(self, data):
        *heads, self.waiting = (self.waiting + data).split(b"\r\n\r\n")
        if heads:
            self.transport.write((HEAD + ANSWER) * len(heads))


def serve(state_dir, told):
    """The server's process: says its port when both ways to it are open."""

    async def run():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Server, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        mesh = await asyncio.to_thread(meltemi.Mesh.local, state_dir)
        await meltemi.Service("bench", port, forward=True).aregister(mesh=mesh)
        told.send(port)
        await server.serve_forever()

    asyncio.run(run())


def one_by_one(call):
    """Calls a second of a caller that waits for each answer."""

    def run(seconds):
        count, until = 0, time.perf_counter() + seconds
        began = time.perf_counter()
        while time.perf_counter() < until:
            assert call() == 1024
            count += 1
        return count / (time.perf_counter() - began)

    return run


def at_once(open_client, concurrency):
    """Calls a second of so many tasks on one loop."""

    async def run(seconds):
        async with open_client() as call:
            counts, until = [0] * concurrency, time.perf_counter() + seconds

            async def task(at):
                while time.perf_counter() < until:
                    assert await call() == 1024
                    counts[at] += 1

            began = time.perf_counter()
            await asyncio.gather(*(task(at) for at in range(concurrency)))
            return sum(counts) / (time.perf_counter() - began)

    return lambda seconds: asyncio.run(run(seconds))


class Aiohttp:
    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        self.session = aiohttp.ClientSession()
        return self.call

    async def __aexit__(self, *_):
        await self.session.close()

    async def call(self):
        async with self.session.get(self.url) as response:
            return len(await response.read())


class Httpx:
    def __init__(self, url):
        self.url = url

    async def __aenter__(self):
        self.client = httpx.AsyncClient()
        return self.call

    async def __aexit__(self, *_):
        await self.client.aclose()

    async def call(self):
        return len((await self.client.get(self.url)).content)


class OfMesh:
    def __init__(self, mesh, url):
        self.mesh, self.url = mesh, url

    async def __aenter__(self):
        return self.call

    async def __aexit__(self, *_):
        pass

    async def call(self):
        return len((await self.mesh.aget(self.url)).body)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=2)
    arguments.add_argument("--concurrency", type=int, default=32)
    options = arguments.parse_args()

    mesh = meltemi.Mesh.embedded()
    hear, told = multiprocessing.Pipe(duplex=False)
    spawned = multiprocessing.get_context("spawn")
    server = spawned.Process(target=serve, args=(str(mesh.state_dir), told), daemon=True)
    server.start()
    port = hear.recv()
    direct, through = f"http://127.0.0.1:{port}/", f"http://bench:{port}/"

    client, width = httpx.Client(), options.concurrency
    contestants = {
        "httpx, one by one": one_by_one(lambda: len(client.get(direct).content)),
        "the mesh, one by one": one_by_one(lambda: len(mesh.get(through).body)),
        f"httpx, {width} at once": at_once(lambda: Httpx(direct), width),
        f"aiohttp, {width} at once": at_once(lambda: Aiohttp(direct), width),
        f"the mesh, {width} at once": at_once(lambda: OfMesh(mesh, through), width),
    }
    for run in contestants.values():
        run(0.3)
    rates = {name: [] for name in contestants}
    for _ in range(options.rounds):
        for name in random.sample(list(contestants), len(contestants)):
            rates[name].append(contestants[name](options.seconds))
    print(f"Python {platform.python_version()}, httpx {httpx.__version__}, aiohttp {aiohttp.__version__}")
    print("| | calls/s, median [least, greatest] |\n| --- | --- |")
    for name, found in rates.items():
        print(f"| {name} | {statistics.median(found):,.0f} [{min(found):,.0f}, {max(found):,.0f}] |")
    for ours, theirs in [
        ("the mesh, one by one", "httpx, one by one"),
        (f"the mesh, {width} at once", f"httpx, {width} at once"),
        (f"the mesh, {width} at once", f"aiohttp, {width} at once"),
    ]:
        ratios = [mine / other for mine, other in zip(rates[ours], rates[theirs])]
        print(f"{ours} / {theirs}: {statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]")
    server.terminate()
    server.join()
    mesh.close()


if __name__ == "__main__":
    main()
