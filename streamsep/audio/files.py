"""Sound files: any that libsndfile reads, and float WAV that is never half written."""

import os
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

from streamsep.arrays import Block
from streamsep.errors import AudioError

LARGEST_WAV = 2**32 - 4096  # bytes of samples; a WAV counts its length in 32 bits


def read(path: Path | str, start: int = 0, stop: int | None = None, finite: bool = True) -> tuple[Block, int]:
    """The samples [start, stop) of a sound file, float32 (samples, channels), full scale ±1, and its rate in Hz.

    Raises AudioError, which names the file, when there is no such file, when it is a folder, empty, not audio or of a
    format that libsndfile does not read, and, if they are to be finite, when it holds samples that are not.
    """
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path}: expected a sound file, found a folder")
    if not path.exists():
        raise AudioError(f"{path}: no such file")
    if not os.access(path, os.R_OK):
        raise AudioError(f"{path}: no permission to read it")
    if path.is_file() and not path.stat().st_size:
        raise AudioError(f"{path}: the file is empty (0 bytes)")
    try:
        samples, rate = sf.read(path, start=start, stop=stop, dtype="float32", always_2d=True)
    except (sf.LibsndfileError, TypeError) as error:  # TypeError: no header, and soundfile wants to be told
        said = error.error_string if isinstance(error, sf.LibsndfileError) else "it has no header"
        reason = f"not a sound file, or of an unsupported format ({said.rstrip('.')})"
        raise AudioError(f"{path}: {reason}; WAV, FLAC, Ogg, MP3 and AIFF are read") from None
    if not len(samples):
        raise AudioError(f"{path}: the file has no sound in it (0 samples)")
    if finite:
        _check_finite(path, samples, start, rate)
    return samples, rate


def _check_finite(path: Path, samples: Block, start: int, rate: int) -> None:
    """Raise AudioError that counts the samples that are NaN or infinite and says where the first is."""
    broken = ~np.isfinite(samples)
    count = int(np.count_nonzero(broken))
    if count:
        frame, channel = divmod(int(np.argmax(broken)), samples.shape[1])
        raise AudioError(
            f"{path}: {count} of {samples.size} samples are not finite (NaN or infinity), the first at sample "
            f"{start + frame} ({(start + frame) / rate:.3f} s) of channel {channel + 1}; "
            "repair them first, for example by writing 0 in their place"
        )


def write(path: Path | str, samples: Block, rate: int) -> None:
    """Write (samples,) or (samples, channels) as float WAV, whole or not at all: until then `path` stays as it was.

    Raises AudioError when the folder is missing, full or not writable.
    """
    path = Path(path)
    data = np.asarray(samples, np.float32)
    kind = "WAV" if data.nbytes < LARGEST_WAV else "RF64"  # RF64 is WAV with 64-bit lengths
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise AudioError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        sf.write(temporary, data, rate, format=kind, subtype="FLOAT")
        Path(temporary).chmod(0o666 & ~_umask())  # mkstemp's are for the owner's eyes only
        Path(temporary).replace(path)
    except (OSError, sf.LibsndfileError) as error:
        raise AudioError(f"{path}: cannot be written: {error}") from None
    finally:
        Path(temporary).unlink(missing_ok=True)


def _umask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
