"""Responses of rooms: what is measured is used from the direct sound on, and what is none is left out or named."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from export.augment import Rooms
from export.corpus import RATE


def test_a_room_keeps_the_direct_sound_where_and_as_loud_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "rir").mkdir()
    rng = np.random.default_rng(5)
    response = 0.05 * rng.normal(size=(4000, 2)) * np.exp(-np.arange(4000) / 800)[:, None]
    response[70] = -0.9  # the direct sound, late, weak and upside down
    sf.write(tmp_path / "rir" / "room.flac", response, RATE)
    late = response.copy()
    late[3000] = 0.99
    sf.write(tmp_path / "rir" / "late.flac", late, RATE)
    np.savez(tmp_path / "rir" / "heads.npz", ir=rng.normal(size=(3, 2, 60)) + np.eye(1, 60) * 40, sr=RATE)
    rooms = Rooms(tmp_path)
    assert len(rooms.measured) == 2 + 6  # and none of the one that comes too late
    click = np.zeros(8000, np.float32)
    click[100] = 1
    for _ in range(20):
        heard = rooms.apply(rng, click)
        assert heard[100] == pytest.approx(1, abs=1e-3)
        assert np.abs(heard[:100]).max() < 1e-5
    sf.write(tmp_path / "rir" / "other.flac", response, 44_100)
    with pytest.raises(ValueError, match=r"other\.flac.*16000.*44100"):
        Rooms(tmp_path)


def test_a_room_in_which_a_microphone_heard_nothing_is_none(tmp_path: Path) -> None:
    (tmp_path / "rir").mkdir()
    response = np.eye(1, 400)[0]
    broken = np.stack([response, np.zeros(400), np.where(np.arange(400) == 7, np.nan, response)])
    sf.write(tmp_path / "rir" / "array.flac", broken[:2].T, RATE)
    np.savez(tmp_path / "rir" / "array.npz", ir=broken, sr=RATE)
    rooms = Rooms(tmp_path)
    assert len(rooms.measured) == 2
    assert all(np.isfinite(each).all() for each in rooms.measured)


def test_responses_may_be_wav_files_and_those_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "rir").mkdir()
    sf.write(tmp_path / "rir" / "mine.wav", np.eye(2, 400).T, RATE)
    assert len(Rooms(tmp_path).measured) == 2
    for name, said in {
        "bad.wav": "not a sound file",
        "bad.flac": "not a sound file",
        "bad.npz": "expected arrays",
    }.items():
        (tmp_path / "rir" / name).write_bytes(b"nothing of the kind")
        with pytest.raises(ValueError, match=rf"{name}: {said}"):
            Rooms(tmp_path)
        (tmp_path / "rir" / name).unlink()


@pytest.mark.parametrize("missing", ["ir", "sr"])
def test_responses_that_lack_something_are_named(tmp_path: Path, missing: str) -> None:
    (tmp_path / "rir").mkdir()
    there = {"ir": "sr", "sr": "ir"}[missing]
    content = {"ir": np.eye(2, 400), "sr": np.array(RATE), "positions": np.zeros((2, 3))}
    del content[missing]
    np.savez(tmp_path / "rir" / "mine.npz", **content)
    with pytest.raises(ValueError, match=rf"mine\.npz: expected ir and sr, found {there}, positions"):
        Rooms(tmp_path)
