"""Two ears in a room: sources of a mixture put to places, by measured impulse responses."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.errors import AudioError
from streamsep.evaluation.lists import RATE

ROOM = Path("rir/IoSR-BRIR/UniS_Room_A_BRIR_16k.npz")  # in the folder of the lists; RT60 0.32 s (Hummersone 2010)

Ears = NDArray[np.float64]  # (samples, 2): left, right


@dataclass(frozen=True)
class Room:
    """Impulse responses to both ears of a dummy head, from places on a circle about it."""

    azimuths: NDArray[np.float64]  # (places,), degrees
    responses: NDArray[np.float64]  # (places, 2, taps)

    def put(self, sound: NDArray[np.floating], azimuth: float) -> Ears:
        """(samples,) -> what both ears hear of it from the place nearest to this azimuth; as long, the rest cut."""
        apart = np.abs((self.azimuths - azimuth + 180) % 360 - 180)
        response = self.responses[apart.argmin()]
        size = len(sound) + response.shape[1] - 1
        spectra = np.fft.rfft(sound, size)[:, None] * np.fft.rfft(response, size).T
        ears: Ears = np.fft.irfft(spectra, size, axis=0)[: len(sound)]
        return ears


def open_room(lists: Path) -> Room:
    """The room beside these lists. Raises AudioError when there is none, or it does not make sense."""
    path = lists / ROOM
    if not path.is_file():
        raise AudioError(f"{path}: no such file; binaural scenes need it: an .npz with ir, sr and positions")
    with np.load(path) as kept:
        if missing := {"ir", "sr", "positions"} - set(kept):
            raise AudioError(f"{path}: expected ir, sr and positions, lacks {', '.join(sorted(missing))}")
        rate, responses, positions = int(kept["sr"]), kept["ir"].astype(np.float64), kept["positions"]
    if rate != RATE or responses.ndim != 3 or responses.shape[1] != 2 or len(positions) != len(responses):
        raise AudioError(
            f"{path}: expected ir of shape (places, 2, taps) at {RATE} Hz and as many positions, got "
            f"{responses.shape} at {rate} Hz and {len(positions)}"
        )
    return Room(positions[:, 0].astype(np.float64), responses)
