"""`streamsep quality`: the models over lists of mixtures they were never trained on. For those who make models."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from streamsep.cli.console import remarks, results
from streamsep.cli.options import Changes, leave_alone, writable
from streamsep.config import load_settings, merge, parse_overrides
from streamsep.errors import ConfigError

if TYPE_CHECKING:
    from streamsep.evaluation.intervals import Interval
    from streamsep.evaluation.lists import Mixture
    from streamsep.evaluation.quality import Estimates, System
    from streamsep.models.bank import BankModel

ENGINE = ("masks", "clusters")  # heard through the engine: the values of models.method
OF_THE_MODEL = ("clusters", "global-centres", "oracle-centres")  # its embeddings instead of its masks
SYSTEMS = ("mixture", "random", "masks", *OF_THE_MODEL, "ideal-ratio", "ideal-binary", "phase-sensitive")
WIDTH = 100  # columns that the widest table takes: a narrower terminal may break its lines, but shows all of it
HEADINGS = {
    "si_sdr_db": "SI-SDR", "si_sdri_db": "SI-SDRi", "sdr_db": "SDR", "sdri_db": "SDRi",
    "stoi": "STOI", "estoi": "ESTOI", "pesq": "PESQ",
}  # fmt: skip
DECIDED = {
    "domain": "--domains decides it",
    "models.precision": "--precision decides it",
    "models.method": "--systems decides it: masks, clusters",
    "models.sources": "--sources decides it",
}
ABSOLUTE = ("si_sdr_db", "sdr_db")  # these vary with how the lists were mixed: shown without an interval


def quality(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder with a mixtures.csv and its clips.")],
    split: Annotated[str, typer.Option(help="Which of the lists: test, or val.")] = "test",
    domains: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="Of which models; all: of the whole bank.")
    ] = "all",
    precision: Annotated[str, typer.Option(help="Which of the models: int8 or fp32.")] = "int8",
    systems: Annotated[
        str,
        typer.Option(
            metavar="NAME,NAME",
            help="What to measure: masks (the models as they are heard), clusters (by their embeddings, live), "
            "mixture, random, global-centres, oracle-centres, ideal-ratio, ideal-binary, phase-sensitive; or all.",
        ),
    ] = "masks",
    figures: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="By what: si-sdr, sdr; of speech stoi, estoi, pesq; or all.")
    ] = "si-sdr",
    sources: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=3,
            help="Of mixtures of so many, made from the list's, by clusters; of models whose sources are alike.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first mixtures of every list.")] = None,
    changes: Changes = None,
    processes: Annotated[int, typer.Option(min=1, help="Mixtures to separate at a time.")] = os.cpu_count() or 1,
    file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures there.")] = None,
) -> None:
    """Measure the models on lists of mixtures, through the whole engine, beside what they are held against.

    Every figure comes with a 95 % interval. All figures but si-sdr need the extra "evaluation".

    FILE gets {"noise.test.int8.speech.si_sdri_db": {"mean": 9.1, "low": 8.6, "high": 9.6, "n": 200}, ...}.

    A key without a source is of the mean of all sources; n counts the mixtures.

    int8 alone is the model as it is heard, int8-clusters its embeddings, mixture or ideal-ratio needs no model.

    The models are those of the settings: [bold]--set models.bank=DIR[/] for your own.

    With --sources 3 the masks, which are of two, are no system, and domains are called speech-3 and so on.

    Example: [bold]streamsep quality data --domains noise --systems all --figures all --limit 20[/]
    """
    from streamsep import whole_files
    from streamsep.evaluation.lists import joined, mixtures
    from streamsep.evaluation.metrics import require
    from streamsep.evaluation.quality import FIGURES, measure, summarise
    from streamsep.models.bank import open_bank

    leave_alone(changes, DECIDED)
    settings = parse_overrides(changes or [])
    bank = load_settings(overrides=settings).models.bank
    models = open_bank(bank, precision=precision).models
    known: tuple[str, ...] = SYSTEMS
    if sources is not None:
        models = open_bank(bank, precision=precision, method="clusters", sources=sources).models
        models = {domain: model for domain, model in models.items() if model.manifest.alike}
        known = tuple(name for name in SYSTEMS if name != "masks")
    chosen = _chosen("--domains", domains, tuple(models))
    names = _chosen("--systems", systems, known)
    by = _chosen("--figures", figures, FIGURES)
    require(by)
    writable(file)
    compared = {
        domain: {name: _system(name, models[domain], precision, sources, settings) for name in names}
        for domain in chosen
    }
    for domain in chosen:  # what is missing is told now, not in an hour
        next(mixtures(data, split, domain))
    if "clusters" in names:
        open_bank(bank, precision=precision, method="clusters")
    found: dict[str, Interval] = {}
    for domain in chosen:
        called, listed = domain, list(islice(mixtures(data, split, domain), limit if sources is None else None))
        if sources is not None:
            called, listed = f"{domain}-{sources}", list(joined(listed, sources))[:limit]
        measured = measure(compared[domain], listed, by, processes)
        hidden = not remarks.is_terminal
        scores = list(track(measured, called, len(listed), console=remarks, transient=True, disable=hidden))
        summaries: dict[str, dict[str, Interval]] = {}
        for name in names:
            prefix = f"{called}.{split}.{_label(name, precision)}."
            summary = summarise([score[name] for score in scores], prefix[:-1])
            summaries[name] = {key.removeprefix(prefix): interval for key, interval in summary.items()}
            found |= summary
        late = [f", {score.latency_ms:.2f} ms late" for score in scores[0].values() if score.latency_ms is not None]
        title = f"{called}: {len(listed)} mixtures of {split}, {precision}{''.join(late[:1])}"
        show(summaries, title, len(listed))
    results.print("SI-SDR and SDR are in dB; ± is half of the 95 % interval, by talker, song or kind of sound.")
    if file is not None:
        plain = {key: _finite(asdict(interval)) for key, interval in found.items()}
        whole_files.write_texts({file: json.dumps(plain, indent=1, allow_nan=False) + "\n"})


def show(summaries: "dict[str, dict[str, Interval]]", title: str, mixtures: int) -> None:
    """The figures of one domain, for people: for every system a row for the mean of the slots, then one a slot.

    summaries: by system, then "FIGURE" or "SLOT.FIGURE"."""
    present = {key.split(".")[-1] for summary in summaries.values() for key in summary}
    columns = [figure for figure in HEADINGS if figure in present]
    table = Table("", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for figure in columns:
        table.add_column(HEADINGS[figure], justify="right", no_wrap=True)
    left_out = []
    for system, summary in summaries.items():
        slots = dict.fromkeys(key.rpartition(".")[0] for key in summary)
        for slot in ("", *(slot for slot in slots if slot)):
            name = f"  {slot}" if slot else system
            row = {figure: summary.get(f"{slot}.{figure}" if slot else figure) for figure in columns}
            table.add_row(name, *(_cell(figure, interval) for figure, interval in row.items()))
            left_out += [
                f"{HEADINGS[figure]} of {slot or 'all'} by {system} in {mixtures - interval.n}"
                for figure, interval in row.items()
                if interval is not None and interval.n < mixtures
            ]
        table.add_section()
    results.print(f"{title}\n", style="bold")
    Console(file=results.file, width=max(results.width, WIDTH), emoji=False).print(table)
    if left_out:
        results.print(f"\nNothing to measure: {', '.join(left_out)}.")
    results.print()


def _cell(figure: str, interval: "Interval | None") -> str:
    """A mean, and half the width of its interval."""
    if interval is None:
        return ""
    if not interval.n:
        return "-"
    digits = 3 if figure in ("stoi", "estoi") else 2
    mean = f"{interval.mean:.{digits}f}"
    if figure in ABSOLUTE or math.isnan(interval.low):  # of a single talker, song or kind of sound there is none
        return mean
    return f"{mean} ±{(interval.high - interval.low) / 2:.{digits}f}"


def _chosen(option: str, text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The names in a list on the command line, each once. Raises ConfigError for one that is not known."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if names == ("all",):
        return known
    if unknown := sorted(set(names) - set(known)):
        raise ConfigError(f"{option}: {', '.join(unknown)} is unknown; there are {', '.join(known)}, or all")
    return names


def _label(system: str, precision: str) -> str:
    """What keys call a system: int8 is the model as it is heard, int8-clusters another use of it."""
    if system == "masks":
        return precision
    return f"{precision}-{system}" if system in OF_THE_MODEL else system


def _system(
    name: str, model: "BankModel", precision: str, sources: int | None, settings: Mapping[str, Any]
) -> "System":
    """The system of this name for the domain of this model."""
    from streamsep.evaluation.references import reference

    return partial(_heard, precision, name, sources, settings) if name in ENGINE else reference(name, model)


def _heard(
    precision: str, method: str, sources: int | None, settings: Mapping[str, Any], mixture: "Mixture"
) -> "Estimates":
    """Through the engine; a function of this module, so that other processes find it."""
    from streamsep.evaluation.lists import RATE
    from streamsep.evaluation.quality import Estimates
    from streamsep.recording import separate

    total = mixture.sources.sum(axis=0)
    models = {"models": {"precision": precision, "method": method, "sources": sources}}
    done = separate(total, RATE, domain=mixture.domain, **merge(settings, models))
    return Estimates(
        np.stack(list(done.sources.values())), done.manifests[mixture.domain].sources, latency_ms=done.latency.ms
    )


def _finite(interval: dict[str, float]) -> dict[str, float | None]:
    """JSON knows no nan: null where there was nothing to measure."""
    return {key: value if math.isfinite(value) else None for key, value in interval.items()}
