"""The sweep over the policy's settings: what is replayed is what the policy would have done."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from embedded import make_bands
from hypothesis import given
from hypothesis import settings as under
from hypothesis import strategies as st
from tiny_scenes import make_scenes

from export import tune_policy
from export.tune_policy import LIMITS, RAW, Look, Models, Outcome, Recorded, best, outcome, replay, settings, unbeaten
from streamsep.evaluation import made_scenes
from streamsep.evaluation.intervals import Interval
from streamsep.evaluation.lists import RATE
from streamsep.evaluation.scenes import Scene, Segment
from streamsep.models.manifest import Calibrations
from streamsep.monitor.judge import JudgeOptions
from streamsep.monitor.policy import PolicyOptions

law = under(max_examples=50, deadline=None)
DOMAINS = ("music", "noise")
CALM = JudgeOptions(
    policy=PolicyOptions(smoothing_s=0, margin_db=0.5, hysteresis_db=0, dwell_s=1.0, apart_s=0, fall_back_s=4)
)
MODELS = Models((), dict.fromkeys(DOMAINS, Calibrations(own=RAW)), dict.fromkeys(DOMAINS, 2), "nothing")


def scene_of(segments: int) -> Scene:
    """Ten seconds of either domain in turn."""
    parts = tuple(
        Segment(10 * RATE * at, 10 * RATE * (at + 1), frozenset({DOMAINS[at % 2]})) for at in range(segments)
    )
    return Scene("scene", parts, np.zeros((2, 0), np.float32), ())


def ideal(segments: int, late_s: float = 0.0) -> list[Look]:
    """Looks twice a second at models that know, after so long."""
    looks = []
    for number in range(20 * segments):
        time_s = 0.5 * (number + 1)
        right = DOMAINS[int(max(0.0, time_s - late_s - 0.5) // 10) % 2]
        looks.append(Look(time_s, {domain: 5.0 if domain == right else 1.0 for domain in DOMAINS}, None))
    return looks


def test_of_ideal_scores_the_replay_is_right_but_for_its_dwell() -> None:
    timeline = replay(ideal(3), MODELS.judge(CALM))
    assert timeline == [(0.0, None), (1.5, "music"), (11.5, "noise"), (21.5, "music")]
    found = outcome(MODELS, [Recorded(scene_of(3), ideal(3))], CALM).figures
    assert found["delay_median_s"].mean == found["first_median_s"].mean == 1.5
    assert found["false_switches_per_minute"].mean == 0
    assert found["correct_share"].mean == pytest.approx(1 - 3 * 1.5 / 30)


@law
@given(late=st.integers(0, 6), dwell=st.integers(0, 4))
def test_what_scores_and_dwell_are_late_adds_up(late: int, dwell: int) -> None:
    policy = PolicyOptions(smoothing_s=0, hysteresis_db=0, dwell_s=dwell / 2, apart_s=0)
    series = [Recorded(scene_of(4), ideal(4, late / 2))]
    found = outcome(MODELS, series, JudgeOptions(policy=policy)).figures
    assert found["delay_median_s"].mean == 0.5 + late / 2 + dwell / 2


def test_where_there_is_no_score_nothing_is_switched() -> None:
    silent = [Look(0.5 * at, dict.fromkeys(DOMAINS), None) for at in range(40)]
    assert replay(silent, MODELS.judge(CALM)) == [(0.0, None)]


def test_settings_are_many_and_valid_and_the_defaults_come_first() -> None:
    drawn = settings(200)
    assert drawn[0] == JudgeOptions()
    assert len(set(drawn)) == len(drawn) > 190
    assert drawn == settings(200)


points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30)


@law
@given(points=points)
def test_nobody_beats_the_front_and_everybody_else_is_beaten(points: list[tuple[int, int]]) -> None:
    front = unbeaten(points)

    def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return one[0] <= other[0] and one[1] <= other[1] and one != other

    for at, point in enumerate(points):
        assert any(beats(points[of], point) or points[of] == point for of in front)
        assert at not in front or not any(beats(other, point) for other in points)


def made_up(share: float, **figures: float) -> Outcome:
    values = dict.fromkeys(LIMITS, 0.5) | figures | {"correct_share": share}
    return Outcome(JudgeOptions(), {name: Interval(value, value, value, 9) for name, value in values.items()})


def test_the_best_keeps_the_limits_first_and_is_right_most_often_then() -> None:
    nervous = made_up(0.99, false_switches_per_minute=3.0)
    slow = made_up(0.98, delay_p90_s=math.inf)
    good, better = made_up(0.8), made_up(0.9)
    assert best([nervous, good, slow, better]) is better
    assert best([slow, nervous]) is nervous


def test_the_command_measures_once_and_writes_numbers_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, bank = tmp_path / "data", tmp_path / "bank"
    data.mkdir()
    bank.mkdir()
    make_scenes(data)
    for domain in ("music", "noise", "speech"):
        make_bands(bank / f"{domain}-look-back-int8.onnx", domain, precision="int8")
    monkeypatch.setattr(made_scenes, "WALKS", 1)
    monkeypatch.setattr(made_scenes, "LONG_S", (4, 5))
    monkeypatch.setattr(made_scenes, "WALK_S", 4)
    words = ["tune_policy", str(bank), "--data", str(data), "--figures", str(tmp_path / "figures")]
    monkeypatch.setattr(sys, "argv", [*words, "--json", str(tmp_path / "f.json"), "--made", "1", "--settings", "5"])
    tune_policy.main()
    series = sorted((tmp_path / "figures" / "series").iterdir())
    report = json.loads((tmp_path / "f.json").read_text())
    assert len(report["settings"]) == 6
    assert report["defaults"] == report["settings"][0]
    assert report["best"] in report["settings"]
    assert (tmp_path / "figures" / "policy.png").read_bytes().startswith(b"\x89PNG")
    assert "not calibrated" in capsys.readouterr().out
    monkeypatch.setattr(tune_policy, "Watch", None)  # what was measured is not measured again
    tune_policy.main()
    assert sorted((tmp_path / "figures" / "series").iterdir()) == series
    assert json.loads((tmp_path / "f.json").read_text()) == report
    next(bank.glob("music*")).unlink()
    with pytest.raises(SystemExit, match=r"needs a look-back model for music"):
        tune_policy.main()
