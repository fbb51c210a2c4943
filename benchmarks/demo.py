"""`make demo`: agents of a simulation that we did not write remember what they saw, compressed inside Redis.

Plays PettingZoo's predator and prey (MPE simple_tag: three adversaries chase one agent), trains a codec for
each of the two kinds of agent, stores every state of the next episodes and recalls them. All figures are
measured here.
"""

from __future__ import annotations

import argparse
import shlex
import signal
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import redis
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from benchmarks import demo_rates
from benchmarks.measure import bytes_each
from benchmarks.naive import NaiveAgentMemory
from model_export.config import CodecConfig, FeatureGroup
from model_export.export import ExportedCodec, export
from model_export.publish import publish
from model_export.rollout import Episode, rollout, split_episodes, stack_states
from model_export.train import TrainedCodec, TrainingOptions, train
from model_export.verify import verify, verify_in_redis
from modules_store import Memory, RedisAgentMemory, keys
from modules_store.server import EmbeddedServer

ENVIRONMENT = "mpe2.simple_tag_v3"
EPISODES_TO_LEARN = 400
EPISODES_TO_STORE = 60
THRESHOLD = 1000
STATES_TO_WEIGH = 10_000

# How simple_tag lays out what an agent observes. The agent's own motion is kept in finer steps than the rest.
GROUPS = {
    "self": FeatureGroup(0, 4, 0.5),
    "landmarks": FeatureGroup(4, 8, 1.0),
    "others": FeatureGroup(8, 14, 1.0),
}
CODECS = {
    "adversary": CodecConfig("adversary", 16, 16, {**GROUPS, "prey_velocity": FeatureGroup(14, 16, 1.0)}),
    "agent": CodecConfig("agent", 14, 14, GROUPS),
}

console = Console(highlight=False)


@dataclass(frozen=True)
class KindOfAgent:
    """What the demo knows of one kind of agent: its episodes, split, and its codec."""

    unseen: list[Episode]
    trained: TrainedCodec
    codec: ExportedCodec


