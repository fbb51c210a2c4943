"""Records the replies of all files, or of those named, anew."""

from __future__ import annotations

import sys

from modules_store.server import EmbeddedServer
from tests import helpers
from tests.engine import golden


def main() -> None:
    with EmbeddedServer(helpers.redis_server(), port=0, engine=helpers.engine()) as server:
        for name in sys.argv[1:] or golden.names():
            header, groups = golden.read(name)
            with golden.Connection(server.url) as connection:
                for group in groups:
                    replies = golden.replay(connection, group)
                    for exchange, reply in zip(group.exchanges, replies, strict=True):
                        exchange.reply = reply
            golden.write(name, header, groups)


main()
