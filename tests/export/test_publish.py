"""Publishing into a real server, and the codec as that server runs it."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import numpy as np
import pytest
import redis
import torch

from model_export import publish as publishing
from model_export.config import CodecConfig
from model_export.errors import ConfigError, VerificationError
from model_export.export import ExportedCodec, export
from model_export.publish import publish, rollback
from model_export.train import TrainingOptions, train
from model_export.verify import restore, verify_in_redis
from modules_store import RedisAgentMemory, keys
from modules_store.errors import ConnectionLostError, MissingModuleError, ServerError
from tests.export.conftest import CONFIG


def document(client: redis.Redis, name: str = "small") -> dict:
    return json.loads(client.execute_command("JSON.GET", f"memory_system:{name}"))


def stored_model(client: redis.Redis, key: str) -> bytes:
    return client.execute_command("AI.MODELGET", key, "BLOB")


def model_keys(client: redis.Redis) -> set[bytes]:
    return {key for key in client.scan_iter("memory_system:*:v*") if not key.endswith(b":manifest")}


def test_document_describes_the_codec(redis_client, exported):
    assert publish(exported, redis_client) == 1
    found = document(redis_client)
    assert {key: found[key] for key in ("name", "latest", "input_dim")} == {
        "name": "small",
        "latest": 1,
        "input_dim": 12,
    }
    entry = found["versions"]["1"]
    created = datetime.fromisoformat(entry.pop("created_at"))
    assert abs((datetime.now(timezone.utc) - created).total_seconds()) < 60
    assert entry == {
        "version": 1,
        "codes": CONFIG.codes,
        "code_dtype": "INT8",
        "encoder": "memory_system:small:v1:encoder",
        "decoder": "memory_system:small:v1:decoder",
        "latents": "memory_system:small:v1:latents",
        "manifest": "memory_system:small:v1:manifest",
        "bottleneck": "rounding",
        "latent_dim": 8,
        "base_compression_level": 1.0,
        "feature_groups": {
            "moving": {"start": 0, "end": 4, "compression": 0.5, "codes": CONFIG.dimensions["moving"].codes},
            "fixed": {"start": 4, "end": 12, "compression": 1.0, "codes": CONFIG.dimensions["fixed"].codes},
        },
        "training": exported.metrics,
        "sha256": exported.sha256,
    }
    assert list(entry["feature_groups"]) == ["moving", "fixed"]


def test_the_manifest_is_on_the_server_too(redis_client, exported):
    publish(exported, redis_client)
    text = redis_client.execute_command("JSON.GET", "memory_system:small:v1:manifest")
    found = json.loads(text)
    assert found["config"] == json.loads(json.dumps(exported.config.to_dict()))
    assert found["files"] == exported.manifest["files"]
    assert len(found["normalization"]["mean"]) == 12
    assert found["history"][-1]["step"] == 400


def test_the_name_of_the_built_in_codec_is_refused(redis_client, exported):
    with pytest.raises(ConfigError, match="built-in"):
        publish(exported, redis_client, name="float16")
    assert redis_client.dbsize() == 0


def test_models_are_stored_byte_for_byte_with_their_tag(redis_client, exported):
    publish(exported, redis_client)
    assert stored_model(redis_client, "memory_system:small:v1:encoder") == exported.encoder
    assert stored_model(redis_client, "memory_system:small:v1:decoder") == exported.decoder
    assert stored_model(redis_client, "memory_system:small:v1:latents") == exported.latents
    meta = redis_client.execute_command("AI.MODELGET", "memory_system:small:v1:encoder", "META")
    assert dict(zip(meta[::2], meta[1::2], strict=True))[b"tag"] == b"small:v1"


def test_answers_in_redis_as_here(server, exported, held_out):
    version = publish(exported, server.url, name="by-url")
    result = verify_in_redis(server.url, exported, held_out, version, name="by-url")
    assert result.codes_apart <= result.codes / 1000


def test_verification_in_redis_notices_another_model(redis_client, trained, exported, states, held_out):
    other = train(CONFIG, states[:4000], held_out, TrainingOptions(steps=5), progress=False).vae
    version = publish(export(other, "small"), redis_client)
    with pytest.raises(VerificationError, match="differ"):
        verify_in_redis(redis_client, exported, held_out, version)


def test_the_store_brings_states_back_as_the_export_does(server, redis_client, exported, held_out):
    publish(exported, redis_client)
    with RedisAgentMemory(server.url, codec="small") as memory:
        timestamp = memory.store_agent_memory("a", held_out[0])
        recalled = memory.retrieve_agent_memory("a", timestamp)
    # A code next to a rounding boundary may differ by one, which is a small part of a feature's spread.
    difference = np.abs(recalled.state - restore(exported, held_out[:1])[0])
    assert (difference <= 0.05 * held_out.std(axis=0, dtype=np.float64)).all()


def test_the_store_compares_memories_in_the_space_of_the_codec(server, redis_client, exported, held_out):
    publish(exported, redis_client)
    with RedisAgentMemory(server.url, codec="small") as memory:
        memory.store_agent_memories("a", held_out, timestamps=range(len(held_out)))
        found = memory.find_similar_memories("a", held_out[7], 20, space="codec")
    encoder, _ = exported.modules()
    with torch.inference_mode():
        latents = exported.latents_module()(encoder(torch.from_numpy(held_out))).double()
    distances = (latents - latents[7]).square().sum(dim=1).sqrt()
    assert found[0].memory.timestamp == 7
    given, order = zip(*[(one.distance, one.memory.timestamp) for one in found], strict=True)
    np.testing.assert_allclose(given, distances.sort().values[:20], rtol=0.02, atol=1e-5)
    np.testing.assert_allclose(given, distances[list(order)], rtol=0.02, atol=1e-5)


def test_each_publication_is_the_next_version(redis_client, exported):
    assert [publish(exported, redis_client) for _ in range(3)] == [1, 2, 3]
    assert publish(exported, redis_client, name="other") == 1
    found = document(redis_client)
    assert found["latest"] == 3
    assert list(found["versions"]) == ["1", "2", "3"]


def test_publishers_at_once_get_versions_of_their_own(server, redis_client, exported):
    def publish_one(number: int) -> tuple[int, str]:
        own = ExportedCodec(exported.config, exported.encoder, exported.decoder, {"number": number})
        return publish(own, server.url), number

    with ThreadPoolExecutor(4) as pool:
        published = dict(pool.map(publish_one, range(8)))
    found = document(redis_client)
    assert sorted(published) == list(range(1, 9))
    assert found["latest"] == 8
    assert {int(v): entry["training"]["number"] for v, entry in found["versions"].items()} == published
    assert len(model_keys(redis_client)) == 16


def test_another_input_dim_is_refused(redis_client, exported, states):
    publish(exported, redis_client)
    before = document(redis_client)
    narrow = CodecConfig("small", 5, 5, {"all": (0, 5, 1.0)})
    vae = train(narrow, states[:, :5], states[:10, :5], TrainingOptions(steps=1), progress=False).vae
    with pytest.raises(ConfigError, match="12 features"):
        publish(export(vae, "small"), redis_client)
    assert document(redis_client) == before
    assert len(model_keys(redis_client)) == 3


def test_a_model_that_the_server_refuses_is_never_entered(redis_client, exported):
    broken = ExportedCodec(exported.config, exported.encoder, b"no model")
    publish(exported, redis_client)
    with pytest.raises(ServerError):
        publish(broken, redis_client)
    found = document(redis_client)
    assert found["latest"] == 1
    assert list(found["versions"]) == ["1"]
    assert len(model_keys(redis_client)) == 3, "the encoder of the failed version is still there"
    assert not redis_client.exists("memory_system:small:v2:manifest")
    assert publish(exported, redis_client) > 1
    for entry in document(redis_client)["versions"].values():
        for part in ("encoder", "decoder", "latents"):
            stored = stored_model(redis_client, entry[part])
            assert hashlib.sha256(stored).hexdigest() == entry["sha256"][part]


def test_a_first_publication_that_fails_leaves_no_codec(server, redis_client, exported, held_out):
    with pytest.raises(ServerError):
        publish(ExportedCodec(exported.config, b"no model", exported.decoder), redis_client)
    assert document(redis_client)["versions"] == {}
    assert model_keys(redis_client) == set()
    assert publish(exported, redis_client) == 2
    verify_in_redis(redis_client, exported, held_out[:10], 2)


def test_names_that_keys_cannot_hold_are_refused(redis_client, exported):
    with pytest.raises(ConfigError, match="name"):
        publish(exported, redis_client, name="a:v1")
    assert redis_client.dbsize() == 0


@pytest.mark.parametrize("modules", [("json",), ("engine",)])
def test_a_missing_module_is_named(start_server, exported, modules):
    server = start_server(modules=modules, port=0)
    with pytest.raises(MissingModuleError):
        publish(exported, server.url)


def test_a_server_that_is_not_there(tmp_path, exported):
    with pytest.raises(ConnectionLostError):
        publish(exported, f"unix://{tmp_path}/none.sock")
    with pytest.raises(ConfigError, match="connection"):
        publish(exported, "no url")


class TestRollback:
    def test_the_version_before_is_the_latest_again(self, server, redis_client, exported, states):
        for _ in range(3):
            publish(exported, redis_client)
        with RedisAgentMemory(server.url, codec="small") as memory:
            newest = memory.store_agent_memory("a", states[0])
            assert rollback(redis_client, "small") == 2
            memory.refresh_codec()
            after = memory.store_agent_memory("a", states[0])
            headers = [redis_client.get(keys.memory("a", t))[:3] for t in (newest, after)]
            assert headers == [b"\x01\x03\x00", b"\x01\x02\x00"]
            recent = memory.get_recent_memories("a")
            np.testing.assert_array_equal(recent[0].state, recent[1].state)
        assert rollback(server.url, "small") == 1
        assert document(redis_client)["latest"] == 1
        assert len(model_keys(redis_client)) == 9

    def test_to_a_version_that_is_named_and_forth_again(self, redis_client, exported):
        for _ in range(3):
            publish(exported, redis_client)
        before = document(redis_client)
        assert rollback(redis_client, "small", 1) == 1
        assert document(redis_client) == {**before, "latest": 1}
        assert rollback(redis_client, "small", 3) == 3
        assert document(redis_client) == before

    def test_what_is_published_afterwards_gets_a_new_number_and_is_the_latest(self, redis_client, exported):
        for _ in range(3):
            publish(exported, redis_client)
        rollback(redis_client, "small", 1)
        assert publish(exported, redis_client) == 4
        assert document(redis_client)["latest"] == 4
        assert rollback(redis_client, "small") == 3

    def test_a_publication_that_was_under_way_does_not_undo_it(self, redis_client, exported):
        publish(exported, redis_client)
        config = exported.config
        late = publishing._update_json(
            redis_client, keys.codec("small"), lambda found: publishing._claim(found, config)
        )["claimed"]
        assert publish(exported, redis_client) == 3
        rollback(redis_client, "small", 1)
        entry = publishing._entry(config, late, exported)
        publishing._update_json(
            redis_client, keys.codec("small"), lambda found: publishing._enter(found, config, entry)
        )
        assert document(redis_client)["latest"] == late == 2

    @pytest.mark.parametrize(
        ("name", "version", "said"),
        [
            ("none", None, "'none' is not published"),
            ("small", 7, r"version must be one of codec 'small' \(1, 2\), not 7"),
            ("small", 0, "version must be one of"),
            ("small", 1, "memory_system:small:v1:decoder is no longer there"),
            ("small", None, "memory_system:small:v1:decoder is no longer there"),
        ],
    )
    def test_what_is_refused_changes_nothing(self, redis_client, exported, name, version, said):
        publish(exported, redis_client)
        publish(exported, redis_client)
        redis_client.delete(keys.decoder("small", 1))
        before = document(redis_client)
        with pytest.raises(ConfigError, match=said):
            rollback(redis_client, name, version)
        assert document(redis_client) == before

    def test_from_the_first_version(self, redis_client, exported):
        publish(exported, redis_client)
        with pytest.raises(ConfigError, match="no version before its latest, 1"):
            rollback(redis_client, "small")
