"""Public corpora, as they lie on disk, made up and a second or so long: one function a layout."""

import csv
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import soundfile as sf
from numpy.typing import NDArray

RATE = 16_000
PARTS = ("drums", "bass", "other", "vocals")  # a stems file has the mixture before them


def noise(seed: int, samples: int, channels: int = 1) -> NDArray[np.float64]:
    """(samples, channels), exact in 16 bits, so that differences of files are exact too."""
    return np.random.default_rng(seed).integers(-3000, 3000, (samples, channels)) / 2**15


def sound(path: Path, rate: int, samples: NDArray[np.float64]) -> None:
    """Write a 16-bit file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, samples, rate, subtype="PCM_16")


def stems(path: Path, rate: int, streams: list[NDArray[np.float64]]) -> None:
    """Write an .mp4 with an AAC stream for each of the sounds, (samples, 2)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        coders = [container.add_stream("aac", rate=rate, layout="stereo", bit_rate=256_000) for _ in streams]
        for coder, samples in zip(coders, streams, strict=True):
            planes = np.ascontiguousarray(samples.T, np.float32)
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = rate, 0
            container.mux([*coder.encode(frame), *coder.encode(None)])


def tones(seed: int, rate: int, seconds: float) -> NDArray[np.float64]:
    """(samples, 2): what a lossy coder keeps."""
    time = np.arange(int(rate * seconds))[:, None] / rate
    pitches = np.random.default_rng(seed).uniform(150, 3000, 3)
    return 0.06 * np.sin(2 * np.pi * pitches * time).sum(1, keepdims=True) * [1.0, 0.7]


def wsj0_2mix(folder: Path) -> None:
    """Four mixtures a part, at 8 kHz."""
    for part, talkers in (("tr", ("01a", "01b")), ("cv", ("01b", "01a")), ("tt", ("440", "441"))):
        for number in range(4):
            name = f"{talkers[0]}o0{number}0a_1.4866_{talkers[1]}o0{number}0b_-1.4866.wav"
            for slot in (1, 2):
                sound(folder / f"2speakers/wav8k/min/{part}/s{slot}/{name}", 8000, noise(10 * number + slot, 4000))


def librimix(folder: Path) -> None:
    """Three mixtures a part, at 16 kHz."""
    for base, part in enumerate(("train-100", "train-360", "dev", "test")):
        for number in range(3):
            name = f"{10 + base}-7-000{number}_{20 + base}-8-000{number}.wav"
            for slot, kind in enumerate(("s1", "s2", "noise")):
                path = folder / f"Libri2Mix/wav16k/min/{part}/{kind}/{name}"
                sound(path, 16_000, noise(100 * base + 10 * number + slot, 90_000 if number == 0 else 8000))


def musdb18(folder: Path) -> None:
    """Three songs of 0.3 s, as .mp4."""
    for number, track in enumerate(("train/Meaxic - Take A Step", "train/B - #2 Hit", "test/Zeno - Sign")):
        parts = [tones(10 * number + part, 44_100, 0.3) for part in range(4)]
        stems(folder / f"{track}.stem.mp4", 44_100, [np.sum(parts, 0), *parts])


def musdb18_hq(folder: Path) -> None:
    """Three songs, one of them eleven seconds long and without vocals in its first half."""
    songs = (
        ("train/Meaxic - Take A Step", 44_100, 0.3),
        ("train/B - Hit", 44_100, 0.3),
        ("test/Zeno - Sign", RATE, 11),
    )
    for number, (track, rate, seconds) in enumerate(songs):
        parts = [noise(10 * number + part, int(seconds * rate), 2) for part in range(4)]
        parts[3][: 88_000 if seconds > 5 else 0] = 0
        for name, part in zip(PARTS, parts, strict=True):
            sound(folder / track / f"{name}.wav", rate, part)
        sound(folder / track / "mixture.wav", rate, np.sum(parts, 0))


def urbansound8k(folder: Path) -> None:
    """Two classes in each fold, at rates and with channels as people record."""
    (folder / "metadata").mkdir(parents=True)
    with open(folder / "metadata/UrbanSound8K.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"])
        for fold in range(1, 11):
            for number, kind in enumerate(("dog_bark", "siren")):
                name = f"{fold}{number}-{number}-0-0.wav"
                table.writerow([name, f"{fold}{number}", 0, 1, 1, fold, number, kind])
                rate = (11_024, 44_100, 96_000)[fold % 3]
                sound(folder / f"audio/fold{fold}/{name}", rate, noise(10 * fold + number, rate // 10, 1 + number))


def esc_50(folder: Path) -> None:
    """Two classes in each fold, one of them of ESC-10."""
    (folder / "meta").mkdir(parents=True)
    with open(folder / "meta/esc50.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["filename", "fold", "target", "category", "esc10", "src_file", "take"])
        for fold in range(1, 6):
            for target, kind in ((0, "dog"), (24, "coughing")):
                name = f"{fold}-{100 + target + fold}-A-{target}.wav"
                table.writerow([name, fold, target, kind, kind == "dog", 100 + target + fold, "A"])
                sound(folder / "audio" / name, 44_100, noise(100 * fold + target, 6000))


def voicebank_demand(folder: Path) -> None:
    """Two utterances each of two talkers to train with, one held out and one of the test set, at 48 kHz."""
    for part, talkers in (("trainset_28spk", ("p226", "p227", "p228")), ("testset", ("p232",))):
        for number, talker in enumerate(talkers):
            for take in range(2):
                speech, other = (noise(100 * number + 10 * take + kind, 9000) for kind in range(2))
                name = f"{talker}_00{take}.wav"
                sound(folder / f"clean_{part}_wav" / name, 48_000, speech)
                sound(folder / f"noisy_{part}_wav" / name, 48_000, speech + other)


def dns(folder: Path) -> None:
    """Readers, another corpus' folder, and noises cut in pieces; enough of them that some are held out."""
    base = folder / "datasets_fullband"
    for number in range(0, 210, 7):
        name = f"book_0_chp_1_reader_{number:05}_{number % 3}.wav"
        sound(base / "clean_fullband/read_speech" / name, 48_000, noise(number, 4000))
        for piece in range(2):
            name = f"door_Freesound_validated_{1000 + number}_{piece}.wav"
            sound(base / "noise_fullband" / name, 48_000, noise(1000 + number, 4000))
    for book in range(2):
        path = base / f"clean_fullband/french_speech/M-AILABS/fr_FR/female/ezwa/book{book}/wavs/x.wav"
        sound(path, 16_000, noise(book, 2000))


TREES: dict[str, Callable[[Path], None]] = {
    "wsj0-2mix": wsj0_2mix,
    "librimix": librimix,
    "musdb18": musdb18,
    "musdb18-hq": musdb18_hq,
    "urbansound8k": urbansound8k,
    "esc-50": esc_50,
    "voicebank-demand": voicebank_demand,
    "dns": dns,
}
