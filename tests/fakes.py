"""Separators that need no model: what they do is known, so a test can say what has to be heard."""

from collections.abc import Mapping

import numpy as np

from streamsep.arrays import Array, Masks, Samples, Spectrum, State
from streamsep.errors import ModelError
from streamsep.models.subject import Spectra
from streamsep.realtime.contract import Separator
from streamsep.realtime.engine import Engine
from streamsep.realtime.options import EngineOptions
from streamsep.realtime.stft import FrontEnd

FRONT = FrontEnd(sample_rate=16_000, window=512, synthesis_window=128, hop=64)


class PassThrough:
    """One source that owns everything."""

    sources: tuple[str, ...] = ("all",)
    look_ahead = 0

    def __init__(self, front_end: FrontEnd = FRONT) -> None:
        self.bins = front_end.bins
        self._masks = np.ones((1, self.bins), np.float32)

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        return self._masks

    def reset(self) -> None:
        pass

    def state(self) -> State:
        return {}

    def set_state(self, state: State) -> None:
        if state:
            raise ModelError(f"state: expected nothing, got {sorted(state)}")


class Shares(PassThrough):
    """The same share of every bin for each source, always."""

    def __init__(self, shares: Mapping[str, float] | None = None, front_end: FrontEnd = FRONT) -> None:
        super().__init__(front_end)
        shares = shares or {"speech": 0.75, "noise": 0.25}
        self.sources = tuple(shares)
        self._masks = np.repeat(np.float32(list(shares.values()))[:, None], self.bins, 1)


class Leaky:
    """Three sources that share every bin by its history, two hops late unless told otherwise.

    The first owns what is louder than its leaky mean; the third what is about to get louder, as far as the look-ahead
    shows; the second the rest. Everything that is remembered is in the state."""

    def __init__(
        self,
        front_end: FrontEnd = FRONT,
        look_ahead: int = 2,
        sources: tuple[str, ...] = ("talker", "talker", "event"),
        memory: float = 0.9,
    ) -> None:
        self.sources, self.look_ahead, self.bins = sources, look_ahead, front_end.bins
        self._memory = np.float32(memory)
        self._mono = np.zeros(self.bins, np.complex128)
        self._mean = np.zeros(self.bins, np.float32)
        self._recent = np.zeros((look_ahead + 1, self.bins), np.float32)  # powers, oldest first
        self._masks = np.zeros((len(sources), self.bins), np.float32)
        self._term = np.zeros(self.bins, np.float32)

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        np.add.reduce(spectrum, axis=0, out=self._mono)
        for older in range(self.look_ahead):
            self._recent[older] = self._recent[older + 1]
        np.abs(self._mono, out=self._mono.real)
        self._recent[-1] = self._mono.real
        np.square(self._recent[-1], out=self._recent[-1])
        now, newest, first, mean, term = self._recent[0], self._recent[-1], self._masks[0], self._mean, self._term
        np.subtract(now, mean, out=term)
        np.multiply(term, 1 - self._memory, out=term)
        np.add(mean, term, out=mean)
        share(now, mean, term, first)
        np.subtract(1, first, out=self._masks[1])
        if len(self.sources) == 3:
            last = self._masks[2]
            share(newest, now, term, last)
            np.multiply(last, self._masks[1], out=last)
            np.subtract(self._masks[1], last, out=self._masks[1])
        return self._masks

    def reset(self) -> None:
        self._mean.fill(0)
        self._recent.fill(0)

    def state(self) -> State:
        return {"mean": self._mean.copy(), "recent": self._recent.copy()}

    def set_state(self, state: State) -> None:
        if state.keys() != {"mean", "recent"}:
            raise ModelError(f"state: expected mean and recent, got {sorted(state)}")
        self._mean[:] = state["mean"]
        self._recent[:] = state["recent"]


def share(one: Array, other: Array, term: Array, out: Array) -> None:
    """out = one / (one + other), half where both are nothing; term is filled on the way."""
    np.add(one, 1e-20, out=out)
    np.add(other, 1e-20, out=term)
    np.add(term, out, out=term)
    np.divide(out, term, out=out)


class LeakySequence:
    """The graph of a Leaky: many frames at once."""

    def __init__(self, front_end: FrontEnd = FRONT, look_ahead: int = 2) -> None:
        self._front_end, self._look_ahead = front_end, look_ahead

    def start(self) -> State:
        return Leaky(self._front_end, self._look_ahead).state()

    def run(self, spectrum: Spectra, state: State) -> tuple[Array, State]:
        separator = Leaky(self._front_end, self._look_ahead)
        separator.set_state(state)
        nothing = np.zeros((1, 0))
        return np.stack([separator.process(frame[None], nothing).copy() for frame in spectrum]), separator.state()


class Twin(Leaky):
    """A Leaky whose reset takes over the state of another one: what a hand-over with a warm state is."""

    other: Leaky | None = None

    def reset(self) -> None:
        if self.other is None:
            super().reset()
        else:
            self.set_state(self.other.state())


class Faulty(Leaky):
    """A Leaky that does `fault` instead, as long as it is set: "raises", or its masks get that number."""

    fault: str | float | None = None

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        masks = super().process(spectrum, samples)
        if self.fault == "raises":
            raise ArithmeticError("this separator was told to fail")
        if self.fault is not None:
            self._mean[:3] = masks[0, :3] = self.fault  # what makes masks wrong is usually in the state too
        return masks


def make_engine(
    *separators: Separator, rate: int = 16_000, channels: int = 1, front_end: FrontEnd = FRONT, **options: object
) -> Engine:
    """An engine around separators, in domains "a", "b", and so on; `options` are those of the engine."""
    domains = dict(zip("abcdefgh", separators, strict=False))
    return Engine(domains, front_end, EngineOptions(**options), "a", rate, channels)  # type: ignore[arg-type]


class Recorder:
    """Another separator, and the masks it gave."""

    def __init__(self, separator: Separator) -> None:
        self._separator = separator
        self.sources, self.look_ahead, self.bins = separator.sources, separator.look_ahead, separator.bins
        self.masks: list[Array] = []

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        masks = self._separator.process(spectrum, samples)
        self.masks.append(masks.astype(np.float64))
        return masks

    def reset(self) -> None:
        self._separator.reset()

    def state(self) -> State:
        return self._separator.state()

    def set_state(self, state: State) -> None:
        self._separator.set_state(state)
