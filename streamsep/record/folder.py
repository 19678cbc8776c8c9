"""What is in the folder of a recording, and how it is read.

session.json     what it was made with, and at the end how long it is and what is missing
input.wav        what came in, 32-bit float, at the device's rate
output.wav       what was heard, at the same samples: late by the engine's latency
events.jsonl     what happened, a line each; `sample`: from which one on, counted from the first
decisions.jsonl  the monitor's looks, as `streamsep separate` writes them
states.f32       the states in which models came in: 32-bit floats, little-endian; the events say where

Whatever ended the recording, all of them can be read: a line or a number that is not whole is no part of it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Block
from streamsep.audio import files
from streamsep.config import Settings, load_settings
from streamsep.errors import AudioError, ConfigError, ModelError
from streamsep.models.bank import Bank
from streamsep.realtime.engine import Engine
from streamsep.realtime.hand_over import DRY
from streamsep.realtime.journal import BYPASS, FALL, FAULT, GAIN, HAND_OVER, RELIEF, RESET, RISE, Entry

FORMAT = 1
SESSION, INPUT, OUTPUT = "session.json", "input.wav", "output.wav"
EVENTS, DECISIONS, STATES = "events.jsonl", "decisions.jsonl", "states.f32"
FILES = SESSION, INPUT, OUTPUT, EVENTS, DECISIONS, STATES
NEEDED = "settings", "rate", "channels", "domain", "slots", "models", "dropped"  # of session.json, to hear it again
NAMES = {  # of what is in the journal
    GAIN: "gain", BYPASS: "bypass", HAND_OVER: "hand-over", RELIEF: "relief", RESET: "reset", RISE: "fade-in",
    FALL: "fade-out", FAULT: "fault",
}  # fmt: skip
INDICES = {BYPASS: "on", RELIEF: "level", FAULT: "samples"}  # what an entry's index is, of no domain
KINDS = {name: kind for kind, name in NAMES.items()}

Slots = Mapping[str, Sequence[str]]  # names of every domain's slots, in the bank's order


def facts(
    settings: Settings, bank: Bank, engine: Engine, first: str | None, devices: Mapping[str, Any]
) -> dict[str, Any]:
    """What session.json says from the beginning: enough to make the same engine again, and to know that it is.

    first: the domain to begin with; None: the one that is set. devices: whatever is known of them."""
    told = settings.model_dump()
    if settings.models.bank != "zoo":
        told["models"]["bank"] = str(Path(settings.models.bank).resolve())
    return {
        "format": FORMAT,
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "rate": engine.rate,
        "channels": engine.channels,
        "domain": first or settings.domain,
        "settings": told,
        "models": models_of(bank),
        "slots": {domain: list(names) for domain, names in engine.slots.items()},
        "latency": {"samples": engine.latency.samples, "terms": dict(engine.latency.terms)},
        "devices": dict(devices),
        "versions": {package: version(package) for package in ("numpy", "onnxruntime")},
        "seconds": None,
        "dropped": None,
        "lost_events": None,
        "ended": None,
    }


def models_of(bank: Bank) -> dict[str, dict[str, str]]:
    """What tells a model from another, by domain."""
    return {
        domain: {
            "file": model.path.name,
            "version": model.manifest.version,
            "sha256": hashlib.sha256(model.path.read_bytes()).hexdigest(),
        }
        for domain, model in bank.models.items()
    }


def event_of(entry: Entry, slots: Slots, state_at: int) -> dict[str, Any]:
    """A line of events.jsonl. state_at: how many numbers are in states.f32 before the entry's own."""
    domains = list(slots)
    event: dict[str, Any] = {"sample": entry.sample, "event": NAMES[entry.kind]}
    if entry.kind == GAIN:
        domain = domains[entry.index]
        event |= {"domain": domain, "source": slots[domain][entry.slot], "db": entry.value}
    elif entry.kind == BYPASS:
        event["on"] = bool(entry.index)
    elif entry.kind in INDICES:
        event[INDICES[entry.kind]] = entry.index
    elif entry.kind == HAND_OVER:
        event["domain"] = None if entry.index == DRY else domains[entry.index]
        if entry.state is not None:
            event |= {"behind": entry.slot, "state": [state_at, entry.state.size]}
    return event


