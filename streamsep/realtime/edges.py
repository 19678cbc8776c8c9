"""The edges of the sound: it rises from silence, falls back to it when it is to end, and falls at once where there is
nothing to hear."""

import math

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Block
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.journal import FALL, FAULT, RISE, Journal

START_FADE_S = 0.5
STOP_FADE_S = 0.1
FAULT_FADE_S = 0.005


class Edges:
    """Audio side: `process`, `fail`. From any thread: `stop`, `silent`."""

    def __init__(self, rate: int, channels: int, journal: Journal) -> None:
        """rate: in Hz. journal: of the engine whose output this is, from its first sample on."""
        self._journal = journal
        self._rise = _curve(START_FADE_S, rate, channels)
        self._sink = _curve(STOP_FADE_S, rate, channels)[::-1].copy()
        self._risen = self._sunk = 0  # samples of each fade that have been heard
        self._newest = np.zeros(channels, np.float32)  # sample that was heard
        self._drop_curve = _curve(FAULT_FADE_S, rate, 1)[::-1, 0].copy()
        self._drop = np.zeros((len(self._drop_curve), channels), np.float32)
        self._dropped = len(self._drop)  # samples of it that have been heard: from where a fault was met to silence
        self._failing = self._stopping = False
        self._heard = 0  # samples so far

    @audio_thread
    def process(self, out: Block) -> None:
        """Fade (samples, channels), in place: in after the start, out once asked to stop; silence from then on."""
        self._failing = False
        rising = min(len(out), len(self._rise) - self._risen)
        if rising:
            if self._risen == 0:
                self._journal.note(RISE, at=self._heard)
            np.multiply(out[:rising], self._rise[self._risen : self._risen + rising], out=out[:rising])
            self._risen += rising
        if self._stopping:
            if self._sunk == 0:
                self._journal.note(FALL, at=self._heard)
            falling = min(len(out), len(self._sink) - self._sunk)
            np.multiply(out[:falling], self._sink[self._sunk : self._sunk + falling], out=out[:falling])
            out[falling:].fill(0)
            self._sunk += falling
        self._finish(out)

    @audio_thread
    def fail(self, out: Block) -> None:
        """There is nothing to hear: silence, and a fall to it from what was heard last; what comes afterwards rises
        from silence."""
        self._journal.note(FAULT, len(out), at=self._heard)
        out.fill(0)
        if not self._failing:
            self._failing = True
            self._risen = self._dropped = 0
            for channel, sample in enumerate(self._newest):
                np.multiply(self._drop_curve, sample, out=self._drop[:, channel])
        self._finish(out)

    @audio_thread
    def _finish(self, out: Block) -> None:
        """Add what is left of a fall."""
        falling = min(len(out), len(self._drop) - self._dropped)
        if falling:
            np.add(out[:falling], self._drop[self._dropped : self._dropped + falling], out=out[:falling])
            self._dropped += falling
        self._newest[:] = out[-1]
        self._heard += len(out)

    def stop(self) -> None:
        """From the next call on, fade out; `silent` tells when that is done."""
        self._stopping = True

    @property
    def silent(self) -> bool:
        """Whether the fade to silence is over."""
        return self._sunk == len(self._sink)


def _curve(seconds: float, rate: int, channels: int) -> NDArray[np.float32]:
    """(samples, channels): a raised cosine from 0 to 1."""
    samples = math.ceil(seconds * rate)
    curve = 0.5 - 0.5 * np.cos(np.pi * np.arange(samples) / samples)
    return np.repeat(curve.astype(np.float32)[:, None], channels, axis=1)
