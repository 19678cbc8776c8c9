"""Quality against latency: python -m export.latency --data DATA -o latency.png [--limit 40] [--draw]

A row for every way from masks to sound: the windows and the minimum-phase filters, at 16 and at 48 kHz, heard through
the whole engine on the first test mixtures of a domain. SI-SDR asks for the phase of the source and SI-SDR after the
best single delay forgives a shift; ESTOI and PESQ hardly hear the phase. Writes the picture and, beside it, the
numbers as CSV; --draw draws the numbers that are there. Needs the extras "figures", "evaluation" and "train".
"""

import argparse
import csv
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure  # no pyplot: no display is touched and no global state is left
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import resample_poly

import streamsep
from streamsep.errors import StreamsepError
from streamsep.evaluation.lists import RATE, Mixture, mixtures
from streamsep.evaluation.metrics import best_order, pesq, si_sdr_db, si_sdr_improvement_db, stoi
from streamsep.evaluation.quality import SPEECH
from streamsep.realtime.engine import Engine
from streamsep.realtime.masking import role_of
from streamsep.realtime.min_phase_path import MinPhasePath
from streamsep.whole_files import whole

Sound = NDArray[np.floating]

RATES = (16_000, 48_000)
SETTINGS: tuple[dict[str, Any], ...] = (
    *({"path": "window", "synthesis_ms": ms} for ms in (8, 4, 2)),
    *({"path": "minimum-phase", "taps": taps} for taps in (64, 128, 256)),
)
FRAME_S = 0.032  # of sound, by which a filter's delay is weighted
DELAYS = range(-8, 41)  # samples at RATE: what "after the best single delay" may be
TIMED_HOPS = 1500
MEASURES = {"si_sdri_db": "SI-SDRi in dB", "estoi": "ESTOI"}
COLOURS = {"window": "#2a788e", "minimum-phase": "#de4968"}


@dataclass(frozen=True)
class Row:
    """One way from masks to sound, in one domain at one rate; figures are means over the mixtures and their slots."""

    domain: str
    rate: int
    path: str
    length: str  # of the window or of the filter, as it is set
    mixtures: int
    ledger_ms: float
    delay_ms: float  # group delay, weighted by the energy of what comes out: of the sources' filters, mean
    delay_p95_ms: float  # and the delay that 95 % of that energy do not exceed
    heard_ms: float  # the same of the filter of what is heard, at the usual gains
    heard_p95_ms: float
    si_sdri_db: float  # against the sources as they are
    si_sdri_delayed_db: float  # against each source, later by the one delay that suits best
    estoi: float  # of the sources that are speech
    pesq: float
    step_us: float  # for 4 ms of sound, in blocks of 4 ms: median, one after the other


