"""A session outlives the processes with the sound. Here they are made up; test_live has real ones."""

import errno
import os
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsep.audio.devices import Device
from streamsep.audio.tallies import Times
from streamsep.cli.live import show
from streamsep.config import load_settings
from streamsep.errors import StreamsepError
from streamsep.live.meter import RELIEF
from streamsep.live.session import HANG_S, START_LIMIT_S, STOP_LIMIT_S, Session
from streamsep.live.sound import SoundPlan
from streamsep.monitor.guardian import Health
from streamsep.realtime.counters import Counters
from streamsep.realtime.overload import HIGHEST

MICROPHONE = Device(3, "a microphone", "ALSA", 1, 0, 48_000, True, False)
HEADPHONES = Device(5, "headphones", "ALSA", 0, 2, 48_000, False, True)
OPENED = {
    "input": "a microphone", "output": "headphones", "rate": 48_000, "channels": 2, "block": 128,
    "domains": ["noise"],
    "latency": {"samples": 384, "terms": {"gathering a hop": 192.0, "window": 192.0}},
    "devices": [asdict(MICROPHONE), asdict(HEADPHONES)], "device_terms": {"input device": 48, "output device": 120},
}  # fmt: skip
NOW = {"dry": False, "bypassed": False, "domain": "noise"}


def report(seconds: float = 1.0, calls: int = 10, **more: Any) -> dict[str, Any]:
    times = Times()
    for _ in range(calls):
        times.add(0.001)
    causes = {"deadline": 1, "interpreter": 2, "device": 3}
    return {
        "seconds": seconds, "callbacks": calls, "faults": 0, "howls": 0, "underruns": causes, "overruns": causes,
        "times": times.told(), "worst_load": 0.5, "overload": 0, "fault": None, "heard": "noise",
        "counters": asdict(Counters(hops=5, switches=2)), "monitor": None,
        "recording": None, "block": 512,
        "device_terms": {"input device": 48, "JACK's loop": 100, "output device": 120},
    } | more  # fmt: skip


class Made:
    """A process with the sound that says what a test makes it say."""

    def __init__(self, plan: SoundPlan) -> None:
        self.plan = plan
        self.said: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.died: str | None = None
        self.killed = False

    def ask(self, **what: Any) -> None:
        self.asked.append(what)

    def answers(self) -> Any:
        while self.said:
            yield self.said.pop(0)

    def ended(self) -> str | None:
        return None if self.said else self.died

    def kill(self) -> None:
        self.killed = True


class World:
    """A session, everything it started, everything it told."""

    def __init__(self, **plan: Any) -> None:
        self.started: list[Made] = []
        self.told: list[str] = []
        self.looks: list[dict[str, Any]] = []
        settings = load_settings(overrides={"domain": plan.pop("domain", "auto")})
        self.session = Session(SoundPlan(settings, **plan), self.told.append, self.looks.append, self._start)
        self.now_s = 100.0
        self.full = False  # so that no process can be started

    def _start(self, plan: SoundPlan) -> Made:
        if self.full:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        self.started.append(Made(plan))
        return self.started[-1]

    @property
    def sound(self) -> Made:
        return self.started[-1]

    def step(self, seconds: float = 0.05, *said: dict[str, Any]) -> None:
        if self.started:
            self.sound.said += said
        self.now_s += seconds
        self.session.step(self.now_s)

    def open(self) -> "World":
        self.step()
        self.step(0.05, {"opened": OPENED}, {"now": NOW})
        return self

    def wait(self, seconds: float) -> None:
        """Without a word from anybody, until something happens."""
        until_s, started = self.now_s + seconds, self.sound
        while self.now_s < until_s and not started.killed:
            self.step()

    def until_started(self) -> float:
        """Seconds until another process is started."""
        count, began_s = len(self.started), self.now_s
        while len(self.started) == count:
            self.step()
            assert self.now_s < began_s + 100
        return round(self.now_s - began_s, 6)  # many steps add up


def test_what_cannot_begin_says_why_and_is_not_tried_again() -> None:
    world = World()
    world.step()
    with pytest.raises(StreamsepError, match="no such device"):
        world.step(0.05, {"error": "no such device"})
    assert world.sound.killed


