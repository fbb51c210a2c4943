"""The TorchScript function that finds the nearest points inside the engine, as text: nothing here runs it."""

from __future__ import annotations

from modules_store import keys
from modules_store.commands import Command, command

# Differences in float64: exact for float32, and their squares do not overflow. Sorted, as ties then keep the
# order of the rows.
_NEAREST = """
def nearest(points, query, weights, k):
    differences = (points.double() - query.double()) * weights.double()
    distances = differences.square().sum(dim=1).sqrt()
    values, rows = torch.sort(distances, stable=True, dim=0, descending=False)
    count = min(int(k), rows.size(0))
    rows = rows[:count]
    return values[:count].to(torch.float32), rows.to(torch.int32), points[rows]
"""


def publication() -> Command:
    """Return the command that stores the function; it does no harm where the function is there."""
    return command("AI.SCRIPTSET", keys.nearest(), "CPU", "TAG", "nearest:v1", "SOURCE", _NEAREST)
