"""Which source of the new model is which of the old: without it, a switch could swap talkers under the listener."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Array
from streamsep.errors import ModelError

Agreement = NDArray[np.float64]  # (slots, sources), at least 0


def align(
    old_masks: Array, new_masks: Array, weights: Array, old_roles: Sequence[str], new_roles: Sequence[str]
) -> tuple[int, ...]:
    """The order in which the new model's sources take their slots: entry i is the source for slot i.

    old_masks: (frames, old sources, bins), in the order in which they are heard; new_masks: (frames, new sources,
    bins), of the same frames; each in [0, 1]. weights: (frames, bins), at least 0, usually the power of the mixture.
    old_roles, new_roles: of every source. Only sources of one role may change places: two talkers come in no
    particular order, speech and noise do. Of these orders it is the one in which most energy stays in its slot: the
    mixture's, times both masks, summed. The first of equals, so it is the usual order where there is nothing to go
    by. A slot that only one of the two has keeps no energy. Raises ModelError for masks that are not of these frames,
    bins or roles.

    >>> old = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    >>> align(old, old[:, ::-1], np.ones((1, 2)), ("talker", "talker"), ("talker", "talker"))
    (1, 0)
    >>> align(old, old[:, ::-1], np.ones((1, 2)), ("talker", "talker"), ("speech", "noise"))
    (0, 1)
    """
    frames, bins = weights.shape
    for name, masks, roles in (("old", old_masks, old_roles), ("new", new_masks, new_roles)):
        if masks.shape != (frames, len(roles), bins):
            wanted = frames, len(roles), bins
            raise ModelError(f"{name} masks: expected (frames, sources, bins) = {wanted}, got {masks.shape}")
    shared = np.einsum("fob,fnb,fb->on", old_masks, new_masks, weights, dtype=np.float64, optimize=True)
    energy = np.zeros((max(len(old_roles), len(new_roles)), len(new_roles)))
    energy[: len(old_roles)] = np.nan_to_num(shared, nan=0.0, posinf=0.0, neginf=0.0)
    order = list(range(len(new_roles)))
    for role in dict.fromkeys(new_roles):
        slots = [slot for slot, other in enumerate(new_roles) if other == role]
        for slot, source in zip(slots, assign(energy[np.ix_(slots, slots)]), strict=True):
            order[slot] = slots[source]
    return tuple(order)


def assign(energy: Agreement) -> tuple[int, ...]:
    """(slots, as many sources) -> the source of every slot, each once, for the largest sum; the first of equals.

    By dynamic programming over the sets of sources that are left (Held & Karp 1962): exact, and quick up to a dozen.

    >>> assign(np.array([[3.0, 2.0], [2.0, 0.0]]))
    (1, 0)
    """
    rows = energy.tolist()
    best: dict[tuple[int, ...], tuple[float, tuple[int, ...]]] = {(): (0.0, ())}  # sources left -> sum, their order

    def solve(left: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
        if left not in best:
            row = rows[-len(left)]
            options = []
            for at, source in enumerate(left):
                total, order = solve(left[:at] + left[at + 1 :])
                options.append((row[source] + total, (source, *order)))
            best[left] = max(options, key=lambda option: option[0])
        return best[left]

    return solve(tuple(range(len(rows))))[1]
