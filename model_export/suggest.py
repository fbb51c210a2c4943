"""Proposes the groups of a state's features from a recording.

    kinds of features ──► units ──► how much units belong together ──► the best cut into contiguous groups

Kinds. A feature of one value is constant; one of two values, between which it changes at least `CHANGES`
times in the recording, is binary. A one-hot is a run of features of which exactly one is 1 and the others 0
in every state; where two such runs overlap the longer one counts, then the one that begins earlier. Two
binaries that are each other's opposite are one, too: nothing in the data tells them from a one-hot of two. A
one-hot is one unit, which no cut parts; every other feature is a unit of its own. Constants say nothing about
where they belong: each is part of the unit before it.

Belonging together. The similarity of two features is the absolute value of Spearman's rank correlation, which
sees any monotonic relation and does not depend on scales; that of two units, the largest among their
features. It is measured on at most `ROWS` states, evenly spread over the recording.

The cut. Groups are contiguous, so the best cut is found exactly by dynamic programming over all segments. A
segment S costs its scatter under the similarity as a kernel k, |S| - sum of k(i, j) over i, j in S / |S|: 0
where all its units are alike, |S| - 1 where none is like another. This is kernel change-point detection
(Harchaoui and Cappé 2007) along the features. Unless told, the number of groups minimises the total scatter
plus a penalty a group, as Arlot, Celisse and Harchaoui (2019) do, here of `PENALTY` times the mean
dissimilarity of two units: units that are no more alike than any two of them stay in one group. It is at most
`MOST_GROUPS`, since each group takes at least one byte of every memory.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from model_export.errors import ConfigError
from model_export.recording import Recording
from model_export.schema import StateSchema
from model_export.schema_entries import SchemaEntry

ROWS = 20_000
CHANGES = 20
PENALTY = 1.5
MOST_GROUPS = 8

Span = tuple[int, int]
"""Start and end (exclusive)."""


@dataclass(frozen=True)
class GroupSummary:
    """What one group is made of.

    Args:
        name: of the group.
        start: its first feature.
        end: the feature after its last.
        kinds: number of features by kind, in order of frequency: constant, binary, one_hot, continuous.
        correlation: mean absolute rank correlation of two of its features that vary; None if fewer do.
    """

    name: str
    start: int
    end: int
    kinds: dict[str, int]
    correlation: float | None


def suggest_groups(recording: Recording, groups: int | None = None) -> StateSchema:
    """Propose a schema: contiguous groups, binaries and one-hots; compression and importance are 1.

    Args:
        recording: the more states, the better.
        groups: how many, at least 1; by default as many as the data suggest, at most `MOST_GROUPS`.

    Returns:
        A schema that the recording fits, the same for the same recording. A group is called by the words
        that its features' names begin with, or `group_1` and so on.

    Raises:
        ConfigError: `groups` is less than 1, or more than there are units.
    """
    kinds, one_hots = _kinds(recording)
    starts = _unit_starts(kinds, one_hots)
    if groups is not None and not 1 <= groups <= len(starts):
        raise ConfigError(f"groups must be from 1 to {len(starts)} for this recording, not {groups}")
    cuts = [starts[unit] for unit in _cut(_similarity(recording.states, starts), groups)]
    spans = list(zip(cuts, [*cuts[1:], recording.features], strict=True))
    entries = []
    for group, (start, end) in zip(_group_names(recording, spans), spans, strict=True):
        entries += _entries(recording, group, (start, end), kinds, one_hots)
    return StateSchema(tuple(entries))


def summarize_groups(recording: Recording, schema: StateSchema) -> list[GroupSummary]:
    """Return what the groups of a schema are made of in a recording that fits it."""
    kinds, _ = _kinds(recording)
    correlations = _correlations(recording.states)
    varies = np.array(kinds) != "constant"
    found = []
    for name, (start, end, _) in schema.feature_groups().items():
        own = np.flatnonzero(varies[start:end]) + start
        pairs = correlations[np.ix_(own, own)][np.triu_indices(len(own), 1)]
        mean = float(pairs.mean()) if len(pairs) else None
        found.append(GroupSummary(name, start, end, dict(Counter(kinds[start:end]).most_common()), mean))
    return found


def _kinds(recording: Recording) -> tuple[list[str], list[Span]]:
    """Return the kind of each feature, `constant` among them, and the one-hots."""
    states = recording.states
    low, high = states.min(axis=0), states.max(axis=0)
    constant = low == high
    two_values = ((states == low) | (states == high)).all(axis=0)
    # A force that was clipped in the one fall that was recorded has two values, too.
    changes = np.count_nonzero(states[1:] != states[:-1], axis=0)
    binary = two_values & (changes >= CHANGES)
    kinds = np.where(constant, "constant", np.where(binary, "binary", "continuous")).tolist()
    flags = two_values & (low >= 0) & (high <= 1) & ((low == 0) | (low == 1)) & ((high == 0) | (high == 1))
    known = recording.one_hot
    found = _one_hots(states, flags, constant)
    others = [own for own in found if all(own[1] <= start or own[0] >= end for start, end in known)]
    one_hots = sorted([*known, *others])
    for feature in recording.binary:
        kinds[feature] = "binary" if low[feature] < high[feature] else "constant"
    for start, end in one_hots:
        kinds[start:end] = ["one_hot"] * (end - start)
    return kinds, one_hots


def _one_hots(
    states: NDArray[np.float32], flags: NDArray[np.bool_], constant: NDArray[np.bool_]
) -> list[Span]:
    """Return the one-hots among the features that are 0 or 1; each begins and ends with one that varies."""
    count, features = states.shape
    ones = np.where(flags, states.sum(axis=0, dtype=np.float64), count + 1)
    found = []
    for start in np.flatnonzero(flags & ~constant).tolist():
        # As many ones as states, none of them in the same state: then each state has one.
        reached = ones[start:].cumsum()
        end = start + int(np.searchsorted(reached, count)) + 1
        whole = end <= features and end - start >= 2 and reached[end - start - 1] == count
        if whole and (states[:, start:end].sum(axis=1) == 1).all():
            found.append((start, end))
    chosen: list[Span] = []
    for start, end in sorted(found, key=lambda span: (span[0] - span[1], span[0])):
        if all(end <= other[0] or start >= other[1] for other in chosen):
            chosen.append((start, end))
    return sorted(chosen)


def _unit_starts(kinds: Sequence[str], one_hots: Sequence[Span]) -> list[int]:
    """Return the first feature of each unit; units cover all features."""
    inside = {feature for start, end in one_hots for feature in range(start + 1, end)}
    starts = [i for i, kind in enumerate(kinds) if kind != "constant" and i not in inside]
    return [0, *starts[1:]]


def _correlations(states: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the absolute rank correlations [D, D]; those of a constant are 0."""
    rows = np.unique(np.linspace(0, len(states) - 1, ROWS).round().astype(np.int64))
    ranks = np.apply_along_axis(_ranks, 0, states[rows])
    ranks -= ranks.mean(axis=0)
    norms = np.sqrt(np.square(ranks).sum(axis=0))
    ranks /= np.where(norms > 0, norms, 1)
    correlations: NDArray[np.float64] = np.minimum(np.abs(ranks.T @ ranks), 1)
    return correlations


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the rank of each value; equal values share the mean of their ranks."""
    _, positions, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (counts.cumsum() - (counts - 1) / 2)[positions]
    return ranks


def _similarity(states: NDArray[np.float32], starts: Sequence[int]) -> NDArray[np.float64]:
    """Return the similarity of units, [U, U]."""
    by_feature = np.maximum.reduceat(_correlations(states), starts, axis=0)
    similarity: NDArray[np.float64] = np.maximum.reduceat(by_feature, starts, axis=1)
    np.fill_diagonal(similarity, 1)
    return similarity


def _cut(similarity: NDArray[np.float64], groups: int | None) -> list[int]:
    """Return the first unit of each group of the best cut."""
    units = len(similarity)
    scatter = _scatter(similarity)
    # costs[k][u]: of the units before u, cut into k + 1 groups; the last of them begins at begins[k][u].
    costs, begins = [scatter[0]], [np.zeros(units + 1, dtype=np.int64)]
    for _ in range(1, groups or min(units, MOST_GROUPS)):
        total = costs[-1][:, None] + scatter
        begins.append(total.argmin(axis=0))
        costs.append(total.min(axis=0))
    if groups is None:
        apart = 1 - similarity[np.triu_indices(units, 1)]
        penalty = PENALTY * float(apart.mean()) if len(apart) else 0.0
        groups = 1 + int(np.argmin([cost[units] + penalty * count for count, cost in enumerate(costs)]))
    cuts = [units]
    for begin in reversed(begins[:groups]):
        cuts.append(int(begin[cuts[-1]]))
    return cuts[:0:-1]


def _scatter(similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scatter of each segment, by begin and end (exclusive); infinite where it is empty."""
    units = len(similarity)
    sums = np.zeros((units + 1, units + 1))
    sums[1:, 1:] = similarity.cumsum(axis=0).cumsum(axis=1)
    corner = np.diag(sums)
    within = corner[None, :] + corner[:, None] - sums - sums.T
    sizes = np.arange(units + 1)[None, :] - np.arange(units + 1)[:, None]
    return np.where(sizes > 0, sizes - within / np.maximum(sizes, 1), np.inf)


