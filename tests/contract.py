"""The harness of the laws: everything there is to be held to them, by name.

The laws themselves are `streamsep.models.laws`, which `streamsep check` runs on a stranger's model too."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from fakes import FRONT, Leaky, LeakySequence, PassThrough
from graphs import CENTRES, make_graph

from streamsep.models.bank import ZOO
from streamsep.models.clustered import open_clustered
from streamsep.models.laws import Verdict, judge, measures_of, subject_of
from streamsep.models.subject import Sequences, Subject
from streamsep.realtime.contract import Separator


def clustered() -> Separator:
    """Three talkers from live clusters, two hops late."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.onnx"
        make_graph(path, "look-back", sources=3 * ["talker"], centres=CENTRES, look_ahead=2)
        return open_clustered(path)[1]


FAKES = {
    "pass-through": Subject(PassThrough, FRONT),
    "leaky": Subject(Leaky, FRONT, LeakySequence()),
    "clustered": Subject(clustered, FRONT),
    "leaky, 4 ms": Subject(Leaky, FRONT, options={"synthesis_ms": 4}),
    "leaky, 2 ms": Subject(Leaky, FRONT, options={"synthesis_ms": 2}),
}
SHIPPED = {path.stem: path for path in sorted(ZOO.glob("*.onnx"))}
SUBJECTS = (*FAKES, *SHIPPED)


@cache
def subject(name: str) -> Subject | Sequences:
    """Something to hold to the laws, by its name in SUBJECTS."""
    return FAKES[name] if name in FAKES else subject_of(SHIPPED[name])


def laws_of(name: str) -> tuple[str, ...]:
    """The laws that concern it."""
    return tuple(measures_of(subject(name)))


def verdict(name: str, law: str) -> Verdict:
    """How this law is kept by that subject."""
    return judge(law, measures_of(subject(name))[law])


def steps() -> list[str]:
    """The shipped separators."""
    return [name for name in SHIPPED if "-step-" in name]


def spread(masks: np.ndarray) -> float:
    """(hops, sources, bins) -> by how much the mask of a bin wanders in time; a tenth of the bins wander more."""
    return float(np.quantile(masks.std(axis=0), 0.9))
