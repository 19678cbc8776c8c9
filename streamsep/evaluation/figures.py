"""One picture of a separated scene: what went in, what was found and what is heard, on one time axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Block

MOST_FRAMES = 4000  # of a picture: more than a screen has columns
WINDOW = 1024  # samples; long enough to draw the partials of a voice as lines
HOP = 256
RANGE_DB = 70.0  # what is quieter than the mixture's loudest bin by more is black
PITCHES = 240  # rows of a picture
TICKS_HZ = (100, 500, 1000, 2000, 4000, 8000)


@dataclass(frozen=True)
class Row:
    """A sound as long as the scene, with its name and a caption for every segment."""

    name: str
    samples: Block  # (samples,)
    captions: Sequence[str]


@dataclass(frozen=True)
class Stretch:
    """A segment of the time axis, in seconds, and what it is called."""

    start_s: float
    stop_s: float
    label: str


def draw_scene(path: Path, rows: Sequence[Row], stretches: Sequence[Stretch], rate: int, title: str) -> None:
    """Write a PNG 1400 pixels wide: a spectrogram a row, on one colour scale; 0 dB is the loudest bin of the first.

    Needs matplotlib (the extra "figures")."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # no pyplot: no display is touched and no global state is left

    pictures = [mel_picture(row.samples, rate) for row in rows]
    loudest = float(pictures[0].max())
    seconds = len(rows[0].samples) / rate
    figure = Figure(figsize=(14, 1.5 + 2.15 * len(rows)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=15, fontweight="bold", x=0.012, ha="left")
    panels = np.atleast_1d(figure.subplots(len(rows), 1, sharex=True))
    for row, picture, panel in zip(rows, pictures, panels, strict=True):
        image = panel.imshow(
            picture - loudest,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, PITCHES),
            vmin=-RANGE_DB,
            vmax=0,
            cmap="magma",
            interpolation="bilinear",
        )
        panel.set_ylabel(row.name, fontsize=13, fontweight="bold")
        panel.set_yticks(*pitch_ticks(rate), fontsize=9)
        for stretch, caption in zip(stretches, row.captions, strict=True):
            panel.text(stretch.start_s, PITCHES * 1.03, caption, fontsize=12, ha="left", va="bottom")
            for edge_s in (stretch.start_s, stretch.stop_s):
                if 0 < edge_s < seconds:
                    panel.axvline(edge_s, color="white", linewidth=1, linestyle=(0, (4, 3)))
    for stretch in stretches:
        panels[0].annotate(
            stretch.label,
            (stretch.start_s, PITCHES),
            xytext=(0, 26),
            textcoords="offset points",
            fontsize=13,
            fontweight="bold",
            color="#8c2981",
        )
    panels[-1].set_xlabel("seconds", fontsize=12)
    scale = figure.colorbar(image, ax=list(panels), pad=0.01, fraction=0.02, aspect=60)
    scale.set_label("dB, 0: the loudest of the mixture", fontsize=12)
    figure.savefig(path)


def mel_picture(samples: Block, rate: int) -> NDArray[np.float64]:
    """(samples,) or (samples, channels) -> (PITCHES, frames): level in dB of the channels' mean, rows evenly
    spaced in mel from 0 Hz to half the rate.

    A frame begins every HOP samples; of hours only every so manieth does, so that there are never 2 * MOST_FRAMES."""
    middles = range(0, len(samples) + 1, HOP)
    middles = middles[:: max(1, len(middles) // MOST_FRAMES)]
    mels = (np.arange(PITCHES) + 0.5) / PITCHES * _mel(rate / 2)
    rows = 700 * np.expm1(mels / 1127) * WINDOW / rate
    below = np.minimum(rows.astype(int), WINDOW // 2 - 1)
    share = rows - below
    picture = np.empty((PITCHES, len(middles)))
    for column, middle in enumerate(middles):
        first = middle - WINDOW // 2
        piece, at = samples[max(0, first) : first + WINDOW], max(0, -first)
        frame = np.zeros(WINDOW)
        frame[at : at + len(piece)] = piece if piece.ndim == 1 else piece.mean(axis=1)
        power = np.abs(np.fft.rfft(frame * np.hanning(WINDOW))) ** 2
        picture[:, column] = power[below] * (1 - share) + power[below + 1] * share
    return 10 * np.log10(picture + 1e-12)


def pitch_ticks(rate: int) -> tuple[NDArray[np.float64], list[str]]:
    """Rows of a mel picture, and what they are called."""
    ticks = [hz for hz in TICKS_HZ if hz <= rate / 2]
    return PITCHES * _mel(ticks) / _mel(rate / 2), [f"{hz / 1000:g} kHz" for hz in ticks]


def _mel(hz: float | Sequence[float]) -> NDArray[np.float64]:
    """The pitch of a frequency in mel (O'Shaughnessy 1987)."""
    return 1127 * np.log1p(np.asarray(hz) / 700)
