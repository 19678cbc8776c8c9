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
        self.confidences: Mapping[str, float | None] = {}  # the same look's, raw
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
            lines.append(Text(HELP, style="dim"))
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

    def _domains(self, opened: Mapping[str, Any], now: Mapping[str, Any]) -> Table:
        """Who chooses, and every domain, where somebody looks with what its model promises and how confident it is;
        the one that is heard stands out."""
        domains = opened["domains"]
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        for _ in domains:
            table.add_column(justify="right", no_wrap=True)
        heard = None if now["dry"] else now["domain"]
        names = (
            Text(f"{number} {domain}", style="bold reverse" if domain == heard else "")
            for number, domain in enumerate(domains, 1)
        )
        table.add_row(self._choice(opened, now), *names)
        if opened["watched"]:
            promises, sure = (
                [form.format(seen[domain]) if seen.get(domain) is not None else "-" for domain in domains]
                for form, seen in (("{:+.1f} dB", self.estimates_db), ("{:.2f}", self.confidences))
            )
            table.add_row("promises", *promises, style="dim")
            table.add_row("confidence", *sure, style="dim")
        return table

    def _choice(self, opened: Mapping[str, Any], now: Mapping[str, Any]) -> Text:
        """Who chooses the domain, or why none is heard."""
        if now["bypassed"]:
            return Text("BYPASS", style="bold yellow")
        if now["dry"]:
            return Text("dry: no model is confident" if now["locked"] is None else "dry", style="bold yellow")
        if now["locked"] is not None:
            return Text("locked", style="bold cyan")
        return Text("auto" if opened["watched"] else "", style="bold cyan")

    def _health(self, now: Mapping[str, Any], latency_ms: float) -> Text:
        """Latency, load, gaps, switches, time."""
        load, worst = 100 * now["load"], 100 * now["worst_load"]
        text = Text(f"latency {latency_ms:.1f} ms   ", no_wrap=True)
        text.append(f"load {load:3.0f} % (worst {worst:.0f} %)", style="red" if load > 80 else "")
        text.append(f"   gaps {now['gaps']}", style="red" if now["gaps"] else "")
        minutes, seconds = divmod(int(now["seconds"]), 60)
        text.append(f"   switches {now['switches']}   {minutes}:{seconds:02d}")
        return text
