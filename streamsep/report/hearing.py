"""Does it help who hears badly? HASPI and HASQI (Kates & Arehart) of speech in noise in a room, before and after
streamsep, for two hearing losses. By pyclarity; only when asked for by name, for it is large and takes its time.
"""

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsep.assembly import load
from streamsep.errors import AudioError, ConfigError
from streamsep.evaluation.intervals import clustered_mean
from streamsep.evaluation.lists import RATE, Mixture
from streamsep.report.cells import with_interval
from streamsep.report.extras import package
from streamsep.report.study import Job, Lists, Row, Section, Table

SCENES = 6  # a minute and a half of one core each
ROOM = "rir/IoSR-BRIR/UniS_Room_A_BRIR_16k.npz"  # beside the lists: a dummy head in an office-sized room
TALKER_DEGREES, NOISE_DEGREES = 0.0, 60.0  # to the left of straight ahead
SPEECH_DB_SPL = 65.0  # of the speech alone, at the ear where it is louder
NALR_TAPS = 220
FREQUENCIES_HZ = (250, 500, 1000, 2000, 4000, 6000)
LOSSES_DB = {  # standard audiograms (Bisgaard, Vlaming & Dahlquist 2010), dB HL
    "mild (N2)": (20, 20, 25, 35, 45, 50),
    "moderate to severe (N4)": (55, 55, 55, 65, 75, 80),
}
MEASURES = ("haspi", "hasqi")
UNTOUCHED = "as it comes in"
CONFIGS = {"streamsep": "default", "without a window": "hearing-aid"}  # by what they are called in the table
HEARD = (UNTOUCHED, *CONFIGS)

Ears = NDArray[np.float64]  # (2, samples): left, right


@dataclass(frozen=True)
class Hearing:
    """Speech in noise, from the domain that has a slot for speech; a job is a scene."""

    name: str = "hearing"
    needs: tuple[str, ...] = ()

    def jobs(self, lists: Lists) -> list[Job]:
        """(domain, number). Raises ConfigError without pyclarity, AudioError without the room."""
        package("clarity", "hearing")
        if not (lists.folder / ROOM).is_file():
            raise AudioError(f"{lists.folder / ROOM}: no such file; hearing needs the responses of this room")
        models = lists.open_bank().models
        domains = [domain for domain, model in models.items() if model.manifest.sources[0] == "speech"]
        if not domains:
            raise ConfigError(
                f"hearing needs a model whose first source is called speech; this bank has {sorted(models)}"
            )
        return [(domains[0], number) for number in range(min(SCENES, lists.count(domains[0])))]

    def run(self, lists: Lists, job: Job) -> list[Row]:
        """The rows of one scene: hearing losses x what is heard x measures, each of the better ear."""
        domain, number = str(job[0]), int(job[1])
        mixture = lists.mixture(domain, number)
        speech, noise = scene(mixture, lists)
        heard = {UNTOUCHED: speech + noise}
        heard |= {how: through(config, lists, domain, speech + noise) for how, config in CONFIGS.items()}
        return [
            {
                "mixture": mixture.name, "clips": list(mixture.clips), "loss": loss, "heard": how, "measure": measure,
                "value": better_ear(measure, speech, sound, LOSSES_DB[loss], zlib.crc32(repr(job).encode())),
            }
            for loss in LOSSES_DB
            for how, sound in heard.items()
            for measure in MEASURES
        ]  # fmt: skip

    def section(self, rows: list[Row], others: Mapping[str, list[Row]]) -> Section:
        """A table."""
        table: list[tuple[str, ...]] = []
        numbers: dict[str, Any] = {}
        for loss in LOSSES_DB:
            for measure in MEASURES:
                some = [row for row in rows if (row["loss"], row["measure"]) == (loss, measure)]
                found = {how: [value_of(row) for row in some if row["heard"] == how] for how in HEARD}
                groups = [row["groups"] for row in some if row["heard"] == UNTOUCHED]
                for how in CONFIGS:
                    pairs = zip(found[UNTOUCHED], found[how], strict=True)
                    found[f"gain of {how}"] = [after - before for before, after in pairs]
                means = {how: clustered_mean(values, groups) for how, values in found.items()}
                table.append((f"{measure.upper()}, {loss}", *(with_interval(mean, 3) for mean in means.values())))
                numbers.setdefault(loss, {})[measure] = {how: asdict(mean) for how, mean in means.items()}
        text = (
            f"Speech from straight ahead and noise from {NOISE_DEGREES:g} degrees to the left, at the ears of a "
            f"dummy head in a room, the speech at {SPEECH_DB_SPL:g} dB SPL, "
            f"{len({row['mixture'] for row in rows})} scenes; both sounds amplified as NAL-R prescribes. HASPI is "
            "how much is understood, HASQI how good it sounds, 0 to 1, at the better ear, against the speech "
            "alone as it arrives there. Streamsep has its default gains; without a window is --config hearing-aid."
        )
        return Section("For who hears badly", [text], [Table("", ("", *means), list(table))], [], numbers)


