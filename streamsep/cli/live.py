"""`streamsep live`: from the microphone through the engine to the ears, with a meter, keys and a summary."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.live import Live

from streamsep.cli.console import ledger_table, print_json, remarks, results
from streamsep.cli.options import (
    Api,
    AsJson,
    Block,
    Changes,
    Channels,
    Config,
    Domain,
    Rate,
    Sink,
    Source,
    chosen,
    named,
    nothing_to_hear,
    samples_a_block,
)
from streamsep.priority import give_way

if TYPE_CHECKING:
    from streamsep.live.meter import Meter
    from streamsep.live.session import Session

STEP_S = 0.05
DRAWN_EVERY_S = 0.1
STATUS_S = 8.0  # for so long a remark stays in the meter
TWICE_S = 0.5  # within which a second Ctrl-C is the first one once more
ENDING = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


def live(
    api: Api = None,
    source: Source = None,
    sink: Sink = None,
    channels: Channels = None,
    block: Block = None,
    rate: Rate = None,
    config: Config = "default",
    domain: Domain = None,
    changes: Changes = None,
    bypass: Annotated[bool, typer.Option("--bypass", help="Hear the input, with the same latency.")] = False,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record",
            parser=named,
            metavar="DIR",
            help="Record what comes in, what is heard and what is done, to DIR.",
        ),
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so long, not only at Ctrl-C.")] = None,
    as_json: AsJson = False,
) -> None:
    """Separate what a microphone hears, and play it. Use headphones: loudspeakers would howl. Ctrl-C ends it.

    With --record, `streamsep separate DIR` does the same to the same samples again.

    In a terminal it shows levels, domains, load and gaps, and takes keys: 1-9 a domain, a auto, b bypass, m mute, ...

    Example: [bold]streamsep live --domain noise --set gains_db.noise=-30[/]
    """
    from streamsep.live.caution import capped
    from streamsep.live.session import Session
    from streamsep.live.sound import SoundPlan

    settings, remark = capped(chosen(config, domain, changes))
    keep, samples = record and record.resolve(), samples_a_block(block, settings)
    plan = SoundPlan(
        settings, api, source, sink, channels=channels, block=samples, rate=rate, bypass=bypass, record=keep
    )
    screen = Screen()
    if remark:
        screen.tell(remark)
    give_way()  # the sound does not wait for its meter
    session = Session(plan, screen.tell, screen.look)
    with interruptions() as interrupted:
        try:
            run(session, screen, seconds, interrupted)
            summary = session.summary()
        finally:
            session.close()
    if summary["fault"]:
        remarks.print(summary["fault"], style="red")
    if as_json:
        print_json(summary)
    else:
        show(summary)


def run(session: "Session", screen: "Screen", seconds: float | None, interrupted: Callable[[], bool]) -> None:
    """Until the seconds are over, or Ctrl-C, or the key q. Raises StreamsepError when it cannot begin."""
    from streamsep.live.keys import Desk, keyboard
    from streamsep.live.meter import Meter

    while session.opened is None:
        session.step(time.monotonic())
        if interrupted():
            return
        time.sleep(STEP_S)
    opened, ledger = session.opened, session.ledger
    blocks = f", blocks of {opened['block']} samples" if opened["block"] else ""
    remarks.print(ledger_table(ledger))
    settings = session.plan.settings
    chosen_slots = {} if settings.domain == "auto" else {settings.domain: opened["sources"][settings.domain]}
    if remark := nothing_to_hear(settings, chosen_slots):
        screen.tell(remark)
    remarks.print(  # last, for whoever reads it takes all to be said that there is to say at the start
        f"{opened['input']} → {settings.domain} → {opened['output']}, {opened['rate']} Hz, "
        f"channels: {opened['channels']}{blocks}. Use headphones: loudspeakers would howl. Ctrl-C ends."
    )
    desk = Desk(opened["domains"], opened["sources"], settings.gains_db, settings.live.most_gain_db)
    end_s = None if seconds is None else time.monotonic() + seconds
    with keyboard() as keys, screen.drawn(Meter(desk), keys is not None):
        while not session.finished:
            now_s = time.monotonic()
            session.step(now_s)
            if interrupted() or (end_s is not None and now_s >= end_s):
                session.stop()
            for key in keys.pressed() if keys else ():
                if key == "q":
                    session.stop()
                elif session.now is not None:
                    now = session.now
                    if request := desk.press(key, now["domain"], now["bypassed"], now["locked"]):
                        session.ask(**request)
            screen.draw(session, now_s)
            time.sleep(STEP_S)


class Screen:
    """Where remarks and the meter go: standard error, which may be a terminal or not."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._meter: Meter | None = None
        self._keys = False
        self._status, self._status_s, self._drawn_s = "", 0.0, 0.0

    def tell(self, status: str) -> None:
        """A sentence for the user."""
        remarks.print(status)
        self._status, self._status_s = status, time.monotonic()

    def look(self, seen: dict[str, Any]) -> None:
        """What the monitor saw."""
        if self._meter is not None:
            self._meter.estimates_db, self._meter.confidences = seen["smoothed"], seen["raw"]

    @contextmanager
    def drawn(self, meter: "Meter", keys: bool) -> Iterator[None]:
        """Show the meter, if this is a terminal. keys: whether they can be pressed."""
        self._meter, self._keys = meter, keys
        if not remarks.is_terminal:
            yield
            return
        with Live(console=remarks, auto_refresh=False, transient=True) as self._live:
            yield
        self._live = None

    def draw(self, session: "Session", now_s: float) -> None:
        """The newest facts and figures, not too often."""
        if self._live is None or self._meter is None or now_s - self._drawn_s < DRAWN_EVERY_S:
            return
        assert session.opened is not None  # before there is a meter
        self._drawn_s = now_s
        status = self._status if now_s - self._status_s < STATUS_S else ""
        drawn = self._meter.draw(session.opened, session.ledger.ms, session.now, status, self._keys)
        self._live.update(drawn, refresh=True)