def _group_names(recording: Recording, spans: Sequence[Span]) -> list[str]:
    numbered = [f"group_{number}" for number in range(1, len(spans) + 1)]
    if recording.feature_names is None:
        return numbered
    shared = [_shared_words(recording.feature_names[start:end]) for start, end in spans]
    names = [
        own if own and shared.count(own) == 1 else other for own, other in zip(shared, numbered, strict=True)
    ]
    return names if len(set(names)) == len(names) else numbered


def _shared_words(names: Sequence[str]) -> str:
    """Return the whole words that all names begin with, without what separates them from the rest."""
    if len(names) == 1:
        return names[0]
    words = [re.findall(r"[^\W\d_]+|\d+|[\W_]+", name) for name in names]
    shared = takewhile(lambda found: len(set(found)) == 1, zip(*words, strict=False))
    return re.sub(r"[\W_\d]*$", "", "".join(found[0] for found in shared))


def _entries(
    recording: Recording, group: str, span: Span, kinds: Sequence[str], one_hots: Sequence[Span]
) -> list[SchemaEntry]:
    """Return the entries of one group's features."""
    names = recording.feature_names or [f"feature_{index}" for index in range(recording.features)]
    ends = dict(one_hots)
    entries, feature = [], span[0]
    while feature < span[1]:
        end = ends.get(feature, feature + 1)
        own = tuple(names[feature:end])
        if end - feature > 1:
            name = _shared_words(own) or own[0]
            entries.append(SchemaEntry(name, group, kind="one_hot", columns=own))
        elif kinds[feature] == "binary":
            low, high = (float(bound) for bound in np.unique(recording.states[:, feature]))
            bounds = None if (low, high) == (0, 1) else (low, high)
            entries.append(SchemaEntry(own[0], group, range=bounds, kind="binary"))
        else:
            entries.append(SchemaEntry(own[0], group))
        feature = end
    return entries
