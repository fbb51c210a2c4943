"""Values in values without end: refused with a reason, and the server lives."""

from __future__ import annotations

from typing import Any

import pytest
import redis
import torch

from tests.engine import scripts

DEEP = 3_000_000

SOURCE = """
def lists(tensors: List[Tensor], keys: List[str], args: List[str]):
    x: List[Any] = []
    for _ in range(int(args[0])):
        y: List[Any] = [x]
        x = y
    return tensors[0]

def dictionaries(tensors: List[Tensor], keys: List[str], args: List[str]):
    x: Dict[str, Any] = {}
    for _ in range(int(args[0])):
        y: Dict[str, Any] = {"a": x}
        x = y
    return tensors[0]

def leaves(tensors: List[Tensor], keys: List[str], args: List[str]):
    root: List[Any] = []
    end = root
    for _ in range(int(args[0])):
        leaf: List[Any] = []
        end.append(leaf)
        end = leaf
    return tensors[0]

def circle(tensors: List[Tensor], keys: List[str], args: List[str]):
    x: List[Any] = []
    x.append(x)
    redis.execute("ECHO", x)
    return tensors[0]

def extended(tensors: List[Tensor], keys: List[str], args: List[str]):
    root: List[Any] = []
    end = root
    for _ in range(int(args[0])):
        leaf: List[Any] = []
        leaves: List[Any] = [leaf]
        end.extend(leaves)
        end = leaf
    return tensors[0]

def set_items(tensors: List[Tensor], keys: List[str], args: List[str]):
    root: Dict[str, Any] = {}
    end = root
    for _ in range(int(args[0])):
        leaf: Dict[str, Any] = {}
        end["a"] = leaf
        end = leaf
    return tensors[0]

def many_times(tensors: List[Tensor], keys: List[str], args: List[str]):
    x: List[Any] = []
    for _ in range(100):
        y: List[Any] = [x, x]
        x = y
    redis.execute("ECHO", x)
    return tensors[0]

def replies(tensors: List[Tensor], keys: List[str], args: List[str]):
    all: List[Any] = []
    for key in keys:
        all = all + [redis.execute("LRANGE", key, 0, -1)]
        all.append(redis.execute("LLEN", key))
    return torch.tensor([len(all)])
"""

NAMES = [line[4 : line.index("(")] for line in SOURCE.splitlines() if line.startswith("def ")]


@pytest.fixture
def run(ai, store_script):
    store_script("s", scripts.arguments(SOURCE, NAMES))
    ai("TENSORSET", "x", "FLOAT", 1, "VALUES", 1)
    return lambda function, *arguments: ai(
        "SCRIPTEXECUTE",
        "s",
        function,
        "INPUTS",
        1,
        "x",
        "ARGS",
        len(arguments),
        *arguments,
        "OUTPUTS",
        1,
        "y",
    )


@pytest.mark.parametrize("function", ["lists", "dictionaries"])
def test_values_made_of_others_without_end(run, redis_client, function):
    assert run(function, 100) == b"OK"
    with pytest.raises(redis.ResponseError, match="values are nested too deeply"):
        run(function, DEEP)
    assert redis_client.ping()


@pytest.mark.parametrize("function", ["leaves", "circle", "extended", "set_items"])
def test_values_put_into_others_that_exist(run, redis_client, function):
    with pytest.raises(redis.ResponseError, match="is not added to a value of type Any that exists"):
        run(function, DEEP)
    assert redis_client.ping()


def test_one_list_many_times_over_is_too_many_arguments(run, redis_client):
    with pytest.raises(redis.ResponseError, match="too many arguments"):
        run("many_times")
    assert redis_client.ping()


def test_replies_can_be_collected(ai, run, redis_client):
    redis_client.rpush("list", 1, 2)
    ai("SCRIPTEXECUTE", "s", "replies", "KEYS", 1, "list", "OUTPUTS", 1, "y")
    assert ai("TENSORGET", "y", "VALUES") == [2]


class Nests(torch.nn.Module):
    def forward(self, count):
        x: list[Any] = []
        for _ in range(int(count)):
            y: list[Any] = [x]
            x = y
        return torch.tensor([len(x)])


def test_a_model(ai, store, redis_client):
    store("m", Nests())
    ai("TENSORSET", "count", "INT64", 1, "VALUES", 100)
    assert ai("MODELEXECUTE", "m", "INPUTS", 1, "count", "OUTPUTS", 1, "y") == b"OK"
    ai("TENSORSET", "count", "INT64", 1, "VALUES", DEEP)
    with pytest.raises(redis.ResponseError, match="values are nested too deeply"):
        ai("MODELEXECUTE", "m", "INPUTS", 1, "count", "OUTPUTS", 1, "y")
    assert redis_client.ping()
