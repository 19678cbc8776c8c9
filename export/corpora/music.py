"""Songs in parts: MUSDB18, as stems of .mp4 or as WAV. Accompaniment is the mixture less the vocals."""

from collections.abc import Callable
from pathlib import Path

from export.corpora.entries import Entry, Found, base_of, missing
from export.recordings import streams

STREAMS = ("mixture", "drums", "bass", "other", "vocals")  # in this order in a .stem.mp4
LICENCE = "academic use only (MUSDB18; part of it CC BY-NC-SA)"
# The tracks of the training folder that the corpus' authors hold out (github.com/sigsep/sigsep-mus-db).
VALIDATION = {
    "ANiMAL - Rockshow",
    "Actions - One Minute Smile",
    "Alexander Ross - Goodbye Bolero",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Fergessen - Nos Palpitants",
    "James May - On The Line",
    "Johnny Lokke - Promises & Lies",
    "Leaf - Summerghost",
    "Meaxic - Take A Step",
    "Patrick Talbot - A Reason To Leave",
    "Skelpolu - Human Mistakes",
    "Traffic Experiment - Sirens",
    "Triviul - Angelsaint",
    "Young Griffo - Pennies",
}


def musdb18(folder: Path) -> Found:
    """train, test / TRACK.stem.mp4, five audio streams each: mixture, drums, bass, other, vocals.

    val: the 14 tracks of train that are usually held out, or every seventh where none of them is there.
    """

    def parts(track: Path) -> dict[str, str]:
        found = streams(track)
        if found != len(STREAMS):
            raise ValueError(
                f"musdb18: {track}: expected {len(STREAMS)} audio streams ({', '.join(STREAMS)}), found {found}"
            )
        return {part: f"{track}#{number}" for number, part in enumerate(STREAMS)}

    return _index("musdb18", "MUSDB18", folder, "*.stem.mp4", parts)


def musdb18_hq(folder: Path) -> Found:
    """train, test / TRACK / mixture.wav, drums.wav, bass.wav, other.wav, vocals.wav; val as of musdb18."""

    def parts(track: Path) -> dict[str, str]:
        for part in STREAMS:
            if not (track / f"{part}.wav").is_file():
                raise missing("musdb18-hq", f"{part}.wav", track)
        return {part: str(track / f"{part}.wav") for part in STREAMS}

    return _index("musdb18-hq", "MUSDB18-HQ", folder, "*/", parts)


def _index(layout: str, corpus: str, folder: Path, pattern: str, parts: Callable[[Path], dict[str, str]]) -> Found:
    """All tracks; parts: the path of each part of a track, errors raised."""
    found = Found()
    base = base_of(layout, folder, (".",), ("train", "test"))
    for place in ("train", "test"):
        tracks = sorted(path for path in (base / place).glob(pattern) if not path.name.startswith("."))
        if not tracks:
            raise missing(layout, f"tracks ({pattern})", base / place)
        names = [track.name.removesuffix(".stem.mp4") for track in tracks]
        held_out = (VALIDATION.intersection(names) or set(names[::7])) if place == "train" else set()
        for track, name in zip(tracks, names, strict=True):
            split = "val" if name in held_out else place
            paths = parts(track)
            mixture = paths.pop("mixture")
            entries = {
                role: Entry(path, corpus, name, role, split, LICENCE, song=name) for role, path in paths.items()
            }
            rest = Entry(mixture, corpus, name, "accompaniment", split, LICENCE, paths["vocals"], name)
            found.entries += [*entries.values(), rest]
            found.add_pair("music", entries["vocals"], rest)
    return found