def value_of(row: Row) -> float:
    """Of a row; nan where there is none."""
    return float("nan") if row["value"] is None else row["value"]


def scene(mixture: Mixture, lists: Lists) -> tuple[Ears, Ears]:
    """The first source from straight ahead, the others from the side, as they reach the ears; the first as loud as
    SPEECH_DB_SPL where it is louder, 1 being 65 dB SPL."""
    room = np.load(lists.folder / ROOM)
    speech = at_the_ears(mixture.sources[0], room["ir"], room["positions"][:, 0], TALKER_DEGREES)
    noise = at_the_ears(mixture.sources[1:].sum(axis=0), room["ir"], room["positions"][:, 0], NOISE_DEGREES)
    loudest = np.sqrt(np.square(speech).mean(axis=1)).max()
    scale = 10 ** ((SPEECH_DB_SPL - 65.0) / 20) / loudest
    return scale * speech, scale * noise


def at_the_ears(
    sound: NDArray[np.float32], responses: NDArray[np.float32], azimuths: NDArray[np.float64], degrees: float
) -> Ears:
    """(samples,) from there -> (2, samples). responses: (directions, 2, taps); azimuths: of them, in degrees."""
    direction = int(np.argmin(np.abs((azimuths - degrees + 180) % 360 - 180)))
    length = len(sound) + responses.shape[-1] - 1
    spectrum = np.fft.rfft(sound, length) * np.fft.rfft(responses[direction], length)
    ears: Ears = np.fft.irfft(spectrum, length)[:, : len(sound)]
    return ears


def through(config: str, lists: Lists, domain: str, sound: Ears) -> Ears:
    """What is heard with this configuration, both ears with the same mask; aligned with the sound but for the delay
    of a filter, which the measures take out themselves."""
    peak = 4 * np.abs(sound).max()  # far below the limiter
    models = {"bank": lists.bank, "precision": lists.precision}
    with load(config, domain, rate=RATE, channels=2, models=models) as engine:
        late = engine.latency.samples
        heard = engine.process(np.pad(sound / peak, ((0, 0), (0, late))).T.copy())
        aligned: Ears = heard.T[:, late:].astype(np.float64) * peak
        return aligned


def better_ear(measure: str, speech: Ears, sound: Ears, loss_db: tuple[int, ...], seed: int) -> float:
    """HASPI or HASQI against the speech alone, [0, 1]; the sound is amplified for this loss."""
    audiogram = package("clarity.utils.audiogram", "hearing").Audiogram(np.array(loss_db), np.array(FREQUENCIES_HZ))
    amplifier, _ = package("clarity.enhancer.nalr", "hearing").NALR(NALR_TAPS, RATE).build(audiogram)
    function = getattr(package(f"clarity.evaluator.{measure}", "hearing"), f"{measure}_v2")
    values = []
    for wanted, heard in zip(speech, sound, strict=True):
        amplified = np.convolve(heard, amplifier)[NALR_TAPS // 2 :][: len(heard)]
        np.random.seed(seed)  # noqa: NPY002  pyclarity adds noise from there
        values.append(float(function(wanted, RATE, amplified, RATE, audiogram)[0]))
    return max(values)
