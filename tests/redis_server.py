"""A Redis server of the tests' own, on a free port."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

__all__ = ["PROGRAM", "RedisServer"]

PROGRAM = shutil.which("redis-server")


class RedisServer:
    """Starts the program, and ends it.

    Args:
        folder: Where it keeps its files.
        durable: Whether it writes every change to the disk before it answers.
    """

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._durable = "yes" if durable else "no"
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it takes connections."""
        assert PROGRAM is not None
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "save": "",
            "appendonly": self._durable,
            "appendfsync": "always",
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([PROGRAM, *words], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if "Ready to accept connections" in line:
                return
        raise RuntimeError(f"expected redis-server to start, it said: {''.join(said)}")

    def kill(self) -> None:
        """Ends it without a warning."""
        if self._process is not None:
            with self._process:
                self._process.kill()
            self._process = None

    def namespace(self) -> str:
        """A word that no other test uses."""
        return secrets.token_hex(4)

    async def ask(self, *words: str) -> bytes:
        """What the server answers to a command, as it comes over the wire."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            parts = [word.encode() for word in words]
            writer.write(b"*%d\r\n" % len(parts))
            writer.writelines(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
            return await reader.read(65536)
        finally:
            writer.close()
            await writer.wait_closed()
