"""States to test with."""

from __future__ import annotations

import numpy as np

# Not exactly a sum of powers of two: a float32 that a careless mean would miss.
CONSTANT = np.float32(0.1)


def correlated_states(count: int, features: int, factors: int, seed: int = 0) -> np.ndarray:
    """Return float32[count, features] that bend with a few hidden factors, on scales from 0.01 to 1000."""
    random = np.random.default_rng(seed)
    hidden = random.standard_normal((count, factors))
    straight = hidden @ random.standard_normal((factors, features))
    bent = np.sin(hidden @ random.standard_normal((factors, features)))
    noise = 0.02 * random.standard_normal((count, features))
    scales = np.logspace(-2, 3, features)
    return ((straight + 0.5 * bent + noise + random.standard_normal(features)) * scales).astype(np.float32)
