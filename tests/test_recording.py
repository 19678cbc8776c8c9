"""A whole recording with the monitor's choice: the same every time, a line a look, and nothing lost or added."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from calibrated import ROLES, make_calibrated_bank, promising
from strategies import noise
from typer.testing import CliRunner
from watched import is_gone

import streamsep
from streamsep.arrays import Block
from streamsep.assembly import build, make_judge, settings_of
from streamsep.audio import files
from streamsep.cli.main import app
from streamsep.errors import ConfigError, ModelError
from streamsep.models.loader import Batch
from streamsep.monitor.look_back import LookBack, Moment

RATE = 16_000
OPTIONS = {
    "smoothing_s": 0.0, "dwell_s": 0.0, "apart_s": 0.0, "fall_back_s": 0.0, "look_back_s": 1.0, "every_s": 0.25
}  # fmt: skip


def heard(bank: Path, sound: Block, rate: int = RATE, **options: Any) -> streamsep.Separation:
    models = {"bank": str(bank), "precision": "fp32"}
    return streamsep.separate(sound, rate, **{"domain": "auto", "models": models, "monitor": OPTIONS} | options)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise promises 2 dB, music more when the loud bins are shared out evenly, and much less otherwise."""
    music, steady = promising(-10.0, balance=30.0), promising(2.0, balance=0.0)
    return make_calibrated_bank(tmp_path_factory.mktemp("bank"), music=music, noise=steady)


@pytest.fixture(scope="module")
def evening() -> Block:
    """Two seconds of noise, of a tone, of silence, of noise."""
    tone = np.sin(0.3 * np.arange(2 * RATE)).astype(np.float32) / 4
    hiss = noise(0, 2 * RATE)
    return np.concatenate([hiss, tone, np.zeros(2 * RATE, np.float32), hiss])


def test_it_goes_where_more_is_promised_and_says_so_at_every_look(bank: Path, evening: Block) -> None:
    done = heard(bank, evening)
    assert [look.time_s for look in done.decisions] == pytest.approx(0.25 * np.arange(1, 33), abs=0.017)
    for look in done.decisions:
        scores = {domain: score for domain, score in look.score.items() if score is not None}
        assert set(look.score) == set(look.raw) == set(look.smoothed) == {"music", "noise"}
        if scores and look.reason in {"switch", "best"}:
            assert look.active == max(scores, key=scores.__getitem__)
    chosen = {look.active for look in done.decisions}
    assert chosen >= {"music", "noise"}  # so that this says something
    assert done.spans[0].domain is None
    assert {span.domain for span in done.spans[1:]} == {"music", "noise"}
    assert done.counters.switches >= 2
    assert done.counters.late_hand_overs == 0
    assert set(done.sources) == {"vocals", "accompaniment", "speech", "noise"}
    assert set(done.manifests) == {"music", "noise"}


def test_in_silence_nothing_is_decided(bank: Path, evening: Block) -> None:
    quiet = [look for look in heard(bank, evening).decisions if 5.2 < look.time_s < 6]
    assert len(quiet) >= 3
    for look in quiet:
        assert look.reason == "no-decision"
        assert {*look.score.values(), *look.raw.values()} == {None}


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2)])
def test_the_same_recording_always_gives_the_same_to_the_bit(
    bank: Path, evening: Block, rate: int, channels: int
) -> None:
    sound = np.tile(evening[:, None], channels) if channels > 1 else evening
    one, other = heard(bank, sound, rate), heard(bank, sound, rate)
    np.testing.assert_array_equal(one.listen, other.listen)
    assert (one.decisions, one.spans) == (other.decisions, other.spans)
    for name, source in one.sources.items():
        np.testing.assert_array_equal(source, other.sources[name])
        assert source.shape == sound.shape


