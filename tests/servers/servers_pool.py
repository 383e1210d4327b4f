"""A pool in front of PostgreSQL, like PgBouncer: it lends one session to all, by transactions, or one to each client."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from servers_postgres import PostgresServer

_STARTUP = 196608


class SessionPool:
    """Listens on the loopback. With `shares_sessions` there is one session for all, given from transaction to transaction."""

    def __init__(self, server: PostgresServer, database: str, *, shares_sessions: bool) -> None:
        self._place = str(Path(server.folder) / f".s.PGSQL.{server.port}")
        self._database = database
        self._shared = threading.Lock() if shares_sessions else None
        self._session: socket.socket | None = None
        self._parameters = b""
        self._clients = 0
        self._open = ExitStack()
        self._listener = self._open.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.url = f"postgresql://postgres@127.0.0.1:{self._listener.getsockname()[1]}/{database}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._open.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._open.enter_context(self._listener.accept()[0])
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Greet the client with a process id of our own, then pass on what it asks, and all that is answered."""
        with suppress(OSError, struct.error):
            while struct.unpack("!ii", client.recv(4096)[:8])[1] != _STARTUP:
                client.sendall(b"N")  # no encryption
            session = self._new_session() if self._shared is None else self._session or self._new_session()
            self._clients += 1
            key = b"K" + struct.pack("!iii", 12, 1_000_000 + self._clients, 7)
            client.sendall(b"R" + struct.pack("!ii", 8, 0) + self._parameters + key + b"Z" + struct.pack("!ic", 5, b"I"))
            holds = False
            while asked := client.recv(1 << 16):
                if asked[:1] == b"X":
                    return
                if self._shared and not holds:
                    self._shared.acquire()
                session.sendall(asked)
                answer, state = _until_ready(session)
                holds = state != b"I"
                if self._shared and not holds:
                    self._shared.release()
                client.sendall(answer)

    def _new_session(self) -> socket.socket:
        self._session = self._open.enter_context(socket.socket(socket.AF_UNIX))
        self._session.connect(self._place)
        said = f"user\0postgres\0database\0{self._database}\0\0".encode()
        self._session.sendall(struct.pack("!ii", 8 + len(said), _STARTUP) + said)
        answer, _ = _until_ready(self._session)
        self._parameters = b"".join(message for message in _messages(answer) if message[:1] == b"S")
        return self._session


def _until_ready(session: socket.socket) -> tuple[bytes, bytes]:
    """Return the answer up to "ready for query", and whether a transaction is open then."""
    answer = b""
    while not answer.endswith((b"Z\0\0\0\x05I", b"Z\0\0\0\x05T", b"Z\0\0\0\x05E")):
        piece = session.recv(1 << 16)
        if not piece:
            raise OSError
        answer += piece
    return answer, answer[-1:]


def _messages(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = 1 + struct.unpack("!i", data[1:5])[0]
        found.append(data[:size])
        data = data[size:]
    return found
