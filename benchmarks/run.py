"""`make bench`: the rates of stores and recalls with the reference codec, 50 features to 103 codes."""

from __future__ import annotations

import numpy as np
import torch
from rich.console import Console

from benchmarks import throughput
from model_export.config import reference_config
from model_export.export import export
from model_export.publish import publish
from model_export.train import TrainingOptions, train
from modules_store.server import EmbeddedServer


def main() -> None:
    """Train the reference codec briefly, since its shape decides the cost, and measure it."""
    torch.set_num_threads(1)
    console = Console()
    generator = np.random.default_rng(0)
    mixed = generator.normal(size=(4096, 10)) @ generator.normal(size=(10, 50))
    states = (mixed + 0.1 * generator.normal(size=mixed.shape)).astype(np.float32)
    trained = train(reference_config(), states, states[:100], TrainingOptions(steps=50), progress=False)
    codec = export(trained.vae, "reference")
    with EmbeddedServer() as server, console.status("Measuring, about 20 seconds"):
        publish(codec, server.url)
        rates = throughput.measure(server.url, codec, states)
    console.print(throughput.table(rates, "One blocking client, reference codec (50 features, 103 codes)"))


if __name__ == "__main__":
    main()
