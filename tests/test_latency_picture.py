"""Quality against latency: the delays are those of the filters, and the picture shows what the table holds."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import noise, seeds

from export.latency import Row, Spread, best_delayed_db, delays, main, read_table, write_table

ROW = Row("noise", 16_000, "window", "8 ms", 40, 8.0, 0, 0, 0, 0, 5.3, 5.3, 0.62, 1.45, 250.0)


@given(late=st.integers(0, 63), gain=st.floats(0.01, 4), seed=seeds)
def test_a_filter_that_only_delays_has_that_group_delay_at_every_frequency(late: int, gain: float, seed: int) -> None:
    taps = np.zeros((2, 64))
    taps[:, late] = gain, 2 * gain
    found, energy = delays(taps, noise(seed, 512))
    np.testing.assert_allclose(found, late, atol=1e-6)
    np.testing.assert_allclose(energy[1], 4 * energy[0])
    spread = Spread()
    spread.add(found, energy)
    mean, p95 = spread.mean_and_p95()
    assert (mean, p95) == (pytest.approx(late, abs=1e-6), pytest.approx(late, abs=0.07))


def test_what_carries_no_energy_delays_nothing() -> None:
    spread = Spread()
    assert spread.mean_and_p95() == (0, 0)
    spread.add(np.array([0.0, 1.0, 50.0]), np.array([4.0, 1.0, 0.0]))
    spread.add(np.array([0.0, 1.0]), np.array([4.0, 1.0]))
    assert spread.mean_and_p95() == (0.2, 1.0625)


@given(late=st.integers(-8, 40))
def test_one_delay_is_forgiven_whichever_it_is(late: int) -> None:
    source = np.pad(noise(0, 2000), 100)
    assert best_delayed_db(np.roll(source, late), source) == 100


def test_the_table_comes_back_and_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = replace(ROW, path="minimum-phase", length="128 taps", ledger_ms=0.0, delay_ms=0.22, delay_p95_ms=1.02)
    rows = [ROW, straight, replace(ROW, rate=48_000), replace(ROW, domain="speech")]
    write_table(tmp_path / "latency.csv", rows)
    assert read_table(tmp_path / "latency.csv") == rows
    monkeypatch.setattr(sys, "argv", ["latency", "--draw", "-o", str(tmp_path / "latency.png")])
    main()
    assert (tmp_path / "latency.png").read_bytes().startswith(b"\x89PNG")


def test_there_must_be_something_to_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["latency", "--draw", "-o", str(tmp_path / "latency.png")])
    with pytest.raises(SystemExit, match=r"latency\.csv: expected the numbers of an earlier run, found no file"):
        main()
    assert list(tmp_path.iterdir()) == []
