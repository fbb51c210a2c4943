"""What the engine adds to INFO."""

from __future__ import annotations

import threading
import time

import pytest
import redis
import torch

from tests.engine import models, scripts
from tests.helpers import wait_until

SECTIONS = ["versions", "git", "load_time_configs", "backends_info", "cpu", "models", "queues", "runs"]


@pytest.fixture
def fresh(start_server):
    """A client of a server that has stored nothing yet."""
    server = start_server(engine_args=["THREADS_PER_QUEUE", "2", "BACKEND_MEMORY_LIMIT", "7"])
    with redis.Redis.from_url(server.url) as client:
        yield client


def store(client, key, module, device="CPU"):
    client.execute_command("AI.MODELSTORE", key, "TORCH", device, "BLOB", models.blob(module))


def run(client, key):
    return client.execute_command("AI.MODELEXECUTE", key, "INPUTS", 1, "x", "OUTPUTS", 1, "y")


def test_sections_in_order(server, redis_client):
    redis_client.set_response_callback("INFO", lambda reply, **_: reply.decode())
    for question in ("everything", "modules", "ai"):
        names = [line[5:] for line in redis_client.info(question).splitlines() if line.startswith("# ai_")]
        assert names == SECTIONS


def test_versions_and_settings(fresh):
    versions = fresh.info("ai_versions")
    assert versions == {
        "ai_RedisAI_version": "1.2.7",
        "ai_low_level_API_version": 1,
        "ai_rdb_version": 100,
    }
    assert set(fresh.info("ai_git")) == {"ai_git_sha"}
    assert fresh.info("ai_load_time_configs") == {
        "ai_threads_per_queue": 2,
        "ai_inter_op_parallelism": 1,
        "ai_intra_op_parallelism": 1,
        "ai_model_execution_timeout": 5000,
        "ai_backend_memory_limit": 7,
    }


@pytest.mark.parametrize("use", ["a model", "loadbackend"])
def test_torch_is_named_once_it_is_in_use(fresh, use):
    assert fresh.info("ai_backends_info") == {}
    if use == "a model":
        store(fresh, "m", models.Double())
    else:
        fresh.execute_command("AI.CONFIG", "LOADBACKEND", "TORCH", "redisai_torch.so")
    version = torch.__version__.partition("+")[0]
    assert fresh.info("ai_backends_info") == {"ai_Torch_version": version}


def test_processor_time_of_each_worker(fresh):
    own = {f"ai_{who}_used_cpu_{kind}" for who in ("self", "children") for kind in ("sys", "user")}
    idle = fresh.info("ai_cpu")  # the CPU's workers are named before there are any
    assert set(idle) == own | {f"ai_queue_CPU_bthread_n{n}_used_cpu_total" for n in (1, 2)}
    assert idle["ai_queue_CPU_bthread_n1_used_cpu_total"] == 0
    store(fresh, "m", models.Double())
    store(fresh, "other", models.Double(), "CPU:1")
    workers = {f"ai_queue_{queue}_bthread_n{n}_used_cpu_total" for queue in ("CPU", "CPU_1") for n in (1, 2)}
    times = fresh.info("ai_cpu")
    assert set(times) == own | workers
    assert times["ai_self_used_cpu_user"] > 0
    assert sum(times[name] for name in workers) > 0


def test_workers_without_work_use_no_processor(fresh):
    store(fresh, "m", models.Double())
    fresh.execute_command("AI.TENSORSET", "x", "FLOAT", 1)

    def worker_times() -> dict:
        return {name: seconds for name, seconds in fresh.info("ai_cpu").items() if "bthread" in name}

    def rest() -> bool:
        before, end = worker_times(), time.monotonic() + 0.1
        while time.monotonic() < end:
            fresh.ping()
        return worker_times() == before

    run(fresh, "m")
    wait_until(rest)  # a worker that answered, or has just begun, may be on its way to sleep still


def test_models_and_their_bytes(fresh):
    blob_bytes = len(models.blob(models.Weights()))
    store(fresh, "a", models.Weights())
    store(fresh, "b", models.Weights())
    fresh.execute_command("AI.SCRIPTSTORE", "s", "CPU", *scripts.arguments())
    assert fresh.info("ai_models") == {
        "ai_models": 2,
        "ai_scripts": 1,
        "ai_programs": 1,
        "ai_blob_bytes": blob_bytes,
        "ai_parameter_bytes": 256 * 256 * 4,
    }
    fresh.execute_command("AI.MODELDEL", "a")
    fresh.delete("b", "s")
    assert set(fresh.info("ai_models").values()) == {0}


def test_runs_of_all_models(fresh):
    store(fresh, "m", models.Double())
    store(fresh, "bad", models.RefusesNan())
    fresh.execute_command("AI.TENSORSET", "x", "FLOAT", 3, "VALUES", 1, 2, "nan")
    run(fresh, "m")
    run(fresh, "m")
    with pytest.raises(redis.ResponseError):
        run(fresh, "bad")
    fresh.execute_command("AI.MODELDEL", "m")
    runs = fresh.info("ai_runs")
    assert runs["ai_model_calls"] == 3
    assert runs["ai_model_errors"] == 1
    assert runs["ai_model_samples"] == 6
    assert runs["ai_model_duration_us"] >= 0


def test_calls_of_all_scripts(fresh):
    fresh.execute_command("AI.SCRIPTSTORE", "s", "CPU", *scripts.arguments())
    fresh.execute_command("AI.TENSORSET", "x", "FLOAT", 1)
    for _ in range(2):
        fresh.execute_command("AI.SCRIPTEXECUTE", "s", "nothing", "INPUTS", 1, "x")
    with pytest.raises(redis.ResponseError):
        fresh.execute_command("AI.SCRIPTEXECUTE", "s", "fail", "INPUTS", 1, "x")
    runs = fresh.info("ai_runs")
    assert (runs["ai_script_calls"], runs["ai_script_errors"]) == (3, 1)
    assert runs["ai_script_duration_us"] > 0


def test_requests_that_wait(fresh, wait_until):
    store(fresh, "m", models.Slow())
    fresh.execute_command("AI.TENSORSET", "x", "INT64", 1, "VALUES", 200)
    assert fresh.info("ai_queues") == {"ai_queue_CPU_waiting": 0}
    threads = [threading.Thread(target=run, args=(fresh, "m")) for _ in range(3)]
    for thread in threads:
        thread.start()
    # Two run, on the two workers; one waits.
    wait_until(lambda: fresh.info("ai_queues")["ai_queue_CPU_waiting"] == 1)
    for thread in threads:
        thread.join()
    assert fresh.info("ai_queues") == {"ai_queue_CPU_waiting": 0}
