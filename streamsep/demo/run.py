"""Hear it in a minute: the bundled scene goes through the engine in one pass, as it would live, and is measured."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from streamsep import whole_files
from streamsep.arrays import Block
from streamsep.audio import files
from streamsep.evaluation.figures import Row, Stretch, draw_scene
from streamsep.evaluation.metrics import si_sdr_db
from streamsep.realtime.engine import Engine
from streamsep.realtime.ledger import Ledger

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Segment:
    """A part of the scene that is of one domain."""

    start: int  # samples
    stop: int
    domain: str
    sources: tuple[str, str]  # what is in slot 0 and slot 1


@dataclass(frozen=True)
class Scene:
    """The true sources; the mixture is their sum."""

    rate: int
    sources: Block  # (2, samples)
    segments: tuple[Segment, ...]

    @property
    def mixture(self) -> Block:
        """(samples,)"""
        return np.asarray(self.sources.sum(axis=0))


@dataclass(frozen=True)
class Figure:
    """One source of one segment: how far it stands out of everything else, before and after, SI-SDR in dB."""

    segment: Segment
    source: str
    before_db: float
    after_db: float


@dataclass(frozen=True)
class Performance:
    """What came out, aligned with the scene: the latency is taken out."""

    listen: Block  # (samples,)
    sources: Block  # (2, samples)
    figures: tuple[Figure, ...]  # in the order of the segments and their slots
    latency: Ledger
    times_real_time: float


def bundled_scene(folder: Path = HERE) -> Scene:
    """The scene of `scene.flac` and `scene.yaml`, both made by make_scene.py."""
    samples, rate = files.read(folder / "scene.flac")
    table = yaml.safe_load((folder / "scene.yaml").read_text(encoding="utf-8"))
    segments = tuple(
        Segment(round(row["start_s"] * rate), round(row["stop_s"] * rate), row["domain"], tuple(row["sources"]))
        for row in table
    )
    return Scene(rate, samples.T, segments)


def perform(engine: Engine, scene: Scene) -> Performance:
    """The scene through the engine in one pass; where a segment ends, the domain of the next one is selected.

    So the next model listens along in the pause between the segments, and is faded in when its own begins.
    """
    sound = scene.mixture
    starts = [0, *(segment.stop for segment in scene.segments[:-1])]
    stops = [*starts[1:], len(sound)]
    heard: list[tuple[Block, Block]] = []
    began = time.perf_counter()
    for segment, start, stop in zip(scene.segments, starts, stops, strict=True):
        engine.select(segment.domain)
        listen, sources = engine.process(sound[start:stop], separate=True)
        heard.append((listen.copy(), sources.copy()))
    listen, sources = engine.flush(separate=True)
    seconds = time.perf_counter() - began
    late = engine.latency.samples
    listen = np.concatenate([*(part for part, _ in heard), listen])[late:]
    sources = np.concatenate([*(parts for _, parts in heard), sources], axis=1)[: len(scene.sources), late:]
    figures = measure(scene, sources)
    return Performance(listen, sources, figures, engine.latency, len(sound) / scene.rate / seconds)


def measure(scene: Scene, estimates: Block) -> tuple[Figure, ...]:
    """SI-SDR of every source of every segment, in the mixture and in its estimate; estimates: (2, samples)."""
    figures = []
    for segment in scene.segments:
        part = slice(segment.start, segment.stop)
        mixture = scene.mixture[part]
        for name, source, estimate in zip(segment.sources, scene.sources[:, part], estimates[:, part], strict=True):
            figures.append(Figure(segment, name, si_sdr_db(mixture, source), si_sdr_db(estimate, source)))
    return tuple(figures)


def write(folder: Path, scene: Scene, done: Performance) -> list[Path]:
    """Write the mixture, what is heard, and every source as long as its segment, into a folder that is there; float
    WAV, at the scene's rate. Raises AudioError when one cannot be written."""
    sounds = {"mixture": scene.mixture, "listen": done.listen}
    for segment in scene.segments:
        for name, estimate in zip(segment.sources, done.sources, strict=True):
            sounds[name] = estimate[segment.start : segment.stop]
    paths = [folder / f"{name}.wav" for name in sounds]
    for path, sound in zip(paths, sounds.values(), strict=True):
        files.write(path, sound, scene.rate)
    return paths


def draw(path: Path, scene: Scene, done: Performance, gains_db: Mapping[str, float]) -> None:
    """The picture of it all; gains_db: what the listener hears of each source. Needs matplotlib.

    Raises StreamsepError when it cannot be written."""
    mixed = [f"{segment.sources[0]} and {segment.sources[1]}, mixed" for segment in scene.segments]
    heard = [
        "heard: " + ", ".join(f"{name} at {signed(gains_db[name], 'g')} dB" for name in segment.sources)
        for segment in scene.segments
    ]
    rows = [Row("mixture", scene.mixture, mixed)]
    for slot, estimate in enumerate(done.sources):
        found = done.figures[slot :: len(done.sources)]
        rows.append(Row(f"source {slot + 1}", estimate, [caption(figure) for figure in found]))
    rows.append(Row("listen", done.listen, heard))
    stretches = [
        Stretch(segment.start / scene.rate, segment.stop / scene.rate, f"{segment.domain} model")
        for segment in scene.segments
    ]
    title = f"streamsep: separated while it happens, {done.latency.ms:g} ms behind the sound"
    with whole_files.whole(path) as picture:
        draw_scene(picture, rows, stretches, scene.rate, title)


def caption(figure: Figure) -> str:
    """What one source gained, in a line."""
    before, after = signed(figure.before_db, ".1f"), signed(figure.after_db, ".1f")
    return f"{figure.source}: SI-SDR {before} → {after} dB ({signed(figure.after_db - figure.before_db, '+.1f')})"


def signed(value: float, form: str) -> str:
    """A number with a minus sign instead of a hyphen, to be looked at."""
    return f"{value:{form}}".replace("-", "\N{MINUS SIGN}")


def summary(scene: Scene, done: Performance) -> list[dict[str, Any]]:
    """What was found in each segment, for programs; seconds and SI-SDR in dB."""
    return [
        {
            "domain": segment.domain,
            "start_s": segment.start / scene.rate,
            "stop_s": segment.stop / scene.rate,
            "si_sdr_db": {
                figure.source: {"before": round(figure.before_db, 2), "after": round(figure.after_db, 2)}
                for figure in done.figures
                if figure.segment is segment
            },
        }
        for segment in scene.segments
    ]
