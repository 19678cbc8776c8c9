"""`streamsep bench`: how long a hop takes here, how fast a file goes, how much memory it needs."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table as RichTable

from streamsep.cli.console import print_json, remarks, results
from streamsep.cli.options import AsJson, Changes, Config, Domain, chosen, named
from streamsep.errors import ConfigError

if TYPE_CHECKING:
    from streamsep.arrays import Block
    from streamsep.bench.tables import Table
    from streamsep.bench.watched import Look
    from streamsep.config import Settings
    from streamsep.models.bank import Bank
    from streamsep.realtime.engine import Engine
    from streamsep.realtime.hand_over import Monitor

STEADY = 1.1  # how much slower or faster a machine may get before its figures are doubted
REPORT, PAGE, MARKDOWN = "bench.json", "bench.html", "bench.md"


def bench(
    what: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL.onnx|BANK|REPORT.json]",
            help="A model of your own, a folder of them, or an earlier report, which is shown again.",
            show_default="the bank of the settings",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="Sound to measure each figure with.")] = 15.0,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            parser=named,
            metavar="DIR",
            help=f"Write {REPORT}, {PAGE} (pictures) and {MARKDOWN} there.",
        ),
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(metavar="OLD.json", help="Print how the figures compare with those of this report.")
    ] = None,
    config: Config = "default",
    domain: Domain = None,
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Measure latency, load and memory of the engine on this machine: hops of 2, 4 and 8 ms, int8 and fp32, with and
    without a fade and the monitor, 1 to 4 channels, 1 to 8 models. Two minutes; leave the machine alone meanwhile.

    Example: [bold]streamsep bench my-model-step-fp32.onnx -o out --compare bench.json[/]
    """
    from streamsep.bench.report import differences, ratios
    from streamsep.bench.tables import comparison

    old = None if compare is None else shown_again(compare)
    if what is not None and what.suffix == ".json":
        if changes or domain is not None or config != "default":
            raise ConfigError(f"{what}: was measured already; leave out --set, --domain and --config")
        report = shown_again(what)
    else:
        report = measured(what, config, domain, changes, seconds, folder)
    compared = None
    if old is not None:
        differ, found = differences(old, report), ratios(old, report)
        compared = comparison(found)
        report["compared_with"] = {
            "file": str(compare),
            "differs": [{"key": key, "old": before, "new": now} for key, before, now in differ],
            "ratios": {".".join(each.what): round(each.ratio, 4) for each in found},
        }
    if folder is not None:
        write(folder, report)
    if as_json:
        print_json(report)
        return
    show(report)
    if compared is not None:
        for each in report["compared_with"]["differs"]:
            remarks.print(f"not the same: {each['key']}: {each['old']} then, {each['new']} now", style="yellow")
        show_table(compared)


def shown_again(file: Path) -> dict[str, Any]:
    """A report that can be shown. Raises ConfigError."""
    from streamsep.bench.markdown import markdown
    from streamsep.bench.page import page
    from streamsep.bench.report import read_report

    report = read_report(file)
    try:
        page(report), markdown(report)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ConfigError(f"{file}: no whole report of `streamsep bench`: {error!r:.100}") from None
    return report


def measured(
    what: Path | None,
    config: str,
    domain: str | None,
    changes: list[str] | None,
    seconds: float,
    folder: Path | None,
) -> dict[str, Any]:
    """A new report. folder: where it is to be written. Raises ConfigError or ModelError, and StreamsepError when it
    could not be written there."""
    import streamsep
    from streamsep import whole_files
    from streamsep.bench.run import measure
    from streamsep.models.bank import precisions_in

    with a_bank(what) as bank:
        given = {} if bank is None else {"models": {"bank": str(bank)}}
        settings = chosen(config, domain, changes, given)
        found = precisions_in(settings.models.bank, settings.models.method)
        if bank is not None and found and settings.models.precision not in found:
            settings = chosen(config, domain, [*(changes or []), f"models.precision={found[0]}"], given)
        if settings.latency.synthesis_ms is not None:
            raise ConfigError("latency.synthesis_ms: hops of 2, 4 and 8 ms are measured as it is; leave it out")
        first = settings.models.precision
        make = Making(settings)
        domains = make.bank(first).domains
        heard = settings.domain
        if heard == "auto":  # one model is measured
            heard = "noise" if "noise" in domains else domains[0]
        if heard not in domains:
            raise ConfigError(f"domain: unknown domain {heard!r}; this bank has {sorted(domains)}")
        if folder is not None:
            whole_files.prepare(folder)
        remarks.print("Measuring; this takes some time, and the machine should do nothing else.")
        both = (first, *(each for each in found if each != first))
        report = measure(make, heard, both, seconds, lambda part: remarks.print(f"  {part}", style="dim"))
    report["versions"]["streamsep"] = streamsep.__version__
    if what is not None:  # where a single model was put meanwhile is nobody's business
        report["settings"]["models"]["bank"] = str(what)
    load, drift = report["machine"]["load_average"], report["machine"]["drift"]
    if load is not None and load > 0.5:
        remarks.print(
            f"The machine was busy before (load average {load:g}): the times may be too long.", style="yellow"
        )
    if not 1 / STEADY < drift < STEADY:
        remarks.print(
            f"The machine is not steady: at the end a hop took {drift:g} times as long as in the beginning.",
            style="yellow",
        )
    return report


