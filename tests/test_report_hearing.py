"""Binaural scenes for listeners with a hearing loss: who is where, and what is said without pyclarity."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

from streamsep.errors import AudioError, ConfigError
from streamsep.evaluation.lists import RATE
from streamsep.report.binaural import ROOM, Room, open_room
from streamsep.report.hearing import HearingAid, hearing_section
from streamsep.report.hearing_measures import AUDIOGRAMS, FREQUENCIES_HZ, heard_by
from streamsep.report.studies import everything
from streamsep.report.study import Lists

THERE = find_spec("clarity") is not None


def room(seed: int = 0) -> Room:
    """Four places, each at another delay and loudness in either ear."""
    responses = np.zeros((4, 2, 40))
    for place, (left, right) in enumerate(((5, 5), (2, 30), (20, 20), (30, 2))):
        responses[place, 0, left], responses[place, 1, right] = 1 / (1 + left), 1 / (1 + right)
    return Room(np.array([0.0, 90.0, 180.0, 270.0]), responses)


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 300), st.floats(-720, 720))
def test_a_source_is_heard_from_the_nearest_place(seed: int, count: int, azimuth: float) -> None:
    sound = np.random.default_rng(seed).normal(size=count)
    found, here = room().put(sound, azimuth), room()
    nearest = min(range(4), key=lambda place: abs((here.azimuths[place] - azimuth + 180) % 360 - 180))
    for ear in range(2):
        expected = np.convolve(sound, here.responses[nearest, ear])[:count]
        np.testing.assert_allclose(found[:, ear], expected, atol=1e-9)


def test_a_room_that_makes_no_sense_is_told(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file; binaural scenes need it"):
        open_room(tmp_path)
    path = tmp_path / ROOM
    path.parent.mkdir(parents=True)
    np.savez(path, ir=room().responses, sr=RATE)
    with pytest.raises(AudioError, match="lacks positions"):
        open_room(tmp_path)
    np.savez(path, ir=room().responses, sr=8000, positions=np.zeros((4, 3)))
    with pytest.raises(AudioError, match="at 8000 Hz"):
        open_room(tmp_path)
    positions = np.column_stack([room().azimuths, np.zeros((4, 2))])
    np.savez(path, ir=room().responses, sr=RATE, positions=positions)
    np.testing.assert_array_equal(open_room(tmp_path).responses, room().responses)


def test_every_audiogram_is_of_the_frequencies_that_are_asked_for() -> None:
    assert len(AUDIOGRAMS) == 2
    assert {len(levels) for levels in AUDIOGRAMS.values()} == {len(FREQUENCIES_HZ)}


@pytest.mark.skipif(THERE, reason="pyclarity is installed")
def test_without_pyclarity_it_is_left_out_or_says_what_to_install(tmp_path: Path) -> None:
    assert "hearing" not in everything()
    assert everything()
    with pytest.raises(ConfigError, match=r'clarity, which is not installed: pip install "streamsep\[hearing\]"'):
        HearingAid().jobs(Lists(tmp_path))
    with pytest.raises(ConfigError, match="hearing"):
        heard_by(next(iter(AUDIOGRAMS.values())), np.ones((100, 2)), np.ones((100, 2)))


@pytest.mark.skipif(not THERE, reason="pyclarity is not installed")
def test_speech_alone_is_understood_and_noise_hurts_it() -> None:
    random = np.random.default_rng(0)
    swings = np.repeat(random.uniform(0.01, 1, 20), 1600)[:, None]
    speech = swings * random.normal(size=(32_000, 1)) * np.ones(2)
    noisy = speech + random.normal(size=speech.shape)
    levels_db = next(iter(AUDIOGRAMS.values()))
    alone, hurt = heard_by(levels_db, speech, speech), heard_by(levels_db, speech, noisy)
    assert 0.8 < alone.hasqi <= 1
    assert hurt.hasqi < alone.hasqi
    assert hurt.haspi < alone.haspi
    assert heard_by(levels_db, speech, noisy) == hurt


def test_the_table_has_a_row_a_system_and_both_measures_of_every_listener() -> None:
    rows = [
        {"mixture": name, "clips": [name], "listener": listener, "system": system, "haspi": value, "hasqi": 1 - value}
        for name, value in (("a", 0.25), ("b", 0.75))
        for listener in AUDIOGRAMS
        for system in ("before", "after")
    ]
    section = hearing_section(rows)
    (table,) = section.tables
    assert [row[0] for row in table.rows] == ["before", "after"]
    assert len(table.columns) == 1 + 2 * len(AUDIOGRAMS)
    assert {found["mean"] for found in section.numbers.values()} == {0.5}
