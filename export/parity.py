"""Do the exported graphs compute what the training network computes, what do 8 bits cost, and what a hop?

The graphs are run by the run-time's own loader, as it runs them: one frame at a time, and many frames at once.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter

from export.corpus import RATE
from export.frontend import FrontEnd
from export.networks import Chimera
from streamsep.evaluation.lists import Mixture
from streamsep.evaluation.metrics import si_sdr_db
from streamsep.models.loader import Batch, open_graph, read_manifest

TOLERANCE = 1e-4  # of the reference's peak, float32 graphs
HIGHEST_PRICE_DB = 0.3  # of SI-SDR, mean over the validation list, that 8 bits may cost
LEAST_SNR_DB = 20.0  # of what an 8-bit graph puts out; trained ones have 40 and more
HOPS = 1000  # of each graph that are timed
TURN = 50  # hops of one graph before it is the next one's turn; the first few find the caches full of another graph

Sound = NDArray[np.float32]  # (samples,)
Frames = NDArray[np.complex64]  # (frames, bins)
Result = NDArray[np.float32]  # (frames, sources, bins) or (frames, bins, dims)
Values = dict[str, NDArray[np.float32]]


def speech_like(rng: np.random.Generator, seconds: float) -> Sound:
    """Coloured noise in syllables; every 0.3 s another level, from -60 to -10 dB, or true silence."""
    samples, piece = int(seconds * RATE), int(0.3 * RATE)
    levels = 10 ** (rng.uniform(-60, -10, samples // piece + 1) / 20) * (rng.random(samples // piece + 1) > 0.2)
    syllables = np.square(np.sin(np.pi * 4 * np.arange(samples) / RATE))
    coloured = lfilter([0.4], [1, -0.9], rng.standard_normal(samples))
    return (coloured * syllables * np.repeat(levels, piece)[:samples]).astype(np.float32)


def analyse(front: FrontEnd, samples: Sound) -> Frames:
    """(samples,) -> (frames, bins)."""
    spectrum: Frames = front.analyse(torch.from_numpy(samples)).numpy()
    return spectrum


def at_once(graph: Batch, frames: Frames) -> tuple[Result, Values]:
    """All frames in one run, from the start: masks or embeddings, and the state after them."""
    return graph.run(frames, graph.start())


def frame_by_frame(graph: Batch, frames: Frames) -> tuple[Result, Values]:
    """A run for every frame, as in the engine."""
    state, results = graph.start(), []
    for frame in frames:
        result, state = graph.run(frame[None], state)
        results.append(result)
    return np.concatenate(results), state


@torch.no_grad()
def reference(net: Chimera, frames: Frames) -> Values:
    """What the training network makes of all frames at once: masks, embeddings, and its state by name."""
    trunk, state = net(torch.view_as_real(torch.from_numpy(frames))[None], net.start(1))
    values = {"masks": net.masks(trunk), "embeddings": net.embeddings(trunk), **state}
    return {name: value[0].numpy() for name, value in values.items()}


def largest_error(found: Result, wanted: Result) -> float:
    """Largest absolute error over the largest absolute value wanted; inf where something is not finite."""
    error = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    return error if np.isfinite(error) else np.inf


def errors(net: Chimera, frames: Frames, step: Batch, look_back: Batch) -> dict[str, float]:
    """Largest error of each way to run the float32 graphs and of the state after it, against the network."""
    wanted = reference(net, frames)
    ways = {
        "masks, all frames at once": ("masks", *at_once(step, frames)),
        "masks, frame by frame": ("masks", *frame_by_frame(step, frames)),
        "embeddings, all frames at once": ("embeddings", *at_once(look_back, frames)),
    }
    found = {}
    for way, (name, result, state) in ways.items():
        found[way] = largest_error(result, wanted[name])
        found[f"state after {way}"] = max(largest_error(value, wanted[name]) for name, value in state.items())
    return found


def check(found: dict[str, float]) -> None:
    """Raise ValueError when a float32 graph is further from the training network than rounding explains."""
    if wrong := {way: error for way, error in found.items() if not error <= TOLERANCE}:
        raise ValueError(f"the graphs differ from the training network by more than {TOLERANCE} of its peak: {wrong}")


def check_8_bits(ratios_db: dict[str, float], prices: Sequence[float]) -> None:
    """Raise ValueError when 8 bits ruin what a graph puts out, or cost too much on the mean.

    ratios_db: signal-to-noise ratio by output; prices: of every validation mixture, in dB; none without a list.
    """
    if ruined := {name: ratio for name, ratio in ratios_db.items() if not ratio >= LEAST_SNR_DB}:
        raise ValueError(f"8 bits: expected a signal-to-noise ratio of {LEAST_SNR_DB} dB or more, got {ruined}")
    if len(prices) and not np.mean(prices) <= HIGHEST_PRICE_DB:
        raise ValueError(
            f"8 bits: may cost {HIGHEST_PRICE_DB} dB of SI-SDR on the mean, cost {np.mean(prices):.3f} dB"
        )


def snr_db(found: Result, wanted: Result) -> float:
    """Energy of what is wanted over the energy of the error, in dB."""
    error = np.square(found.astype(np.float64) - wanted).sum()
    return float(10 * np.log10(np.square(wanted.astype(np.float64)).sum() / max(error, 1e-30)))


def price_db(sources: NDArray[np.float32], exact: NDArray[np.float32], cheap: NDArray[np.float32]) -> float:
    """SI-SDR that cheap estimates lose against exact ones, mean over the sources, in dB; (sources, samples) each.

    Negative where the cheap ones happen to be better; sources that are silent do not count.
    """
    pairs = zip(sources, exact, cheap, strict=True)
    return float(np.nanmean([si_sdr_db(one, source) - si_sdr_db(other, source) for source, one, other in pairs]))


def prices_db(front: FrontEnd, exact: Batch, cheap: Batch, mixtures: Iterable[Mixture]) -> list[float]:
    """The price of every mixture: the cheap step graph frame by frame against the exact one."""
    found = []
    for mixture in mixtures:
        frames = analyse(front, mixture.sources.sum(0))
        masks = np.stack([at_once(exact, frames)[0], frame_by_frame(cheap, frames)[0]])
        spectra = torch.from_numpy(masks.swapaxes(1, 2) * frames)  # (graphs, sources, frames, bins)
        found.append(price_db(mixture.sources, *front.synthesise(spectra).numpy()))
    return found


def times_per_hop_ms(paths: Sequence[Path]) -> list[float]:
    """Median time of one hop of each graph, step or look-back, bound as in the engine.

    Of many hops of sound, and the graphs take turns, so that whatever else the machine does slows all of them.
    """
    graphs, sounds = [], []
    for path in paths:
        manifest = read_manifest(path)
        graphs.append(open_graph(path, manifest.graph)[1])
        front = FrontEnd(manifest.window, manifest.synthesis_window, manifest.hop)
        sounds.append(analyse(front, speech_like(np.random.default_rng(0), HOPS * manifest.hop / RATE)))
    times = np.zeros((len(paths), HOPS))
    for first in range(0, HOPS, TURN):
        for graph, frames, found in zip(graphs, sounds, times, strict=True):
            for hop in range(first, first + TURN):
                began = time.perf_counter_ns()
                graph.run(frames[hop : hop + 1])
                found[hop] = time.perf_counter_ns() - began
    return [float(median) for median in np.median(times, axis=1) / 1e6]
