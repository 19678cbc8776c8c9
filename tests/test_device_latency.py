"""The ledger of the whole way equals what others measure: jack_iodelay through `streamsep live`, on real servers."""

import json
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from iodelay import iodelay
from jack_server import jack_server
from small_bank import make_bank

from streamsep.audio import device_latency
from streamsep.audio.devices import Device
from streamsep.audio.jack import API
from streamsep.realtime.ledger import Ledger

LIMIT_S = 120  # of a subprocess, on a machine that has other things to do
ENGINE = ["gathering a hop", "window", "look-ahead", "resampler", "limiter"]
ALSA = Device(0, "Card", "ALSA", 2, 2, 48_000, True, True)
SYSTEM = Device(1, "system", API, 2, 2, 48_000, True, True)


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder = make_bank(tmp_path_factory.mktemp("ledger") / "bank")
    bank = ["--set", f"models.bank={folder}", "--set", "models.precision=fp32", "--domain", "noise"]
    return [sys.executable, "-m", "streamsep", "live", "--bypass", "--json", "--api", "jack", *bank]


def iodelay_through(live, environment, remarks, alone):
    """Run live, measure it, stop it: what was measured, what it says of itself."""
    with remarks.open("w") as stderr:
        sound = subprocess.Popen(live, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        while "Ctrl-C ends" not in remarks.read_text():
            assert sound.poll() is None, remarks.read_text()
            time.sleep(0.05)
        with iodelay(environment) as meter:
            meter.connect(alone)
            samples = meter.measured()
            sound.send_signal(signal.SIGINT)
            out, _ = sound.communicate(timeout=LIMIT_S)
    finally:
        sound.kill()
        sound.communicate()
    return samples, json.loads(out.splitlines()[-1])


@pytest.mark.parametrize(("period", "block", "recut"), [(128, 0, 0), (128, 128, 0), (256, 0, 0), (256, 100, 100)])
def test_jack_iodelay_measures_what_the_ledger_says(live, tmp_path, period, block, recut):
    with jack_server(rate=48_000, period=period) as environment:
        command = [*live, "--block", str(block)]
        samples, summary = iodelay_through(command, environment, tmp_path / "remarks", alone=block == 0)
    latency = summary["latency"]
    terms = latency["terms"]
    assert list(terms) == ["input device", *ENGINE, "PortAudio's blocks", "JACK's loop", "output device"]
    assert [terms[name] for name in ("PortAudio's blocks", "JACK's loop")] == [recut, period]
    assert sum(terms[name] for name in ENGINE) > 0
    assert latency["samples"] == round(sum(terms.values()))
    assert latency["ms"] == pytest.approx(sum(latency["terms_ms"].values()), abs=0.02)
    assert samples == pytest.approx(latency["samples"], abs=1)
    printed = (tmp_path / "remarks").read_text()  # before anybody changed the wires
    assert re.search(rf"input device +│ +{period} ", printed)
    assert re.search(rf"output device +│ +{2 * period} ", printed)


def test_between_two_sound_cards_jack_adds_its_periods(live):
    with jack_server(rate=48_000, period=64) as environment:
        command = [*live, "--seconds", "0.5"]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=LIMIT_S)
    terms = json.loads(done.stdout)["latency"]["terms"]
    assert list(terms) == ["input device", *ENGINE, "PortAudio's blocks", "output device"]
    assert (terms["input device"], terms["PortAudio's blocks"], terms["output device"]) == (64, 0, 128)


def test_other_devices_are_taken_at_their_word():
    terms = device_latency.device_terms(ALSA, ALSA, 48_000, 256, {"input": 2.5, "output": 10.1})
    assert terms == {"input device": 120, "output device": 485}
    whole = device_latency.whole_way(Ledger(48_000, {"window": 192}), terms)
    assert whole.terms == {"input device": 120, "window": 192, "output device": 485}
    assert device_latency.best_block(ALSA, ALSA, 256) == 256


def test_a_jack_server_that_does_not_answer_is_not_waited_for(monkeypatch):
    never = threading.Event()
    monkeypatch.setattr(device_latency, "jack_terms", lambda *asked: never.wait(LIMIT_S))
    monkeypatch.setattr(device_latency, "ANSWER_LIMIT_S", 0.05)
    terms = device_latency.device_terms(SYSTEM, SYSTEM, 48_000, 0, {"input": 0.0, "output": 2.0})
    never.set()
    assert terms == {"input device": 0, "output device": 96}
