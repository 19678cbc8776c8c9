"""From one domain to another: who is heard, who comes in, and when it is ready to be heard.

A model comes in warm, with the state it has in the monitor's process, a few hops old, and catches up at one extra
step a hop; or, where nobody has a state for it, it listens along for a while. Then its sources are put into the order
of those that are heard, and the two are faded into each other. One hand-over at a time.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from streamsep.arrays import Samples, Spectrum, State
from streamsep.errors import ModelError
from streamsep.realtime.alignment import Alignment
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.counters import Counters
from streamsep.realtime.crossfade import Fade, blend
from streamsep.realtime.journal import Entry, Journal
from streamsep.realtime.mailbox import Mailbox
from streamsep.realtime.masking import Rendering
from streamsep.realtime.recent import Recent

DRY = -1  # in place of a separator's index: the dry sound; and, of locks: none
OLDEST = 4  # hops: a state that is older than that when it arrives is refused
ALIGN_HOPS = 25  # that a warm separator is listened to before its sources are put in order


class Verdicts(Protocol):
    """What the monitor says: see `monitor.shared.Board`, which is read here hop by hop."""

    def poll(self) -> bool:
        """Whether there is a new verdict; it is what the properties say from now on."""
        ...

    @property
    def hop(self) -> int:
        """Hops of the recent window that it is a verdict on."""
        ...

    @property
    def decision(self) -> int:
        """Index of the domain that should be heard, or -1: the dry sound."""
        ...

    @property
    def warm(self) -> int:
        """Index of the domain that comes with its state, or -1."""
        ...

    @property
    def warm_hop(self) -> int:
        """Hops of the recent window that this state has heard."""
        ...

    def state(self) -> State:
        """That state."""
        ...

    def tell(self, active: int, locked: int) -> None:
        """What is heard or coming in, and what the listener insists on: indices, or -1."""
        ...


class Monitor(Protocol):
    """What tells which domain is right: it hears the recent window and leaves verdicts."""

    @property
    def recent(self) -> Recent: ...  # noqa: D102
    @property
    def board(self) -> Verdicts: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class HandOver:
    """The renderings of every domain, and the one or two of them that run.

    After `process`, `total` (bins,) and `masks` (slots, bins) are what is to be applied to the spectrum."""

    def __init__(
        self,
        renderings: Sequence[Rendering],
        active: int,
        channels: int,
        hop: int,
        fade_hops: int,
        warm_hops: int,
        look_ahead: int,
        counters: Counters,
        journal: Journal,
        monitor: Monitor | None,
    ) -> None:
        """active: index of the one to begin with, or DRY. hop: samples. look_ahead: hops by which masks are late."""
        slots, bins = renderings[0].masks.shape
        self.renderings = tuple(renderings)
        self.orders = Mailbox()
        self.locked = DRY
        self.hurried = False  # whether a fade is to be finished at once, and none to be begun
        self.resting = False  # whether no model is to run, once the dry sound is heard
        self.heading = max(active, 0)  # index of the one that is heard, or coming in
        self._home = self.heading  # index of the one that is heard
        self.active = self.renderings[self.heading]
        self.incoming: Rendering | None = None
        self.dry = active == DRY
        self.total, self.masks = self.active.total, self.active.masks
        self._faded_total, self._faded_masks = np.zeros(bins), np.zeros((slots, bins))
        self._fade = Fade(fade_hops)
        self._warm_hops = warm_hops
        self._left = 0  # hops to listen along before the fade
        self._slept = False  # whether no model has run since the newest one that did
        self._waking = 0  # hops to listen along after a rest
        self._behind = 0  # hops before the newest that the incoming one has not heard
        self._counters, self._journal = counters, journal
        self._alignment = Alignment(slots, bins)
        self._look_ahead = look_ahead
        # The newest spectra and sounds: for who catches up, and for masks that are late.
        self._spectra = np.zeros((max(OLDEST, look_ahead) + 1, channels, bins), np.complex128)
        self._sounds = np.zeros((len(self._spectra), channels, hop))
        self._at = 0
        self._mono = np.zeros(hop)
        self._monitor = monitor
        self._states = [tuple(rendering.separator.state()) for rendering in self.renderings]  # names of the arrays
        self._told = (DRY - 1, DRY)  # nothing yet
        self._since = 0  # the first hop of the recent window that is remembered

    @audio_thread
    def process(self, spectrum: Spectrum, samples: Samples, asleep: bool) -> None:
        """(channels, bins), (channels, hop): one hop further. asleep: only the dry sound is heard."""
        self._at = (self._at + 1) % len(self._spectra)
        self._spectra[self._at] = spectrum
        self._sounds[self._at] = samples
        if self.incoming is None and not self.hurried:
            self._take_order()
        if self._monitor is not None:
            self._report(self._monitor, samples)
            self._take_verdict(self._monitor)
        if self.resting:
            self._give_up()
            self._slept = True
            if asleep:
                return
        elif self._slept:
            self._slept = False
            self.active.restart()
            self._waking = max(0, self._warm_hops - 1)  # without the hop at hand
        elif self._waking:
            self._waking -= 1
        active, incoming = self.active, self.incoming
        active.process(spectrum, samples)
        self.total, self.masks = active.total, active.masks
        if incoming is not None:
            self._bring_in(active, incoming)

    @property
    def silent(self) -> bool:
        """Whether the dry sound is to be heard: no model is confident, or none may run, or it has just begun to."""
        return self.dry or self.resting or self._slept or self._waking > 0

    def levels(self) -> dict[str, float]:
        """Control side: of every source of the active rendering, by name, in the newest hop, root mean square; full
        scale is about 1. It may be a hop torn in two: good enough for a meter."""
        active = self.active  # once: in the meantime it may become another
        spectrum = np.abs(self._spectra[self._at].mean(axis=0))
        window = 2 * (len(spectrum) - 1)
        return {
            name: float(np.linalg.norm(mask * spectrum)) * 2 / window
            for name, mask in zip(active.names, active.masks, strict=False)  # masks has rows for the largest model
        }

    def restart(self) -> None:
        """Control side. Nothing is remembered of the sound so far; the domain, dry or not, the lock and what was
        ordered stay."""
        self._give_up()
        self._slept, self._waking = False, 0
        for rendering in self.renderings:
            rendering.restart()
        self.total, self.masks = self.active.total, self.active.masks
        self._spectra.fill(0)
        self._sounds.fill(0)
        if self._monitor is not None:
            self._monitor.recent.reset()
            self._since = self._monitor.recent.hops

    def repeat(self, entry: Entry) -> None:
        """Control side, while nobody processes: go over as somebody's journal says. Raises ModelError when the state
        there is none of this model."""
        if entry.state is None:
            self.go_over(entry.index)
            return
        state = self.renderings[entry.index].separator.state()
        size, at = sum(array.size for array in state.values()), 0
        if entry.state.size != size:
            raise ModelError(f"state: expected {size} numbers, got {entry.state.size}: of another model?")
        for array in state.values():
            array.reshape(-1)[:] = entry.state[at : at + array.size]
            at += array.size
        self.go_over(entry.index, state, entry.slot)

    @audio_thread
    def go_over(self, wanted: int, state: State | None = None, behind: int = 0) -> None:
        """Another is to be heard, from this hop on: an index, or DRY. It comes with the state that it had `behind`
        hops before the newest, or listens along first. Only while nobody else comes in; the journal knows of it."""
        if wanted == (DRY if self.dry else self.heading):
            return
        self._journal.hand_over(wanted, behind, state, self._states[wanted])
        if wanted in (DRY, self.heading):
            self.dry = wanted == DRY
        elif state is None:
            self._begin(wanted, max(self._warm_hops, self._least_hops(wanted)))
        else:
            chosen = self.renderings[wanted]
            self._begin(wanted, self._least_hops(wanted))
            chosen.separator.set_state(state)
            self._behind = behind

    @audio_thread
    def _least_hops(self, index: int) -> int:
        """That one has to listen along before it can be heard: until its masks come, and its sources are in order."""
        chosen = self.renderings[index]
        return max(chosen.delay_hops, ALIGN_HOPS if chosen.alike else 0)

    @audio_thread
    def _take_order(self) -> None:
        """Somebody asked for a domain."""
        order = self.orders.take()
        if order is not None:
            self.go_over(order.index)

    @audio_thread
    def _take_verdict(self, monitor: Monitor) -> None:
        """The monitor wants a domain to be heard, or the dry sound: if nobody insists on another, so be it."""
        board = monitor.board
        if not board.poll() or board.hop < self._since or self.incoming is not None or self.hurried:
            return
        wanted = board.decision
        if self.locked not in (DRY, wanted):
            return
        if wanted in (DRY, self.heading) or board.warm != wanted or len(board.state()) != len(self._states[wanted]):
            self.go_over(wanted)
            return
        behind = monitor.recent.hops - 1 - board.warm_hop
        if 0 <= behind <= OLDEST:
            self.go_over(wanted, board.state(), behind)
        else:  # the monitor will say it again, with a newer one
            self._counters.late_hand_overs += 1

    @audio_thread
    def _begin(self, index: int, listen_hops: int) -> None:
        self.heading, self.incoming = index, self.renderings[index]
        self.incoming.come_in()
        self._alignment.restart()
        self._fade.restart()
        self._left, self._behind = listen_hops, 0

    @audio_thread
    def _give_up(self) -> None:
        """Nobody comes in now; if that was ordered, it is begun anew as soon as it can be."""
        if self.incoming is not None:
            self.orders.put_back()
            self.incoming, self.heading = None, self._home

    @audio_thread
    def _bring_in(self, active: Rendering, incoming: Rendering) -> None:
        """The incoming one hears the newest hop, or the two oldest that it missed; then it waits, then it is faded
        in."""
        if self.hurried and not self._fade.weight:
            self._give_up()
            return
        waiting = self._behind + 1
        for _ in range(min(2, waiting)):
            waiting -= 1
            at = (self._at - waiting) % len(self._spectra)
            incoming.process(self._spectra[at], self._sounds[at])
        self._behind = waiting
        if waiting > 0:
            return
        if self._left > 0:
            if incoming.alike:
                late = (self._at - self._look_ahead) % len(self._spectra)
                self._alignment.hear(active.masks, incoming.masks, self._spectra[late])
            self._left -= 1
            if self._left == 0 and incoming.alike:
                self._alignment.order(incoming.alike, incoming.order)
            return
        weight = self._fade.finish() if self.hurried else self._fade.step()
        blend(active.total, incoming.total, weight, out=self._faded_total)
        blend(active.masks, incoming.masks, weight, out=self._faded_masks)
        self.total, self.masks = self._faded_total, self._faded_masks
        if self._fade.finished:
            self.active, self.incoming, self.dry = incoming, None, False
            self._home = self.heading
            self._counters.switches += 1

    @audio_thread
    def _report(self, monitor: Monitor, samples: Samples) -> None:
        """Let the monitor hear the sound, and know what is heard, or about to be."""
        if len(samples) == 1:
            monitor.recent.write(samples[0])
        else:
            np.add.reduce(samples, axis=0, out=self._mono)
            np.divide(self._mono, len(samples), out=self._mono)
            monitor.recent.write(self._mono)
        heard = DRY if self.dry and self.incoming is None else self.heading
        if (heard, self.locked) != self._told:
            self._told = heard, self.locked
            monitor.board.tell(heard, self.locked)
