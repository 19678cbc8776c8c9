"""What every domain's model makes of the newest seconds: the part of the monitor that listens, without a process.

Deterministic, and it knows no clock: the same hops in the same calls give the same look backs, live or from a file.
(Where a call ends, so does a piece of the look back.)
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import State
from streamsep.errors import ConfigError, ModelError
from streamsep.models.loader import Batch
from streamsep.monitor.confidence import loudest
from streamsep.monitor.texture import texture
from streamsep.realtime.stft import Analysis

PIECES = 8  # of a look back: it is forgotten piece by piece
BROAD = 0.3  # of the bins: a model's mean embedding tells more of the sound when it is not of the loudest ones alone

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class LookBack:
    """The loudest time-frequency bins of the newest seconds, as one domain's model embeds them."""

    embeddings: Floats  # (points, dims)
    magnitudes: Floats  # (points,), of the same bins; equal for every domain
    frames: int  # that the points were chosen from
    mean: Floats | None = None  # (dims,): of the embeddings of the louder bins, BROAD of all; None: there are none
    texture: Mapping[str, float] = field(default_factory=dict)  # of the sound by itself; equal for every domain


def at_once(embeddings: Floats, magnitudes: Floats, share: float, heard: Mapping[str, float]) -> LookBack:
    """The look back at all of a sound, when no piece of it has to be forgotten.

    embeddings: (frames, bins, dims). magnitudes: (frames, bins). share: of the bins, (0, 1]: the loudest are looked
    at. heard: the texture of the sound that the frames are of."""
    flat, loudness = embeddings.reshape(-1, embeddings.shape[-1]), magnitudes.reshape(-1)
    loud, louder = (loudest(loudness, math.ceil(part * loudness.size)) for part in (share, BROAD))
    total, count = _total(flat[louder])
    mean = (total / count).astype(np.float32) if count else None
    return LookBack(flat[loud], loudness[loud], len(magnitudes), mean, heard)


@dataclass(frozen=True)
class Moment:
    """What there is to know for a decision beside the look backs."""

    hop: int  # hops heard so far
    time_s: float  # the same, in seconds of sound: the clock of every decision
    sound: Floats  # (samples,): what the look backs looked at, at the bank's rate
    active: str | None  # the domain that is heard; None: the dry sound
    locked: str | None  # the domain the listener insists on, if any


@dataclass(frozen=True)
class Judgement:
    """What came of it."""

    scores: Mapping[str, float] = field(default_factory=dict)  # by domain; without one, or NaN: no decision
    decision: str | None = None  # the domain that should be heard; None: the dry sound
    raw: Mapping[str, float] = field(default_factory=dict)  # confidence by domain, as the papers have it
    smoothed: Mapping[str, float] = field(default_factory=dict)  # scores by domain, as the policy sees them
    reason: str = ""  # see `policy.Reason`


class Judge(Protocol):
    """From look backs to a decision. It lives in the watcher's process: it can be pickled, and what it remembers (of
    scores before, say) is lost when the watcher is started again."""

    def __call__(self, look_backs: Mapping[str, LookBack], moment: Moment) -> Judgement:
        """By domain, in the bank's order."""
        ...


@dataclass
class Piece:
    """Some frames in a row, and what is known of them."""

    samples: Floats  # (frames, hop)
    spectrum: NDArray[np.complex64]  # (frames, bins)
    loud: NDArray[np.intp]  # (points,), into the flattened spectrum: enough for any look back that has this piece
    magnitudes: Floats  # (points,)
    broad: NDArray[np.intp]  # (more points,): the louder bins
    run: set[str] = field(default_factory=set)  # domains whose graph has heard it
    embeddings: dict[str, Floats] = field(default_factory=dict)  # (points, dims) by domain, once it is told of all
    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)  # (dims,): of `broad`, where they are finite
    counts: dict[str, int] = field(default_factory=dict)  # how many these are


