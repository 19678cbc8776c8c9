"""The latency after a fault is the latency before it, by a stopwatch that is not ours: jack_iodelay stays connected
to `streamsep live --bypass` while things go wrong."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from calibrated import make_calibrated_bank, promising
from iodelay import Iodelay, iodelay
from jack_server import jack_server, set_period
from kin import children
from test_live_faults import Live, hold_up, live

PERIOD = 256
LEDGER = 192 + 192 + 80 + PERIOD  # the engine's, and the period that JACK adds to a loop


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A bank with a monitor."""
    promises = {"music": promising(0.0, balance=1.0), "noise": promising(1.0)}
    folder = make_calibrated_bank(tmp_path_factory.mktemp("watched"), **promises)
    return ["--bypass", "--set", f"models.bank={folder}", "--set", "models.precision=fp32", "--domain", "auto"]


@contextmanager
def stopwatch(folder: Path, *arguments: str) -> Iterator[tuple[Live, Iodelay, Callable[[int], None]]]:
    """Live sound, what measures it, and what changes the period of both."""
    with (
        jack_server(period=PERIOD) as environment,
        live(environment, folder, *arguments) as running,
        iodelay(environment) as meter,
    ):
        meter.connect()
        yield running, meter, lambda period: set_period(environment["JACK_DEFAULT_SERVER"], period)


def test_neither_a_hold_up_nor_the_death_of_the_monitor_makes_the_sound_later(
    watched: list[str], tmp_path: Path
) -> None:
    with stopwatch(tmp_path, *watched) as (running, meter, _):
        running.said("the monitor is running")
        readings = [meter.measured()]
        hold_up(running.sound())
        readings.append(meter.measured())
        (monitor,) = children(running.sound())
        os.kill(monitor, signal.SIGKILL)
        running.said("the monitor is running", times=2)
        readings.append(meter.measured())
        summary = running.stop()
    assert readings == pytest.approx([LEDGER] * 3, abs=1)
    assert summary["latency"]["samples"] == LEDGER
    assert (summary["reconnections"], summary["faults"], summary["monitor"]["deaths"]) == (0, 0, 1)
    assert sum(summary["underruns"].values()) > 0


@pytest.mark.parametrize("block", [0, 100])
def test_a_new_period_of_the_server_is_all_that_the_latency_changes_by(
    watched: list[str], tmp_path: Path, block: int
) -> None:
    """block: what PortAudio has to cut the periods into, if anything: it keeps a rest from each for the next."""
    readings = []
    with stopwatch(tmp_path, *watched, "--block", str(block)) as (running, meter, set_to):
        for period in (PERIOD, 1024, PERIOD):
            set_to(period)
            readings.append(meter.measured())
            hold_up(running.sound())
            readings.append(meter.measured())
        summary = running.stop()
    wanted = [LEDGER + block + more for more in (0, 0, 1024 - PERIOD, 1024 - PERIOD, 0, 0)]
    assert readings == pytest.approx(wanted, abs=1)
    assert summary["latency"]["samples"] == LEDGER + block
    assert (summary["reconnections"], summary["faults"]) == (0, 0)
    assert sum(summary["underruns"].values()) > 0