def test_the_sources_add_up_to_what_came_in_wherever_a_domain_is_heard(bank: Path, evening: Block) -> None:
    done = heard(bank, evening)
    together = np.sum(list(done.sources.values()), axis=0)
    begin = round(done.spans[1].start_s * RATE)
    np.testing.assert_allclose(together[begin:], evening[begin:], atol=1e-5)
    assert not together[: begin - RATE // 10 - 1].any()
    assert begin > RATE // 5


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_the_sources_begin_and_end_as_their_domain_is_heard_to(tmp_path: Path, evening: Block, rate: int) -> None:
    """With all gains at nothing, what is heard is what is dry; the sources are the rest."""
    only = make_calibrated_bank(tmp_path / "bank", noise=promising(-10.0, balance=30.0))
    sound = np.repeat(evening, rate // RATE)
    gone = dict.fromkeys(("speech", "noise"), -120.0)
    done = heard(only, sound, rate, gains_db=gone, fade_ms=400.0)
    domains = [span.domain for span in done.spans]
    assert domains[:3] == [None, "noise", None]  # both ways
    together = done.listen + done.sources["noise"] + done.sources["speech"]
    np.testing.assert_allclose(together, sound, atol=0.03 * np.abs(sound).max())


def test_where_one_domain_is_heard_it_is_as_if_it_had_been_named(tmp_path: Path) -> None:
    sound = noise(1, 4 * RATE)
    only = make_calibrated_bank(
        tmp_path / "bank", music=promising(0.0, balance=0.0), noise=promising(3.0, balance=0.0)
    )
    auto, named = heard(only, sound), heard(only, sound, domain="noise")
    settled = round((auto.spans[-1].start_s + 0.5) * RATE)
    assert [span.domain for span in auto.spans] == [None, "noise"]
    np.testing.assert_allclose(auto.listen[settled:], named.listen[settled:], atol=1e-5)
    assert named.decisions == ()
    assert [span.domain for span in named.spans] == ["noise"]


def test_a_score_is_what_the_looks_say_on_average(bank: Path, evening: Block) -> None:
    models = {"bank": str(bank), "precision": "fp32"}
    found = streamsep.score(evening, RATE, models=models, monitor=OPTIONS)
    looks = [look for look in found.decisions if look.score["noise"] is not None]
    assert 0 < found.looks == len(looks) < len(found.decisions)
    assert found.estimate_db["noise"] == pytest.approx(2.0)
    assert found.estimate_db["music"] == pytest.approx(np.mean([look.score["music"] for look in looks]))
    assert found.confidence["music"] == pytest.approx(np.mean([look.raw["music"] for look in looks]))
    assert found.best == max(found.estimate_db, key=lambda domain: found.estimate_db[domain] or 0)
    silent = streamsep.score(np.zeros(RATE, np.float32), RATE, models=models, monitor=OPTIONS)
    assert (silent.best, silent.looks, silent.confidence) == (None, 0, {"music": None, "noise": None})
    short = streamsep.score(np.zeros(10, np.float32), RATE, models=models, monitor=OPTIONS)
    assert (short.best, short.confidence, short.decisions) == (None, {}, ())


def test_a_judge_knows_how_much_of_its_look_back_was_heard(bank: Path) -> None:
    manifests = {domain: Batch(bank / f"{domain}-look-back-fp32.onnx").manifest for domain in ROLES}
    judge = make_judge(settings_of("default", None, {"monitor": {"active_share": 0.5}}), manifests)
    points = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    backs = {domain: LookBack(points, np.ones(50, np.float32), 100) for domain in ROLES}
    for seconds, judged in ((0.5, False), (1.5, True)):
        moment = Moment(0, seconds, noise(0, round(seconds * RATE)), None, None)
        assert all((found is not None) == judged for found in judge.measures(backs, moment).values())


def test_a_bank_that_cannot_compare_its_models_says_what_is_missing(tmp_path: Path) -> None:
    sound = noise(0, RATE)
    with pytest.raises(ConfigError, match=r"the model for 'noise' has no calibration; name one of \['noise'\]"):
        heard(make_calibrated_bank(tmp_path / "raw", noise=None), sound)
    bare = make_calibrated_bank(tmp_path / "bare", noise=promising(0.0))
    (bare / "noise-look-back-fp32.onnx").unlink()
    with pytest.raises(ModelError, match=r"noise-look-back-fp32\.onnx: no such file.*beside noise-step-fp32\.onnx"):
        heard(bare, sound)
    with pytest.raises(ConfigError, match=r"hysteresis_db must be at most margin_db, 1\.0, got 2\.0"):
        heard(bare, sound, monitor={"margin_db": 1, "hysteresis_db": 2})


def test_live_a_process_watches_and_when_it_is_killed_the_sound_goes_on_and_it_comes_back(bank: Path) -> None:
    said: list[str] = []
    models = {"bank": str(bank), "precision": "fp32"}
    chosen = settings_of("default", "auto", {"models": models, "monitor": OPTIONS})
    engine, _, guardian = build(chosen, RATE, 1, said.append)
    assert guardian is not None
    hiss, tone = noise(0, RATE), np.sin(0.3 * np.arange(RATE)).astype(np.float32) / 4

    def play(sound: Block, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not until():
            assert time.monotonic() < deadline, "it did not happen"
            for at in range(0, RATE, 128):
                assert np.isfinite(engine.process(sound[at : at + 128])).all()
                time.sleep(0.004)

    with engine:
        assert (engine.dry, guardian.health.deaths) == (True, 0)
        play(hiss, lambda: not engine.dry and engine.domain == "music")
        play(tone, lambda: engine.domain == "noise")
        first = guardian.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        play(tone, lambda: guardian.health.deaths == 1 and guardian.pid not in (None, first))
        assert (engine.domain, engine.dry) == ("noise", False)
        play(hiss, lambda: engine.domain == "music")
        last = guardian.pid
    assert any("SIGKILL" in sentence for sentence in said)
    assert engine.counters.separator_faults == 0
    assert last is not None
    assert is_gone(last)


def test_a_line_a_look_is_strict_json(bank: Path, evening: Block) -> None:
    line = json.dumps(asdict(heard(bank, evening).decisions[0]), allow_nan=False)
    assert list(json.loads(line)) == ["time_s", "raw", "score", "smoothed", "active", "reason"]


# ------------------------------------------------------------------------------------------------------ the commands


@pytest.fixture
def mine(bank: Path, tmp_path: Path) -> Path:
    """A configuration for this bank."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"models": {"bank": str(bank), "precision": "fp32"}, "monitor": OPTIONS}))
    return path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_the_command_writes_every_source_that_was_heard_the_decisions_and_a_picture(
    mine: Path, evening: Block, tmp_path: Path
) -> None:
    files.write(tmp_path / "in.wav", evening, RATE)
    out = tmp_path / "out"
    done = run("separate", tmp_path / "in.wav", "-o", out, "--config", mine, "--json")
    assert done.exit_code == 0, done.stderr
    summary, wanted = json.loads(done.stdout), heard(bank_of(mine), evening)
    assert summary["domain"] == "auto"
    assert [span["domain"] for span in summary["spans"]] == [span.domain for span in wanted.spans]
    assert set(summary["models"]) == {"music", "noise"}
    assert sorted(path.name for path in out.iterdir()) == sorted(summary["files"])
    assert {"decisions.jsonl", "timeline.png", "vocals.wav", "noise.wav"} <= set(summary["files"])
    lines = [json.loads(line) for line in (out / "decisions.jsonl").read_text().splitlines()]
    assert lines == [json.loads(json.dumps(asdict(look))) for look in wanted.decisions]
    assert "heard from 0.0 s dry" in " ".join(
        run("separate", tmp_path / "in.wav", "--config", mine, "-o", out).stdout.split()
    )
    named = run("separate", tmp_path / "in.wav", "-o", out, "--config", mine, "--domain", "noise", "--json")
    assert json.loads(named.stdout)["files"] == ["listen.wav", "speech.wav", "noise.wav", "summary.json"]
    assert not (out / "decisions.jsonl").exists()  # it would be of another run
    assert not (out / "timeline.png").exists()


def test_the_command_scores_a_file_for_people_and_for_programs(mine: Path, evening: Block, tmp_path: Path) -> None:
    files.write(tmp_path / "in.wav", evening, RATE)
    found = json.loads(run("score", tmp_path / "in.wav", "--config", mine, "--json").stdout)
    assert found["best"] in found["confidence"]
    assert found["looks"] < len(found["decisions"])
    shown = run("score", tmp_path / "in.wav", "--config", mine).stdout
    assert f"{found['best']} <" in shown
    assert "looks had something to judge" in shown


def bank_of(config: Path) -> Path:
    return Path(yaml.safe_load(config.read_text())["models"]["bank"])