class Watch:
    """Every domain's look-back graph over one sound, its state kept from call to call. A look back is made of as many
    of the newest `frames` as there are."""

    def __init__(self, graphs: Mapping[str, Batch], look_back_s: float = 2.0, loudest: float = 0.01) -> None:
        """loudest: the share of bins, (0, 1], that a look back consists of. Raises ConfigError for a length or a
        share that cannot be, ModelError for a graph of another kind, domain or front end."""
        front = next(iter(graphs.values())).manifest.front_end
        for domain, graph in graphs.items():
            said = graph.manifest
            if (said.graph, said.domain, said.front_end) != ("look-back", domain, front):
                found = f"a {said.graph!r} graph for {said.domain!r} and {said.front_end}"
                raise ModelError(f"{domain}: expected a 'look-back' graph for {domain!r} and {front}, got {found}")
        self.front_end = front
        self._graphs = dict(graphs)
        self.frames = round(look_back_s * front.sample_rate / front.hop)
        if self.frames < PIECES:
            raise ConfigError(f"look_back_s must be at least {PIECES} hops of {front.hop} samples, got {look_back_s}")
        if not 0 < loudest <= 1:
            raise ConfigError(f"loudest must be a share between 0 and 1, got {loudest}")
        self._loudest = loudest
        self._analysis = Analysis(1, front.window, front.synthesis_window, front.hop)
        self.restart(0)

    def restart(self, hop: int) -> None:
        """As new; the next hop heard has this number."""
        self.hop = hop
        self._analysis.reset()
        self._pieces: list[Piece] = []
        self._states = {domain: graph.start() for domain, graph in self._graphs.items()}
        # A model that looks ahead tells of a frame so many frames later: what comes first is of none, and what came
        # last is of a piece that it has not told all of.
        self._early = {domain: graph.manifest.look_ahead for domain, graph in self._graphs.items()}
        self._told: dict[str, Floats] = {}

    def hear(self, samples: Floats, only: str | None = None) -> None:
        """Go on by (hops, hop) samples. only: run just this domain's graph now, the others when they are next
        needed."""
        longest = self.frames // PIECES
        for at in range(0, len(samples), longest):
            self._pieces.append(self._piece(samples[at : at + longest]))
            self._run(self._graphs if only is None else (only,))
        self.hop += len(samples)

    def look_backs(self) -> dict[str, LookBack]:
        """By domain: the loudest bins of the last pieces that every model has told of, as many as fit into the look
        back."""
        pieces = self._known()
        if not pieces:
            dims = {domain: graph.manifest.embedding_dims for domain, graph in self._graphs.items()}
            nothing = np.zeros(0, np.float32)
            return {name: LookBack(np.zeros((0, size), np.float32), nothing, 0) for name, size in dims.items()}
        frames = sum(len(piece.samples) for piece in pieces)
        magnitudes = np.concatenate([piece.magnitudes for piece in pieces])
        loud = loudest(magnitudes, self._points(frames))
        magnitudes, like = magnitudes[loud], texture(self.sound(), self.front_end.sample_rate)
        return {
            domain: LookBack(
                np.concatenate([piece.embeddings[domain] for piece in pieces])[loud],
                magnitudes,
                frames,
                _mean(pieces, domain),
                like,
            )
            for domain in self._graphs
        }

    def sound(self) -> Floats:
        """(samples,): what the look backs look at."""
        pieces = [piece.samples.reshape(-1) for piece in self._known()]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def _known(self) -> list[Piece]:
        """The pieces that every model has told of."""
        self._run(self._graphs)
        return [piece for piece in self._pieces if len(piece.embeddings) == len(self._graphs)]

    def state(self, domain: str) -> State:
        """Of this domain's model after everything heard."""
        self._run((domain,))
        return self._states[domain]

    def _points(self, frames: int) -> int:
        """How many bins of so many frames are called loud."""
        return math.ceil(self._loudest * frames * self.front_end.bins)

    def _piece(self, samples: Floats) -> Piece:
        """(hops, hop) -> their frames, none of them run yet."""
        spectrum = np.empty((len(samples), self.front_end.bins), np.complex64)
        for at, hop in enumerate(samples):
            spectrum[at] = self._analysis.process(hop[None])[0]
        magnitudes = np.abs(spectrum).reshape(-1)
        loud = loudest(magnitudes, self._points(self.frames))
        broad = loudest(magnitudes, math.ceil(BROAD * magnitudes.size))
        return Piece(samples, spectrum, loud, magnitudes[loud], broad)

    def _run(self, domains: Iterable[str]) -> None:
        """Bring these domains up to now, and forget what no look back will need."""
        for domain in domains:
            for piece in self._pieces:
                if domain not in piece.run:
                    piece.run.add(domain)
                    embeddings, self._states[domain] = self._graphs[domain].run(piece.spectrum, self._states[domain])
                    self._tell(domain, embeddings)
        ahead = max(graph.manifest.look_ahead for graph in self._graphs.values())
        spare = sum(len(piece.samples) for piece in self._pieces) - ahead - self.frames
        while spare > 0 and len(self._pieces[0].embeddings) == len(self._graphs):
            spare -= len(self._pieces.pop(0).samples)

    def _tell(self, domain: str, embeddings: Floats) -> None:
        """Hand the newest (frames, bins, dims) of a domain to the pieces whose frames they are of."""
        early = min(self._early[domain], len(embeddings))
        self._early[domain] -= early
        told = embeddings[early:]
        if domain in self._told:
            told = np.concatenate([self._told.pop(domain), told])
        for piece in self._pieces:
            if domain in piece.embeddings:
                continue
            if len(told) < len(piece.samples):
                break
            flat, told = told[: len(piece.samples)].reshape(-1, told.shape[-1]), told[len(piece.samples) :]
            piece.embeddings[domain] = flat[piece.loud]
            piece.sums[domain], piece.counts[domain] = _total(np.take(flat, piece.broad, axis=0))
        if len(told):
            self._told[domain] = told


def _mean(pieces: Sequence[Piece], domain: str) -> Floats | None:
    """(dims,): the mean embedding of the louder bins of all pieces."""
    count = sum(piece.counts[domain] for piece in pieces)
    total = np.sum([piece.sums[domain] for piece in pieces], axis=0)
    return (total / count).astype(np.float32) if count else None


def _total(points: Floats) -> tuple[NDArray[np.float64], int]:
    """(points, dims) -> the sum of those that are finite, (dims,), and how many these are."""
    with np.errstate(invalid="ignore"):  # infinity less infinity
        total = points.sum(axis=0, dtype=np.float64)
    if not np.isfinite(total).all():  # to look at every point beforehand would take longer than all the rest
        points = points[np.isfinite(points).all(axis=1)]
        total = points.sum(axis=0, dtype=np.float64)
    return total, len(points)
