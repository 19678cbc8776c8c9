"""A WAV that grows: at any moment a whole one, however long, and whatever the disk does."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

import streamsep
from streamsep.audio import files
from streamsep.audio.growing import SIZE, GrowingWav, header

ROOT = Path(streamsep.__file__).parents[1]


@settings(max_examples=25, deadline=None)
@given(
    seed=seeds,
    channels=st.integers(1, 5),
    rate=st.sampled_from([8000, 44_100, 192_000]),
    pieces=st.lists(st.tuples(st.integers(0, 3000), st.booleans()), max_size=10),
)
def test_what_was_written_up_to_the_last_flush_can_be_read_at_any_time_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, channels: int, rate: int, pieces: list[tuple[int, bool]]
) -> None:
    path = tmp_path_factory.mktemp("growing") / "a.wav"
    sound = np.random.default_rng(seed).normal(size=(30_000, channels)).astype(np.float32)
    wav, at, flushed = GrowingWav(path, rate, channels), 0, 0

    def check(samples: int) -> None:
        found, found_rate = sf.read(path, dtype="float32", always_2d=True)
        assert found_rate == rate
        np.testing.assert_array_equal(found, sound[:samples])

    for count, flush in pieces:
        wav.write(sound[at : at + count])
        at += count
        if flush:
            wav.flush()
            flushed = at
        assert wav.frames == flushed
        check(flushed)
    wav.close()
    check(at)
    assert path.stat().st_size == SIZE + 4 * channels * at
    assert (sf.info(path).format, sf.info(path).subtype) == ("WAV", "FLOAT")


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        GrowingWav(path, 16_000, 1)
    assert path.read_bytes() == b"mine"


def test_beyond_four_gigabytes_it_is_an_rf64_of_the_right_length(tmp_path: Path) -> None:
    path, channels = tmp_path / "long.wav", 2
    for frames in (2**29 - 20, 2**29 + 20):  # just below and above 4 GB
        with path.open("wb") as file:  # a file with a hole: it takes next to no room
            file.write(header(48_000, channels, frames))
            file.truncate(SIZE + 8 * frames)
            file.seek(-8, os.SEEK_END)
            file.write(np.float32([0.25, -0.5]).tobytes())
        info = sf.info(path)
        assert (info.frames, info.channels, info.samplerate) == (frames, channels, 48_000)
        assert info.format == ("WAV" if frames < 2**29 else "RF64")
        np.testing.assert_array_equal(sf.read(path, start=frames - 2)[0], [[0, 0], [0.25, -0.5]])


GROW = """
import resource, sys
from pathlib import Path
import numpy as np
from streamsep.audio.growing import GrowingWav
resource.setrlimit(resource.RLIMIT_FSIZE, 2 * (int(sys.argv[2]),))
wav = GrowingWav(Path(sys.argv[1]), 16_000, 3)
at = 0
try:
    while True:
        wav.write(np.float32(np.arange(at, at + 1000)[:, None] + [0, 0.25, 0.5]))
        at += 1000
except OSError as error:
    print(error.errno)
wav.close()
print(wav.frames)
"""


def test_a_full_disk_leaves_a_whole_file_of_what_had_room(tmp_path: Path) -> None:
    path, limit = tmp_path / "a.wav", 100_001
    command = [sys.executable, "-c", GROW, str(path), str(limit)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    frames = (limit - SIZE) // 12
    assert int(done.stdout.split()[1]) == frames
    samples, _ = files.read(path, finite=False)  # no sound is so loud
    np.testing.assert_array_equal(samples, np.float32(np.arange(frames)[:, None] + [0, 0.25, 0.5]))
    assert path.stat().st_size == SIZE + 12 * frames
