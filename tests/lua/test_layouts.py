"""The methods of the layouts against a dictionary: packed, keys, and on the way from one to the other."""

from __future__ import annotations

import json
import random
import time

import pytest
import redis

from modules_store import keys, scripts
from tests.lua import layout_program
from tests.lua.composing import composed

INDEX = keys.index("a")
LARGEST = 2**53 - 1
KINDS = [(b"\x04\x01\x00", 400), (b"\x04\x02\x00", 400), (b"\x01\x01\x00", 1000), (b"\x01\x01\x00", 32)]
"""Headers and bytes of codes: several codecs, and segments of 80, 32 and 1000 memories."""
PAST = 1


class Agent:
    """An agent that is changed by a layout's methods, and what it must have: `rows`, and what is gone.

    `rows` are {timestamp: (value, metadata or None, expiry or None)}; `gone` the timestamps whose values have
    expired or were evicted: the index has them until it is told, or their segment is made anew.
    """

    def __init__(self, client: redis.Redis, seed: int, layout: str, start: int) -> None:
        self.client, self.random, self.layout = client, random.Random(seed), layout
        self.rows: dict[int, tuple[bytes, bytes | None, int | None]] = {}
        self.gone: set[int] = set()
        self.clock = start
        self.far = int(time.time() * 1000) + 10**8
        self.sha = client.script_load(composed(layout_program.TEXT))
        self.conversion = client.script_load(scripts.load("convert_agent").text)

    def call(self, method: str, codes: bytes = b"", **arguments):
        if "ids" in arguments:
            arguments["ids"] = [str(one) for one in arguments["ids"]]
        for name in ("first", "last"):
            if arguments.get(name) is not None:
                arguments[name] = str(arguments[name])
        given = {name: value for name, value in arguments.items() if value is not None}
        call = json.dumps({"method": method, **given})
        return self.client.evalsha(self.sha, 1, INDEX, call, codes, self.layout)

    def all(self) -> list[int]:
        return sorted(self.gone.union(self.rows))

    def notice(self) -> None:
        """Forget what is gone and not indexed any more, as a repair does; all else must be indexed."""
        if self.gone:
            _, forgotten = self.call("indexed", ids=sorted(self.gone))
            self.gone -= {int(one) for one in forgotten}
            assert self.call("drop", ids=[int(one) for one in forgotten]) == 0  # their documents
        assert self.call("count") == len(self.rows) + len(self.gone)

    def check(self, method: str, expected: list[int], **arguments) -> None:
        """Read a page, which must have the expected memories."""
        size, last, ids, found, gone, runs, values, metadata, expiries, without = self.call(
            method, **arguments
        )
        assert size == len(expected)
        assert [int(one) for one in ids] == expected
        assert (int(last) if last else None) == (expected[-1] if expected else None)
        there = [one for one in expected if one in self.rows]
        assert [int(one) for one in found] == there
        lost = [one for one in expected if one not in self.rows]
        assert _without_neighbours(gone) == _without_neighbours(without) == _without_neighbours(lost)
        contents = [self.rows[one] for one in there]
        assert values == [self.rows[one][0] if one in self.rows else None for one in expected]
        assert _values(runs) == [value for value, _, _ in contents]
        assert metadata == [text for _, text, _ in contents]
        assert [int(one) if one else None for one in expiries] == [expiry for _, _, expiry in contents]

    def put(self, ids: list[int], *, kind=None, expiry=None, documents=False, newest_last=False) -> None:
        header, width = kind or self.random.choices(KINDS, [12, 1, 1, 1])[0]
        codes = [self.random.randbytes(width) for _ in ids]
        texts: list[str] = []
        if self.random.random() < 0.5:
            texts = [self.random.choice(["", f'{{"n":{one}}}', '{"text":"äöü"}']) for one in ids]
        count = self.call(
            "put", b"".join(codes), ids=ids, header=header.decode(), width=width, metadata=texts,
            expiry=None if expiry is None else str(expiry), documents=documents, newest_last=newest_last,
        )  # fmt: skip
        self.clock = max(self.clock, *ids)
        for i, one in enumerate(ids):
            if expiry == PAST:
                self.gone.add(one)
            else:
                self.rows[one] = (header + codes[i], (texts[i].encode() or None) if texts else None, expiry)
        self.notice()
        assert count == len(self.rows) + len(self.gone)

    def append(self) -> None:
        count = self.random.choice([1, 1, 2, 5, 40, 200])
        first = self.clock + self.random.choice([1, 1, 50, 2**32 + 5] if self.clock < 2**50 else [1, 1, 5])
        if first + count <= LARGEST:
            self.put(list(range(first, first + count)), newest_last=True, **self.how())

    def insert(self) -> None:
        low, high = (self.all()[0], self.all()[-1]) if self.all() else (0, 1000)
        some = {self.random.randint(max(0, low - 300), min(LARGEST, high + 300)) for _ in range(20)}
        new = [one for one in some if one not in self.rows and one not in self.gone]
        self.random.shuffle(new)
        if new:
            self.put(new, **self.how())

    def how(self) -> dict:
        expiry = self.random.choices([None, self.far + self.random.randrange(1000), PAST], [8, 2, 1])[0]
        return {"expiry": expiry, "documents": self.random.random() < 0.2}

    def drop(self, ids: list[int]) -> None:
        before = len(self.rows) + len(self.gone)
        dropped = self.call("drop", ids=ids)
        there = [one for one in ids if one in self.rows or one in self.gone]
        for one in ids:
            self.rows.pop(one, None)
        self.gone -= set(ids)
        self.notice()
        assert dropped == before - len(self.rows) - len(self.gone) >= len(there)

    def replace(self) -> None:
        start = self.random.randrange(len(self.rows))
        ids = sorted(self.rows)[start : start + self.random.randint(1, 150)]
        header, width = self.random.choice(KINDS)
        codes = [self.random.randbytes(width) for _ in ids]
        self.call("replace", b"".join(codes), ids=ids, header=header.decode(), width=width)
        for i, one in enumerate(ids):
            self.rows[one] = (header + codes[i], *self.rows[one][1:])
        self.notice()

    def evict(self) -> None:
        """Delete a column of a segment, and what it means: nothing of it is recalled, or no metadata."""
        if not (all_segments := self.call("segments")):
            return
        number, first, last, count = (int(one) for one in self.random.choice(all_segments))
        column = self.random.choice(["", ":rows", ":metadata"])
        if not self.client.delete(f"agent:{{a}}:segment:{number}{column}"):
            return
        members = [one for one in self.all() if first <= one <= last]
        assert len(members) == count
        if column == ":metadata":
            for one in set(members) & set(self.rows):
                value, _, expiry = self.rows[one]
                self.rows[one] = (value, None, expiry)
            return
        self.gone |= {self.rows.pop(one) and one for one in members if one in self.rows}
        if column == ":rows":
            for one in (first, last, self.random.randint(first, last)):
                with pytest.raises(redis.ResponseError, match="already has a memory"):
                    self.call("put", b"c", ids=[one], header="hhh", width=1, metadata=[])
            size, _, _, _, gone, *_ = self.call("between", first=first, last=last, limit=10**4)
            assert (size, [*map(int, gone)]) in [(count, [first]), (0, [])]
            assert self.call("count") == len(self.rows) + len(self.gone)
            assert self.call("drop", ids=[first]) == count
            assert self.call("drop", ids=members) == 0  # what else is left of them
            self.gone -= set(members)
            self.notice()

    def lose_directory(self) -> None:
        """Delete the directory and enter all segments again; what had no codes or rows is forgotten."""
        if self.call("layout") != b"packed":
            return
        self.client.delete(INDEX)
        numbers = {
            int(key.split(b":")[3]) for key in self.client.scan_iter("agent:{a}:segment:*", count=1000)
        }
        entered = sum(self.call("adopt", number=number) for number in numbers)
        assert entered >= len(self.rows)
        self.notice()

    def convert(self) -> None:
        """Take some steps to a layout, which drop what is gone."""
        wanted, step = self.random.choice(["keys", "packed"]), self.random.choice([1, 7, 50, 300])
        for _ in range(self.random.randint(1, 4)):
            before = len(self.rows) + len(self.gone)
            _, lost, left = self.client.evalsha(
                self.conversion, 2, INDEX, keys.agent_metadata("a"), wanted, step
            )
            self.notice()
            assert before - lost == len(self.rows) + len(self.gone)
            if not left:
                assert self.call("layout").decode() == wanted or not before
                return

    def read(self) -> None:
        """Read pages of all sorts."""
        choose, every = self.random, self.all()
        limit, at = choose.randint(1, 300), choose.randrange(len(every))
        if choose.random() < 0.5:
            self.check("newest", every[::-1][at : at + limit], skip=at, limit=limit)
            self.check("oldest", every[:limit], limit=limit)
            self.check("from_rank", every[at : at + limit], rank=at, limit=limit)
            ranks = [choose.randrange(len(every)) for _ in range(limit)]
            self.check("at_ranks", [every[rank] for rank in ranks], ranks=ranks)
            ids = list(dict.fromkeys(choose.choices(every, k=40)))
            missing = [one for one in (LARGEST - 5, 3) if one not in every]
            self.check("at", ids + missing, ids=ids + missing)
            assert self.call("indexed", ids=ids + missing) == [
                [b"%d" % one for one in ids],
                [b"%d" % one for one in missing],
            ]
            return
        first, last = sorted(max(0, choose.choice(every) + choose.randint(-2, 2)) for _ in range(2))
        last = min(last, LARGEST)
        between = [one for one in every if first <= one <= last]
        self.check("between", between[:limit], first=first, last=last, limit=limit)
        self.check("between", between[::-1][:limit], first=first, last=last, limit=limit, newest_first=True)
        assert self.call("count_between", first=first, last=last) == len(between)
        preceding = [one for one in every if one < first]
        assert self.call("count_preceding", first=first) == len(preceding)
        self.check("preceding", preceding[:limit], first=first, limit=limit)
        self.check("following", [one for one in every if one > first][:limit], first=first, limit=limit)
        self.check("following", every[:limit], limit=limit)