@contextmanager
def interruptions() -> Iterator[Callable[[], bool]]:
    """A function that says whether Ctrl-C was pressed, or the terminal closed: that ends nothing the first time, and
    Ctrl-C everything the second, unless it is the first one twice, which whoever started us passes on as well.

    A handler of our own, because a shell starts background jobs with SIGINT ignored."""
    pressed_s: float | None = None

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed_s
        now_s = time.monotonic()
        if pressed_s is None:
            pressed_s = now_s
        elif number == signal.SIGINT and now_s > pressed_s + TWICE_S:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, press) for number in ENDING}
    try:
        yield lambda: pressed_s is not None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show(summary: dict[str, Any]) -> None:
    """The summary, for people."""
    from streamsep.live.meter import RELIEF

    times = ", ".join(f"{name.removesuffix('_ms')} {value} ms" for name, value in summary["callback"].items())
    results.print(f"{summary['seconds']:.1f} s heard in {summary['callbacks']} callbacks: {times}")
    for name in ("underruns", "overruns"):
        causes = {cause: count for cause, count in summary[name].items() if count}
        blamed = f" ({', '.join(f'{cause} {count}' for cause, count in causes.items())})" if causes else ""
        results.print(f"{name}: {sum(causes.values())}{blamed}")
    relief = f", overloaded, at worst {RELIEF[summary['overload']]}" if summary["overload"] else ""
    results.print(f"latency: {summary['latency']['ms']:.1f} ms, load at worst {summary['worst_load']:.0%}{relief}")
    monitor = summary["monitor"]
    looks = f", looks of the monitor: {summary['decisions']} ({monitor['status']})" if monitor else ""
    results.print(f"switches: {summary['switches']}{looks}")
    for name in ("non_finite_hops", "separator_faults"):
        if summary["counters"].get(name):
            results.print(f"{name.replace('_', ' ')}: {summary['counters'][name]}")
    if summary["howls"]:
        results.print(f"it howled {summary['howls']} times and was turned down")
    if summary["reconnections"]:
        results.print(f"the device went away and came back {summary['reconnections']} times")
    for recording in summary["recordings"]:
        missing = f", {recording['dropped_s']} s are missing" if recording["dropped_s"] else ""
        results.print(f"{recording['folder']}: {recording['seconds']:.1f} s {recording['status']}{missing}")
