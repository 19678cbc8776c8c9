"""The meter: what a person sees of live sound. From figures to lines of a terminal; nothing is measured here."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamsep.live.keys import HELP, LOWEST_DB, Desk

BAR = 30  # characters
FLOOR_DB = -60.0  # the left end of a bar
LOUD_DB, HOT_DB = -12.0, -3.0  # where a bar turns yellow, and red
RELIEF = ("", "fades cut short", "monitor slowed down", "models off: dry sound")


class Meter:
    """Draws the newest figures; what falls back falls slowly enough to be seen."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.estimates_db: Mapping[str, float | None] = {}  # by domain: the newest look's, smoothed
        self._held: dict[str, float] = {}

    def draw(
        self,
        opened: Mapping[str, Any],
        latency_ms: float,
        now: Mapping[str, Any] | None,
        status: str = "",
        keys: bool = True,
    ) -> RenderableType:
        """The whole meter. opened: facts, now: figures, see `sound`; None: there is no sound at the moment."""
        facts = f"{opened['rate']} Hz · {opened['channels']} ch · {opened['input']} → {opened['output']}"
        head = Text(facts, style="dim", no_wrap=True, overflow="ellipsis")  # names may be as long as they like
        if now is None:
            return Group(head, Text("no sound: waiting for the device", style="bold red"), Text(status, style="red"))
        lines: list[RenderableType] = [head, self._levels(now), self._domains(opened, now)]
        lines.append(self._health(now, latency_ms))
        if relief := RELIEF[now["overload"]]:
            lines.append(Text(f"overloaded: {relief}", style="bold red", no_wrap=True))
        if status:
            lines.append(Text(status, style="yellow", no_wrap=True))
        if keys:
            lines.append(Text(HELP, style="dim", no_wrap=True))
        return Group(*lines)

    def _levels(self, now: Mapping[str, Any]) -> RenderableType:
        """A bar each for input, output and every source."""
        table = Table.grid(padding=(0, 1))
        for name, level_db in zip(("in", "out"), now["levels_db"], strict=True):
            table.add_row(Text(name), self._bar(name, level_db), "")
        domain = now["domain"]
        for name, level_db in now["sources_db"].items():
            gain_db = self.desk.gains_db.get(name, 0.0)
            chosen = name == self.desk.source(domain)
            gain = "muted" if gain_db <= LOWEST_DB else f"{gain_db:+.0f} dB"
            mark = "▸ " if chosen else "  "
            table.add_row(Text(name, style="bold" if chosen else ""), self._bar(name, level_db), Text(mark + gain))
        return table

    def _bar(self, name: str, level_db: float | None) -> Text:
        """A level, with its number."""
        level = FLOOR_DB if level_db is None else max(level_db, FLOOR_DB)
        held = self._held[name] = max(level, self._held.get(name, FLOOR_DB) - 1.5)
        filled = round(BAR * (held - FLOOR_DB) / -FLOOR_DB)
        colour = "red" if held > HOT_DB else "yellow" if held > LOUD_DB else "green"
        text = Text("█" * min(filled, BAR), style=colour)
        text.append("░" * max(BAR - filled, 0), style="dim")
        number = "  silent" if held <= FLOOR_DB else f"{held:6.1f} dB"
        return text.append(f" {number}", style="default")

    def _domains(self, opened: Mapping[str, Any], now: Mapping[str, Any]) -> Text:
        """Every domain, with what its model promises; the one that is heard stands out."""
        text = Text(no_wrap=True)
        dry = now["dry"]
        for number, domain in enumerate(opened["domains"], 1):
            heard = domain == now["domain"] and not dry
            text.append(f"{number} {domain}", style="bold reverse" if heard else "")
            promised = self.estimates_db.get(domain)
            text.append("" if promised is None else f" {promised:+.1f} dB", style="dim")
            text.append("   ")
        if now["bypassed"]:
            text.append("BYPASS", style="bold yellow")
        elif dry:
            text.append("dry: no model is confident" if now["locked"] is None else "dry", style="bold yellow")
        elif now["locked"] is not None:
            text.append("locked", style="bold cyan")
        elif opened["watched"]:
            text.append("auto", style="bold cyan")
        return text

    def _health(self, now: Mapping[str, Any], latency_ms: float) -> Text:
        """Latency, load, gaps, switches, time."""
        load, worst = 100 * now["load"], 100 * now["worst_load"]
        text = Text(f"latency {latency_ms:.1f} ms   ", no_wrap=True)
        text.append(f"load {load:3.0f} % (worst {worst:.0f} %)", style="red" if load > 80 else "")
        text.append(f"   gaps {now['gaps']}", style="red" if now["gaps"] else "")
        minutes, seconds = divmod(int(now["seconds"]), 60)
        text.append(f"   switches {now['switches']}   {minutes}:{seconds:02d}")
        return text
