"""Libraries that are made for asyncio work in an agent: anyio, aiohttp, httpx."""

import asyncio
from typing import Any

import aiohttp
import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest
from aiohttp import web

import remuda
from remuda import unchecked
from tests.support import Log, echo, in_an_agent, in_runtime, settle


@in_an_agent
async def test_anyio_cancel_scopes() -> None:
    with anyio.move_on_after(0.001) as scope:
        await anyio.sleep(10)
    assert scope.cancelled_caught
    with pytest.raises(TimeoutError):
        with anyio.fail_after(0.001):
            await anyio.sleep(10)
    with anyio.CancelScope() as outer:
        with anyio.CancelScope(shield=True):
            outer.cancel()
            await anyio.sleep(0.001)
        await anyio.sleep(10)
    assert outer.cancelled_caught
    await anyio.lowlevel.checkpoint()
    with anyio.move_on_after(10) as scope:
        await anyio.lowlevel.checkpoint()
    assert not scope.cancelled_caught


@in_an_agent
async def test_anyio_task_groups() -> None:
    log: Log = []

    async def child(number: int, *, task_status: Any = anyio.TASK_STATUS_IGNORED) -> None:
        task_status.started(number)
        try:
            await anyio.sleep(10)
        finally:
            log.append(number)

    async def fail() -> None:
        raise ZeroDivisionError

    async with anyio.create_task_group() as group:
        assert await group.start(child, 1) == 1
        group.start_soon(child, 2)
        await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    assert sorted(log) == [1, 2]
    with pytest.raises(ExceptionGroup) as caught:
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            await anyio.sleep(10)
    assert caught.group_contains(ZeroDivisionError)


@in_an_agent
async def test_anyio_streams_locks_and_threads() -> None:
    give, take = anyio.create_memory_object_stream[int](1)
    lock = anyio.Lock()

    async def child() -> None:
        async with give, lock:
            for number in range(5):
                await give.send(number)

    async with take, anyio.create_task_group() as group:
        group.start_soon(child)
        assert [number async for number in take] == list(range(5))
    async with lock:
        await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(anyio.sleep, 0))
    assert anyio.get_current_task().id == id(asyncio.current_task())


@in_runtime
async def test_an_anyio_scope_around_a_mailbox(runtime: remuda.Runtime) -> None:
    """A scope that ends a `recv`, a `send` or an `ask` loses no message, and leaves the agent able to go on."""
    other = runtime.spawn(echo, mailbox=1)
    timed_out = asyncio.Event()

    async def patient(mailbox: remuda.Mailbox[Any]) -> remuda.Iso[list[Any]]:
        found: list[Any] = []
        for _ in range(3):
            with anyio.move_on_after(0.001) as scope:
                await mailbox.recv()
            found.append(scope.cancelled_caught)
        timed_out.set()
        with anyio.fail_after(10):
            found.append(await mailbox.recv())
            found.append(await other.ask("question"))
        return remuda.iso(found)

    agent = runtime.spawn(patient, pinned=True)
    await timed_out.wait()
    await agent.send("message")
    assert await agent == [True, True, True, "message", "question"]


async def serve() -> tuple[web.AppRunner, str]:
    """Starts a server on a free port of this machine; returns it and its address."""

    async def hello(request: web.Request) -> web.Response:
        name = (await request.json())["name"]
        return web.json_response({"hello": name, "task": type(asyncio.current_task()).__name__})

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(10)
        return web.Response()

    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data.upper())
        return socket

    app = web.Application()
    app.add_routes([web.post("/hello", hello), web.get("/slow", slow), web.get("/talk", talk)])
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    return runner, f"http://{host}:{port}"


@in_an_agent
async def test_aiohttp() -> None:
    """A server, a client with a time-out, and a web socket in one agent."""
    runner, address = await serve()
    try:
        async with aiohttp.ClientSession(address) as session:
            for name in ("one", "two"):
                async with session.post("/hello", json={"name": name}) as response:
                    assert response.status == 200
                    assert (await response.json())["hello"] == name
            with pytest.raises(TimeoutError):
                await session.get("/slow", timeout=aiohttp.ClientTimeout(total=0.02))
            async with session.ws_connect("/talk") as socket:
                await socket.send_str("hello")
                assert await socket.receive_str() == "HELLO"
    finally:
        await runner.cleanup()


@in_an_agent
async def test_httpx() -> None:
    """Requests one after the other and at once, and one that times out."""
    runner, address = await serve()
    try:
        async with httpx.AsyncClient(base_url=address) as client:
            for name in ("one", "two"):
                response = await client.post("/hello", json={"name": name})
                assert response.json()["hello"] == name
            answers = await asyncio.gather(
                *[client.post("/hello", json={"name": n}) for n in range(10)]
            )
            assert [answer.json()["hello"] for answer in answers] == list(range(10))
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/slow", timeout=0.02)
    finally:
        await runner.cleanup()


@in_runtime
async def test_a_request_handler_asks_agents(runtime: remuda.Runtime) -> None:
    """A server's handlers, which are tasks, ask agents; many clients at once get their own answers."""

    async def double(mailbox: remuda.Mailbox[remuda.Request[int, int]]) -> None:
        async for request in mailbox:
            request.reply(2 * request.message)

    agent = runtime.spawn(double, mailbox=4)

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=str(await agent.ask(int(request.match_info["number"]))))

    app = web.Application()
    app.add_routes([web.get("/{number}", handler)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]

    async def client(
        mailbox: remuda.Mailbox[Any], session: aiohttp.ClientSession, number: int
    ) -> int:
        async with session.get(f"/{number}") as response:
            return int(await response.text())

    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
        clients = [
            runtime.spawn(client, unchecked(session), number, pinned=True) for number in range(50)
        ]
        assert await asyncio.gather(*clients) == [2 * number for number in range(50)]
    await runner.cleanup()
    await settle(runtime)
    await agent.stop()
