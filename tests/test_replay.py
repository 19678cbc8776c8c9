"""A recorded session is heard again as it was, to the bit, or the truth about where it is not."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calibrated import ROLES, make_calibrated_bank, promising
from graphs import make_graph
from played import Live, never_late, session
from strategies import noise
from typer.testing import CliRunner

from streamsep.arrays import Block
from streamsep.assembly import build, make_guard, settings_of
from streamsep.audio import files
from streamsep.audio.callback import Callback
from streamsep.cli.main import app
from streamsep.errors import AudioError, ModelError
from streamsep.record.folder import facts, lines_of, read
from streamsep.record.recorder import Recorder
from streamsep.replay import replay

RATE = 16_000


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three domains: one with sources that are alike, one with a look-ahead."""
    folder = tmp_path_factory.mktemp("bank")
    for domain, more in (
        ("music", {"sources": ROLES["music"]}),
        ("noise", {"sources": ROLES["noise"], "look_ahead": 2}),
        ("speech", {"sources": ["talker", "talker"]}),
    ):
        make_graph(folder / f"{domain}-step-fp32.onnx", domain=domain, **more)
    return folder


def record(folder: Path, bank: Path, seed: int, rate: int, channels: int, domain: str, **more: Any) -> Live:
    """A session of two seconds in which everything happens."""
    random = np.random.default_rng(seed)
    sound = noise(seed, 2 * rate, channels).reshape(-1, channels)
    sound[random.random(len(sound)) < 1e-4] = np.nan
    with Live(folder, bank, domain, rate, channels, monitor=domain == "auto" or bool(seed % 2), **more) as live:
        live.through(sound, random.integers(1, 250, 7).tolist(), random)
        live.callback.stop()
        live.play(sound[: rate // 5])
    return live


@pytest.mark.parametrize(
    ("seed", "rate", "channels", "domain", "synthesis_ms"),
    [
        (0, 16_000, 1, "auto", None),
        (1, 48_000, 2, "auto", 2),
        (2, 44_100, 1, "music", None),
        (3, 16_000, 3, "speech", 4),
    ],
)
def test_whatever_was_done_is_done_again_at_the_same_sample(
    bank: Path, tmp_path: Path, seed: int, rate: int, channels: int, domain: str, synthesis_ms: int | None
) -> None:
    live = record(tmp_path / "take", bank, seed, rate, channels, domain, latency={"synthesis_ms": synthesis_ms})
    again = replay(tmp_path / "take")
    assert (again.differs_at, again.difference) == (None, 0.0)
    np.testing.assert_array_equal(again.separation.listen, live.output)
    assert np.abs(live.output).max() > 1e-3
    happened = {event["event"] for event in lines_of(tmp_path / "take" / "events.jsonl")}
    assert happened >= {"gain", "hand-over", "bypass", "fade-in", "fade-out"}
    assert again.separation.counters.switches == live.engine.counters.switches
    together = np.sum(list(again.separation.sources.values()), axis=0)
    assert together.shape == live.output.shape
    if domain == "auto":
        assert live.engine.counters.switches > 2
        assert any("state" in event for event in lines_of(tmp_path / "take" / "events.jsonl"))


@pytest.mark.parametrize("block", [160, 512, 1000])
def test_after_a_fault_of_the_engine_everything_is_done_again_at_the_same_sample(
    bank: Path, tmp_path: Path, block: int
) -> None:
    sound = noise(block, 64 * block).reshape(-1, 1)
    with Live(tmp_path / "take", bank, "noise", 16_000, 1, monitor=False) as live:
        path, faults = live.engine._path, iter([False, False, True])

        def failing(*heard: Any) -> None:
            if next(faults, False):
                raise MemoryError
            type(path).process(path, *heard)

        for number in range(64):
            if number in (20, 21):  # the second fault is met in the block after the first
                faults = iter([False, True])
                path.process = failing  # type: ignore[method-assign]
            elif number == 22:
                del path.process
            elif number == 30:
                live.engine.select("music")
            elif number == 40:
                live.engine.set_gain("vocals", -6)
            live.play(sound[number * block : (number + 1) * block])
        assert live.callback.faults == 2
    again = replay(tmp_path / "take")
    assert (again.differs_at, again.difference) == (None, 0.0)
    assert np.abs(live.output[-block:]).max() > 1e-3
    events = [(event["event"], event["sample"]) for event in lines_of(tmp_path / "take" / "events.jsonl")]
    assert {("fault", 20 * block), ("fault", 21 * block), ("reset", 21 * block), ("reset", 22 * block)} <= set(events)


def test_what_a_real_monitor_chose_is_chosen_again(tmp_path: Path) -> None:
    music, steady = promising(-10.0, balance=30.0), promising(2.0, balance=0.0)
    models = {"bank": str(make_calibrated_bank(tmp_path / "bank", music=music, noise=steady)), "precision": "fp32"}
    watching = {"smoothing_s": 0, "dwell_s": 0, "apart_s": 0, "fall_back_s": 0, "look_back_s": 1, "every_s": 0.25}
    settings = settings_of("default", "auto", {"models": models, "monitor": watching})
    looks: list[Any] = []
    engine, opened, guardian = build(settings, RATE, 1, look=looks.append)
    assert guardian is not None
    hiss, tone = noise(0, RATE), np.sin(0.3 * np.arange(RATE)).astype(np.float32) / 4
    with engine, Recorder(tmp_path / "take", engine, facts(settings, opened, engine, None, {})) as recorder:
        callback = never_late(Callback(engine, make_guard(settings, RATE, 1)))
        callback.tape = recorder.tape
        block, out = np.zeros((128, 1), np.float32), np.zeros((128, 1), np.float32)
        moment: Any = type("Moment", (), {"currentTime": 0.0})()

        def play(sound: Block, until: Callable[[], bool]) -> None:
            deadline = time.monotonic() + 120
            while not until():
                assert time.monotonic() < deadline, "it did not happen"
                for at in range(0, RATE, 128):
                    block[:, 0] = sound[at : at + 128]
                    callback(block, out, 128, moment, None)  # type: ignore[arg-type]
                    time.sleep(0.004)

        play(hiss, lambda: not engine.dry and engine.domain == "music")
        play(tone, lambda: engine.domain == "noise")
        play(hiss, lambda: engine.domain == "music")
        for seen in list(looks):
            recorder.look(vars(seen))
    again = replay(tmp_path / "take")
    assert again.differs_at is None
    assert np.abs(again.recorded.output).max() > 0.01
    assert again.separation.counters.switches >= 2
    assert len(again.separation.decisions) >= 4
    warm = [event for event in lines_of(tmp_path / "take" / "events.jsonl") if "state" in event]
    assert warm


def test_after_a_gap_it_says_from_when_on_it_is_not_the_same(bank: Path, tmp_path: Path) -> None:
    record(tmp_path / "take", bank, 0, 16_000, 1, "music")
    sound, rate = files.read(tmp_path / "take" / "input.wav", finite=False)
    sound[20_000:21_000] = 0
    (tmp_path / "take" / "input.wav").unlink()
    files.write(tmp_path / "take" / "input.wav", sound, rate)
    again = replay(tmp_path / "take")
    assert again.differs_at is not None
    assert 20_000 <= again.differs_at < 21_000
    assert again.difference > 1e-4


@pytest.mark.parametrize("name", ["input.wav", "output.wav"])
def test_a_recording_that_was_cut_short_is_not_taken_for_a_whole_one(bank: Path, tmp_path: Path, name: str) -> None:
    record(tmp_path / "take", bank, 2, 16_000, 1, "music")
    path = tmp_path / "take" / name
    path.write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(
        AudioError, match=rf"{name}: cut short: it has \d+ of 35200 samples that session\.json tells of"
    ):
        replay(tmp_path / "take")


def test_with_another_model_it_is_not_heard_again(bank: Path, tmp_path: Path) -> None:
    mine = tmp_path / "bank"
    mine.mkdir()
    for domain, sources in ROLES.items():
        make_graph(mine / f"{domain}-step-fp32.onnx", domain=domain, sources=sources)
    with Live(tmp_path / "take", mine, "music") as live:
        live.play(noise(0, RATE)[:, None])
    assert replay(tmp_path / "take").differs_at is None
    make_graph(mine / "noise-step-fp32.onnx", domain="noise", sources=ROLES["noise"], version="0.2")
    with pytest.raises(ModelError, match=r"models\.noise: recorded with noise-step-fp32\.onnx 0\.1 .*has .*0\.2"):
        replay(tmp_path / "take")
    (mine / "noise-step-fp32.onnx").unlink()
    with pytest.raises(ModelError, match="this bank has none"):
        replay(tmp_path / "take")


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_separate_hears_a_recorded_session_again_and_compares(bank: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "evening", tmp_path / "out"
    live = record(folder, bank, 0, 16_000, 1, "auto")
    done = run("separate", folder, "-o", out, "--json")
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["replay"] == {"equal": True, "differs_from_s": None, "difference": 0.0, "dropped": 0}
    np.testing.assert_array_equal(files.read(out / "listen.wav")[0], live.output)
    assert (summary["input"], summary["domain"], summary["rate"]) == (str(folder), "auto", 16_000)
    assert {"vocals.wav", "noise.wav", "talker-1.wav", "summary.json"} <= {path.name for path in out.iterdir()}
    shown = " ".join(run("separate", folder, "-o", out).stdout.split())
    assert "listen.wav is what was heard live, to the bit" in shown
    assert "The files are as late as what was heard" in shown
    (folder / "session.json").write_text(json.dumps({**session(folder), "domain": "music"}))
    shown = " ".join(run("separate", folder, "-o", out).stdout.split())
    assert "listen.wav is not what was heard live: it differs from 0." in shown


def test_separate_wants_to_hear_a_session_as_it_was_and_writes_nothing_into_it(bank: Path, tmp_path: Path) -> None:
    with Live(tmp_path / "take", bank, "music") as live:
        live.play(noise(0, RATE)[:, None])
    before = {path: path.read_bytes() for path in (tmp_path / "take").iterdir()}
    for arguments, said in (
        (["--domain", "noise"], "a recorded session has settings of its own"),
        (["--set", "fade_ms=50"], "a recorded session has settings of its own"),
        (["-o", tmp_path / "take"], "a recorded session is there"),
    ):
        done = run("separate", tmp_path / "take", *arguments)
        assert done.exit_code == 1
        assert said in " ".join(done.stderr.split())
    assert {path: path.read_bytes() for path in (tmp_path / "take").iterdir()} == before
    assert run("separate", tmp_path / "take" / "input.wav", "--domain", "noise", "-o", tmp_path / "out",
               "--set", f"models.bank={bank}", "--set", "models.precision=fp32").exit_code == 0  # fmt: skip
    assert read(tmp_path / "take").facts["ended"] == "ended"