def delays(taps: NDArray[np.float64], frame: Sound) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(rows, taps), (samples,) -> group delay in samples and energy of what comes out, (rows, bins) each."""
    size = len(frame)
    spectrum = np.fft.rfft(taps, size)
    power = np.square(np.abs(spectrum))
    ramped = np.fft.rfft(taps * np.arange(taps.shape[1]), size)
    late = (ramped * spectrum.conj()).real / np.maximum(power, 1e-20)
    return late, power * np.square(np.abs(np.fft.rfft(frame * np.hanning(size))))


class Spread:
    """Group delays, weighted by energy, of any number of hops: only their histogram is kept."""

    def __init__(self) -> None:
        self._edges = np.arange(-512, 513 * 16) / 16  # samples
        self._energy = np.zeros(len(self._edges) - 1)
        self._sum = 0.0

    def add(self, late: NDArray[np.float64], energy: NDArray[np.float64]) -> None:
        """(...,) each."""
        inside = np.clip(late, self._edges[0], self._edges[-1])
        self._energy += np.histogram(inside, self._edges, weights=energy)[0]
        self._sum += float(np.sum(inside * energy))

    def mean_and_p95(self) -> tuple[float, float]:
        """In samples, the second to a sixteenth; 0 when nothing was added."""
        reached = np.cumsum(self._energy)
        if not reached[-1]:
            return 0.0, 0.0
        return self._sum / float(reached[-1]), float(self._edges[1 + np.searchsorted(reached, 0.95 * reached[-1])])


class Run:
    """One setting, at one rate, on one mixture after the other."""

    def __init__(self, domain: str, rate: int, setting: dict[str, Any]) -> None:
        self.engine = streamsep.load(domain=domain, rate=rate, latency=setting)
        self._up = rate // RATE
        self._late = {"heard": Spread(), "sources": Spread()}

    def separate(self, mixture: Sound) -> Sound:
        """(samples,) at RATE -> (slots, samples), the ledger's latency taken out."""
        engine, path = self.engine, self.engine._path
        engine.reset()
        sound = resample_poly(mixture, self._up, 1).astype(np.float32) if self._up > 1 else mixture
        hop, late = engine.front_end.hop * self._up, engine.latency.samples
        size = round(FRAME_S * engine.rate)
        frames = sliding_window_view(np.pad(sound, (size, size)), size)
        padded = np.pad(sound, (0, late + hop))
        pieces = []
        for at in range(0, len(sound) + late, hop):
            pieces.append(engine.process(padded[at : at + hop], separate=True)[1].copy())
            if isinstance(path, MinPhasePath) and at < len(sound):  # the filters for the next hop, and that hop
                frame = frames[at + hop + hop // 2 + size // 2]
                self._late["heard"].add(*delays(path.filter.taps, frame))
                self._late["sources"].add(*delays(path.source_filter.taps, frame))
        heard = np.concatenate(pieces, axis=1)[:, late : late + len(sound)]
        return resample_poly(heard, 1, self._up, axis=1) if self._up > 1 else heard

    def delays_ms(self, of: str) -> tuple[float, float]:
        """Mean and 95th percentile over all that was separated; none where nothing is filtered."""
        mean, p95 = self._late[of].mean_and_p95()
        return 1000 * mean / self.engine.rate, 1000 * p95 / self.engine.rate


def best_delayed_db(estimate: Sound, source: Sound) -> float:
    """SI-SDR against the source, later by that one of DELAYS that suits best."""
    padded = np.pad(source, (DELAYS[-1], -DELAYS[0]))
    return max(si_sdr_db(estimate, padded[DELAYS[-1] - late :][: len(source)]) for late in DELAYS)


def figures_of(estimates: Sound, mixture: Mixture, roles: tuple[str, ...]) -> list[float]:
    """SI-SDRi, SI-SDRi after the best delay, ESTOI, PESQ: means over the slots that have them."""
    total = mixture.sources.sum(axis=0)
    order = best_order(estimates, mixture.sources, roles)
    pairs = [(estimates[slot], source) for slot, source in zip(order, mixture.sources, strict=True)]
    speech = [pair for pair, role in zip(pairs, roles, strict=True) if role in SPEECH]
    return [
        float(np.nanmean([si_sdr_improvement_db(*pair, total) for pair in pairs])),
        float(np.nanmean([best_delayed_db(*pair) - si_sdr_db(total, pair[1]) for pair in pairs])),
        float(np.nanmean([stoi(*pair, RATE, extended=True) for pair in speech])),
        float(np.nanmean([pesq(*pair) for pair in speech])),
    ]


def step_times_us(engines: Sequence[Engine]) -> list[float]:
    """Median time of each for a step of the models, in turns, so that all have the same neighbours."""
    sounds = [0.1 * np.random.default_rng(0).standard_normal(engine.rate).astype(np.float32) for engine in engines]
    times = np.zeros((TIMED_HOPS, len(engines)))
    for turn in range(TIMED_HOPS):
        for number, (engine, sound) in enumerate(zip(engines, sounds, strict=True)):
            hop = engine.front_end.hop * engine.rate // RATE
            at = turn * hop % (len(sound) - hop)
            began = time.perf_counter()
            engine.process(sound[at : at + hop])
            times[turn, number] = time.perf_counter() - began
    return [float(1e6 * np.median(column)) for column in times[TIMED_HOPS // 10 :].T]


def measure(data: Path, domain: str, rate: int, limit: int) -> list[Row]:
    """A row for each of SETTINGS. Raises StreamsepError for what is wrong with the list."""
    listed = list(islice(mixtures(data, "test", domain), limit))
    runs = [Run(domain, rate, setting) for setting in SETTINGS]
    step_us = step_times_us([run.engine for run in runs])
    rows = []
    for setting, run, took_us in zip(SETTINGS, runs, step_us, strict=True):
        roles = tuple(map(role_of, run.engine.sources))
        found = [figures_of(run.separate(mixture.sources.sum(axis=0)), mixture, roles) for mixture in listed]
        path, length = setting.values()
        values = [
            run.engine.latency.ms,
            *run.delays_ms("sources"),
            *run.delays_ms("heard"),
            *np.nanmean(found, axis=0),
        ]
        unit = "ms" if path == "window" else "taps"
        rows.append(Row(domain, rate, path, f"{length} {unit}", len(listed), *map(float, values), took_us))
        print(rows[-1], flush=True)
        run.engine.close()
    return rows


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """The numbers as CSV; replaced whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Row)])
        table.writeheader()
        for row in rows:
            table.writerow({k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(row).items()})


def read_table(path: Path) -> list[Row]:
    """The rows of `write_table`. Raises ValueError when there are none."""
    if not path.is_file():
        raise ValueError(f"{path}: expected the numbers of an earlier run, found no file")
    with open(path, newline="", encoding="utf-8") as file:
        rows = [
            Row(**{field.name: field.type(row[field.name]) for field in fields(Row)}) for row in csv.DictReader(file)
        ]  # type: ignore[operator]
    if not rows:
        raise ValueError(f"{path}: expected the numbers of an earlier run, found none")
    return rows


def draw(path: Path, rows: Sequence[Row]) -> None:
    """Write the picture as PNG: a column a domain, a line a measure; latency is the ledger's and the mean delay."""
    domains = list(dict.fromkeys(row.domain for row in rows))
    figure = Figure(figsize=(5.5 * len(domains), 8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(MEASURES), len(domains), squeeze=False, sharex=True)
    for line, (measure_name, title) in zip(panels, MEASURES.items(), strict=True):
        for panel, domain in zip(line, domains, strict=True):
            draw_panel(panel, [row for row in rows if row.domain == domain], measure_name)
            panel.set_ylabel(title, fontsize=11)
    for panel, domain in zip(panels[0], domains, strict=True):
        panel.set_title(domain, fontsize=13, fontweight="bold", loc="left")
    for panel in panels[-1]:
        panel.set_xlabel("latency in ms: the ledger's, and the filter's mean delay", fontsize=11)
    panels[0, 0].legend(frameon=False, fontsize=9)
    figure.savefig(path, format="png")


def draw_panel(panel: Any, rows: Sequence[Row], measure_name: str) -> None:
    """One measure in one domain: a line for each path and rate, a point for each length."""
    for rate, path in dict.fromkeys((row.rate, row.path) for row in rows):
        line = sorted((row for row in rows if (row.rate, row.path) == (rate, path)), key=latency_ms)
        low = rate == min(RATES)
        panel.plot(
            [latency_ms(row) for row in line],
            [getattr(row, measure_name) for row in line],
            color=COLOURS[path],
            linestyle="-" if low else "--",
            marker="o" if low else "s",
            label=f"{path}, {rate / 1000:g} kHz",
        )
        for row in line if low else ():
            at = latency_ms(row), getattr(row, measure_name)
            panel.annotate(row.length, at, (4, 5), textcoords="offset points", fontsize=8, color="#333333")
    panel.grid(color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.margins(0.12)


def latency_ms(row: Row) -> float:
    """How late the sound is on average."""
    return row.ledger_ms + row.delay_ms


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with mixtures.csv and the clips")
    parser.add_argument("--domains", nargs="+", default=["noise", "speech"], metavar="DOMAIN")
    parser.add_argument("--limit", type=int, default=40, help="the first mixtures of every list")
    parser.add_argument("--draw", action="store_true", help="only draw the numbers that are beside the picture")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the picture, a .png")
    options = parser.parse_args()
    if options.out.suffix != ".png":
        parser.error(f"--out: expected a name that ends in .png, got {options.out}")
    if options.data is None and not options.draw:
        parser.error("--data: expected a folder with mixtures.csv, or --draw")
    table = options.out.with_suffix(".csv")
    try:
        if not options.draw:
            rows = []
            for domain in options.domains:
                for rate in RATES:
                    rows += measure(options.data, domain, rate, options.limit)
            write_table(table, rows)
        with whole(options.out) as part:
            draw(part, read_table(table))
    except (StreamsepError, ValueError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
