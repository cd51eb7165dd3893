"""Servers that keep leases, of the tests' own, on free ports; and a proxy that drops what goes through."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import signal
import socket
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, ClassVar

__all__ = ["STORES", "EtcdServer", "Proxy", "RedisServer", "Server"]


class Server(ABC):
    """Starts the program, and ends it.

    Args:
        folder: Where it keeps its files.
        durable: Whether it writes every change to the disk before it answers, where it has a choice.
    """

    program: ClassVar[str]
    package: ClassVar[str]
    scheme: ClassVar[str]
    ready: ClassVar[str]
    """What it says when it takes connections."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.port = free_port()
        self._folder = folder
        self._durable = durable
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self.start()

    @classmethod
    def missing(cls) -> str:
        """Why it can't be started; empty if it can."""
        if shutil.which(cls.program):
            return ""
        return f"{cls.program} isn't installed (Debian: apt-get install {cls.package})"

    @abstractmethod
    def words(self) -> list[str]:
        """The arguments of the program."""

    @property
    def url(self) -> str:
        """What a manager is made with."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The same, if the server is reached by another port."""
        return f"{self.scheme}://127.0.0.1:{port}"

    def start(self) -> None:
        """Starts it, and waits until it takes connections."""
        process = self._process = subprocess.Popen(
            [self.program, *self.words()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if self.ready in line:
                # What it says from now on must not fill the pipe.
                self._reader = threading.Thread(target=_read, args=(process.stdout,), daemon=True)
                self._reader.start()
                return
        raise RuntimeError(f"expected {self.program} to start, it said: {''.join(said)}")

    def kill(self) -> None:
        """Ends it without a warning."""
        if self._process is not None:
            with self._process as process:
                process.kill()
                if self._reader is not None:
                    self._reader.join()
            self._process = None

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Stops it for a block: it answers nothing, and its connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def namespace(self) -> str:
        """A word that no other test uses."""
        return secrets.token_hex(4)


class RedisServer(Server):
    """Redis."""

    program = "redis-server"
    package = "redis-server"
    scheme = "redis"
    ready = "Ready to accept connections"

    def words(self) -> list[str]:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "always",
        }
        return [word for name, value in settings.items() for word in (f"--{name}", value)]


class EtcdServer(Server):
    """A member of a cluster of etcd, of one if it isn't said otherwise; elections are fast.

    Args:
        folder: As of every server.
        durable: It always is.
        peers: The ports by which the members talk to each other.
        number: Which of the members it is.
    """

    program = "etcd"
    package = "etcd-server"
    scheme = "etcd"
    ready = "ready to serve client requests"

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = True,
        peers: Sequence[int] | None = None,
        number: int = 0,
    ) -> None:
        self._peers = [f"http://127.0.0.1:{port}" for port in peers or [free_port()]]
        self._number = number
        super().__init__(folder, durable=durable)

    @classmethod
    def cluster(cls, folder: Path, size: int) -> list[EtcdServer]:
        """So many members; each waits for the others."""
        peers = [free_port() for _ in range(size)]

        def member(number: int) -> EtcdServer:
            return cls(folder, peers=peers, number=number)

        with ThreadPoolExecutor(size) as pool:
            return list(pool.map(member, range(size)))

    def words(self) -> list[str]:
        client = f"http://127.0.0.1:{self.port}"
        peer = self._peers[self._number]
        members = ",".join(f"m{number}={url}" for number, url in enumerate(self._peers))
        return [
            f"--name=m{self._number}",
            f"--data-dir={self._folder / f'etcd-{self._number}'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={members}",
            "--heartbeat-interval=10",
            "--election-timeout=100",
        ]


STORES: dict[str, type[Server]] = {"redis": RedisServer, "etcd": EtcdServer}


class Proxy:
    """Stands between a client and a server: it drops connections, and loses answers, if it is told to."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._lose_at: int | None = None
        self.lost = 0

    def loses_after(self, count: int | None) -> None:
        """After so many more answers, or parts of them, the next one is lost with its connection; None: none."""
        self._lose_at = count

    def drop(self) -> int:
        """Drops all connections, and tells how many there were."""
        for writer in self._connections.values():
            writer.transport.abort()
        return len(self._connections)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Runs it, and gives the URL to use."""

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._serve(reader, writer))
            self._connections[task] = writer
            task.add_done_callback(self._connections.pop)

        async with await asyncio.start_server(connected, "127.0.0.1", 0) as listener:
            try:
                yield self._server.url_at(listener.sockets[0].getsockname()[1])
            finally:
                listener.close()
                self.drop()
                await asyncio.gather(*self._connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            back, forth = await asyncio.open_connection("127.0.0.1", self._server.port)
            requests = asyncio.create_task(_forward(reader, forth))
            with contextlib.suppress(ConnectionError):
                while data := await back.read(65536):
                    if self._lose_at == 0:
                        self._lose_at = None
                        self.lost += 1
                        break
                    if self._lose_at is not None:
                        self._lose_at -= 1
                    writer.write(data)
            writer.transport.abort()
            await requests
        writer.transport.abort()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.transport.abort()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _read(output: IO[str]) -> None:
    for _ in output:
        pass
