"""Index public corpora into a data folder to train on.

python -m export.corpora LAYOUT=FOLDER [LAYOUT=FOLDER ...] --out DATA

writes DATA/manifest.csv, which names every clip where it lies, and DATA/mixtures.csv with fixed val and test mixtures
(see lists.py). Splits are disjoint within a corpus, as its layout says (but for the noise of VoiceBank-DEMAND: train
and val share it); two corpora made of the same recordings (LibriSpeech, VCTK, Freesound) may have one in different
splits.
"""

import argparse
import csv
import inspect
import tempfile
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from export import recordings
from export.corpora.entries import DOMAINS, Entry, Found
from export.corpora.events import esc_50, urbansound8k
from export.corpora.lists import listed, write_lists
from export.corpora.music import musdb18, musdb18_hq
from export.corpora.speech import dns, librimix, voicebank_demand, wsj0_2mix
from export.corpus import SPLITS
from export.recordings import Form

LAYOUTS: dict[str, Callable[[Path], Found]] = {
    "wsj0-2mix": wsj0_2mix,
    "librimix": librimix,
    "musdb18": musdb18,
    "musdb18-hq": musdb18_hq,
    "urbansound8k": urbansound8k,
    "esc-50": esc_50,
    "voicebank-demand": voicebank_demand,
    "dns": dns,
}
WRITTEN = ("lists", "mixtures.csv", "manifest.csv")  # in this order: a manifest says that the rest is there
COLUMNS = ("path", "minus", "domain", "corpus", "group", "song", "role", "split", "seconds", "licence")


def find(layout: str, folder: Path) -> Found:
    """All that a corpus holds. Raises ValueError saying what was expected where, and what is there."""
    if layout not in LAYOUTS:
        raise ValueError(f"{layout!r} is no layout; these are known: {', '.join(LAYOUTS)}")
    if not folder.is_dir():
        raise ValueError(f"{layout}: expected a folder, found {'a file' if folder.exists() else 'nothing'}: {folder}")
    return LAYOUTS[layout](folder.resolve())


def measure(entries: list[Entry]) -> dict[str, Form]:
    """The form of every file, by path. Raises ValueError naming a file that is no sound, empty, unlike the one to be
    taken from it, or in the corpora twice."""
    seen: set[tuple[str, str, str]] = set()
    for entry in entries:
        if (key := (entry.path, entry.minus, entry.role)) in seen:
            raise ValueError(f"{entry.path}: twice, as {entry.role}; was one corpus given twice?")
        seen.add(key)
    paths = sorted({path for entry in entries for path in (entry.path, entry.minus) if path})
    with ThreadPoolExecutor() as pool:
        forms = dict(zip(paths, pool.map(recordings.look, paths), strict=True))
    for path, form in forms.items():
        if not form.length:
            raise ValueError(f"{path}: the file has no sound in it (0 samples)")
    for entry in entries:
        if entry.minus:
            recordings.check_alike(entry.path, entry.minus, forms[entry.path], forms[entry.minus])
    return forms


def write(out: Path, found: Found) -> dict[tuple[str, str], int]:
    """Write the data folder, all or nothing; returns how many mixtures were listed, by domain and split.

    Raises ValueError when one is there already, and as `measure` does.
    """
    if there := [name for name in WRITTEN if (out / name).exists()]:
        raise ValueError(f"{out}: holds {', '.join(there)} already; remove what is old, or choose another --out")
    forms = measure(found.entries)
    new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".corpora-", dir=out) as part:
            counts = write_lists(listed(found.entries, found.pairs), forms, Path(part))
            write_manifest(Path(part) / "manifest.csv", found.entries, forms)
            for name in WRITTEN:
                if (Path(part) / name).exists():
                    (Path(part) / name).rename(out / name)
    except BaseException:
        if new:
            with suppress(OSError):  # unless somebody else has put something there
                out.rmdir()
        raise
    return counts


def write_manifest(path: Path, entries: list[Entry], forms: dict[str, Form]) -> None:
    """A row for every clip."""
    with open(path, "w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for entry in entries:
            form = forms[entry.path]
            seconds = f"{form.length / form.rate:.3f}"
            table.writerow(vars(entry) | {"domain": DOMAINS[entry.role], "seconds": seconds})


def report(found: Found, counts: dict[tuple[str, str], int]) -> None:
    """Say what was found, and what is not there to train with."""
    clips: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for entry in found.entries:
        clips[entry.corpus, entry.role][SPLITS.index(entry.split)] += 1
    print(f"{'corpus':20}{'role':16}{'train':>9}{'val':>9}{'test':>9}  clips")
    for (corpus, role), numbers in clips.items():
        print(f"{corpus:20}{role:16}" + "".join(f"{number:9}" for number in numbers))
    for (domain, split), number in counts.items():
        print(f"{number} {split} mixtures of the domain {domain}")
    for domain in sorted({DOMAINS[entry.role] for entry in found.entries}):
        if (domain, "val") not in counts:
            print(f"no val mixtures of the domain {domain}: its training would have nothing to be judged by")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m export.corpora",
        description="Index public corpora into a data folder to train on.",
        epilog="\n\n".join(f"{layout}: {inspect.getdoc(index)}" for layout, index in LAYOUTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("corpora", nargs="+", metavar="LAYOUT=FOLDER", help=f"LAYOUT: {', '.join(LAYOUTS)}")
    parser.add_argument("--out", type=Path, required=True, help="the data folder to write")
    options = parser.parse_args()
    found = Found()
    try:
        for corpus in options.corpora:
            layout, _, folder = corpus.partition("=")
            if not folder:
                raise ValueError(f"{corpus!r}: expected LAYOUT=FOLDER, such as esc-50=/data/ESC-50-master")
            one = find(layout, Path(folder).expanduser())  # a shell leaves LAYOUT=~ alone
            found.entries += one.entries
            found.pairs += one.pairs
        counts = write(options.out, found)
    except (ValueError, OSError) as error:
        raise SystemExit(f"export.corpora: {error}") from None
    report(found, counts)


if __name__ == "__main__":
    main()