@pytest.mark.parametrize("end", ["gone", "died", "hung", "error at the second start"])
def test_a_sound_that_was_lost_is_begun_again_later_and_later_and_the_user_is_told(end: str) -> None:
    world = World().open()
    pauses = []
    for _ in range(8):
        lost = world.sound
        if end == "gone":
            world.step(0.05, {"gone": "the device went away", "report": report()})
        elif end == "died":
            lost.died = "signal SIGKILL"
            world.step()
        elif end == "hung":
            world.wait(max(HANG_S, START_LIMIT_S) + 1)
        else:
            world.step(0.05, {"error": "still not there"})
        assert lost.killed
        assert world.session.now is None
        assert "tried again in" in world.told[-1]
        pauses.append(world.until_started())
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(0.5, abs=0.11)
    assert pauses[-1] == pytest.approx(30, abs=0.11)
    world.step(0.05, {"opened": OPENED}, {"now": NOW})
    assert world.session.reconnections == 1
    assert world.told[-1] == "a microphone → headphones: the sound is back"
    assert world.session.now == NOW


@given(st.floats(1.5, 1e6), st.floats(0, HANG_S - 0.2))
def test_a_session_that_was_suspended_does_not_take_the_sound_for_dead(suspended_s: float, silent_s: float) -> None:
    world = World().open()
    sound = world.sound
    world.wait(silent_s)
    world.step(suspended_s)
    assert not sound.killed
    world.step(0.05, {"now": NOW})
    assert world.session.now == NOW
    world.wait(HANG_S + 1)
    assert sound.killed


def test_that_the_sound_is_later_than_before_is_said_and_shown() -> None:
    world = World().open()
    assert world.session.ledger.ms == 11.5
    world.step(0.05, {"changed": {"block": 1024, "device_terms": {"input device": 1024, "output device": 2048}}})
    assert world.told == ["the device's blocks have 1024 samples now; the latency is 72.0 ms, it was 11.5"]
    assert (world.session.opened or {})["block"] == 1024
    assert world.session.ledger.samples == 384 + 3072
    world.step(0.05, {"gone": "the device went away", "report": report()})
    assert world.session.ledger.ms == 72.0
    world.until_started()
    slower = {"rate": 44_100, "latency": {"samples": 353, "terms": {"gathering a hop": 176.4, "window": 176.4}}}
    world.step(0.05, {"opened": OPENED | slower}, {"now": NOW})
    assert world.told[-1] == "a microphone → headphones: the sound is back; the latency is 11.8 ms, it was 72.0"
    assert OPENED["block"] == 128  # what a process has said is not written over


def test_what_the_listener_has_chosen_holds_after_a_gap() -> None:
    world = World().open()
    world.session.ask(select="noise")
    world.session.ask(gain=["noise", -30.0])
    world.session.ask(gain=["noise", -33.0])
    world.session.ask(bypass=True)
    assert [next(iter(asked)) for asked in world.sound.asked] == ["select", "gain", "gain", "bypass"]
    world.step(0.05, {"gone": "the device went away", "report": report()})
    world.until_started()
    plan = world.sound.plan
    assert plan.known == (MICROPHONE, HEADPHONES)
    assert (plan.selected, plan.gains_db, plan.bypass) == ("noise", {"noise": -33.0}, True)
    assert plan.settings.domain == "auto"  # the monitor is there again, should it be asked


def test_the_choice_cannot_be_given_to_a_monitor_that_is_not_there() -> None:
    world = World(domain="noise").open()
    world.session.ask(select="music")
    world.session.ask(select="auto")
    assert world.sound.asked == [{"select": "music"}]
    world.step(0.05, {"gone": "the device went away", "report": report()})
    world.until_started()
    assert world.sound.plan.selected == world.session.summary()["domain"] == "music"


def test_where_no_process_can_be_started_it_is_tried_again_later_and_later() -> None:
    world = World().open()
    world.sound.died = "signal SIGKILL"
    world.step()
    world.full = True
    while len(world.told) < 8:
        world.step(1.0)
    why = "the process with the sound could not be started: Resource temporarily unavailable"
    assert world.told[1:] == [f"{why}; it is tried again in {pause_s} s" for pause_s in (1, 2, 4, 8, 16, 30, 30)]
    world.full = False
    world.until_started()
    world.step(0.05, {"opened": OPENED}, {"now": NOW})
    assert (world.session.reconnections, world.session.now) == (1, NOW)


def test_what_cannot_be_started_at_all_says_why() -> None:
    world = World()
    world.full = True
    with pytest.raises(StreamsepError, match="could not be started: Resource temporarily unavailable"):
        world.step()


def test_the_monitor_goes_on_from_the_domain_that_was_heard() -> None:
    world = World().open()
    assert world.sound.plan.heard is None
    world.step(0.05, {"now": NOW | {"domain": "music"}}, {"gone": "the device went away", "report": report()})
    world.until_started()
    assert world.sound.plan.heard == "music"
    assert world.sound.plan.settings.domain == "auto"


