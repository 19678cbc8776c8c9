"""`streamsep latency`: a probe that is played, led back and found, in simulation and on real JACK servers."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from fakes import Leaky, make_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from jack_server import jack_server
from readme import check
from small_bank import make_bank

from streamsep.audio.probe import make_probe
from streamsep.audio.round_trip import Prober, RoundTrip
from streamsep.realtime.journal import Journal
from streamsep.realtime.ledger import Ledger

LIMIT_S = 120  # of a subprocess, on a machine that has other things to do
RATE = 8000


class Straight:
    """An engine that is a delay."""

    rate, channels, journal, steps = RATE, 2, Journal(), 0

    def __init__(self, delay):
        self._waiting = np.zeros((delay, 2), np.float32)

    def process(self, block, out):
        everything = np.concatenate([self._waiting, block])
        out[:], self._waiting = everything[: len(block)], everything[len(block) :].copy()
        return out

    def relieve(self, level):
        pass


def through_a_cable(prober, blocks, delay, gain, hiss, seed):
    """What a sound card does: block by block, what was played comes back later, on the second channel only."""
    rng = np.random.default_rng(seed)
    cable = np.zeros((delay, 2), np.float32)
    index = 0
    while not prober.done:
        count = min(blocks[index % len(blocks)], delay)
        index += 1
        out = np.full((count, 2), np.nan, np.float32)
        block = rng.normal(0, hiss, (count, 2)).astype(np.float32)
        block[:, 1] += gain * cable[:count, 0]
        prober.process(block, out)
        assert np.isfinite(out).all()
        cable = np.concatenate([cable[count:], out])


@settings(max_examples=12)
@given(
    blocks=st.lists(st.integers(16, 1024), min_size=1, max_size=5),
    cable=st.integers(64, 6000),
    inside=st.integers(0, 300),
    gain=st.sampled_from([1.0, -0.3, 0.01]),
    seed=st.integers(0, 99),
)
def test_the_round_trip_is_the_cable_and_the_engine_however_the_blocks_are_cut(blocks, cable, inside, gain, seed):
    prober = Prober(Straight(inside), make_probe(RATE, -20.0), 4.0)
    through_a_cable(prober, blocks, cable, gain, 1e-4, seed)
    echoes = prober.echoes()
    assert len(echoes) >= 2
    assert all(echo.clear and echo.delay == cable + inside for echo in echoes)
    assert prober.loudest > 0


def test_the_round_trip_through_a_bypassed_engine_is_its_ledger():
    with make_engine(Leaky(), channels=2) as engine:
        engine.bypass(True)
        engine.reset()
        prober = Prober(engine, make_probe(engine.rate, -20.0), 4.0)
        through_a_cable(prober, [128], 128, 1.0, 0.0, 0)
        assert {echo.delay for echo in prober.echoes()} == {engine.latency.samples + 128}


def test_without_a_cable_there_is_no_echo():
    prober = Prober(Straight(0), make_probe(RATE, -20.0), 4.0)
    through_a_cable(prober, [256], 256, 0.0, 1e-3, 0)
    assert prober.echoes()
    assert not any(echo.clear for echo in prober.echoes())


@given(
    echoes=st.lists(st.integers(0, 5000), min_size=1, max_size=9),
    ledger=st.integers(0, 5000),
    block=st.integers(1, 2048),
)
def test_measured_and_ledger_agree_when_they_are_a_block_apart_at_most(echoes, ledger, block):
    trip = RoundTrip(echoes, len(echoes), Ledger(48_000, {"window": ledger}), block, 0)
    assert trip.measured in echoes
    assert sum(echo < trip.measured for echo in echoes) <= len(echoes) / 2
    assert sum(echo > trip.measured for echo in echoes) <= len(echoes) / 2
    assert ledger + trip.missing == trip.measured
    assert trip.agrees == (ledger - block <= trip.measured <= ledger + block)
    assert trip.spread == max(echoes) - min(echoes)


# ------------------------------------------------------------------------------------ the command, on a JACK server


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    folder = make_bank(tmp_path_factory.mktemp("latency") / "bank")
    return ["--set", f"models.bank={folder}", "--set", "models.precision=fp32"]


def latency(environment, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "streamsep", "latency", "--seconds", "4", *arguments],
        env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip


def wires(environment):
    command = ["jack_lsp", "-c", "PortAudio:out_0"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    ("rate", "period", "block"), [(48_000, 128, 0), (44_100, 256, 100), (96_000, 256, 256), (16_000, 64, 64)]
)
def test_what_comes_back_by_way_of_jack_is_what_the_ledger_says(bank, rate, period, block):
    with jack_server(rate=rate, period=period) as environment:
        done = latency(environment, "--json", "--loop", "--block", str(block), *bank)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["measured_samples"] == said["ledger_samples"] == round(sum(said["terms"].values()))
    assert said["measured_ms"] == said["ledger_ms"] == pytest.approx(1000 * said["ledger_samples"] / rate, abs=1e-3)
    assert said["terms"]["JACK's loop"] == period
    assert said["terms"]["PortAudio's blocks"] == (0 if block == period else block)
    assert (said["agrees"], said["spread_samples"], said["rate"]) == (True, 0, rate)
    assert 2 <= len(said["echoes"]) <= said["probes"]
    check(said, "latency")


def test_for_a_hearing_aid_jack_sets_the_blocks_and_nothing_but_its_loop_is_late(bank):
    with jack_server(rate=48_000, period=64) as environment:
        done = latency(environment, "--json", "--loop", "--config", "hearing-aid", *bank)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["measured_samples"] == said["ledger_samples"] == 64
    assert said["block"] == 64


def test_a_driver_that_tells_of_buffers_it_does_not_have_is_found_out(bank):
    # JACK's own loopback driver says that it is as late as the sound card, and hands over at once
    with jack_server(rate=48_000, period=128, options=("-L", "2")) as environment:
        over_it = ["--input", "loopback", "--output", "loopback", *bank]
        said = json.loads(latency(environment, "--json", *over_it).stdout)
        assert said["ledger_samples"] - said["measured_samples"] == 256
        assert not said["agrees"]
        assert "256 samples (5.33 ms) less than the ledger says" in latency(environment, *over_it).stdout


def test_a_server_that_dies_meanwhile_ends_it_with_a_clear_line(bank):
    command = [sys.executable, "-m", "streamsep", "latency", "--loop", "--seconds", "60", *bank]
    with jack_server(rate=48_000, period=256) as environment:
        running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        while "PortAudio:out_0\n   PortAudio:in_0" not in wires(environment):
            assert running.poll() is None
            time.sleep(0.05)
    _, said = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 1
    assert said.splitlines()[-1].startswith("streamsep: 'system' to 'system' at 48000 Hz")
    assert said.endswith("the device went away or its sound server stopped\n")


def test_without_a_loopback_the_error_says_what_to_connect(bank):
    with jack_server(rate=48_000, period=256) as environment:
        done = latency(environment, "--input", "system", "--output", "system", *bank)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no loopback was found" in done.stderr
    assert "the input was silent" in done.stderr
    assert "with a cable" in done.stderr
