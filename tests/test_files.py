"""Sound files: what is read is what was written, what cannot be read is said clearly, nothing is half written."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streamsep.audio import files
from streamsep.errors import AudioError

SOUND = np.linspace(-0.5, 0.5, 40, dtype=np.float32).reshape(20, 2)


@given(
    samples=arrays(
        np.float32,
        st.tuples(st.integers(1, 300), st.integers(1, 6)),
        elements=st.floats(-4, 4, width=32),
    ),
    rate=st.sampled_from([8000, 11025, 16000, 44100, 48000, 192000]),
)
def test_what_is_written_is_what_is_read_to_the_bit(tmp_path_factory, samples, rate):
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    files.write(path, samples, rate)
    back, back_rate = files.read(path)
    assert back_rate == rate
    assert back.dtype == np.float32
    assert np.array_equal(back, samples)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.aiff", "a.mp3"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_usual_format_is_read_as_float32_with_a_channel_axis(tmp_path, name, channels):
    sf.write(tmp_path / name, np.zeros((4800, channels)), 48000)
    samples, rate = files.read(tmp_path / name)
    assert (rate, samples.shape, samples.dtype) == (48000, (4800, channels), np.float32)


@given(start=st.integers(0, 19), length=st.integers(1, 30))
def test_a_piece_is_the_slice_of_the_whole(tmp_path_factory, start, length):
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    files.write(path, SOUND, 16000)
    assert np.array_equal(files.read(path, start, min(20, start + length))[0], SOUND[start : start + length])


def test_mono_may_be_written_without_a_channel_axis(tmp_path):
    files.write(tmp_path / "a.wav", SOUND[:, 0], 16000)
    assert np.array_equal(files.read(tmp_path / "a.wav")[0], SOUND[:, :1])


def test_a_written_file_is_a_float_wav_that_others_may_read(tmp_path):
    files.write(tmp_path / "a.wav", SOUND, 16000)
    info = sf.info(tmp_path / "a.wav")
    assert (info.format, info.subtype) == ("WAV", "FLOAT")
    if os.name == "posix":
        mask = os.umask(0)
        os.umask(mask)
        assert stat.S_IMODE((tmp_path / "a.wav").stat().st_mode) == 0o666 & ~mask


def damaged(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.wav"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is not sound, however long one listens to it\n" * 20)
    elif kind == "cut":
        files.write(path, SOUND, 16000)
        path.write_bytes(path.read_bytes()[:20])
    elif kind == "silent":
        sf.write(path, np.zeros((0, 2)), 16000)
    elif kind == "raw":
        path = folder / "sound.raw"
        path.write_bytes(SOUND.tobytes())
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "no such file"),
        ("folder", "found a folder"),
        ("empty", "empty"),
        ("text", "not a sound file"),
        ("cut", "not a sound file"),
        ("silent", "0 samples"),
        ("raw", "no header"),
    ],
)
def test_what_is_no_sound_is_refused_by_name_and_reason(tmp_path, kind, said):
    path = damaged(tmp_path, kind)
    with pytest.raises(AudioError, match=said) as caught:
        files.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    where=st.sets(st.tuples(st.integers(0, 19), st.integers(0, 1)), min_size=1),
    what=st.sampled_from([np.nan, np.inf, -np.inf]),
)
def test_samples_that_are_not_finite_are_counted_and_the_first_is_placed(tmp_path_factory, where, what):
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    samples = SOUND.copy()
    for frame, channel in where:
        samples[frame, channel] = what
    files.write(path, samples, 16000)
    frame, channel = min(where)
    said = rf"{len(where)} of 40 samples are not finite.*first at sample {frame} .*channel {channel + 1}; repair"
    with pytest.raises(AudioError, match=said):
        files.read(path)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    files.write(path, SOUND, 16000)

    def fail(file, data, *rest, **more):
        Path(file).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(sf, "write", fail)
    with pytest.raises(AudioError, match=r"a\.wav: cannot be written: no space"):
        files.write(path, SOUND * 2, 16000)
    assert np.array_equal(files.read(path)[0], SOUND)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_cannot_be_written_into_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(AudioError, match="cannot be written"):
        files.write(tmp_path / "nowhere" / "a.wav", SOUND, 16000)
