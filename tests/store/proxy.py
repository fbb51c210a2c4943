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
    """Forwards connections to a Redis server's Unix socket; `lose` says which answers are lost."""

    def __init__(self, server_url: str, tls: ssl.SSLContext | None, port: int) -> None:
        self._path = urlsplit(server_url).path
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", port))
        self.url = f"{'rediss' if tls else 'redis'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._text, self._left = b"", 0
        self._when_lost: Callable[[], object] = lambda: None
        self.lost = self.requests = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, text: str, times: int = 1, when_lost: Callable[[], object] = lambda: None) -> None:
        """Lose the answers to the next requests that hold `text`; `when_lost` runs before hanging up."""
        self._text, self._left, self.lost, self._when_lost = text.encode(), times, 0, when_lost

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
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(self._path)
            while True:
                readable, _, _ = select.select([client, server], [], [])
                if client in readable:
                    request = client.recv(1 << 20)
                    while self._tls and client.pending():
                        request += client.recv(1 << 20)
                    if not request:
                        return
                    self.requests += 1
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


@contextlib.contextmanager
def proxy_of(server_url: str, tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Proxy]:
    """Run a proxy of this server, one that speaks TLS where a context is given."""
    proxy = Proxy(server_url, tls, port)
    try:
        yield proxy
    finally:
        proxy.close()
