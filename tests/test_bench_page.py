"""The page holds every picture and needs nothing from outside; its pictures show what they are given."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import made_up

from streamsep.bench.markdown import markdown
from streamsep.bench.page import page
from streamsep.bench.pictures import Line, bars, distributions, growth, linear, logarithmic, round_numbers, steps
from streamsep.bench.timing import SHARES

times_ms = st.floats(1e-4, 1e4)
VOID = {"meta", "br"}


class Checker(HTMLParser):
    """Every element is closed; what is asked for from elsewhere is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[tuple[str, str | None]] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.asked += [(name, value) for name, value in attrs if name in ("src", "href", "action", "data", "style")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def svgs(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def inside(picture: ElementTree.Element) -> None:
    """Everything drawn lies within the picture."""
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    numbers = dict.fromkeys(("x", "x1", "x2", "cx"), width) | dict.fromkeys(("y", "y1", "y2", "cy"), height)
    for element in picture.iter():
        for name, limit in numbers.items():
            assert 0 <= float(element.attrib.get(name, 0)) <= limit, (element.tag, element.attrib)
        if "points" in element.attrib:
            for point in element.attrib["points"].split():
                x, y = map(float, point.split(","))
                assert 0 <= x <= width
                assert 0 <= y <= height
        if "width" in element.attrib and element.tag == "rect":
            assert 0 <= float(element.attrib["x"]) + float(element.attrib["width"]) <= width


@pytest.mark.parametrize("monitor", [True, False])
def test_the_page_is_whole_and_asks_for_nothing(monitor: bool) -> None:
    html = page(made_up(monitor=monitor))
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    assert checker.asked == []
    assert "url(" not in html
    assert "@import" not in html
    assert "://" not in html
    assert checker.seen.count("svg") == 3 + 1 + 2 + monitor + 2 + 1
    assert checker.seen.count("script") == 1


def test_every_distribution_has_its_deadline_and_its_lines() -> None:
    pictures = svgs(page(made_up()))
    drawn = {picture.attrib["aria-label"]: picture for picture in pictures}
    wanted = {"Hop of 2 ms": 4, "Hop of 4 ms": 4, "Hop of 8 ms": 4, "Channels": 3, "Rate of the device": 3}
    for title, lines in wanted.items():
        found = [element.attrib.get("class", "") for element in drawn[title].iter()]
        assert found.count("deadline") == 1
        assert sum(name.startswith("line ") for name in found) == lines
    for picture in pictures:
        inside(picture)


def test_the_report_is_in_the_page_and_cannot_break_out_of_it() -> None:
    report = made_up()
    report["machine"]["cpu"] = "</script><script>alert(1)</script>"
    report["notes"] = ["<b>bold</b> & more"]
    html = page(report)
    (data,) = re.findall(r'<script type="application/json" id="report">(.*?)</script>', html, re.DOTALL)
    assert json.loads(data) == report
    assert html.count("<script") == 1
    assert "<b>bold" not in html


def test_a_comparison_is_on_the_page() -> None:
    report = made_up() | {
        "compared_with": {
            "file": "old.json",
            "differs": [{"key": "machine.cpu", "old": "slow", "new": "fast"}],
            "ratios": {"hop.p50_ms": 0.5},
        }
    }  # fmt: skip
    html = page(report)
    for told in ("Compared with old.json", "machine.cpu", "slow", "hop.p50_ms", "0.50"):
        assert told in html


@given(st.lists(times_ms, min_size=len(SHARES), max_size=len(SHARES)).map(sorted), st.integers(1, 10**6), times_ms)
def test_a_distribution_falls_and_stays_in_its_picture(ms: list[float], hops: int, deadline_ms: float) -> None:
    line = Line("a < b", SHARES, ms, hops, 0)
    points = line.points()
    assert points[-1] == (ms[-1], 1 / hops)
    assert all(before[0] <= after[0] for before, after in pairwise(points))
    assert all(before[1] > after[1] for before, after in pairwise(points))
    within = 0.8 * min(ms[0], deadline_ms), 1.25 * max(ms[-1], deadline_ms)
    inside(ElementTree.fromstring(distributions("a & b", [line], deadline_ms, within)))


@given(st.lists(st.lists(times_ms, min_size=1, max_size=5), min_size=1, max_size=4), times_ms | st.none())
def test_the_parts_of_a_bar_are_as_long_as_they_are_large(rows: list[list[float]], mark: float | None) -> None:
    named = {f"row {index}": ({str(part): ms for part, ms in enumerate(row)}, mark) for index, row in enumerate(rows)}
    picture = ElementTree.fromstring(bars("a bar", named, "ms"))
    inside(picture)
    widths = [float(element.attrib["width"]) for element in picture.iter("rect")]
    values = [ms for row in rows for ms in row]
    assert len(widths) == len(values)
    scale = max(widths) / max(values)
    assert widths == pytest.approx([scale * ms for ms in values], abs=0.2)
    told = [element for element in picture.iter() if element.attrib.get("class") == "mark"]
    numbers = [element for element in picture.iter("text") if "→" in (element.text or "")]
    assert len(told) + len(numbers) == (0 if mark is None else len(rows))


@given(st.lists(times_ms | st.just(0.0), min_size=4, max_size=4))
def test_growth_begins_at_zero(values: list[float]) -> None:
    picture = ElementTree.fromstring(growth("more", (1, 2, 4, 8), {"p50": values}, "ms"))
    inside(picture)
    assert len(list(picture.iter("circle"))) == 4


@given(times_ms, st.floats(1.1, 1e6))
def test_there_are_a_few_round_numbers_on_every_axis(low: float, factor: float) -> None:
    numbers = round_numbers(low, low * factor)
    assert numbers == sorted(set(numbers))
    assert all(low <= number <= low * factor for number in numbers)
    assert len(numbers) <= 9
    assert 3 <= len(steps(low)) <= 8
    assert steps(low)[0] == 0
    assert steps(low)[-1] <= low * (1 + 1e-9)


@given(times_ms, times_ms, st.floats(0, 1))
def test_scales_reach_from_end_to_end(first: float, last: float, share: float) -> None:
    for scale in (linear, logarithmic):
        if abs(first - last) > 1e-3 * max(first, last):
            to = scale(first, last, 10.0, 200.0)
            assert (to(first), to(last)) == pytest.approx((10.0, 200.0))
            assert 10.0 - 1e-6 <= to(first + share * (last - first)) <= 200.0 + 1e-6


@pytest.mark.parametrize("monitor", [True, False])
def test_the_figures_for_a_readme_are_one_table(monitor: bool) -> None:
    lines = markdown(made_up(monitor=monitor)).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert table[0] == "| | p50 | p99 | p99.9 | max | load |"
    assert "| whole hop of 4 ms, mono, int8 | 0.100 | 0.200 | 0.300 | 0.400 | 2.5 % |" in table
    assert any(line.startswith("| hop of 2 ms, fp32 |") for line in table)
    assert ("The monitor: with it" in " ".join(lines)) == monitor


def test_the_readme_has_the_figures_of_a_run() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (quoted,) = re.findall(r"^<!-- bench -->\n(.*?)^<!-- end of bench -->$", readme, re.MULTILINE | re.DOTALL)

    def names(text: str) -> list[str]:
        return [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]

    assert names(quoted) == names(markdown(made_up()))
    assert float(re.findall(r"\| whole hop of 4 ms, mono, int8 \| ([\d.]+)", quoted)[0]) > 0
