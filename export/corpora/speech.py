"""Corpora of talkers, alone, in twos or threes, and under noise."""

import hashlib
import re
from pathlib import Path

from export.corpora.entries import Entry, Found, base_of, missing, namesakes, sounds

VERSIONS = ("wav16k/min", "wav16k/max", "wav8k/min", "wav8k/max")  # the first there is taken
RATIO_DB = r"-?[\d.]+(?:e-\d+)?"  # a tiny one is written 5.1234e-05
WSJ_NAME = re.compile(rf"(\w{{3}})\w+_{RATIO_DB}_(\w{{3}})\w+_{RATIO_DB}")
LIBRI_NAME = re.compile(r"\d+-\d+-\d+(_\d+-\d+-\d+)+")
HELD_OUT = {"p226", "p287"}  # talkers whom papers on VoiceBank-DEMAND validate with
READER = re.compile(r"reader_(\d+)")
FREESOUND = re.compile(r"Freesound_(?:validated_)?(\w+)_\d+$")  # a recording cut in pieces
DNS_PERCENT = 5  # of talkers and of noise recordings in val, and again in test


def wsj0_2mix(folder: Path) -> Found:
    """wav16k or wav8k / min or max / tr, cv, tt / s1, s2 (the mixture is their sum, so mix is not read).

    Splits as published: cv has the talkers of tr, tt others. Talkers are the first three letters of the two names.
    At 8 kHz there is nothing above 4 kHz to learn from.
    """
    layout, found = "wsj0-2mix", Found()
    places = [*VERSIONS, *(f"2speakers/{version}" for version in VERSIONS), "."]
    base = base_of(layout, folder, places, ("tr", "cv", "tt"))
    licence = "LDC user agreement (WSJ0, LDC93S6A)"
    for part, split in (("tr", "train"), ("cv", "val"), ("tt", "test")):
        firsts = sounds(layout, base / part / "s1")
        for first, second in zip(firsts, namesakes(layout, firsts, base / part / "s2"), strict=True):
            name = WSJ_NAME.fullmatch(first.stem)
            if not name:
                raise ValueError(f"{layout}: {first}: expected a name like 011a0101_1.4866_20do010b_-1.4866.wav")
            one = Entry(str(first), "WSJ0-2mix", f"WSJ0-{name[1]}", "talker", split, licence)
            two = Entry(str(second), "WSJ0-2mix", f"WSJ0-{name[2]}", "talker", split, licence)
            found.entries += [one, two]
            found.add_pair("speech", one, two)
    return found


def librimix(folder: Path) -> Found:
    """Libri2Mix or Libri3Mix / wav16k or wav8k / min or max / train-100, train-360, dev, test / s1, s2, …, noise.

    Talkers of the splits are disjoint, as published. Mixtures: of two talkers (Libri2Mix only), and of the first
    talker with the noise. One of the training parts may be missing, and noise.
    """
    layout, found = "librimix", Found()
    places = [f"{kind}/{version}" for kind in ("Libri2Mix", "Libri3Mix") for version in VERSIONS] + [*VERSIONS, "."]
    base = base_of(layout, folder, places, ("dev", "test"))
    parts = [name for name in ("train-100", "train-360") if (base / name).is_dir()]
    if not parts:
        raise missing(layout, "train-100 or train-360", base)
    for part, split in [*((part, "train") for part in parts), ("dev", "val"), ("test", "test")]:
        firsts = sounds(layout, base / part / "s1")
        for path in firsts:
            if not LIBRI_NAME.fullmatch(path.stem):
                raise ValueError(f"{layout}: {path}: expected a name like 103-1240-0003_1235-135887-0017.wav")
        talkers = len(firsts[0].stem.split("_"))
        corpus = f"Libri{talkers}Mix"
        columns = [firsts, *(namesakes(layout, firsts, base / part / f"s{n}") for n in range(2, talkers + 1))]
        noises = namesakes(layout, firsts, base / part / "noise") if (base / part / "noise").is_dir() else None
        for number, paths in enumerate(zip(*columns, strict=True)):
            voices = [
                Entry(str(path), corpus, f"LibriSpeech-{name.split('-')[0]}", "talker", split, "CC BY 4.0")
                for path, name in zip(paths, firsts[number].stem.split("_"), strict=True)
            ]
            found.entries += voices
            if talkers == 2:
                found.add_pair("speech", *voices)
            if noises:
                name = f"WHAM-{firsts[number].stem}"
                noise = Entry(str(noises[number]), corpus, name, "noise", split, "CC BY-NC 4.0 (WHAM!)")
                found.entries.append(noise)
                found.add_pair("noise", voices[0], noise)
    return found


