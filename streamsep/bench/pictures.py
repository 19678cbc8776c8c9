"""Pictures of a report as SVG, drawn by hand: a page needs nobody else's script, font or server.

Colours are classes, c0 to c7, that the page defines for light and dark. Every function returns one <svg> element.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 270
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 30, 40
ROW = 22  # of bars
LABELS = 150  # width of their names

Scale = Callable[[float], float]


@dataclass(frozen=True)
class Line:
    """How a distribution looks: shares of the hops, falling, and the time that each took or exceeded."""

    name: str
    shares: Sequence[float]
    ms: Sequence[float]
    hops: int
    colour: int
    dashed: bool = False

    def points(self) -> list[tuple[float, float]]:
        """Time and share, as far as so many hops can tell: the slowest one is one of them."""
        rarest = 1 / self.hops
        known = [(ms, share) for ms, share in zip(self.ms, self.shares, strict=True) if share > rarest]
        return [*known, (self.ms[-1], rarest)]


def distributions(title: str, lines: Sequence[Line], deadline_ms: float, range_ms: tuple[float, float]) -> str:
    """How many hops took how long, both on logarithmic axes, and where the deadline is.

    range_ms: of the axis; the deadline and all times lie within."""
    rarest = min(0.1, 10.0 ** math.floor(math.log10(min(1 / line.hops for line in lines)) + 1e-9))
    across, down = logarithmic(*range_ms, LEFT, WIDTH - RIGHT), logarithmic(1.0, rarest, TOP, HEIGHT - BOTTOM)
    parts = []
    for ms in round_numbers(*range_ms):
        parts.append(vertical(across(ms), f"{ms:g}"))
    for decade in range(round(-math.log10(rarest)) + 1):
        label = "every hop" if decade == 0 else f"1 in {10**decade:,}"
        parts.append(horizontal(down(10.0**-decade), label))
    parts.append(label_below("time of a hop, ms"))
    at = across(deadline_ms)
    parts.append(f'<line class="deadline" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}"/>')
    parts.append(text(at - 4, HEIGHT - BOTTOM - 6, f"deadline {deadline_ms:g} ms", "end", "deadline-name"))
    for line in lines:
        points = " ".join(f"{across(ms):.1f},{down(share):.1f}" for ms, share in line.points())
        dashes = ' stroke-dasharray="5 3"' if line.dashed else ""
        slowest = (
            f"{line.name}: half of the hops below {line.ms[line.shares.index(0.5)]:g} ms, none above {line.ms[-1]:g}"
        )
        parts.append(
            f'<polyline class="line c{line.colour}" points="{points}"{dashes}>'
            f"<title>{escape(slowest)}</title></polyline>"
        )
    return picture(title, parts, WIDTH, HEIGHT)


def bars(title: str, rows: Mapping[str, tuple[Mapping[str, float], float | None]], unit: str) -> str:
    """A bar a row, of parts that add up to it, by name; a mark further out, or None. From zero, linear.

    A mark that is too far out is told in numbers."""
    longest = max(sum(parts.values()) for parts, _ in rows.values()) or 1.0
    highest = max(longest, *(mark for _, mark in rows.values() if mark is not None and mark < 2 * longest), 0.0)
    height, width = TOP + ROW * len(rows) + BOTTOM, 2 * WIDTH
    across = linear(0.0, 1.05 * highest, LABELS, width - LEFT)
    drawn = [vertical(across(value), f"{value:g}", height) for value in steps(1.05 * highest)]
    drawn.append(label_below(unit, width, height))
    for index, (name, (parts, mark)) in enumerate(rows.items()):
        y, start = TOP + ROW * index, 0.0
        drawn.append(text(LABELS - 8, y + 0.68 * ROW, name, "end"))
        for colour, (part, value) in enumerate(parts.items()):
            drawn.append(
                f'<rect class="bar c{colour}" x="{across(start):.1f}" y="{y + 3}" '
                f'width="{across(start + value) - across(start):.1f}" height="{ROW - 6}">'
                f"<title>{escape(f'{name}: {part} {value:.3g} {unit}')}</title></rect>"
            )
            start += value
        if mark is not None and mark > highest:
            drawn.append(text(width - RIGHT, y + 0.68 * ROW, f"{mark:.3g} \N{RIGHTWARDS ARROW}", "end"))
        elif mark is not None:
            drawn.append(
                f'<line class="mark" x1="{across(mark):.1f}" y1="{y + 2}" x2="{across(mark):.1f}" y2="{y + ROW - 2}">'
                f"<title>{escape(f'{name}: p99.9 {mark:.3g} {unit}')}</title></line>"
            )
    return picture(title, drawn, width, height)


def growth(title: str, sizes: Sequence[int], series: Mapping[str, Sequence[float]], unit: str) -> str:
    """Values that go with the number of models, by name; from zero, linear."""
    highest = max(value for values in series.values() for value in values) or 1.0
    across, down = linear(0.0, max(sizes), LEFT, WIDTH - RIGHT), linear(1.1 * highest, 0.0, TOP, HEIGHT - BOTTOM)
    parts = [vertical(across(size), str(size)) for size in sizes]
    parts += [horizontal(down(value), f"{value:g} {unit}") for value in steps(1.1 * highest)]
    parts.append(label_below("models in the bank"))
    for colour, (name, values) in enumerate(series.items()):
        points = [(across(size), down(value)) for size, value in zip(sizes, values, strict=True)]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line c{colour}" points="{joined}"/>')
        for (x, y), value in zip(points, values, strict=True):
            told = escape(f"{name}: {value:g} {unit}")
            parts.append(
                f'<circle class="dot c{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{told}</title></circle>'
            )
    return picture(title, parts, WIDTH, HEIGHT)


def picture(title: str, parts: Sequence[str], width: int, height: int) -> str:
    """The element, with its title above what is drawn."""
    head = f'<text class="title" x="8" y="18">{escape(title)}</text>'
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{escape(title)}">'
        f"{head}{''.join(parts)}</svg>"
    )


def vertical(x: float, label: str, height: int = HEIGHT) -> str:
    """A line of the grid, and its number below."""
    line = f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{height - BOTTOM}"/>'
    return line + text(x, height - BOTTOM + 14, label, "middle")


def horizontal(y: float, label: str) -> str:
    """The same across, and its number to the left."""
    return f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>' + text(
        LEFT - 6, y + 4, label, "end"
    )


def label_below(name: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    """What the numbers below are."""
    return text(width - RIGHT, height - 8, name, "end")


def text(x: float, y: float, words: str, anchor: str, kind: str = "label") -> str:
    """Words."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def linear(first: float, last: float, start: float, stop: float) -> Scale:
    """First is drawn at start, last at stop."""
    return lambda value: start + (value - first) / (last - first) * (stop - start)


def logarithmic(first: float, last: float, start: float, stop: float) -> Scale:
    """The same; first and last are positive."""
    inner = linear(math.log(first), math.log(last), start, stop)
    return lambda value: inner(math.log(value))


def round_numbers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten, as far as they lie between; powers of ten only when that would be many.

    >>> round_numbers(0.09, 4.5)
    [0.1, 0.2, 0.5, 1.0, 2.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if math.log10(high / low) < 3 else (1,)
    numbers = [float(f"{factor}e{decade}") for decade in decades for factor in factors]
    return [number for number in numbers if low <= number <= high]


def steps(high: float) -> list[float]:
    """Round numbers from zero, three to eight of them.

    >>> steps(3.6)
    [0.0, 1.0, 2.0, 3.0]
    """
    size = next(number for number in round_numbers(high / 100, high) if high / number < 7)
    return [float(f"{index * size:.6g}") for index in range(int(high / size) + 1)]
