"""The picture of what the monitor saw: rendered, and looked at."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from strategies import noise

from streamsep.evaluation.figures import HOP, MOST_FRAMES, PITCHES, mel_picture
from streamsep.evaluation.timeline import COLOURS, draw_timeline

RATE = 16_000


def drawn(path: Path, **changes: object) -> np.ndarray:
    """(height, width, colour)."""
    seconds = 6
    told: dict[str, object] = {
        "times_s": [1.0, 2.0, 3.0, 4.0, 5.0],
        "scores": [{"music": None, "noise": 1.0}] * 2 + [{"music": 3.0, "noise": 0.5}] * 3,
        "smoothed": [{"music": None, "noise": 1.0}] * 3 + [{"music": 2.0, "noise": 0.5}] * 2,
        "spans": [(0.0, None), (1.5, "noise"), (3.5, "music")],
    } | changes
    draw_timeline(path, "evening", noise(0, seconds * RATE), RATE, **told)  # type: ignore[arg-type]
    return np.asarray(imread(path))[:, :, :3]


def share_of(picture: np.ndarray, colour: str) -> float:
    """Of all pixels."""
    wanted = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return float((np.abs(picture - wanted).max(axis=2) < 0.02).mean())


def test_each_domain_has_a_colour_of_its_own_where_it_is_heard(tmp_path: Path) -> None:
    both = drawn(tmp_path / "a.png")
    assert both.shape == (650, 1400, 3)
    music, speech = share_of(both, COLOURS[0]), share_of(both, COLOURS[1])
    assert min(music, speech) > 0.005
    longer = drawn(tmp_path / "b.png", spans=[(0.0, "noise")])
    assert share_of(longer, COLOURS[1]) > speech + 0.01
    assert share_of(longer, COLOURS[0]) < music


@pytest.mark.parametrize("spans", [[(0.0, None)], [(0.0, "noise")]])
def test_what_was_never_decided_can_be_drawn(tmp_path: Path, spans: list[tuple[float, str | None]]) -> None:
    picture = drawn(tmp_path / "a.png", times_s=[], scores=[], smoothed=[], spans=spans)
    assert picture.std() > 0.05


def test_the_spectrum_of_hours_has_the_columns_of_a_picture_and_takes_no_memory() -> None:
    """The tone is in the row of its pitch from the middle on, however long it is."""
    for seconds in (4, 600):
        sound = np.zeros((seconds * RATE, 2), np.float32)
        sound[len(sound) // 2 :] = np.sin(2 * np.pi * 1000 / RATE * np.arange(len(sound) // 2))[:, None]
        tracemalloc.start()
        picture = mel_picture(sound, RATE)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert picture.shape[0] == PITCHES
        assert seconds * RATE // HOP <= picture.shape[1] or MOST_FRAMES <= picture.shape[1] < 2 * MOST_FRAMES
        assert peak < 3 * picture.nbytes + 200_000
        half = picture.shape[1] // 2
        assert (picture[:, : half - 3] < -100).all()
        wanted = PITCHES * np.log1p(1000 / 700) / np.log1p(RATE / 2 / 700)
        np.testing.assert_allclose(picture[:, half + 3 :].argmax(axis=0), wanted, atol=2)
