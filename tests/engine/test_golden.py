"""The recorded replies of tests/engine/golden, in each way that a client has to send commands."""

from __future__ import annotations

import pytest

from tests.engine import golden


@pytest.fixture(scope="module")
def connection(server):
    with golden.Connection(server.url) as opened:
        yield opened


def _cases():
    for name in golden.names():
        for group in golden.read(name)[1]:
            for way in golden.WAYS:
                sent = golden.sent(group, way)
                if sent.exchanges:
                    yield pytest.param(sent, way, id=f"{name}: {group.title}, {way}")


@pytest.mark.parametrize(("group", "way"), _cases())
def test_replies_are_as_recorded(connection, group, way):
    lines = [exchange.line for exchange in group.exchanges]
    recorded = [exchange.reply for exchange in group.exchanges]
    replies = golden.replay(connection, group, way)
    assert list(zip(lines, replies, strict=True)) == list(zip(lines, recorded, strict=True))


def test_every_command_is_recorded(redis_client):
    commands = redis_client.execute_command("COMMAND LIST FILTERBY PATTERN ai.*")
    assert {f"ai.{name}" for name in golden.names()} == {command.decode() for command in commands}
