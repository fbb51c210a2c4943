"""The unmodified PyPI client `redisai`, method by method."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import redis

from tests.engine import models, scripts

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it asks pkg_resources for its version
    redisai = pytest.importorskip("redisai")

# The client's own words about modelset, modelrun, scriptset, scriptrun and dagrun.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

DOUBLE = models.blob(models.Double())
ADD = models.blob(models.AddAndMultiply())


@pytest.fixture
def client(server, redis_client):
    with redisai.Client(unix_socket_path=str(server.unix_socket)) as connected:
        yield connected


@pytest.mark.parametrize(
    "dtype",
    ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "bool", "str"],
)
def test_tensorset_and_tensorget_of_arrays(client, dtype):
    array = np.array([[0, 1], [1, 0]]).astype(dtype)
    assert client.tensorset("t", array) == "OK"
    got = client.tensorget("t")
    assert np.array_equal(got, array)
    assert got.dtype.num == array.dtype.num
    meta = client.tensorget("t", meta_only=True)
    assert meta == {"dtype": redisai.utils.dtype_dict[dtype], "shape": [2, 2]}


def test_tensorset_and_tensorget_of_lists(client):
    assert client.tensorset("t", (2, 3), dtype="float") == "OK"
    assert client.tensorget("t", as_numpy=False) == {"dtype": "FLOAT", "shape": [2], "values": [2.0, 3.0]}
    client.tensorset("t", [2, 3, 1, 0], shape=(2, 2), dtype="int16")
    assert client.tensorget("t", as_numpy=False) == {
        "dtype": "INT16",
        "shape": [2, 2],
        "values": [2, 3, 1, 0],
    }
    client.tensorset("t", ["a", "bc"], dtype="str")
    assert client.tensorget("t", as_numpy=False) == {"dtype": "STRING", "shape": [2], "values": ["a", "bc"]}


def test_tensorget_mutable(client):
    client.tensorset("t", np.array([1.0, 2.0], np.float32))
    try:
        got = client.tensorget("t", as_numpy_mutable=True)
    except ValueError as error:  # of np.fromstring, which the client calls; since numpy 2.3
        assert "binary mode of fromstring" in str(error)
        pytest.skip(str(error))
    np.put(got, 0, 9)
    assert list(got) == [9, 2]


def test_modelstore_modelget_modelscan_modeldel(client):
    assert (
        client.modelstore("m", "TORCH", "CPU", ADD, batch=2, minbatch=1, minbatchtimeout=5, tag="v1") == "OK"
    )
    meta = {
        "backend": "TORCH",
        "device": "CPU",
        "tag": "v1",
        "batchsize": 2,
        "minbatchsize": 1,
        "minbatchtimeout": 5,
        "inputs": ["left", "right"],
        "outputs": ["", ""],
    }
    assert client.modelget("m", meta_only=True) == meta
    assert client.modelget("m") == {**meta, "blob": ADD}
    assert client.modelscan() == [["m", "v1"]]
    assert client.modeldel("m") == "OK"
    with pytest.raises(redis.ResponseError, match="^model key is empty$"):
        client.modelget("m")


def test_modelset(client):
    assert client.modelset("m", "torch", "cpu", DOUBLE, batch=4, minbatch=2, tag="old") == "OK"
    got = client.modelget("m")
    assert (got["tag"], got["batchsize"], got["minbatchsize"], got["blob"]) == ("old", 4, 2, DOUBLE)


def test_other_backends_are_refused(client):
    with pytest.raises(redis.ResponseError, match="^unsupported backend$"):
        client.modelstore("m", "TF", "CPU", b"graph", inputs=["a"], outputs=["b"])


@pytest.fixture
def inputs(client):
    client.modelstore("add", "TORCH", "CPU", ADD)
    client.modelstore("double", "TORCH", "CPU", DOUBLE)
    client.tensorset("a", [2, 3], dtype="float")
    client.tensorset("b", [4, 5], dtype="float")


def test_modelexecute(client, inputs):
    assert client.modelexecute("add", ["a", "b"], ["sum", "product"]) == "OK"
    assert list(client.tensorget("product")) == [8, 15]
    assert client.modelexecute("double", "a", "twice", timeout=10_000) == "OK"
    assert list(client.tensorget("twice")) == [4, 6]


def test_modelrun(client, inputs):
    assert client.modelrun("add", ["a", "b"], ["sum", "product"]) == "OK"
    assert list(client.tensorget("sum")) == [6, 8]


def test_infoget_and_inforeset(client, inputs):
    client.modelexecute("double", "a", "twice")
    info = client.infoget("double")
    assert info.pop("duration") >= 0
    assert info == {
        "key": "double",
        "type": "MODEL",
        "backend": "TORCH",
        "device": "CPU",
        "tag": "",
        "samples": 2,
        "calls": 1,
        "errors": 0,
    }
    assert client.inforeset("double") == "OK"
    assert client.infoget("double")["calls"] == 0


def test_scriptstore_scriptget_scriptscan_scriptdel(client):
    names = scripts.ENTRY_POINTS
    assert client.scriptstore("s", "CPU", scripts.SOURCE, names, tag="v1") == "OK"
    assert client.scriptstore("one", "CPU", scripts.SOURCE, "add") == "OK"
    described = {"device": "CPU", "tag": "v1", "entry points": [name.encode() for name in names]}
    assert client.scriptget("s", meta_only=True) == described
    assert client.scriptget("s") == {**described, "source": scripts.SOURCE}
    assert sorted(client.scriptscan()) == [["one", ""], ["s", "v1"]]
    assert client.scriptdel("s") == "OK"
    assert client.scriptscan() == [["one", ""]]


def test_scriptexecute(client, inputs):
    client.scriptstore("s", "CPU", scripts.SOURCE, scripts.ENTRY_POINTS)
    assert client.scriptexecute("s", "add", inputs=["a", "b"], outputs=["sum"]) == "OK"
    assert list(client.tensorget("sum")) == [6, 8]
    assert (
        client.scriptexecute("s", "count_names", keys=["k"], inputs="a", args=["x", 2], outputs="n") == "OK"
    )
    assert list(client.tensorget("n")) == [1, 1, 2]
    assert client.infoget("s")["samples"] == -1


def test_scriptset_and_scriptrun(client, inputs):
    assert client.scriptset("s", "CPU", scripts.PLAIN, tag="v1") == "OK"
    assert client.scriptrun("s", "subtract", ["b", "a"], ["difference"]) == "OK"
    assert list(client.tensorget("difference")) == [2, 2]
    assert client.scriptrun("s", "total", ["a", "$", "b", "b"], "total") == "OK"
    assert list(client.tensorget("total")) == [10, 13]


def test_a_script_in_a_dag(client, inputs):
    client.scriptstore("s", "CPU", scripts.SOURCE, scripts.ENTRY_POINTS)
    dag = client.dag(load=["a", "b"]).scriptexecute("s", "add", inputs=["a", "b"], outputs=["sum"])
    reply = dag.tensorget("sum").execute()
    assert reply[0] == "OK"
    assert list(reply[1]) == [6, 8]


def test_config_and_loadbackend(client):
    default = client.config("MODEL_CHUNK_SIZE")
    assert default == 511 * 1024 * 1024
    try:
        assert client.config("MODEL_CHUNK_SIZE", 1000) == "OK"
        assert client.config("MODEL_CHUNK_SIZE") == 1000
        client.modelstore("m", "TORCH", "CPU", DOUBLE)
        assert b"".join(client.modelget("m")["blob"]) == DOUBLE
    finally:
        client.config("MODEL_CHUNK_SIZE", default)
    assert client.config("nothing") is None
    assert client.loadbackend("TORCH", "redisai_torch.so") == "OK"


def test_dag(client, inputs):
    dag = client.dag(load=["a", "b"], persist=["twice"], timeout=10_000)
    dag.modelexecute("add", ["a", "b"], ["sum", "product"]).modelexecute("double", "sum", "twice")
    reply = dag.tensorget("twice").tensorget("sum", as_numpy=False).execute()
    assert reply[:2] == ["OK", "OK"]
    assert list(reply[2]) == [12, 16]
    assert reply[3]["values"] == [6.0, 8.0]
    assert list(client.tensorget("twice")) == [12, 16]


def test_read_only_dag(client, inputs):
    dag = client.dag(routing="a", readonly=True).tensorset("x", np.array([7], np.float32))
    reply = dag.modelexecute("double", "x", "y").tensorget("y").execute()
    assert reply[:2] == ["OK", "OK"]
    assert list(reply[2]) == [14]


@pytest.mark.parametrize("readonly", [False, True])
def test_deprecated_dag(client, inputs, readonly):
    dag = client.dag(readonly=readonly).tensorset("x", np.array([7], np.float32))
    reply = dag.modelrun("double", "x", "y").tensorget("y").run()
    assert reply[:2] == ["OK", "OK"]
    assert list(reply[2]) == [14]


@pytest.mark.parametrize("transaction", [False, True])
def test_pipeline(client, inputs, transaction):
    pipeline = client.pipeline(transaction=transaction)
    pipeline.set("text", 1).tensorset("x", np.array([1, 2], np.float32))
    pipeline.execute_command("AI.MODELEXECUTE", "double", "INPUTS", 1, "x", "OUTPUTS", 1, "y")
    pipeline.tensorget("y")
    replies = pipeline.execute()
    assert replies[:3] == [True, b"OK", b"OK"]
    assert list(replies[3]) == [2, 4]


def test_without_postprocessing(server, redis_client):
    with redisai.Client(enable_postprocess=False, unix_socket_path=str(server.unix_socket)) as client:
        assert client.tensorset("t", [1], dtype="int8") == b"OK"
        assert client.tensorget("t", as_numpy=False) == [b"dtype", b"INT8", b"shape", [1], b"values", [1]]
