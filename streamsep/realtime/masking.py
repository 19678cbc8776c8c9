"""From masks to what is heard: one separator with its gains and its place in time."""

import math
from collections.abc import Mapping

import numpy as np

from streamsep.arrays import Array, Masks, Samples, Spectrum
from streamsep.realtime.contract import Separator, audio_thread
from streamsep.realtime.counters import Counters

SILENT_DB = -120.0  # at and below this a gain is exactly zero
ARRIVED = 1e-10  # squared distance at which moving gains are where they should be: a step of -100 dB


@audio_thread
def linear(gain_db: float) -> float:
    """Decibels to a factor; zero at -120 dB and below."""
    return 0.0 if gain_db <= SILENT_DB else 10 ** (gain_db / 20)


def slot_names(roles: tuple[str, ...]) -> tuple[str, ...]:
    """A name for every slot: its role, numbered from 1 where a role repeats.

    >>> slot_names(("talker", "talker")), slot_names(("speech", "noise"))
    (('talker-1', 'talker-2'), ('speech', 'noise'))
    """
    return tuple(
        f"{role}-{roles[: slot + 1].count(role)}" if roles.count(role) > 1 else role
        for slot, role in enumerate(roles)
    )


def role_of(name: str) -> str:
    """Of a slot, by its name.

    >>> role_of("talker-2"), role_of("speech")
    ('talker', 'speech')
    """
    role, _, number = name.rpartition("-")
    return role if number.isdigit() else name


def gain_db_of(name: str, gains_db: Mapping[str, float]) -> float:
    """What is set for a slot: by its name, or else by its role; 0 dB where nothing is said.

    >>> gain_db_of("talker-2", {"talker": -6.0}), gain_db_of("talker-2", {"talker": -6.0, "talker-2": -40.0})
    (-6.0, -40.0)
    """
    return gains_db.get(name, gains_db.get(role_of(name), 0.0))


class Rendering:
    """A separator as the listener hears it: its masks, in line with the bank's look-ahead, and their weighted sum.

    After `process`, `masks` (slots, bins) holds the mask of every slot and `total` (bins,) the one mask that is
    heard. `targets` (sources,) are the linear gains asked for, and the gains in use follow: seven eighths of the way
    within `ramp_hops`. `order` holds the source of each slot;
    `alike` are the pairs of slots, of one role, that may change places."""

    def __init__(
        self,
        separator: Separator,
        slots: int,
        delay_hops: int,
        dry_floor: float,
        ramp_hops: int,
        counters: Counters,
    ) -> None:
        """slots: rows of `masks`, at least the separator's sources; further ones stay silent. delay_hops: by how many
        hops its masks come too early for the bank. dry_floor: linear, the least that is left of any bin. counters:
        where its faults are counted."""
        sources, bins = len(separator.sources), separator.bins
        roles = separator.sources
        self.separator = separator
        self.names = slot_names(roles)
        self.delay_hops = delay_hops
        self.alike = tuple((i, j) for j in range(sources) for i in range(j) if roles[i] == roles[j])
        self.order = list(range(sources))
        self._usual = list(range(sources))
        self._counters = counters
        self.targets = np.ones(sources)
        self.masks = np.zeros((slots, bins))
        self.total = np.zeros(bins)
        self._used = self.masks[:sources]
        self._flat = self._used.reshape(-1)  # the same memory, as one row
        self._gains = np.ones(sources)
        self._steps = np.zeros(sources)
        self._ramp_hops = ramp_hops
        self._dry_floor = dry_floor
        self._waiting = np.zeros((delay_hops, sources, bins))
        self._at = 0
        self.restart()

    @audio_thread
    def process(self, spectrum: Spectrum, samples: Samples) -> None:
        """(channels, bins), (channels, hop): one hop further. A separator that fails is heard as the dry sound."""
        if self._gains.tolist() != self.targets.tolist():  # a third of the time of comparing two small arrays
            self._move_gains()
        try:
            self._take(self.separator.process(spectrum, samples))
            usable = math.isfinite(np.dot(self._flat, self._flat))  # masks are float32: no square of one overflows
        except Exception:  # whatever a model does, the sound goes on; the fault is counted and told outside
            usable = False
        if not usable:
            self._fail()
            return
        self._weigh()

    @audio_thread
    def restart(self) -> None:
        """Forget the past, without making anything anew: the next hop is the first, gains where they should be. Until
        then every source has an equal share. Sources stay in their slots: who was talker 1 to the listener is it
        again."""
        if not self._forget():
            self._counters.separator_faults += 1
        self._waiting.fill(1.0 / len(self._used))
        self._gains[:] = self.targets
        self._used.fill(1.0 / len(self._used))
        self._weigh()

    @audio_thread
    def come_in(self) -> None:
        """Restart, with every source in its usual slot, until somebody knows better."""
        self.order[:] = self._usual
        self.restart()

    def release(self) -> None:
        """Let go of the separator; nothing can be processed afterwards."""
        del self.separator

    @audio_thread
    def _weigh(self) -> None:
        np.dot(self._gains, self._used, out=self.total)
        np.maximum(self.total, self._dry_floor, out=self.total)

    @audio_thread
    def _take(self, masks: Masks) -> None:
        if len(self._waiting):
            self._arrange(self._waiting[self._at])
            self._waiting[self._at] = masks
            self._at = (self._at + 1) % len(self._waiting)
        else:
            self._arrange(masks)

    @audio_thread
    def _arrange(self, masks: Masks) -> None:
        if self.order == self._usual:
            self._used[:] = masks
        else:
            for slot, source in enumerate(self.order):
                self._used[slot] = masks[source]

    @audio_thread
    def _fail(self) -> None:
        self._counters.separator_faults += 1
        self._forget()  # what made it fail may be in its state
        self._waiting.fill(1.0 / len(self._used))
        self._used.fill(1.0 / len(self._used))
        self.total.fill(1.0)

    @audio_thread
    def _forget(self) -> bool:
        """Have the separator forget; whether it could."""
        try:
            self.separator.reset()
        except Exception:  # as in `process`
            return False
        return True

    @audio_thread
    def _move_gains(self) -> None:
        np.subtract(self.targets, self._gains, out=self._steps)
        left = float(np.dot(self._steps, self._steps))
        if left < ARRIVED:
            self._gains[:] = self.targets
        else:  # a straight line would need to know where it began; a fixed share of what is left does not
            np.multiply(self._steps, 2.0 / (self._ramp_hops + 1), out=self._steps)
            np.add(self._gains, self._steps, out=self._gains)


def equal_shares(slots: int, bins: int) -> Array:
    """(slots + 1, slots, bins): number K is an equal share for each of the first K slots, nothing for the others."""
    shares = np.zeros((slots + 1, slots, bins))
    for sources in range(1, slots + 1):
        shares[sources, :sources] = 1 / sources
    return shares


@audio_thread
def apply(spectrum: Spectrum, mask: Array, out: Spectrum) -> None:
    """Fill out = spectrum * mask: (channels, bins) complex, (bins,) real. By rows and parts, or NumPy buffers."""
    for channel in range(len(spectrum)):  # zip would take longer than it saves
        heard, into = spectrum[channel], out[channel]
        np.multiply(heard.real, mask, out=into.real)
        np.multiply(heard.imag, mask, out=into.imag)
