"""Speech in noise at two ears; the measures themselves are pyclarity's, and are not run here."""

import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_lists import make_lists

from streamsep.errors import AudioError, ConfigError
from streamsep.evaluation.lists import RATE
from streamsep.evaluation.metrics import si_sdr_db
from streamsep.recording import separate
from streamsep.report import hearing
from streamsep.report.clips import with_groups
from streamsep.report.hearing import (
    CONFIGS,
    HEARD,
    LOSSES_DB,
    MEASURES,
    ROOM,
    UNTOUCHED,
    Hearing,
    at_the_ears,
    scene,
    through,
)
from streamsep.report.runner import plain
from streamsep.report.study import Lists

AZIMUTHS = np.array([270.0, 0.0, 60.0, 90.0])


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Lists:
    """In a room where every direction has echoes of its own."""
    found = make_lists(tmp_path_factory.mktemp("lists"))
    room = found.folder / ROOM
    room.parent.mkdir(parents=True)
    echoes = np.random.default_rng(0).standard_normal((len(AZIMUTHS), 2, 50)).astype(np.float32)
    positions = np.stack([AZIMUTHS, 0 * AZIMUTHS, 0 * AZIMUTHS + 1], -1)
    np.savez(room, ir=echoes, positions=positions)
    return found


@pytest.mark.parametrize(("degrees", "direction"), [(0, 1), (358, 1), (-90, 0), (61, 2), (100, 3)])
def test_a_click_reaches_the_ears_as_the_room_answers_from_there(degrees: float, direction: int) -> None:
    responses = np.random.default_rng(0).standard_normal((4, 2, 20)).astype(np.float32)
    click = np.zeros(50, np.float32)
    click[3] = 2
    ears = at_the_ears(click, responses, AZIMUTHS, degrees)
    wanted = np.pad(2 * responses[direction], ((0, 0), (3, 27)))
    assert np.abs(ears - wanted).max() < 1e-6


def test_a_scene_has_the_mixtures_ratio_and_the_speech_its_level(lists: Lists) -> None:
    mixture = lists.mixture("noise", 0)
    speech, noise = scene(mixture, lists)
    assert speech.shape == noise.shape == (2, 5 * RATE)
    assert np.sqrt(np.square(speech).mean(axis=1)).max() == pytest.approx(1)
    mixture.sources[1] *= 2
    louder = scene(mixture, lists)
    assert np.allclose(louder[0], speech)
    assert np.allclose(louder[1], 2 * noise)


def test_what_is_heard_is_what_a_file_would_be(lists: Lists) -> None:
    sound = np.stack(scene(lists.mixture("noise", 0), lists)).sum(axis=0)
    heard = through("default", lists, "noise", sound)
    peak = 4 * np.abs(sound).max()
    models = {"models": {"bank": lists.bank, "precision": "fp32"}}
    file = separate((sound / peak).T, RATE, domain="noise", **models).listen.T
    assert np.allclose(heard, peak * file)
    assert heard.any()


def test_every_loss_hears_every_sound_and_the_gain_is_their_difference(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quality(measure: str, speech: np.ndarray, sound: np.ndarray, loss_db: tuple[int, ...], seed: int) -> float:
        return si_sdr_db(sound[0], speech[0]) - sum(loss_db) - MEASURES.index(measure)

    monkeypatch.setattr(hearing, "better_ear", quality)
    rows = Hearing().run(lists, ("noise", 0)) + Hearing().run(lists, ("noise", 1))
    assert len(rows) == 2 * len(LOSSES_DB) * len(HEARD) * len(MEASURES)
    section = Hearing().section(plain(with_groups(lists.folder, rows)), {})
    assert len(section.tables[0].rows) == len(LOSSES_DB) * len(MEASURES)
    for by_measure in section.numbers.values():
        for found in by_measure.values():
            for how in CONFIGS:
                gain = found[how]["mean"] - found[UNTOUCHED]["mean"]
                assert found[f"gain of {how}"]["mean"] == pytest.approx(gain)


def test_what_it_needs_is_said(lists: Lists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clarity", None)
    with pytest.raises(ConfigError, match=r"hearing needs clarity.*streamsep\[hearing\]"):
        Hearing().jobs(lists)
    monkeypatch.setitem(sys.modules, "clarity", hearing)  # as if it were there
    assert Hearing().jobs(lists) == [("noise", 0), ("noise", 1)]
    with pytest.raises(AudioError, match="no such file; hearing needs the responses of this room"):
        Hearing().jobs(Lists(tmp_path, lists.bank))
