"""Sound files: any that libsndfile reads, and float WAV that is never half written."""

import os
from pathlib import Path

import numpy as np
import soundfile as sf

from streamsep.arrays import Block
from streamsep.errors import AudioError, StreamsepError
from streamsep.plausible import complaint
from streamsep.whole_files import whole

LARGEST_WAV = 2**32 - 4096  # bytes of samples; a WAV counts its length in 32 bits
ANEW = "write it anew, for example with `ffmpeg -i IN OUT.wav`"
PROBE = bytes(1 << 20)


def read(path: Path | str, start: int = 0, stop: int | None = None, finite: bool = True) -> tuple[Block, int]:
    """The samples [start, stop) of a sound file, float32 (samples, channels), full scale ±1, and its rate in Hz.

    Raises AudioError, which names the file, when there is no such file, when it is a folder, empty, not audio,
    damaged or of a format that libsndfile does not read, when its header does not know how long it is, and, if they
    are to be finite, when it holds samples that are not, or that are far beyond full scale.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise AudioError(f"{path}: expected a sound file, found a folder")
        if not path.exists():
            raise AudioError(f"{path}: no such file")
        if path.is_file() and not path.stat().st_size:
            raise AudioError(f"{path}: the file is empty (0 bytes)")
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise AudioError(f"{path}: cannot be read: {error.strerror}") from None
    if not os.access(path, os.R_OK):
        raise AudioError(f"{path}: no permission to read it")
    try:
        samples, rate = sf.read(_name(path), start=start, stop=stop, dtype="float32", always_2d=True)
    except (sf.LibsndfileError, TypeError) as error:  # TypeError: no header, and soundfile wants to be told
        said = error.error_string if isinstance(error, sf.LibsndfileError) else "it has no header"
        if isinstance(error, sf.LibsndfileError) and not error.prefix:  # it was opened
            raise AudioError(
                f"{path}: damaged, or not as long as its header says ({said.rstrip('.')}); {ANEW}"
            ) from None
        reason = f"not a sound file, or of an unsupported format ({said.rstrip('.')})"
        raise AudioError(f"{path}: {reason}; WAV, FLAC, Ogg, MP3 and AIFF are read") from None
    except (ValueError, MemoryError):  # of a header that was written before anybody knew the length: 2^63 samples
        raise AudioError(
            f"{path}: its header does not say how long it is, or it is too long for the memory; {ANEW}"
        ) from None
    if not len(samples):
        raise AudioError(f"{path}: the file has no sound in it (0 samples)")
    if finite and (wrong := complaint(samples, rate, start)):
        raise AudioError(f"{path}: {wrong}")
    return samples, rate


def write(path: Path | str, samples: Block, rate: int) -> None:
    """Write (samples,) or (samples, channels) as float WAV, whole or not at all: until then `path` stays as it was.

    Raises AudioError when the folder is missing, full or not writable.
    """
    data = np.asarray(samples, np.float32)
    kind = "WAV" if data.nbytes < LARGEST_WAV else "RF64"  # RF64 is WAV with 64-bit lengths
    try:
        with whole(Path(path)) as beside:
            try:
                sf.write(_name(beside), data, rate, format=kind, subtype="FLOAT")
            except (sf.LibsndfileError, AssertionError) as error:  # AssertionError: less was written than there is
                raise OSError(_reason(beside) or str(error)) from None
    except StreamsepError as error:
        raise AudioError(str(error)) from None


def _name(path: Path) -> Path | bytes:
    """What soundfile takes: by itself it fails at names that are not UTF-8, which only POSIX has."""
    return os.fsencode(path) if os.name == "posix" else path


def _reason(path: Path) -> str | None:
    """Why a file cannot be written any further: libsndfile says no more than "System error"."""
    try:
        with path.open("ab") as file:
            file.write(PROBE)
    except OSError as error:
        return error.strerror
    return None
