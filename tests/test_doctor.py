"""What the doctor thinks of texts nobody's machine has written, and one examination of this machine."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jack_server import jack_server, sound_environment
from small_bank import make_bank

from streamsep.audio.devices import Device
from streamsep.audio.jack import API
from streamsep.doctor import examine, findings, machine, sound_findings
from streamsep.doctor.callbacks import Callbacks, Watched
from streamsep.doctor.examine import BLOCKS, try_blocks
from streamsep.errors import DeviceError, DeviceGoneError

LIMIT_S = 120  # of a subprocess, on a machine that has other things to do
CARD = Device(0, "Card", "ALSA", 2, 2, 48_000, True, True)


# ---------------------------------------------------------------------------------------------------- the machine


@given(granted=st.integers(0, 99), member=st.booleans(), files=st.sampled_from(["none", "group", "user", "weak"]))
def test_real_time_priority_is_good_when_granted_and_otherwise_mended_by_what_is_missing(granted, member, files):
    limits = {
        "none": {"/etc/security/limits.conf": "# @audio - rtprio 95\n* soft core 0\n"},
        "group": {"a.conf": "@realtime - rtprio 98\n@realtime - memlock unlimited\n"},
        "user": {"a.conf": "ann\thard\trtprio\t50\n"},
        "weak": {"a.conf": "@realtime - rtprio 2\n"},
    }[files]
    finding = findings.real_time(granted, {"ann", "realtime"} if member else {"ann"}, limits, "ann")
    if granted >= findings.HIGH_PRIORITY:
        assert (finding.state, finding.mend) == ("good", None)
        return
    assert finding.state == "bad"
    if files == "user" or (files == "group" and member):
        assert finding.mend.startswith("su --login ann   # ")
    elif files == "group":
        assert finding.mend.startswith("sudo usermod -aG realtime ann ")
    else:
        assert "@audio - rtprio 95' | sudo tee -a /etc/security/limits.d/95-audio.conf" in finding.mend
        assert "usermod -aG audio ann" in finding.mend


def test_who_is_in_the_group_already_is_not_told_to_join_it():
    assert "usermod" not in findings.real_time(0, {"audio"}, {}, "ann").mend


@given(st.integers(0, 2**40))
def test_locked_memory_is_good_from_64_mb_on(limit):
    finding = findings.locked_memory(limit)
    assert (finding.state == "good") == (limit >= 64 * 2**20) == (finding.mend is None)
    assert findings.locked_memory(None).state == "good"


@given(st.lists(st.sampled_from(["performance\n", "powersave\n", "schedutil\n"]), max_size=4))
def test_the_governor_is_good_when_every_core_has_the_fastest(governors):
    finding = findings.governor(governors)
    if not governors:
        assert finding is None
        return
    assert (finding.state == "good") == (set(governors) == {"performance\n"})
    assert (finding.mend is None) == (finding.state == "good")


@given(st.lists(st.sampled_from(["0\n", "1\n"]), max_size=3), st.sampled_from([None, "balanced\n", "low-power\n"]))
def test_power_is_saved_on_a_battery_and_when_it_is_asked_for(mains, profile):
    finding = findings.power({f"AC{number}": online for number, online in enumerate(mains)}, profile)
    if profile == "low-power\n" or (mains and "1\n" not in mains):
        assert finding.state == "fair"
        assert finding.mend
    else:
        assert finding is None or finding.state == "good"
    assert (finding is None) == (not mains and profile is None)


@pytest.mark.parametrize(("text", "state"), [("0\n", "good"), ("10\n", "fair"), ("1\n", "fair")])
def test_a_sound_card_that_sleeps_is_kept_awake(text, state):
    finding = findings.sleepy_card(text)
    assert (finding.state, finding.mend is None) == (state, state == "good")
    assert findings.sleepy_card(None) is None


@given(free=st.integers(0, 10**8), total=st.integers(0, 10**7), share=st.floats(0, 1), swappiness=st.integers(0, 100))
def test_memory_is_judged_by_what_is_free_and_what_was_swapped_out(free, total, share, swappiness):
    used = round(share * total)
    text = f"MemTotal: 9 kB\nMemAvailable: {free} kB\nSwapTotal: {total} kB\nSwapFree: {total - used} kB\n"
    finding = findings.swap(text, f"{swappiness}\n")
    if free / 1024 < 500:
        assert finding.state == "bad"
    else:
        assert (finding.state == "fair") == (used / 1024 > 1 and swappiness > 10)
    assert (finding.mend is None) == (finding.state == "good")


@given(load=st.floats(0, 100).map(lambda load: round(load, 2)), cores=st.integers(1, 64))
def test_other_programs_are_in_the_way_when_there_are_as_many_as_cores(load, cores):
    state = findings.load(f"{load:.2f} 0.10 0.05 1/100 4242\n", cores).state
    assert state == ("good" if load <= cores / 2 else "bad" if load > cores else "fair")


@pytest.mark.parametrize(("number", "state"), [(1, "fair"), (2, "good"), (8, "good")])
def test_one_core_is_few(number, state):
    assert findings.cores(number).state == state


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**4)), min_size=10, max_size=10))
def test_stolen_time_is_the_share_that_other_guests_took(ticks):
    before = "cpu  " + " ".join(str(begin) for begin, _ in ticks) + "\ncpu0 1 2 3\n"
    after = "cpu  " + " ".join(str(begin + more) for begin, more in ticks) + "\ncpu0 1 2 3\n"
    spent = [more for _, more in ticks[:8]]
    finding = findings.stolen(before, after)
    if spent[7] == 0:
        assert finding is None
    else:
        assert f"{100 * spent[7] / sum(spent):.1f} %" in finding.found
        assert (finding.state == "bad") == (100 * spent[7] > sum(spent))
        assert (finding.mend is None) == (finding.state == "good")


def test_what_this_system_tells_is_read_and_judged():
    found = machine.machine_findings()
    names = [finding.name for finding in found]
    assert len(set(names)) == len(names)
    assert "processor" in names
    assert all(finding.found and (finding.mend is None) == (finding.state == "good") for finding in found)


# ------------------------------------------------------------------------------------------------------ the sound


def test_what_is_missing_of_the_sound_system_is_named_with_what_mends_it():
    assert "apt install libportaudio2" in sound_findings.library(None, [], []).mend
    deaf = sound_findings.library("V19", [], ["ALSA", "OSS"])
    assert (deaf.state, "ALSA (0 devices), OSS (0 devices)" in deaf.found) == ("bad", True)
    assert sound_findings.library("V19", [CARD], ["ALSA", "OSS"]).found == "V19: ALSA (1 device), OSS (0 devices)"


@given(period=st.sampled_from([64, 128, 256, 512, 1024]), realtime=st.booleans())
def test_a_jack_server_should_have_priority_and_short_periods(period, realtime):
    finding = sound_findings.jack_server(period, 48_000, realtime)
    assert finding.state == ("bad" if not realtime else "fair" if period > 288 else "good")
    assert f"{period} samples" in finding.found


METADATA = """Found "settings" metadata 31
update: id:0 key:'log.level' value:'2' type:''
update: id:0 key:'clock.rate' value:'44100' type:''
update: id:0 key:'clock.quantum' value:'1024' type:''
update: id:0 key:'clock.force-quantum' value:'{}' type:''
"""


@pytest.mark.parametrize(("forced", "found", "state"), [(0, "1024 samples", "fair"), (64, "64 samples", "good")])
def test_pipewire_is_judged_by_the_quantum_it_has(forced, found, state):
    finding = sound_findings.pipewire(METADATA.format(forced), running=True, as_jack=True)
    assert finding.state == state
    assert f"{found} at 44100 Hz" in finding.found
    assert (
        sound_findings.pipewire(METADATA.format(forced), running=True, as_jack=False).mend == "pw-jack streamsep live"
    )
    assert sound_findings.pipewire(None, running=True, as_jack=True).state == "unknown"
    assert sound_findings.pipewire(None, running=False, as_jack=False) is None


# --------------------------------------------------------------------------------------------------- the callbacks


@given(
    off=st.lists(st.floats(-0.4, 3), min_size=2, max_size=50),
    took=st.floats(0.001, 2),
    period_ms=st.floats(0.3, 50),
    gaps=st.integers(0, 2),
)
def test_a_callback_is_late_when_its_delay_and_its_work_are_longer_than_its_sound(off, took, period_ms, gaps):
    period_s = period_ms / 1000
    steps = period_s * (1 + np.array(off))
    began = 100 + np.concatenate([[0], np.cumsum(steps)])
    seen = Callbacks(began, began + took * period_s, np.full(len(began), period_s), gaps)
    margins = np.abs(np.maximum(off, 0) + took - 1)
    if margins.min() > 1e-6:
        late = sum(max(delay, 0) + took > 1 for delay in off)
        assert seen.late == late
        assert seen.safe == (late == 0 and gaps == 0)
    figures = seen.figures()
    assert figures["jitter_max_ms"] == pytest.approx(period_ms * np.abs(off).max(), rel=1e-3, abs=1e-3)
    assert figures["took_p50_ms"] == pytest.approx(took * period_ms, rel=1e-3, abs=1e-3)
    finding = sound_findings.regularity("nothing", seen, "streamsep live --block 256")
    assert (finding.state, finding.mend) == (("good", None) if seen.safe else ("bad", "streamsep live --block 256"))


class Loud:
    """An engine that would be heard, and remembers what it was given."""

    rate, channels = 8000, 1

    def __init__(self):
        self.given = []

    def process(self, block, out):
        self.given.append(block.copy())
        out.fill(1)
        return out

    def relieve(self, level):
        raise AssertionError


@given(blocks=st.lists(st.integers(1, 3000), min_size=1, max_size=20), microphone=st.floats(-1, 1))
def test_a_doctor_neither_plays_nor_listens(blocks, microphone):
    engine = Loud()
    watched = Watched(engine, 8000, 1, seconds=1.0)
    for count in blocks:
        out = np.full((count, 1), np.nan, np.float32)
        assert not watched.process(np.full((count, 1), microphone, np.float32), out).any()
        watched.relieve(3)
    assert [len(block) for block in engine.given] == blocks
    assert watched.calls == len(blocks)
    assert watched.frames[: len(blocks)].tolist() == blocks
    assert all(not np.allclose(block, microphone) for block in engine.given if len(block) > 9)


@given(safe_from=st.sampled_from([*BLOCKS, None]), taken_from=st.sampled_from([0, 128, 10**6]))
def test_blocks_are_tried_from_short_to_long_until_one_is_taken_and_safe(safe_from, taken_from):
    told = []

    def seen(block):
        if block < taken_from:
            raise DeviceError(f"block {block}: refused")
        began = np.arange(9) * block / 48_000
        fine = safe_from is not None and block >= safe_from
        return Callbacks(began, began, np.full(9, block / 48_000), 0 if fine else 1)

    tried = dict(try_blocks(seen, CARD, told.append))
    first = next((block for block in BLOCKS if block >= max(safe_from or 10**6, taken_from)), None)
    assert list(tried) == [block for block in BLOCKS if first is None or block <= first]
    assert [block for block, safe in tried.items() if safe] == ([] if first is None else [first])
    assert [f"block {block}: refused" in told for block in tried] == [block < taken_from for block in tried]
    finding = sound_findings.smallest(tried, None)
    assert finding.found.startswith("callbacks were late" if first is None else f"{first} samples")
    assert finding.mend.partition("   #")[0] == f"streamsep live --block {first or 2 * max(BLOCKS)}"
    assert sound_findings.smallest(tried, "JACK").mend.startswith(f"jack_bufsize {first or 2 * max(BLOCKS)}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("heeded", [True, False])
def test_who_is_told_to_end_sets_the_servers_period_back_first(monkeypatch, number, heeded):
    periods = [256]

    def set_period(period):
        periods.append(period)
        return True

    class Server(SimpleNamespace):
        period = property(lambda self: periods[-1])

    @contextmanager
    def server():
        yield Server(clients=set, set_period=set_period)

    monkeypatch.setattr(examine, "jack", server)
    monkeypatch.setattr(examine, "own_client", lambda: "ours")

    def seen(block):
        if len(periods) == 3:
            os.kill(os.getpid(), number)
        raise DeviceError("refused")

    usual = signal.SIG_DFL if heeded else signal.SIG_IGN  # as nohup does
    before = signal.signal(number, usual)
    try:
        with pytest.raises(SystemExit) if heeded else nullcontext():
            dict(try_blocks(seen, replace(CARD, api=API), lambda remark: None))
        assert signal.getsignal(number) is usual
    finally:
        signal.signal(number, before)
    assert periods == [256, *(BLOCKS[:2] if heeded else BLOCKS), 256]


def test_who_has_no_name_goes_by_a_number(monkeypatch):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(machine.getpass, "getuser", nobody)
    assert machine.user_name() == str(os.getuid())
    assert machine.machine_findings()


def test_a_device_that_goes_away_meanwhile_ends_the_search():
    def seen(block):
        raise DeviceGoneError("it went away")

    with pytest.raises(DeviceGoneError):
        dict(try_blocks(seen, CARD, lambda remark: None))


# ---------------------------------------------------------------------------------------------------- the command


def doctor(environment, *arguments):
    command = [sys.executable, "-m", "streamsep", "doctor", "--seconds", "1", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def test_an_examination_on_a_jack_server_measures_and_leaves_everything_as_it_was(tmp_path):
    bank = ["--set", f"models.bank={make_bank(tmp_path / 'bank')}", "--set", "models.precision=fp32"]
    with jack_server(rate=48_000, period=512) as environment:
        done = doctor(environment, "--json", "--api", "jack", "--domain", "noise", *bank)
        assert done.returncode == 0, done.stderr
        after = subprocess.run(["jack_bufsize"], env=environment, capture_output=True, text=True, check=False).stdout
    assert after == "512\n"
    report = json.loads(done.stdout)
    found = {finding["name"]: finding for finding in report["findings"]}
    assert "512 samples at a time at 48000 Hz" in found["JACK"]["found"]
    assert found.pop("smallest safe block")["mend"].startswith("jack_bufsize ")  # to have it, whatever it is
    assert all((finding["mend"] is None) == (finding["state"] == "good") for finding in found.values())
    assert set(report["callbacks"]) == {"no model", "the bank"}
    for seen in report["callbacks"].values():
        assert seen["calls"] > 10
        assert seen["period_ms"] == pytest.approx(1000 * 512 / 48_000, abs=1e-3)
        assert 0 < seen["took_p50_ms"] <= seen["took_p99_ms"] <= seen["took_max_ms"]
    tried = {int(block): said == "safe" for block, said in report["blocks"].items()}
    assert list(tried) == list(BLOCKS)[: len(tried)]
    assert report["smallest_safe_block"] == next((block for block, safe in tried.items() if safe), None)
    assert {"streamsep", "numpy", "onnxruntime"} <= report["versions"].keys()


def test_without_a_device_the_doctor_still_reports_on_the_machine():
    done = doctor(sound_environment("no-such-server"), "--input", "no such device", "--json")
    assert done.returncode == 0, done.stderr
    found = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert "processor" in found
    assert found["JACK"]["mend"].startswith("jackd --realtime ")  # it is installed here, or nothing would be tested
    assert "nothing to measure with" in found["callbacks"]["found"]