def voicebank_demand(folder: Path) -> Found:
    """clean_trainset_28spk_wav and noisy_trainset_28spk_wav (or 56spk, or both, or no number), clean_testset_wav and
    noisy_testset_wav.

    The noise is noisy less clean. val: talkers p226 and p287, as in most papers, or where neither is there (56spk)
    the first two; test: the test set. The splits share no talker, and test has other noises, but train and val
    have the same ten.
    """
    layout, found = "voicebank-demand", Found()
    trainsets = sorted(path for path in folder.glob("clean_trainset*wav") if path.is_dir())
    if not trainsets:
        raise missing(layout, "a folder clean_trainset_28spk_wav", folder)
    clean = [(path, speech) for path in trainsets for speech in sounds(layout, path)]
    talkers = sorted({speech.stem.split("_")[0] for _, speech in clean})
    held_out = HELD_OUT.intersection(talkers) or set(talkers[:2])
    tests = folder / "clean_testset_wav"
    clean += [(tests, speech) for speech in sounds(layout, tests)]
    for place in [*trainsets, tests]:
        noisy_place = folder / place.name.replace("clean", "noisy", 1)
        speeches = [speech for where, speech in clean if where == place]
        for speech, noisy in zip(speeches, namesakes(layout, speeches, noisy_place), strict=True):
            talker = speech.stem.split("_")[0]
            split = "test" if place == tests else "val" if talker in held_out else "train"
            shared = ("VoiceBank-DEMAND", split, "CC BY 4.0")
            voice = Entry(str(speech), shared[0], talker, "talker", *shared[1:])
            noise = Entry(str(noisy), shared[0], speech.stem, "noise", *shared[1:], minus=str(speech))
            found.entries += [voice, noise]
            found.add_pair("noise", voice, noise)
    return found


def dns(folder: Path) -> Found:
    """datasets_fullband or datasets / clean_fullband and noise_fullband, or clean and noise / any folders below.

    The challenge's own test sets are synthetic, so val and test are held out here: 5 % each of the talkers (reader in
    the name, else the folder) and of the noise recordings, by a hash of their names, the same on every machine.
    """
    layout, found = "dns", Found()
    places = ("datasets_fullband", "datasets", ".")
    wide = any((folder / place / "clean_fullband").is_dir() for place in places)
    needed = ("clean_fullband", "noise_fullband") if wide else ("clean", "noise")
    base = base_of(layout, folder, places, needed)
    for name, role in zip(needed, ("talker", "noise"), strict=True):
        for path in sounds(layout, base / name, "**/*"):
            group = _dns_talker(path, base / name) if role == "talker" else _dns_recording(path)
            licence = "mixed, from public domain to CC BY-NC (DNS Challenge)"
            found.entries.append(Entry(str(path), "DNS", group, role, held_out_split(group), licence))
    return found


def held_out_split(group: str) -> str:
    """The split of a group by a hash of its name: val and test get DNS_PERCENT each.

    >>> [held_out_split(group) for group in ("DNS-00001", "DNS-00004", "DNS-00013")]
    ['train', 'val', 'test']
    """
    place = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8]) % 100
    return "val" if place < DNS_PERCENT else "test" if place < 2 * DNS_PERCENT else "train"


def _dns_talker(path: Path, base: Path) -> str:
    """The reader's number, the folder below male or female (M-AILABS has one a reader), or the file's own folder."""
    if reader := READER.search(path.stem):
        return f"DNS-{reader[1]}"
    folders = path.relative_to(base).parts[:-1]
    for number, name in enumerate(folders[:-1]):
        if name in ("male", "female"):
            return "DNS-" + "/".join(folders[: number + 2])
    return "DNS-" + "/".join(folders)


def _dns_recording(path: Path) -> str:
    """What a noise clip was cut from: names from Freesound end in the number of the piece."""
    piece = FREESOUND.search(path.stem)
    return f"Freesound-{piece[1]}" if piece else path.stem
