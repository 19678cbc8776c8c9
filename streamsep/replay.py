"""A recorded session, heard again: the same engine, the same sound, and at the same samples what was done then."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from streamsep.assembly import make_engine, make_guard
from streamsep.errors import AudioError
from streamsep.models.bank import Bank, open_bank
from streamsep.monitor.evaluation import Evaluation
from streamsep.realtime.edges import Edges
from streamsep.realtime.engine import AUTO, Engine
from streamsep.realtime.hand_over import DRY
from streamsep.realtime.journal import FALL, FAULT, HAND_OVER, Entry, Journal
from streamsep.record.folder import DECISIONS, Recorded, read
from streamsep.recording import FILE_BLOCK, WATCHED_S, Progress, Separation, Take


@dataclass(frozen=True)
class Replay:
    """A session, and what it sounds like now; the latency is not taken out: everything is as late as it was."""

    recorded: Recorded
    separation: Separation
    differs_at: int | None  # the first sample that is not what was heard live; None: all are, to the bit
    difference: float  # the largest there is, full scale 1


def replay(folder: Path, progress: Progress = lambda share: None, disk: Path | None = None) -> Replay:
    """The session in this folder once more. progress, disk: as of `recording.separate`.

    Raises AudioError or ConfigError for what is no recording, and ModelError when the models are not those it was
    made with."""
    recorded = read(folder)
    bank = open_bank(**recorded.settings.models.model_dump())
    recorded.check(bank)
    decisions = looks(recorded)
    with engine_of(recorded, bank) as engine:
        take = Take(engine, bank, recorded.input, 0, disk)
        _play(take, recorded, progress)
        separation = take.separation(recorded.settings, decisions)
    differing = np.flatnonzero((take.listen != recorded.output).any(axis=1))
    if not len(differing):
        return Replay(recorded, separation, None, 0.0)
    return Replay(recorded, separation, int(differing[0]), float(np.abs(take.listen - recorded.output).max()))


def looks(recorded: Recorded) -> list[Evaluation]:
    """What the monitor saw. Raises AudioError, which names the file and the line, for what is no look."""
    found = []
    for number, line in enumerate(recorded.decisions, 1):
        try:
            found.append(Evaluation(**line))
        except TypeError:
            wanted, path = [field.name for field in fields(Evaluation)], recorded.folder / DECISIONS
            raise AudioError(f"{path}: line {number}: expected an object of {wanted}, got {list(line)}") from None
    return found


def engine_of(recorded: Recorded, bank: Bank) -> Engine:
    """The engine as it was before the first sample; no monitor chooses, for its choices are in the journal."""
    facts, domain = recorded.facts, recorded.facts["domain"]
    first = bank.domains[0] if domain == AUTO else domain
    engine = make_engine(recorded.settings, bank, facts["rate"], facts["channels"], None, first)
    if domain == AUTO:
        engine.repeat(Entry(0, HAND_OVER, DRY))
        engine.reset()
    return engine


def _play(take: Take, recorded: Recorded, progress: Progress) -> None:
    """From the first sample to the last, and every entry of the journal at its sample."""
    engine, count = take.engine, len(take.samples)
    step = round(WATCHED_S * engine.rate)
    edges = Edges(engine.rate, engine.channels, Journal())
    guard = make_guard(recorded.settings, engine.rate, engine.channels)
    progress(0.0)
    at = told = 0
    for entry in [*recorded.entries, None]:
        until = count if entry is None else min(entry.sample, count)
        while at < until:
            block = take.samples[at : min(at + step, until)]
            heard = take.listen[take.put(block, at)]
            if guard is not None:
                guard.process(heard)
            edges.process(heard)
            at += len(block)
            if at - told >= FILE_BLOCK or at == count:
                told = at
                progress(at / count)
        if entry is None or entry.sample >= count:
            continue
        if entry.kind == FALL:
            edges.stop()
        elif entry.kind == FAULT:  # neither engine nor guard heard it
            lost = take.listen[at : at + entry.index]
            edges.fail(lost)
            at += len(lost)
        else:
            engine.repeat(entry)
