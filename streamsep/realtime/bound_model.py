"""A graph whose inputs, outputs and state are already bound: one call is one hop, and nothing is allocated for it."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Masks, Samples, Spectrum, State
from streamsep.errors import ModelError
from streamsep.realtime.contract import audio_thread

Run = Callable[[], object]
Tensor = NDArray[np.float32]


class BoundGraph:
    """Two bound runs of one graph that read and write each other's state.

    The run for even hops reads the first array of each pair in `states` and writes the second; the run for odd hops
    the other way round, so the state never has to be copied. `spectrum` (bins,), complex64, is the frame that the
    newest run was given."""

    def __init__(
        self, spectrum: Tensor, result: Tensor, states: Mapping[str, tuple[Tensor, Tensor]], runs: tuple[Run, Run]
    ) -> None:
        """spectrum: (1, bins, 2), read by the runs; result: (1, ...), written by them; both bound."""
        self.bins = spectrum.shape[1]
        self.spectrum = spectrum.view(np.complex64)[0, :, 0]
        self._result: Tensor = result[0]
        self._states = dict(states)
        self._pairs = tuple(states.values())
        self._runs = runs
        self._odd = 0
        self._mono = np.zeros(self.bins, np.complex128)
        self._mono_parts = self._mono.view(np.float64)

    @audio_thread
    def run(self, spectrum: Spectrum) -> Tensor:
        """(channels, bins) -> (...): of the mono downmix, overwritten by the next call."""
        if len(spectrum) == 1:
            self.spectrum[:] = spectrum[0]
        else:
            np.add.reduce(spectrum, axis=0, out=self._mono)
            np.divide(self._mono_parts, len(spectrum), out=self._mono_parts)
            self.spectrum[:] = self._mono
        self._runs[self._odd]()
        self._odd = 1 - self._odd
        return self._result

    @audio_thread
    def reset(self) -> None:
        """The next hop is the first one."""
        for pair in self._pairs:
            pair[self._odd].fill(0)

    def memory(self) -> State:
        """The arrays themselves that the next hop reads its state from, by name, with the shapes of the manifest."""
        return {name: pair[self._odd] for name, pair in self._states.items()}


def copied(memory: State) -> State:
    """A copy of every array."""
    return {name: array.copy() for name, array in memory.items()}


def take_over(state: State, memory: State) -> None:
    """Copy a state into the arrays that remember it. Raises ModelError, with nothing copied, when a name or a shape
    is wrong."""
    if state.keys() != memory.keys():
        raise ModelError(f"state: expected {sorted(memory)}, got {sorted(state)}")
    for name, array in memory.items():
        if state[name].shape != array.shape:
            raise ModelError(f"state.{name}: expected shape {array.shape}, got {state[name].shape}")
    for name, array in memory.items():
        array[...] = state[name]


class BoundModel:
    """A separator (see `contract.Separator`) around a step graph: its masks are the graph's."""

    def __init__(self, sources: tuple[str, ...], look_ahead: int, graph: BoundGraph) -> None:
        """graph: gives masks (sources, bins)."""
        self.sources = sources
        self.look_ahead = look_ahead
        self.bins = graph.bins
        self._graph = graph

    @audio_thread
    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        """(channels, bins), unused -> (sources, bins): masks of the mono downmix, overwritten by the next call."""
        return self._graph.run(spectrum)

    @audio_thread
    def reset(self) -> None:
        """The next hop is the first one."""
        self._graph.reset()

    def state(self) -> State:
        """A copy of the state before the next hop, by name, with the shapes of the manifest."""
        return copied(self._graph.memory())

    def set_state(self, state: State) -> None:
        """Take over a state from `state()`. Raises ModelError when a name or a shape is wrong."""
        take_over(state, self._graph.memory())
