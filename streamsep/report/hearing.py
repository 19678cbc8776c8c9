"""What listeners with a hearing loss would have of it: speech from the front, noise from the side, in a room, to both
ears, through streamsep and a hearing aid's amplification; by HASPI and HASQI. Optional: needs the extra "hearing"."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.assembly import build_inline
from streamsep.config import load_settings
from streamsep.evaluation.intervals import clustered_mean
from streamsep.evaluation.lists import RATE
from streamsep.evaluation.references import analyse, ideal_ratio, synthesise
from streamsep.models.subject import hear
from streamsep.report.ablations import spread
from streamsep.report.binaural import Ears, open_room
from streamsep.report.cells import with_interval
from streamsep.report.extras import package
from streamsep.report.hearing_measures import AUDIOGRAMS, SPEECH_DB_SPL, heard_by
from streamsep.report.rendering import opened
from streamsep.report.study import Cell, Job, Lists, Row, Section, Table

SCENES = 6  # a listener's model takes seconds for every sound
AZIMUTHS = (30.0, -60.0, 90.0, -30.0)  # of the noise, degrees; the speech is in front
SPEECH = "speech"  # the role of a slot
CONFIGS = {"streamsep, 8 ms": "default", "streamsep without a window": "hearing-aid"}
UNTOUCHED, IDEAL = "the mixture itself", "ideal ratio masks"


@dataclass(frozen=True)
class HearingAid:
    """A job is a scene."""

    name: str = "hearing"
    needs: tuple[str, ...] = ()

    def jobs(self, lists: Lists) -> list[Job]:
        """(domain, number), of the domains in which there is speech among something else. Raises ConfigError when
        pyclarity is missing."""
        package("clarity.evaluator.haspi", "hearing")
        jobs: list[Job] = []
        for domain, roles in opened(lists).roles.items():
            if SPEECH in roles:
                open_room(lists.folder)
                jobs += [(domain, number) for number in spread(lists.count(domain), SCENES)]
        return jobs

    def run(self, lists: Lists, job: Job) -> list[Row]:
        """A row for every listener and system."""
        domain, number = str(job[0]), int(job[1])
        mixture, room, roles = lists.mixture(domain, number), open_room(lists.folder), opened(lists).roles[domain]
        azimuth = AZIMUTHS[number % len(AZIMUTHS)]
        ears = np.stack(
            [
                room.put(source, 0.0 if role == SPEECH else azimuth)
                for source, role in zip(mixture.sources, roles, strict=True)
            ]
        )
        speech = ears[roles.index(SPEECH)]
        systems = {UNTOUCHED: ears.sum(axis=0)}
        for system, config in CONFIGS.items():
            systems[system], gains_db = through(lists, config, domain, ears.sum(axis=0))
        systems[IDEAL] = ideally(lists, ears, [gains_db.get(role, 0.0) for role in roles])
        return [
            {
                "mixture": mixture.name,
                "domain": domain,
                "clips": list(mixture.clips),
                "azimuth": azimuth,
                "listener": listener,
                "system": system,
                **asdict(heard_by(levels_db, speech, sound)),
            }
            for listener, levels_db in AUDIOGRAMS.items()
            for system, sound in systems.items()
        ]

    def section(self, rows: list[Row], others: Mapping[str, list[Row]]) -> Section:
        """A table a measure."""
        return hearing_section(rows)


def through(lists: Lists, config: str, domain: str, sound: Ears) -> tuple[Ears, Mapping[str, float]]:
    """What the engine makes of both ears with this configuration, its latency taken out; and its gains."""
    own = {"domain": domain, "models": {"bank": lists.bank, "precision": lists.precision}}
    settings = load_settings(config, own)
    engine, _, _ = build_inline(settings, RATE, 2)
    late = engine.latency.samples
    heard, _ = hear(engine, np.pad(sound, ((0, late), (0, 0))).astype(np.float32))
    return heard[late:].astype(np.float64), settings.gains_db


def ideally(lists: Lists, ears: NDArray[np.float64], gains_db: list[float]) -> Ears:
    """(sources, samples, 2): through masks that know the sources, ear by ear, with the same gains."""
    front = opened(lists).front_end
    gains = 10 ** (np.array(gains_db)[:, None, None] / 20)
    heard = []
    for ear in range(2):
        spectra = analyse(front, ears[..., ear])
        masks = (gains * ideal_ratio(spectra)).sum(axis=0)
        heard.append(synthesise(front, masks * spectra.sum(axis=0), ears.shape[1]))
    return np.stack(heard, axis=1)


def hearing_section(rows: list[Row]) -> Section:
    """Means over the scenes."""
    listeners, systems = (list(dict.fromkeys(row[name] for row in rows)) for name in ("listener", "system"))
    table: list[tuple[Cell, ...]] = []
    numbers = {}
    for system in systems:
        cells = []
        for listener in listeners:
            some = [row for row in rows if (row["system"], row["listener"]) == (system, listener)]
            for measure in ("haspi", "hasqi"):
                found = clustered_mean([row[measure] for row in some], [row["clips"] for row in some])
                numbers[f"{system}.{listener}.{measure}"] = asdict(found)
                cells.append(with_interval(found))
        table.append((system, *cells))
    columns = "", *(f"{measure}, {listener}" for listener in listeners for measure in ("HASPI", "HASQI"))
    scenes = len({row["mixture"] for row in rows})
    text = [
        f"{scenes} test mixtures as binaural scenes: speech in front, noise at 30, 60 or 90 degrees to a side, by "
        "the responses of a room (UniS room A, RT60 0.32 s) to both ears of a dummy head. Both ears go through the "
        "engine as it is heard, noise turned down, not out; then a listener's NAL-R amplification, and pyclarity's "
        f"HASPI (intelligibility) and HASQI (quality), the better ear, speech at {SPEECH_DB_SPL:g} dB SPL. The "
        "reference is the speech in the room: what the room does to it is not counted. Ideal ratio masks, with the "
        "same gains, are the bound."
    ]
    return Section("Listeners with a hearing loss", text, [Table("Better ear", columns, table)], numbers=numbers)
