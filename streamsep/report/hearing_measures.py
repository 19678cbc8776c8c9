"""HASPI and HASQI, by pyclarity: how much of speech a listener with this audiogram understands, and how good it is.

Sounds are amplified for the listener by NAL-R first, as a hearing aid would (Byrne & Dillon 1986). The reference is
neither amplified nor mixed. Of two ears the better counts. pyclarity draws noise from NumPy's shared generator; it is
seeded here, and left as it was.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.errors import AudioError
from streamsep.evaluation.lists import RATE
from streamsep.evaluation.metrics import same_random_numbers
from streamsep.report.extras import package

FREQUENCIES_HZ = (250, 500, 1000, 2000, 4000, 6000)
AUDIOGRAMS = {  # dB HL: standard audiograms of Bisgaard, Vlaming & Dahlquist 2010
    "N2, mild": (20, 20, 25, 35, 45, 50),
    "N4, moderate to severe": (55, 55, 55, 65, 75, 80),
}
SPEECH_DB_SPL = 65.0  # of the reference, mean of both ears
TAPS = 140  # of the NAL-R filter

Ears = NDArray[np.floating]  # (samples, 2)


@dataclass(frozen=True)
class Hearing:
    """Of the better ear."""

    haspi: float  # [0, 1]: intelligibility (Kates & Arehart 2021, version 2)
    hasqi: float  # [0, 1]: quality (Kates & Arehart 2014, version 2)


def heard_by(levels_db: tuple[float, ...], reference: Ears, sound: Ears) -> Hearing:
    """What a listener with this loss in both ears, at FREQUENCIES_HZ, makes of a sound.

    reference: the speech alone, aligned. Raises AudioError when it is silent, ConfigError without pyclarity."""
    haspi = package("clarity.evaluator.haspi", "hearing").haspi_v2
    hasqi = package("clarity.evaluator.hasqi", "hearing").hasqi_v2
    audiogram = package("clarity.utils.audiogram", "hearing").Audiogram(np.array(levels_db), np.array(FREQUENCIES_HZ))
    aid = package("clarity.enhancer.nalr", "hearing").NALR(TAPS, RATE)
    rms = float(np.sqrt(np.mean(np.square(reference, dtype=np.float64))))
    if not rms:
        raise AudioError("the speech that a listener should understand is silent")
    gain, _ = aid.build(audiogram)
    found = []
    for ear in range(2):
        wanted = np.asarray(reference[:, ear], np.float64) / rms
        amplified = np.convolve(sound[:, ear] / rms, gain)[TAPS // 2 :][: len(wanted)]
        with same_random_numbers():
            understood, _ = haspi(wanted, RATE, amplified, RATE, audiogram, SPEECH_DB_SPL)
        with same_random_numbers():
            quality, *_ = hasqi(wanted, RATE, amplified, RATE, audiogram, 1, SPEECH_DB_SPL)
        found.append((float(understood), float(quality)))
    return Hearing(*(max(ears) for ears in zip(*found, strict=True)))