def main() -> None:
    """Run the demo from beginning to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the server up until Ctrl-C")
    keep = parser.parse_args().keep
    # A service manager's SIGTERM ends us as Ctrl-C does, and the server with us.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The engine uses one core for a model; what runs here beside it must not take the others.
    torch.set_num_threads(1)

    step(1, "Starting Redis with the engine, RedisJSON and RediSearch")
    with EmbeddedServer() as server:
        console.print(f"   {server.url}, process {server.pid}")
        episodes = play()
        kinds = {name: learn(name, played, server.url) for name, played in episodes.items()}
        originals = store(kinds, server.url)
        recall(kinds, originals, server.url)
        compare(kinds["adversary"])
        explain(server, next(iter(originals)), keep)
        if keep:
            wait_for_ctrl_c()


def step(number: int, title: str) -> None:
    console.print(f"\n[bold]{number}/6  {title}[/bold]")


def play() -> dict[str, list[Episode]]:
    count = EPISODES_TO_LEARN + EPISODES_TO_STORE
    step(2, f"Playing {count} episodes of {ENVIRONMENT} with a random policy")
    with Progress(console=console) as progress:
        task = progress.add_task("   playing", total=count)
        episodes = rollout(ENVIRONMENT, count, on_episode=lambda: progress.advance(task))
    for kind, played in episodes.items():
        agents = len({episode.agent for episode in played})
        features = played[0].states.shape[1]
        states = sum(len(episode.states) for episode in played)
        console.print(f"   {kind}: {agents} of them, {features} features a state, {states:,} states")
    return episodes


def learn(kind: str, episodes: list[Episode], redis_url: str) -> KindOfAgent:
    """Train on the first episodes, verify on the rest, publish."""
    if kind == next(iter(CODECS)):
        step(3, f"Training a codec a kind on {EPISODES_TO_LEARN} episodes, exporting, publishing")
    share = EPISODES_TO_STORE / (EPISODES_TO_LEARN + EPISODES_TO_STORE)
    seen, unseen = split_episodes(episodes, share)
    trained = train(CODECS[kind], stack_states(seen), stack_states(unseen), TrainingOptions())
    codec = export(trained, kind)
    verify(trained.vae, codec, stack_states(unseen))
    version = publish(codec, redis_url)
    verify_in_redis(redis_url, codec, stack_states(unseen), version)
    features, codes = codec.config.input_dim, codec.config.codes
    console.print(
        f"   {kind}: {features} floats ({features * 4} bytes) become {codes} bytes; trained model, "
        f"TorchScript and Redis agree; published as {keys.codec(kind)} version {version}",
        soft_wrap=True,
    )
    return KindOfAgent(unseen, trained, codec)


def store(kinds: dict[str, KindOfAgent], redis_url: str) -> dict[str, dict[int, NDArray[np.float32]]]:
    """Store the unseen episodes, one a call; return the original states by agent and timestamp."""
    step(4, f"Storing the states of the next {EPISODES_TO_STORE} episodes with step, action, reward")
    originals: dict[str, dict[int, NDArray[np.float32]]] = defaultdict(dict)
    for kind, of_kind in kinds.items():
        with RedisAgentMemory(redis_url, codec=kind, compression_threshold=THRESHOLD) as memory:
            for episode in track(of_kind.unseen, f"   {kind}", console=console):
                metadata = [
                    {"episode": episode.number, "step": number, "action": action, "reward": reward}
                    for number, (action, reward) in enumerate(
                        zip(episode.actions, episode.rewards, strict=True)
                    )
                ]
                stamps = memory.store_agent_memories(episode.agent, episode.states, metadata)
                originals[episode.agent].update(zip(stamps, episode.states, strict=True))
    with redis.Redis.from_url(redis_url) as client:
        counters = [client.json().get(keys.agent_metadata(agent), "$.counters")[0] for agent in originals]
    stored, trimmed = (sum(counter[name] for counter in counters) for name in ("stored", "trimmed"))
    console.print(
        f"   {stored:,} memories of {len(originals)} agents stored; an agent keeps at most {THRESHOLD:,}, so "
        f"Lua trimmed the oldest {trimmed:,}",
        soft_wrap=True,
    )
    return originals


def recall(
    kinds: dict[str, KindOfAgent], originals: dict[str, dict[int, NDArray[np.float32]]], redis_url: str
) -> None:
    """Recall what is kept, and hold it against the originals."""
    step(5, "Recalling them: the error on states that the codecs never saw")
    table = Table()
    for heading in ("kind", "group", "features", "raw bytes", "stored", "RMSE", "of its spread"):
        table.add_column(heading, justify="left" if heading in ("kind", "group") else "right")
    recalled: dict[str, list[Memory]] = {}
    with RedisAgentMemory(redis_url) as memory:
        for agent in originals:
            recalled[agent] = memory.get_recent_memories(agent, THRESHOLD)
    for kind, of_kind in kinds.items():
        memories = [m for agent in {e.agent for e in of_kind.unseen} for m in recalled[agent]]
        restored = np.stack([m.state for m in memories])
        original = np.stack([originals[m.agent_id][m.timestamp] for m in memories])
        for name, group in of_kind.codec.config.feature_groups.items():
            columns = slice(group.start, group.end)
            rmse = root_mean_square(restored[:, columns] - original[:, columns])
            spread = root_mean_square(original[:, columns] - original[:, columns].mean(axis=0))
            stored = of_kind.codec.config.dimensions[name].codes
            sizes = (str(group.size), str(4 * group.size), str(stored))
            table.add_row(kind, name, *sizes, f"{rmse:.4f}", f"{rmse / spread:.2%}")
    console.print(table)
    newest = next(iter(recalled.values()))[0]
    console.print(
        f"   the newest of {newest.agent_id}, at {newest.timestamp}: {newest.metadata}", soft_wrap=True
    )
    for label, state in (("saw", originals[newest.agent_id][newest.timestamp]), ("recalled", newest.state)):
        console.print(f"   {label:>8}  {np.array2string(state[:8], precision=3, floatmode='fixed')} …")


def compare(kind: KindOfAgent) -> None:
    """Weigh and time one kind's states on a server of their own, beside the naive blueprint's."""
    step(6, "Weighing memories and timing calls, on a second server")
    states = np.ascontiguousarray(
        np.resize(stack_states(kind.unseen), (STATES_TO_WEIGH, kind.codec.config.input_dim))
    )
    metadata = [{"episode": 1, "step": i, "action": 1, "reward": 0.5} for i in range(len(states))]
    count = len(states)
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client, console.status("measuring"):
        publish(kind.codec, server.url)
        with RedisAgentMemory(client, codec=kind.codec.config.name, compression_threshold=count) as memory:
            bare = bytes_each(client, count, lambda: memory.store_agent_memories("bare", states))
            described = bytes_each(
                client, count, lambda: memory.store_agent_memories("described", states, metadata)
            )
        blueprint = NaiveAgentMemory(client, kind.trained.vae)
        naive = bytes_each(client, count, lambda: blueprint.store_all("naive", states))
        client.flushall()
        publish(kind.codec, server.url)
        rates = demo_rates.measure(server.url, kind.codec, states, rounds=3, seconds=0.15)
    table = Table(title="Bytes a memory in Redis, key and index included", title_justify="left")
    for heading in ("", "bytes", "of the blueprint"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("the state itself, float32", f"{states[0].nbytes:,}", "")
    table.add_row("its codes", f"{kind.codec.config.codes:,}", "")
    table.add_row("naive blueprint: torch.save + SET + ZADD", f"{naive:,.0f}", "100%")
    table.add_row("here", f"{bare:,.0f}", f"{bare / naive:.0%}")
    table.add_row(
        "here, with four fields of metadata in RedisJSON", f"{described:,.0f}", f"{described / naive:.0%}"
    )
    console.print(table)
    console.print(demo_rates.table(rates, "Calls a second, one blocking client"))


def explain(server: EmbeddedServer, agent: str, keep: bool) -> None:
    """Name three commands that show the JSON, the index and the model, with what they answer now."""
    kind = next(kind for kind in CODECS if agent.startswith(kind))
    commands = [
        ["JSON.GET", keys.agent_metadata(agent), "$.counters", "$.policy"],
        ["ZREVRANGE", keys.index(agent), "0", "2"],
        ["AI.MODELGET", keys.encoder(kind, 1), "META"],
    ]
    console.print(
        "\n[bold]Look for yourself[/bold]" + ("" if keep else " (make demo KEEP=1 leaves the server up)")
    )
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        for command in commands:
            console.print(f"   redis-cli -p {server.port} {shlex.join(command)}", soft_wrap=True)
            # execute_command would parse some replies; what redis-cli shows is the plain reply.
            connection = client.connection_pool.get_connection("_")
            connection.send_command(*command)
            console.print(f"      {connection.read_response()}", style="dim", soft_wrap=True)
            client.connection_pool.release(connection)
    console.print(
        "\n   Next: “First program” in README.md; .venv/bin/modules-store serve starts a server for it"
    )


def wait_for_ctrl_c() -> None:
    console.print("\nThe server stays up. Ctrl-C stops it.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("stopped")


def root_mean_square(values: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


if __name__ == "__main__":
    main()
