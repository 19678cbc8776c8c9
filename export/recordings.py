"""Recordings as corpora have them: any rate, any number of channels, several streams in one file, difference of two.

A path FILE.mp4#3 means the fourth audio stream of FILE.mp4, as in MUSDB18's stems; any other path is one that
libsndfile reads. Every error is a ValueError that names the file.
"""

import re
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray
from scipy.signal import resample_poly

STREAM = re.compile(r"(.+\.mp4)#(\d+)", re.IGNORECASE)
UNEQUAL_S = 0.1  # by which two files of one recording may differ in length: coders pad to their frames


@dataclass(frozen=True)
class Form:
    """What a header says: rate in Hz, number of channels, length in samples of each."""

    rate: int
    channels: int
    length: int


def file_of(path: Path | str) -> Path:
    """The file itself, without the number of a stream."""
    match = STREAM.fullmatch(str(path))
    return Path(match[1] if match else path)


def streams(path: Path) -> int:
    """How many audio streams an .mp4 file has."""
    with _open(path) as container:
        return len(container.streams.audio)


def look(path: Path | str) -> Form:
    """The form of a recording, from its header."""
    match = STREAM.fullmatch(str(path))
    if not match:
        _check_there(Path(path))
        try:
            info = sf.info(str(path))
        except (sf.LibsndfileError, TypeError) as error:  # TypeError: no header, and soundfile wants to be told
            raise ValueError(f"{path}: not a sound file ({error})") from None
        return Form(info.samplerate, info.channels, info.frames)
    with _open(match[1]) as container:
        stream = _stream(container, path, int(match[2]))
        length = int((stream.duration or 0) * stream.time_base * stream.rate)
        return Form(stream.rate, stream.channels, length)


def check_alike(path: Path | str, minus: Path | str, first: Form, second: Form) -> None:
    """Raise unless one can be taken from the other: the same rate and, but for a coder's padding, the same length."""
    same = first.rate == second.rate and abs(first.length - second.length) <= UNEQUAL_S * first.rate
    if not same:
        raise ValueError(
            f"{path}: {first.length} samples at {first.rate} Hz, but {minus}, which is to be taken from it, has "
            f"{second.length} at {second.rate} Hz; expected two files of one recording"
        )


def read(path: Path | str, rate: int, minus: Path | str | None = None) -> NDArray[np.float32]:
    """(samples,), full scale +-1: the mean of all channels, less that of `minus`, resampled to `rate` Hz."""
    samples, own = _read_mono(path)
    if minus:
        other, its = _read_mono(minus)
        check_alike(path, minus, Form(own, 1, len(samples)), Form(its, 1, len(other)))
        shorter = min(len(samples), len(other))
        samples = samples[:shorter] - other[:shorter]
    if own != rate:
        common = gcd(own, rate)
        samples = resample_poly(samples, rate // common, own // common)
    return samples.astype(np.float32, copy=False)


def _read_mono(path: Path | str) -> tuple[NDArray[np.float32], int]:
    """(samples,) at the recording's own rate, and that rate in Hz."""
    match = STREAM.fullmatch(str(path))
    if match:
        samples, rate = _read_stream(path, match[1], int(match[2]))
    else:
        _check_there(Path(path))
        try:
            samples, rate = sf.read(path, dtype="float32", always_2d=True)
        except (sf.LibsndfileError, TypeError) as error:
            raise ValueError(f"{path}: not a sound file ({error})") from None
    if not len(samples):
        raise ValueError(f"{path}: the file has no sound in it (0 samples)")
    if not np.isfinite(samples).all():
        raise ValueError(f"{path}: has samples that are not finite (NaN or infinity)")
    return samples.mean(1), rate


def _read_stream(path: Path | str, file: str, number: int) -> tuple[NDArray[np.float32], int]:
    """(samples, channels) of one stream, and its rate in Hz."""
    with _open(file) as container:
        import av

        stream = _stream(container, path, number)
        to_float = av.AudioResampler(format="fltp")
        try:
            frames = [part for frame in container.decode(stream) for part in to_float.resample(frame)]
        except av.FFmpegError as error:
            raise ValueError(f"{path}: cannot be decoded ({error})") from None
        pieces: list[NDArray[np.float32]] = [np.zeros((stream.channels, 0), np.float32)]
        pieces += [frame.to_ndarray().astype(np.float32, copy=False) for frame in frames]
        return np.concatenate(pieces, axis=1).T, int(stream.rate)


def _open(path: Path | str) -> Any:
    """A container of PyAV, to be closed by `with`."""
    try:
        import av  # for stems alone, so that nobody else needs it
    except ImportError:
        raise ValueError(f"{path}: reading .mp4 needs PyAV, which is not installed: pip install av") from None
    _check_there(Path(path))
    try:
        return av.open(str(path))
    except av.FFmpegError as error:
        raise ValueError(f"{path}: not an .mp4 file ({error})") from None


def _stream(container: Any, path: Path | str, number: int) -> Any:
    """One audio stream of an open container."""
    found = len(container.streams.audio)
    if number >= found:
        raise ValueError(f"{path}: the file has {found} audio streams, counted from 0")
    return container.streams.audio[number]


def _check_there(path: Path) -> None:
    """Raise for what is no file."""
    if not path.is_file():
        raise ValueError(f"{path}: {'expected a sound file, found a folder' if path.is_dir() else 'no such file'}")
