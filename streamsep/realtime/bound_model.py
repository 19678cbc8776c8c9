"""A model whose inputs, outputs and state are already bound: one call is one hop, and nothing is allocated for it."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Masks, Samples, Spectrum, State
from streamsep.errors import ModelError
from streamsep.realtime.contract import audio_thread

Run = Callable[[], object]
Tensor = NDArray[np.float32]


class BoundModel:
    """A separator (see `contract.Separator`) around two bound runs that read and write each other's state.

    The run for even hops reads the first array of each pair in `states` and writes the second; the run for odd hops
    the other way round, so the state never has to be copied."""

    def __init__(
        self,
        sources: tuple[str, ...],
        look_ahead: int,
        spectrum: Tensor,
        masks: Tensor,
        states: Mapping[str, tuple[Tensor, Tensor]],
        runs: tuple[Run, Run],
    ) -> None:
        """spectrum: (1, bins, 2), read by the runs; masks: (1, sources, bins), written by them; both bound."""
        self.sources = sources
        self.look_ahead = look_ahead
        self.bins = spectrum.shape[1]
        self._spectrum = spectrum.view(np.complex64)[0, :, 0]
        self._masks: Masks = masks[0]
        self._states = dict(states)
        self._pairs = tuple(states.values())
        self._runs = runs
        self._odd = 0
        self._mono = np.zeros(self.bins, np.complex128)
        self._mono_parts = self._mono.view(np.float64)

    @audio_thread
    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        """(channels, bins), unused -> (sources, bins): masks of the mono downmix, overwritten by the next call."""
        if len(spectrum) == 1:
            self._spectrum[:] = spectrum[0]
        else:
            np.add.reduce(spectrum, axis=0, out=self._mono)
            np.divide(self._mono_parts, len(spectrum), out=self._mono_parts)
            self._spectrum[:] = self._mono
        self._runs[self._odd]()
        self._odd = 1 - self._odd
        return self._masks

    @audio_thread
    def reset(self) -> None:
        """The next hop is the first one."""
        for pair in self._pairs:
            pair[self._odd].fill(0)

    def state(self) -> State:
        """A copy of the state before the next hop, by name, with the shapes of the manifest."""
        return {name: pair[self._odd].copy() for name, pair in self._states.items()}

    def set_state(self, state: State) -> None:
        """Take over a state from `state()`. Raises ModelError when a name or a shape is wrong."""
        if state.keys() != self._states.keys():
            raise ModelError(f"state: expected {sorted(self._states)}, got {sorted(state)}")
        for name, pair in self._states.items():
            if state[name].shape != pair[0].shape:
                raise ModelError(f"state.{name}: expected shape {pair[0].shape}, got {state[name].shape}")
        for name, pair in self._states.items():
            pair[self._odd][...] = state[name]