def _without_neighbours(ids) -> list[int]:
    """Return ids, those that repeat the one before once."""
    ids = [int(one) for one in ids]
    return [one for i, one in enumerate(ids) if not i or one != ids[i - 1]]


def _values(runs) -> list[bytes]:
    values = []
    for header, size, count, codes in runs:
        assert len(codes) == size * count
        values += [header + codes[i * size : (i + 1) * size] for i in range(count)]
    return values


@pytest.mark.parametrize("begin", [0, 1_700_000_000_000, LARGEST - 40_000], ids=["zero", "now", "largest"])
@pytest.mark.parametrize("layout", ["packed", "keys", "converted"])
def test_a_layout_against_a_dictionary(redis_client, layout, begin):
    agent = Agent(redis_client, f"{layout} {begin}", "packed" if layout == "converted" else layout, begin)
    for _ in range(150):
        choice = agent.random.random()
        if choice < 0.25 or not agent.rows:
            agent.append()
        elif choice < 0.35:
            agent.insert()
        elif choice < 0.42:
            agent.drop(agent.all()[: agent.random.randint(1, 60)])
        elif choice < 0.5:
            stranger = agent.random.randint(0, LARGEST)
            agent.drop([*agent.random.sample(agent.all(), min(20, len(agent.all()))), stranger])
        elif choice < 0.56:
            agent.replace()
        elif choice < 0.6:
            agent.evict()
        elif choice < 0.62:
            agent.lose_directory()
        elif choice < 0.72 and layout == "converted":
            agent.convert()
        else:
            agent.read()
    while agent.all():
        agent.drop(agent.all()[:500])
    assert redis_client.dbsize() == 0, redis_client.keys("*")
