"""Which source of the new model is which of the old: without it, a switch could swap talkers under the listener.

Two talkers come out of a model in no particular order, and of another model, or of the same one with another past, in
another. While a model that comes in listens along, every order is weighed by how much of the mixture's energy would
stay in its slot; only sources of one role may change places.
"""

import numpy as np

from streamsep.arrays import Array, Spectrum
from streamsep.realtime.contract import audio_thread


class Alignment:
    """The energy that each slot that is heard shares with each source of the model that comes in."""

    def __init__(self, slots: int, bins: int) -> None:
        self._power = np.zeros(bins)
        self._term = np.zeros(bins)
        self._weighted = np.zeros((slots, bins))
        self._newest = np.zeros((slots, slots))
        self.energy = np.zeros((slots, slots))  # [slot, source]

    @audio_thread
    def restart(self) -> None:
        """Nothing was heard yet."""
        self.energy.fill(0)

    @audio_thread
    def hear(self, old: Array, new: Array, spectrum: Spectrum) -> None:
        """A hop: masks (slots, bins) as they are heard and as they come, of a spectrum (channels, bins)."""
        power, term = self._power, self._term
        power.fill(0)
        for channel in range(len(spectrum)):
            np.multiply(spectrum[channel].real, spectrum[channel].real, out=term)
            np.add(power, term, out=power)
            np.multiply(spectrum[channel].imag, spectrum[channel].imag, out=term)
            np.add(power, term, out=power)
        for slot in range(len(old)):
            np.multiply(old[slot], power, out=self._weighted[slot])
        np.dot(self._weighted, new.T, out=self._newest)
        np.add(self.energy, self._newest, out=self.energy)

    @audio_thread
    def order(self, pairs: tuple[tuple[int, int], ...], order: list[int]) -> None:
        """Change `order`, the source of each slot, as long as that keeps more energy in its slot.

        pairs: slots that may change places, of one role. Of two sources of a role the better order is found; of more
        one that no exchange of two makes better. What keeps as much stays as it is: so it does in silence."""
        energy = self.energy.tolist()
        for _ in range(len(order)):
            for one, other in pairs:
                first, second = order[one], order[other]
                kept = energy[one][first] + energy[other][second]
                if energy[one][second] + energy[other][first] > kept:
                    order[one], order[other] = second, first
