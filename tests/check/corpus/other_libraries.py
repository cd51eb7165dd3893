"""Beside other libraries that send: what is certainly an agent counts, nothing else does."""

import multiprocessing
import socket

import anyio
import websockets

from remuda import AgentRef, iso, ref


def to_a_pipe() -> None:
    connection, _ = multiprocessing.Pipe()
    connection.send([1])


def to_a_socket() -> None:
    connection = socket.socket()
    connection.send(bytearray(10))


async def to_a_websocket(url: str) -> None:
    async with websockets.connect(url) as connection:
        await connection.send(["one", "two"])


async def to_a_stream() -> None:
    sender, receiver = anyio.create_memory_object_stream(10)
    await sender.send([1])
    sender.send_nowait({"one": 1})
    print(await receiver.receive())


async def asgi(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b""})


async def certainly_an_agent(agent: AgentRef[list[int]]) -> None:
    await agent.send([1])  # expect: RMD106


async def an_iso_is_an_iso(agent, numbers: list[int]) -> None:
    handle = iso(numbers)
    await agent.send(handle)
    print(handle)  # expect: RMD101


async def a_ref_is_a_ref(agent) -> None:
    await agent.send(ref([]))  # expect: RMD105
