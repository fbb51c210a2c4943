"""A server in the middle that loses answers: it forwards a request, waits for the answer and hangs up."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit


class Proxy:
    """Forwards connections to a Redis server; `lose` says which answers are lost."""

    def __init__(self, server_url: str, tls: ssl.SSLContext | None, port: int) -> None:
        self._server_url = server_url
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", port), reuse_port=True)
        self.url = f"{'rediss' if tls else 'redis'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._text, self._left = b"", 0
        self._when_lost: Callable[[], object] = lambda: None
        self._refused, self._error, self._refusals = b"", b"", 0
        self.lost = self.requests = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, text: str, times: int = 1, when_lost: Callable[[], object] = lambda: None) -> None:
        """Lose the answers to the next requests that hold `text`; `when_lost` runs before hanging up."""
        self._text, self._left, self.lost, self._when_lost = text.encode(), times, 0, when_lost

    def refuse(self, text: str, error: str, times: int = 1) -> None:
        """Answer the next requests that hold `text` with an error, as a server would that begins nothing."""
        self._refused, self._error, self._refusals = text.encode(), f"-{error}\r\n".encode(), times

    def lead_to(self, server_url: str) -> None:
        """Forward new connections to another server."""
        self._server_url = server_url

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        losing = False
        if self._tls:
            try:
                client = self._tls.wrap_socket(client, server_side=True)
            except OSError:  # the other side trusts us not
                return
        with client, _connected(self._server_url) as server, contextlib.suppress(OSError):
            while True:
                readable, _, _ = select.select([client, server], [], [])
                if client in readable:
                    request = client.recv(1 << 20)
                    while self._tls and client.pending():
                        request += client.recv(1 << 20)
                    if not request:
                        return
                    self.requests += 1
                    if self._refusals and self._refused in request:
                        self._refusals -= 1
                        client.sendall(self._error)
                        continue
                    if self._left and self._text in request:
                        losing, self._left = True, self._left - 1
                    server.sendall(request)
                if server in readable:
                    answer = server.recv(1 << 20)
                    if losing:
                        self.lost += 1
                        self._when_lost()
                    if losing or not answer:
                        return
                    client.sendall(answer)


def _connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return socket.create_connection((parts.hostname, parts.port))
    server = socket.socket(socket.AF_UNIX)
    server.connect(parts.path)
    return server


@contextlib.contextmanager
def proxy_of(server_url: str, tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Proxy]:
    """Run a proxy of this server, one that speaks TLS where a context is given."""
    proxy = Proxy(server_url, tls, port)
    try:
        yield proxy
    finally:
        proxy.close()