def test_stopping_fades_and_ends_with_everything_that_was_counted_by_every_process() -> None:
    world = World().open()
    world.step(0.05, {"look": {"reason": "x"}}, {"gone": "the device went away", "report": report(2.0, 20)})
    world.until_started()
    world.step(0.05, {"opened": OPENED}, {"now": NOW}, {"look": {"reason": "y"}})
    world.session.stop()
    assert world.sound.asked == [{"stop": True}]
    assert not world.session.finished
    world.step(0.05, {"end": report(1.0, 10, faults=3, worst_load=0.75, fault="it failed")})
    assert world.session.finished
    summary = world.session.summary()
    assert (summary["seconds"], summary["callbacks"], summary["faults"]) == (3.0, 30, 3)
    assert summary["underruns"] == {"deadline": 2, "interpreter": 4, "device": 6}
    assert (summary["switches"], summary["decisions"], summary["reconnections"]) == (4, 2, 1)
    assert (summary["worst_load"], summary["fault"], summary["heard"]) == (0.75, "it failed", "noise")
    assert summary["callback"]["period_ms"] == 100.0
    assert summary["callback"]["max_ms"] == 1.0
    assert summary["latency"]["samples"] == 384 + 48 + 120 + 100  # as the wires were in the end
    assert summary["block"] == 512
    assert next(iter(summary["latency"]["terms"])) == "input device"
    assert sum(summary["latency"]["terms"].values()) == summary["latency"]["samples"]
    assert [look["reason"] for look in world.looks] == ["x", "y"]


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("level", range(HIGHEST + 1))
def test_the_summary_for_people_tells_latency_load_what_was_given_up_and_the_monitor(
    capsys: pytest.CaptureFixture[str], level: int, watched: bool
) -> None:
    world = World().open()
    world.step(0.05, *[{"look": {"reason": "x"}}] * 3)
    monitor = asdict(Health(starts=1, status="the monitor is asleep")) if watched else None
    world.step(0.05, {"end": report(worst_load=0.756, overload=level, monitor=monitor)})
    show(world.session.summary())
    said = " ".join(capsys.readouterr().out.split())
    assert f"latency: {(384 + 48 + 120 + 100) / 48:.1f} ms, load at worst 76%" in said
    assert "switches: 2" in said
    assert ("looks of the monitor: 3 (the monitor is asleep)" in said) == watched
    assert ("overloaded" in said) == (level > 0)
    assert RELIEF[level] in said


@given(st.sampled_from(["died", "gone", "waiting", "before it begins"]))
def test_a_session_that_is_stopped_ends_whatever_has_become_of_the_sound(case: str) -> None:
    world = World()
    if case == "before it begins":
        world.session.stop()
        world.step()
        assert world.session.finished
        return
    world.open()
    if case == "waiting":
        world.step(0.05, {"gone": "the device went away", "report": report()})
    world.session.stop()
    if case == "died":
        world.sound.died = "exit code 1"
    if case == "gone":
        world.sound.said.append({"gone": "the device went away", "report": report()})
    world.step()
    world.step()
    assert world.session.finished
    assert world.session.summary()["rate"] == 48_000


@given(
    case=st.sampled_from(["opening", "opening again", "playing"]),
    before_s=st.floats(0, HANG_S - 0.1),
    steps=st.lists(st.tuples(st.floats(0.01, 2), st.booleans()), min_size=1, max_size=60),
)
def test_a_session_that_is_stopped_ends_in_time_though_the_process_hangs_or_only_talks(
    case: str, before_s: float, steps: list[tuple[float, bool]]
) -> None:
    world = World()
    if case == "opening":
        world.step()
    else:
        world.open()
    if case == "opening again":
        world.step(0.05, {"gone": "the device went away", "report": report()})
        world.until_started()
    world.step(before_s)
    stopped_s: float | None = None
    for seconds, talks in [*steps, (2 * STOP_LIMIT_S, False)]:
        world.session.stop()  # over and over, as the command does
        world.step(seconds, *([{"say": "still here"}] if talks else []))
        stopped_s = world.now_s if stopped_s is None else stopped_s
        assert world.session.finished == (world.now_s - stopped_s > STOP_LIMIT_S) == world.sound.killed
        if world.session.finished:
            assert "did not end and was killed" in world.told[-1]
            assert ("what it counted is lost" in world.told[-1]) == (case == "playing")
            return
    raise AssertionError