@contextmanager
def a_bank(what: Path | None) -> Iterator[Path | None]:
    """The folder of a bank: for a single model one with that alone, and its look-back graph where there is one.

    Raises ModelError for a file that is no step graph with a manifest."""
    if what is None or what.is_dir():
        yield what
        return
    from streamsep.models.bank import look_back_beside
    from streamsep.models.loader import open_model

    manifest, _ = open_model(what)
    with tempfile.TemporaryDirectory(prefix="streamsep-bench-") as folder:
        path = Path(folder) / f"{manifest.domain}-step-{manifest.precision}.onnx"
        shutil.copy(what, path)
        look_back = look_back_beside(what)
        if look_back != what and look_back.is_file():
            shutil.copy(look_back, look_back_beside(path))
        yield Path(folder)


@dataclass(frozen=True)
class Making:
    """Makes what is measured: see `bench.run.Maker`."""

    settings: "Settings"

    def bank(self, precision: str) -> "Bank":  # noqa: D102
        from streamsep.models.bank import open_bank

        return open_bank(**self.settings.models.model_dump() | {"precision": precision})

    def engine(  # noqa: D102
        self, bank: "Bank", rate: int, channels: int = 1, monitor: "Monitor | None" = None, **settings: Any
    ) -> "Engine":
        from streamsep.assembly import make_engine

        changed = self.settings.model_copy(update={"domain": bank.domains[0], **settings})
        return make_engine(changed, bank, rate, channels, monitor)

    def inline(self, bank: "Bank") -> "tuple[Engine, Look]":  # noqa: D102
        from streamsep.assembly import make_inline
        from streamsep.models.bank import open_look_backs

        graphs = open_look_backs(bank)
        for domain, graph in graphs.items():  # whose name may be made up
            graph.manifest = graph.manifest.model_copy(update={"domain": domain})
        monitor = make_inline(self.settings, graphs)
        return self.engine(bank, bank.front_end.sample_rate, 1, monitor, domain="auto"), monitor.look

    def watched(self) -> "tuple[Engine, Callable[[], int | None]]":  # noqa: D102
        from streamsep.assembly import build

        bank = self.bank(self.settings.models.precision)
        engine, _, guardian = build(
            self.settings.model_copy(update={"domain": "auto"}), bank.front_end.sample_rate, 1
        )
        assert guardian is not None
        return engine, lambda: guardian.pid if guardian.board.beats else None

    def separate(self, samples: "Block", rate: int, domain: str) -> object:  # noqa: D102
        from streamsep.recording import separate

        return separate(samples, rate, self.settings.model_dump(), domain)


def write(folder: Path, report: dict[str, Any]) -> None:
    """The report for programs, for people, and for a README. Raises StreamsepError; then all three are what they
    were."""
    from streamsep import whole_files
    from streamsep.bench.markdown import markdown
    from streamsep.bench.page import page

    whole_files.prepare(folder)
    whole_files.write_texts(
        {
            folder / REPORT: json.dumps(report, indent=1, allow_nan=False) + "\n",
            folder / PAGE: page(report),
            folder / MARKDOWN: markdown(report),
        }
    )


def show(report: dict[str, Any]) -> None:
    """The report, for people."""
    from streamsep.bench.tables import measured_on, sentences, tables

    for table in tables(report):
        show_table(table)
    for sentence in (*sentences(report), *measured_on(report)):
        results.print(sentence)
    for note in report["notes"]:
        results.print(note, style="dim")


def show_table(table: "Table") -> None:
    """One table."""
    shown = RichTable(box=box.SIMPLE_HEAD, show_edge=False, title=table.title, title_justify="left")
    for index, heading in enumerate(table.headings):
        shown.add_column(heading, justify="right" if index else "left")
    for row in table.rows:
        shown.add_row(*row)
    results.print(shown)
