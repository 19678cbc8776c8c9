"""Files that are written whole or not at all, so that a good one is never lost for half of another."""

import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from streamsep.errors import StreamsepError


def write_texts(texts: Mapping[Path, str]) -> None:
    """Reports by their paths, UTF-8: all of them whole, or all files stay as they were. Raises StreamsepError."""
    with ExitStack() as all_or_none:
        for path, text in texts.items():
            all_or_none.enter_context(whole(path)).write_text(text, encoding="utf-8")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A new file to write into, of the same suffix; it takes the place of `path` in the end, and is gone if something
    goes wrong before. What is no file but a pipe or a device is written to as it is.

    Raises StreamsepError, which names `path`, for any OSError."""
    try:
        target = path.resolve()  # what a link leads to is replaced, and not the link
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if target.exists() and not target.is_file():
            yield target
            return
        handle, name = tempfile.mkstemp(prefix=".writing-", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        beside = Path(name)
        try:
            yield beside
            beside.chmod(0o666 & ~_umask())  # mkstemp's are for the owner's eyes only
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise StreamsepError(f"{path}: cannot be written: {error.strerror or error}") from None


def prepare(folder: Path) -> None:
    """Make a folder, and try to write into it: before the work whose results are to be there.

    Raises StreamsepError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b" ")
    except OSError as error:
        reason = error.strerror
        if isinstance(error, FileExistsError):
            reason = "there is a file of this name; -o wants a folder"
        raise StreamsepError(f"{folder}: cannot be written into: {reason}") from None


def _umask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
