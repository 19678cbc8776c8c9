"""The stages of a hop: nothing is missing, nothing is counted twice, and the sound does not notice."""

import time
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import STAGES
from small_bank import engine_of, make_bank

from streamsep.bench.hop import FADING, Case, Fading
from streamsep.bench.stages import Shim, time_stages
from streamsep.bench.stimulus import as_blocks, lively_noise


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bank(tmp_path_factory.mktemp("stages") / "bank")


def test_a_shim_changes_nothing_and_comes_off() -> None:
    class Part:
        def process(self, value: int) -> int:
            return value + 1

    part = Part()
    shim, began = Shim(part), time.perf_counter_ns()
    assert [part.process(value) for value in range(3)] == [1, 2, 3]
    assert 0 < shim.read() < time.perf_counter_ns() - began
    assert shim.read() == 0
    shim.remove()
    assert part.process(4) == 5
    assert "process" not in vars(part)


@settings(max_examples=10, deadline=None)
@given(warm_up=st.integers(0, 30), fading=st.booleans(), channels=st.integers(1, 2))
def test_the_stages_of_a_hop_add_up_to_it_and_none_is_missing(
    bank: Path, warm_up: int, fading: bool, channels: int
) -> None:
    with engine_of(bank, channels=channels, **(FADING if fading else {})) as engine:
        blocks = Case(engine, 40).turns[0][:40]
        before = Fading(engine, "music") if fading else lambda: None
        found = time_stages(engine, blocks, warm_up, before)
        assert tuple(found) == STAGES
        for name, took in found.items():
            assert took.shape == (40 - warm_up,)
            assert np.all(took > 0), name


class Clock:
    """Goes on when it is read, and when it is told to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 0
        patch.setattr("streamsep.bench.stages.time", SimpleNamespace(perf_counter_ns=lambda: self.pass_by(1)))

    def pass_by(self, ticks: int) -> int:
        self.now += ticks
        return self.now


@pytest.mark.parametrize(
    ("rate", "latency", "others", "slow"),
    [
        (48_000, {}, {"resampling", "synthesis", "high band"}, {"limiter": "_limiter", "high band": "_path._high"}),
        (16_000, {"synthesis_ms": 2}, {"synthesis"}, {"analysis": "_path._analysis", "limiter": "_limiter"}),
        (
            48_000,
            {"path": "minimum-phase"},
            {"resampling", "filter design", "filtering"},
            {"limiter": "_limiter", "filter design": "_path.synthesis", "filtering": "_path.filter"},
        ),
    ],
)
def test_every_stage_is_what_it_is_called_and_none_is_less_than_nothing(
    bank: Path,
    monkeypatch: pytest.MonkeyPatch,
    rate: int,
    latency: dict[str, Any],
    others: set[str],
    slow: dict[str, str],
) -> None:
    clock = Clock(monkeypatch)
    with engine_of(bank, rate=rate, latency=latency) as engine:
        for name in slow.values():
            part = attrgetter(name)(engine)
            part.process = lambda *given, inner=part.process: clock.pass_by(1000) and inner(*given)
        found = time_stages(engine, Case(engine, 20).turns[0][:20], warm_up=5)
    assert found.keys() == {"analysis", "graph", "masks", "crossfade", "limiter", "rest"} | others
    for name, took in found.items():
        assert np.all(took > 0), name
        assert np.all((took >= 1000) == (name in slow)), name


def test_a_stage_inside_another_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    inner = SimpleNamespace(process=lambda: clock.pass_by(100))
    outer = SimpleNamespace(process=lambda: (clock.pass_by(10), inner.process(), inner.process()))
    running = [0]
    shims = [Shim(part, "process", running) for part in (outer, inner)]
    outer.process()
    around, within = (shim.read() for shim in shims)
    assert (around, within) == (10 + 3, 2 * 101)  # and every reading of the clock
    assert running == [around + within]


def test_timing_the_stages_does_not_change_the_sound(bank: Path) -> None:
    blocks = as_blocks(lively_noise(0.5, 16_000, 1), 64)
    with engine_of(bank) as timed, engine_of(bank) as plain:
        time_stages(timed, blocks, warm_up=5)
        for block in blocks:
            plain.process(block)
        np.testing.assert_array_equal(timed.process(blocks[0]), plain.process(blocks[0]))
