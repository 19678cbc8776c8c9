"""The folder that `streamsep separate` writes: all of a run or nothing, and nothing that is not its own is lost."""

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from types import FrameType

from streamsep.errors import AudioError, StreamsepError

SUMMARY, DECISIONS, TIMELINE = "summary.json", "decisions.jsonl", "timeline.png"


def check_folder(folder: Path) -> None:
    """Raises AudioError for a folder that nothing may be written into."""
    from streamsep.record.folder import is_recording

    try:
        if folder.exists() and not folder.is_dir():
            raise AudioError(f"{folder}: there is a file of this name; -o wants a folder")
        if not (around := existing(folder)).is_dir():
            raise AudioError(f"{folder}: cannot be made, for {around} is a file; -o wants a folder")
        if is_recording(folder):
            raise AudioError(f"{folder}: a recorded session is there; choose another folder with -o")
    except OSError as error:  # a name that is too long
        raise AudioError(f"{folder}: cannot be written into: {error.strerror}") from None


def existing(folder: Path) -> Path:
    """The folder, or where it will be made: the innermost of those around it that there is."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


@contextmanager
def written_at_once(folder: Path, sound: Path) -> Iterator[Path]:
    """A hidden folder to write everything into; then it is moved out file by file, so that no file is ever half
    written, and what an earlier run has left of other sources goes.

    Raises StreamsepError when the folder cannot be made or written into, when one of the files would replace the
    input, and when one cannot be replaced."""
    # inside the folder, because only that is sure to be on the same file system
    aside = folder / f".writing-{token_hex(4)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ended_in_order():
            try:
                aside.mkdir(mode=0o700)
                yield aside
                written = sorted(aside.iterdir(), key=lambda path: path.name == SUMMARY)
                for path in written:
                    check_target(folder / path.name, sound)
                stale = earlier(folder) - {path.name for path in written}
                for path in written:
                    if path.name == SUMMARY:  # the last: until then the old one says what is of an earlier run
                        remove(stale, folder, sound)
                    path.replace(folder / path.name)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise AudioError(f"{folder}: cannot be written into: {error.strerror or error}") from None
    except StreamsepError as error:  # of a file in the hidden folder, of which nobody knows
        raise type(error)(str(error).replace(str(aside), str(folder))) from None


def check_target(target: Path, sound: Path) -> None:
    """Raises AudioError when something is there that may not be replaced."""
    if target.is_dir():
        raise AudioError(f"{target}: there is a folder of this name; choose another one with -o")
    if target.exists() and target.samefile(sound):
        raise AudioError(f"{sound}: would be overwritten by an output; choose another folder with -o")


def earlier(folder: Path) -> set[str]:
    """The files that an earlier run has written here, as its summary says; none where there is no such summary."""
    try:
        listed = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["files"]
        return {name for name in listed if Path(name).name == name}
    except (OSError, ValueError, TypeError, KeyError):
        return set()


def remove(names: set[str], folder: Path, sound: Path) -> None:
    """What would be taken for a part of this run; never the input, which may well be an earlier run's output."""
    for name in names:
        path = folder / name
        if path.is_file() and not path.samefile(sound) and (path.suffix == ".wav" or name in (DECISIONS, TIMELINE)):
            path.unlink()


@contextmanager
def ended_in_order() -> Iterator[None]:
    """SIGTERM, which by itself leaves everything as it is, ends what is within like an error."""

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # it is heard, and what was begun is put away
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
