"""Sound files: what is read is what was written, what cannot be read is said clearly, nothing is half written."""

import os
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_disk import small_disk

from streamsep import whole_files
from streamsep.audio import files
from streamsep.errors import AudioError, StreamsepError

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


def flac_of(length: int, path: Path) -> Path:
    """A FLAC of 2000 samples that says it has another length; 0: nobody knew, as when it is written to a pipe."""
    sf.write(path, np.zeros((2000, 1)), 16000)
    content = bytearray(path.read_bytes())
    assert content[:4] == b"fLaC"
    content[21] = content[21] & 0xF0 | length >> 32  # STREAMINFO: the total is 36 bits from the middle of byte 21 on
    content[22:26] = (length & 0xFFFFFFFF).to_bytes(4)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("length", [0, 2**36 - 1, 2**35])
def test_a_header_that_does_not_know_the_length_is_refused_by_name(tmp_path, length):
    path = flac_of(length, tmp_path / "a.flac")
    with pytest.raises(AudioError, match=r"a\.flac: .*(does not say how long|not as long as its header).*anew"):
        files.read(path)
    assert len(files.read(flac_of(2000, path))[0]) == 2000


def test_a_flac_that_was_cut_is_damaged_and_not_of_another_format(tmp_path):
    path = tmp_path / "a.flac"
    sf.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 40_000), 16000)
    path.write_bytes(path.read_bytes()[:40_000])
    with pytest.raises(AudioError, match=r"a\.flac: damaged, or not as long as its header says"):
        files.read(path)


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(AudioError, match="yyy: cannot be read: File name too long"):
        files.read(tmp_path / ("y" * 300))
    with pytest.raises(AudioError, match="yyy: cannot be written: File name too long"):
        files.write(tmp_path / ("y" * 300), SOUND, 16000)


@pytest.mark.skipif(sys.platform != "linux", reason="its file systems take names of any bytes")
@given(name=st.binary(min_size=1, max_size=60).filter(lambda name: not set(name) & {0, ord("/")}))
def test_a_name_may_be_of_any_bytes(tmp_path_factory, name):
    path = tmp_path_factory.mktemp("sound") / os.fsdecode(name + b".wav")
    files.write(path, SOUND, 16000)
    assert np.array_equal(files.read(path)[0], SOUND)


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
        Path(os.fsdecode(file)).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(sf, "write", fail)
    with pytest.raises(AudioError, match=r"a\.wav: cannot be written: no space"):
        files.write(path, SOUND * 2, 16000)
    assert np.array_equal(files.read(path)[0], SOUND)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_cannot_be_written_into_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(AudioError, match="cannot be written"):
        files.write(tmp_path / "nowhere" / "a.wav", SOUND, 16000)


@pytest.mark.parametrize("size", [0, 50, 150])
def test_on_a_full_disk_the_reason_is_said_and_all_stay_as_they_were(tmp_path, size):
    sound, one, two = tmp_path / "a.wav", tmp_path / "one.json", tmp_path / "two.html"
    files.write(sound, SOUND, 16000)
    whole_files.write_texts({one: "one", two: "two"})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with small_disk(size):
        with pytest.raises(AudioError, match=r"a\.wav: cannot be written: File too large"):
            files.write(sound, SOUND * 2, 16000)
        with pytest.raises(StreamsepError, match=r"two\.html: cannot be written: File too large"):
            whole_files.write_texts({one: "1" * size, two: "2" * 1000})
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_link_leads_to_is_replaced_and_a_pipe_is_written_to(tmp_path):
    link, text, pipe = tmp_path / "link", tmp_path / "text", tmp_path / "pipe"
    text.write_text("old")
    link.symlink_to(text)
    whole_files.write_texts({link: "new"})
    assert link.is_symlink()
    assert text.read_text() == "new"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    whole_files.write_texts({pipe: "through"})
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert pipe.is_fifo()


def test_a_folder_is_made_and_tried(tmp_path):
    whole_files.prepare(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(
        StreamsepError, match="file: cannot be written into: there is a file of this name; -o wants a"
    ):
        whole_files.prepare(tmp_path / "file")
    with pytest.raises(StreamsepError, match="file/b: cannot be written into: Not a directory"):
        whole_files.prepare(tmp_path / "file" / "b")
    with small_disk(0), pytest.raises(StreamsepError, match="a: cannot be written into: File too large"):
        whole_files.prepare(tmp_path / "a")