def entry_of(event: Mapping[str, Any], slots: Slots, states: NDArray[np.float32]) -> Entry | None:
    """The same, the other way round; None for what is not of the journal."""
    kind, sample = KINDS.get(event["event"]), event["sample"]
    if kind is None:
        return None
    domains = list(slots)
    if kind == GAIN:
        domain = event["domain"]
        return Entry(sample, kind, domains.index(domain), list(slots[domain]).index(event["source"]), event["db"])
    if kind == HAND_OVER:
        index = DRY if event["domain"] is None else domains.index(event["domain"])
        if "state" not in event:
            return Entry(sample, kind, index)
        at, size = event["state"]
        if at + size > len(states):
            raise ValueError(f"its state is not in {STATES}, which has {len(states)} numbers")
        return Entry(sample, kind, index, event["behind"], state=states[at : at + size])
    return Entry(sample, kind, int(event[INDICES[kind]]) if kind in INDICES else 0)


@dataclass(frozen=True)
class Recorded:
    """A recording that was read."""

    folder: Path
    facts: Mapping[str, Any]  # session.json
    settings: Settings
    input: Block  # (samples, channels)
    output: Block  # the same
    entries: Sequence[Entry]  # of the journal, in the order of their samples
    decisions: Sequence[Mapping[str, Any]]

    def check(self, bank: Bank) -> None:
        """Raises ModelError unless these are the models it was made with."""
        models = models_of(bank)
        for domain, wanted in self.facts["models"].items():
            if (found := models.get(domain)) != wanted:
                raise ModelError(
                    f"{self.folder / SESSION}: models.{domain}: recorded with {told(wanted)}, this bank has "
                    f"{'none' if found is None else told(found)}; another model would not do the same"
                )


def told(model: Mapping[str, str]) -> str:
    """A model, for a person."""
    return f"{model['file']} {model['version']} ({model['sha256'][:8]})"


def is_recording(folder: Path) -> bool:
    """Whether there is a recording in this folder."""
    return (folder / SESSION).is_file()


def read(folder: Path) -> Recorded:
    """The recording in this folder. Raises AudioError or ConfigError, which name the file, when it is none, damaged,
    or of another time."""
    path = folder / SESSION
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        known = said["format"] == FORMAT
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise AudioError(f"{path}: not what `streamsep live --record` writes: {error}") from None
    if not known:
        raise AudioError(f"{path}: format: expected {FORMAT}, got {said['format']!r}: of another streamsep")
    if missing := [key for key in NEEDED if key not in said]:
        raise AudioError(f"{path}: not what `streamsep live --record` writes: {missing} are missing")
    try:
        settings = load_settings(said["settings"])
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    sounds = []
    for name in (INPUT, OUTPUT):
        samples, rate = files.read(folder / name, finite=False)
        if (rate, samples.shape[1]) != (said["rate"], said["channels"]):
            raise AudioError(f"{folder / name}: expected {said['channels']} channels at {said['rate']} Hz")
        sounds.append(samples)
    length = min(map(len, sounds))
    if said.get("seconds") is not None and length < (wanted := round(said["seconds"] * said["rate"])):
        short = INPUT if len(sounds[0]) == length else OUTPUT
        raise AudioError(f"{folder / short}: cut short: it has {length} of {wanted} samples that {SESSION} tells of")
    try:
        states = np.fromfile(folder / STATES, "<f4")
    except OSError as error:
        raise AudioError(f"{folder / STATES}: cannot be read: {error.strerror}") from None
    entries = []
    for number, event in enumerate(lines_of(folder / EVENTS), 1):
        try:
            entries.append(entry_of(event, said["slots"], states))
        except (KeyError, TypeError, ValueError) as error:
            raise AudioError(f"{folder / EVENTS}: line {number}: not an event of this session: {error!r}") from None
    return Recorded(
        folder,
        said,
        settings,
        sounds[0][:length],
        sounds[1][:length],
        sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.sample),
        lines_of(folder / DECISIONS),
    )


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Every whole line of a file of JSON; none where there is no file. Raises AudioError for another one."""
    try:
        *whole, _ = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AudioError(f"{path}: cannot be read: {error.strerror}") from None
    found = []
    for number, line in enumerate(whole, 1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            raise AudioError(f"{path}: line {number}: not JSON: {error}") from None
        if not isinstance(found[-1], dict):
            raise AudioError(f"{path}: line {number}: expected an object, got {line.decode(errors='replace')}")
    return found
