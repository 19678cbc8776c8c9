"""Arrays in files: zeros like any others, nothing left behind, a full disk said before it is too late, and hours of
sound in little memory."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_bank import make_bank
from small_disk import small_disk
from strategies import noise

import streamsep
from streamsep.errors import StreamsepError
from streamsep.on_disk import zeros

RATE = 16_000


@given(shape=st.lists(st.integers(1, 40), min_size=1, max_size=3), value=st.floats(width=32, allow_nan=False))
def test_they_are_zeros_that_can_be_written_to_and_leave_nothing_behind(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], value: float
) -> None:
    folder = tmp_path_factory.mktemp("disk")
    array = zeros(shape, folder)
    assert (array.shape, array.dtype, type(array)) == (tuple(shape), np.float32, np.ndarray)
    assert not array.any()
    array[-1] = value
    assert (array[-1] == np.float32(value)).all()
    assert not array[:-1].any()
    assert not list(folder.iterdir())


def test_a_disk_without_room_is_said_at_once(tmp_path: Path) -> None:
    with (
        small_disk(100_000),
        pytest.raises(StreamsepError, match=rf"{tmp_path}: cannot hold 0.4 MB while separating: File too large"),
    ):
        zeros([100_000], tmp_path)
    with pytest.raises(StreamsepError, match=r"nowhere: cannot hold 0.4 MB while separating: No such file"):
        zeros([100_000], tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


def test_what_is_kept_on_disk_is_the_same_and_takes_no_memory(tmp_path: Path) -> None:
    models = {"bank": str(make_bank(tmp_path / "bank")), "precision": "fp32"}
    sound = noise(0, 25 * RATE)
    peaks, results = [], []
    for disk in (None, tmp_path):
        tracemalloc.start()
        try:
            results.append(streamsep.separate(sound, RATE, domain="talkers", models=models, disk=disk))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    kept, on_disk = results
    np.testing.assert_array_equal(kept.listen, on_disk.listen)
    np.testing.assert_array_equal(kept.slots, on_disk.slots)
    assert peaks[0] - peaks[1] == pytest.approx(3 * sound.nbytes, rel=0.05)  # what is heard and two sources
    assert peaks[1] < 0.5 * sound.nbytes
