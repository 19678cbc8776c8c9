"""Public corpora, as they lie on disk, become data to train on: every clip, what it is of, and no file read twice."""

import csv
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from corpus_trees import PARTS, TREES, noise, sound, stems, tones
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export.corpora.__main__ import LAYOUTS, find, write
from export.corpora.entries import DOMAINS, Found
from export.corpus import FULL_SCALE, RATE, Clips, decode
from export.mixtures import RECIPES
from export.recordings import look, read
from streamsep.evaluation.lists import LENGTH, mixtures

# Clips of each role in train, val and test, and mixtures of each domain in val and test.
CLIPS = {
    "wsj0-2mix": {"talker": (8, 8, 8)},
    "librimix": {"talker": (12, 6, 6), "noise": (6, 3, 3)},
    "musdb18": dict.fromkeys([*PARTS, "accompaniment"], (1, 1, 1)),
    "musdb18-hq": dict.fromkeys([*PARTS, "accompaniment"], (1, 1, 1)),
    "urbansound8k": {"event": (16, 2, 2)},
    "esc-50": {"event": (6, 2, 2)},
    "voicebank-demand": {"talker": (4, 2, 2), "noise": (4, 2, 2)},
}
PUBLISHED = {
    "wsj0-2mix": {("speech", "val"): 4, ("speech", "test"): 4},
    "librimix": {(domain, split): 3 for domain in ("speech", "noise") for split in ("val", "test")},
    "musdb18": {("music", "val"): 1, ("music", "test"): 1},
    "musdb18-hq": {("music", "val"): 1, ("music", "test"): 1},
    "voicebank-demand": {("noise", "val"): 2, ("noise", "test"): 2},
}
DRAWN = {
    "urbansound8k": {"environment": ("event",)},
    "esc-50": {"environment": ("event",)},
    "dns": {"speech": ("talker",), "noise": ("talker", "noise")},
}  # as many mixtures as there are clips of these roles


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for each layout; not to be changed."""
    folder = tmp_path_factory.mktemp("corpora")
    for layout, make in TREES.items():
        make(folder / layout)
    return folder


@pytest.fixture(scope="module")
def indexed(trees: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The data folder written for a layout."""
    folder = tmp_path_factory.mktemp("data")

    def data(layout: str) -> Path:
        if not (folder / layout).exists():
            write(folder / layout, find(layout, trees / layout))
        return folder / layout

    return data


def rows_of(data: Path) -> list[dict[str, str]]:
    with open(data / "manifest.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_clip_is_read_from_where_it_lies_and_is_what_the_manifest_says(
    layout: str, indexed: Callable[[str], Path], tmp_path: Path
) -> None:
    data = indexed(layout)
    rows = rows_of(data)
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for index, split in enumerate(("train", "val", "test")):
        for role in sorted({row["role"] for row in rows if row["split"] == split}):
            clips = Clips(data, split, (role,), tmp_path / "cache")
            counts[role][index] = len(clips.clips)
            of_role = [row for row in rows if (row["role"], row["split"]) == (role, split)]
            for clip, row in zip(clips.clips, of_role, strict=True):
                assert abs(clip.length / RATE - float(row["seconds"])) < 0.1
                assert row["domain"] == DOMAINS[role]
                assert row["licence"]
            clip, row = clips.clips[-1], of_role[-1]
            whole = clips.read(clip, 0, clip.length)
            minus = Path(row["minus"]) if row["minus"] else None
            assert np.array_equal(np.round(whole * FULL_SCALE), decode(data / clip.path, minus))
            assert np.square(clips.samples, dtype=np.float64).mean() > 100
    if layout in CLIPS:
        assert {role: tuple(numbers) for role, numbers in counts.items()} == CLIPS[layout]
    else:  # held out by a hash: every group is in one split, and some are in each
        assert all(all(numbers) for numbers in counts.values())
        assert sum(map(sum, counts.values())) == 30 + 2 + 2 * 30


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_recording_is_in_two_splits(layout: str, indexed: Callable[[str], Path]) -> None:
    kept_apart: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows_of(indexed(layout)):
        kept_apart[row["path"]].add(row["split"])
        if row["role"] != "event":  # there a group is a class
            kept_apart[row["group"]].add(row["split"])
    if layout == "wsj0-2mix":  # as published: cv has the talkers of tr
        assert kept_apart.pop("WSJ0-01a") == kept_apart.pop("WSJ0-01b") == {"train", "val"}
    assert {len(splits) for splits in kept_apart.values()} == {1}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_lists_hold_the_mixtures_of_the_corpus_or_drawn_ones(layout: str, indexed: Callable[[str], Path]) -> None:
    data = indexed(layout)
    own = PUBLISHED.get(layout, {})
    rows = rows_of(data)
    splits = {row["path"]: row["split"] for row in rows}
    kin = {f"{row['corpus']}/{row['group']}" for row in rows}
    expected = dict(own)
    for domain, roles in DRAWN.get(layout, {}).items():
        for split in ("val", "test"):
            expected[domain, split] = sum((row["role"] in roles) and row["split"] == split for row in rows)
    for (domain, split), count in expected.items():
        listed = list(mixtures(data, split, domain))
        assert len(listed) == count
        assert len({mixture.name for mixture in listed}) == count
        for mixture in listed:
            assert mixture.sources.shape == (2, LENGTH)
            assert np.abs(mixture.sources.sum(0)).max() <= 0.701
            assert (np.square(mixture.sources).sum(1) > 0).all()
            assert all(path.startswith("lists/") or splits[path] == split for path in mixture.clips)
            assert set(mixture.pieces_of) <= kin  # copies too
    for mixture in (mixture for domain, split in own for mixture in mixtures(data, split, domain)):
        assert len(set(mixture.clips)) == 2


@pytest.mark.parametrize(
    ("layout", "recipe"),
    [
        ("wsj0-2mix", "speech"), ("librimix", "speech"), ("librimix", "noise"), ("voicebank-demand", "noise"),
        ("dns", "speech"), ("dns", "noise"), ("musdb18", "music"), ("musdb18-hq", "music"),
        ("urbansound8k", "environment"), ("esc-50", "environment"),
    ],
)  # fmt: skip
def test_a_recipe_makes_do_with_what_one_corpus_has(
    layout: str, recipe: str, indexed: Callable[[str], Path], tmp_path: Path
) -> None:
    batch = RECIPES[recipe](indexed(layout), "train", tmp_path).batch(1, 1, range(8), 4000)
    assert batch.shape == (8, 2, 4000)
    assert np.isfinite(batch).all()
    assert (np.square(batch).sum((1, 2)) > 0).sum() > 4


def test_a_published_mixture_is_listed_sample_by_sample(indexed: Callable[[str], Path], trees: Path) -> None:
    listed = list(mixtures(indexed("librimix"), "test", "noise"))
    for mixture in listed:  # mono at 16 kHz: read where they lie, whole
        assert all(Path(path).is_relative_to(trees) for path in mixture.clips)
        for path, source in zip(mixture.clips, mixture.sources, strict=True):
            whole = sf.read(path, dtype="float32")[0][:LENGTH]
            assert np.array_equal(source[: len(whole)], whole)
    song = trees / "musdb18-hq/test/Zeno - Sign"
    (mixture,) = mixtures(indexed("musdb18-hq"), "test", "music")  # the first five seconds have no vocals
    vocals, whole = (read(song / f"{part}.wav", RATE)[LENGTH : 2 * LENGTH] for part in ("vocals", "mixture"))
    assert np.abs(mixture.sources[0] - vocals).max() < 1e-4
    assert np.abs(mixture.sources.sum(0) - whole).max() < 1e-4


def test_the_parts_of_a_song_find_each_other(indexed: Callable[[str], Path], tmp_path: Path) -> None:
    for layout in ("musdb18", "musdb18-hq"):
        clips = {role: Clips(indexed(layout), "train", (role,), tmp_path) for role in (*PARTS, "accompaniment")}
        songs = {clip.song for of_role in clips.values() for clip in of_role.clips}
        assert songs == {"B - Hit" if layout == "musdb18-hq" else "B - #2 Hit"}
        rest = sum(clips[part].samples.astype(int) for part in ("drums", "bass", "other"))
        length = min(len(rest), len(clips["accompaniment"].samples))
        error = np.sqrt(np.square(clips["accompaniment"].samples[:length] - rest[:length]).mean())
        assert error < (0.1 * np.sqrt(np.square(rest).mean()) if layout == "musdb18" else 2)  # a coder's, or rounding


def test_a_manifest_without_songs_pairs_by_name(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        "path,group,corpus,role,split,licence\n"
        "a/x.vocals.wav,g,c,vocals,train,l\na/x.accompaniment.wav,g,c,accompaniment,train,l\n"
    )
    for role in ("vocals", "accompaniment"):
        sound(tmp_path / f"a/x.{role}.wav", RATE, noise(1, 800))
    songs = {Clips(tmp_path, "train", (role,), tmp_path).clips[0].song for role in ("vocals", "accompaniment")}
    assert songs == {"a/x.wav"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 99), st.integers(1, 20_000), st.integers(1, 3), st.sampled_from([8000, 11_024, 16_000, 44_100]))
def test_what_is_taken_from_a_recording_is_gone_and_the_rest_is_as_it_was(
    tmp_path: Path, seed: int, samples: int, channels: int, rate: int
) -> None:
    speech, other = noise(seed, samples, channels), noise(seed + 1, samples, channels)
    for name, content in (("clean", speech), ("noise", other), ("noisy", speech + other)):
        sound(tmp_path / f"{name}.wav", rate, content)
    difference = decode(tmp_path / "noisy.wav", tmp_path / "clean.wav")
    assert len(difference) == -(-samples * RATE // rate)
    assert np.abs(difference.astype(int) - decode(tmp_path / "noise.wav")).max() <= 1
    if rate == RATE and channels == 1:
        assert np.abs(difference - other[:, 0] * FULL_SCALE).max() <= 0.501


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000, 96_000])
def test_a_tone_keeps_its_pitch_and_level_at_any_rate_and_what_is_above_hearing_is_gone(
    rate: int, tmp_path: Path
) -> None:
    time = np.arange(rate) / rate
    sound(tmp_path / "tone.wav", rate, 0.5 * np.sin(2 * np.pi * 440 * time)[:, None])
    heard = read(tmp_path / "tone.wav", RATE)
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    assert np.abs(heard - wanted)[200:-200].max() < 0.005
    if rate > 2 * RATE:
        sound(tmp_path / "high.wav", rate, 0.5 * np.sin(2 * np.pi * 11_000 * time)[:, None])
        assert np.abs(read(tmp_path / "high.wav", RATE))[200:-200].max() < 0.005


def test_every_stream_of_a_stems_file_is_the_part_it_was_made_of(tmp_path: Path) -> None:
    parts = [tones(seed, 44_100, 0.5) for seed in range(5)]
    stems(tmp_path / "a.stem.mp4", 44_100, parts)
    for number, part in enumerate(parts):
        path = f"{tmp_path}/a.stem.mp4#{number}"
        heard = read(path, 44_100)
        error = heard[: len(part)] - part.mean(1)
        assert np.sqrt(np.square(error).mean()) < 0.1 * np.sqrt(np.square(part.mean(1)).mean())
        assert abs(look(path).length - len(part)) < 2048
        assert (look(path).rate, look(path).channels) == (44_100, 2)
    with pytest.raises(ValueError, match=r"a\.stem\.mp4#5.*has 5 audio streams"):
        read(f"{tmp_path}/a.stem.mp4#5", RATE)


def test_the_cache_is_used_again_until_a_file_changes(trees: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(trees / "voicebank-demand", corpus)
    write(tmp_path / "data", find("voicebank-demand", corpus))

    def noises() -> Clips:
        return Clips(tmp_path / "data", "test", ("noise",), tmp_path / "cache")

    first = noises()
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    again = noises()
    assert np.array_equal(first.samples, again.samples)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == made
    other = noise(99, 9000)
    sound(corpus / "clean_testset_wav/p232_000.wav", 48_000, other)  # only what is taken away
    changed = noises()
    assert not np.array_equal(first.samples[:3000], changed.samples[:3000])
    assert np.array_equal(first.samples[3000:], changed.samples[3000:])


def test_a_clip_that_cannot_be_decoded_is_named_and_leaves_no_cache(
    indexed: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copy(indexed("librimix") / "manifest.csv", tmp_path / "manifest.csv")
    broken = tmp_path / "broken.wav"
    sf.write(broken, np.array([0.0, np.nan]), RATE, subtype="FLOAT")
    with open(tmp_path / "manifest.csv", "a", newline="") as file:
        csv.writer(file).writerow([broken, "", "speech", "c", "g", "", "talker", "train", 1, "l"])
    with pytest.raises(ValueError, match=r"broken\.wav.*not finite"):
        Clips(tmp_path, "train", ("talker",), tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    broken.unlink()
    with pytest.raises(ValueError, match=r"broken\.wav: No such file.*manifest\.csv"):
        Clips(tmp_path, "train", ("talker",), tmp_path / "cache")


# What is done to a good tree, (layout, path, what becomes of it), and what the error must then say.
DELETE, EMPTY = "delete", "empty"
BROKEN = [
    ("wsj0-2mix", "2speakers", DELETE, r"wsj0-2mix: expected the folders tr, cv, tt, .*wav16k/min.*found nothing"),
    ("wsj0-2mix", "2speakers/wav8k/min/cv", DELETE, r"expected the folders cv in \S*wav8k/min, found tr, tt"),
    ("wsj0-2mix", "2speakers/wav8k/min/tt/s2", DELETE, r"expected 440o000a_\S*\.wav in \S*tt/s2, found no such"),
    ("librimix", "Libri2Mix/wav16k/min/train-*", DELETE, r"librimix: expected train-100 or train-360 in .*dev, test"),
    ("librimix", "Libri2Mix/wav16k/min/dev/noise/12-7-0001_22-8-0001.wav", DELETE, r"expected 12-7-0001\S* in"),
    ("librimix", "Libri2Mix/wav16k/min/test/s1/*", EMPTY, r"13-7-0000\S*wav: not a sound file"),
    ("musdb18", "test", DELETE, r"musdb18: expected the folders test in \S*musdb18, found train"),
    ("musdb18", "train/B - #2 Hit.stem.mp4", EMPTY, r"B - #2 Hit\.stem\.mp4: not an \.mp4 file"),
    ("musdb18", "test/*", DELETE, r"expected tracks \(\*\.stem\.mp4\) in \S*test, found nothing"),
    ("musdb18-hq", "train/B - Hit/bass.wav", DELETE, r"musdb18-hq: expected bass\.wav in .*B - Hit, found drums"),
    ("musdb18-hq", "test/Zeno - Sign/vocals.wav", EMPTY, r"vocals\.wav: not a sound file"),
    ("urbansound8k", "metadata", DELETE, r"expected UrbanSound8K\.csv in \S*metadata, found no such folder"),
    ("urbansound8k", "audio/fold3/31-1-0-0.wav", DELETE, r"expected 31-1-0-0\.wav, which .*csv names, in \S*fold3"),
    ("urbansound8k", "metadata/UrbanSound8K.csv", EMPTY, r"UrbanSound8K\.csv: expected the columns slice_file_name"),
    ("esc-50", "meta/esc50.csv", DELETE, r"esc-50: expected esc50\.csv in \S*meta, found nothing"),
    ("esc-50", "audio", DELETE, r"expected 1-101-A-0\.wav, which .* in \S*audio, found no such folder"),
    ("voicebank-demand", "clean_trainset_28spk_wav", DELETE, r"expected a folder clean_trainset_28spk_wav in"),
    ("voicebank-demand", "noisy_trainset_28spk_wav/p227_001.wav", DELETE, r"expected p227_001\.wav in \S*noisy_t"),
    ("voicebank-demand", "clean_testset_wav/*", DELETE, r"expected sound files \(\.wav, \.flac\) in \S*clean_t"),
    ("dns", "datasets_fullband/noise_fullband", DELETE, r"dns: expected the folders noise_fullband in \S*, found cl"),
    ("dns", "datasets_fullband/clean_fullband", DELETE, r"dns: expected the folders clean, noise, or these in"),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "where", "what", "said"), BROKEN)
def test_a_malformed_corpus_says_what_was_expected_where_and_writes_nothing(
    layout: str, where: str, what: str, said: str, trees: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / layout
    shutil.copytree(trees / layout, corpus, copy_function=shutil.copy if what == EMPTY else hard_link)
    for path in sorted(corpus.glob(where)):
        if what == EMPTY:
            path.write_bytes(b"")
        else:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ValueError, match=said):
        write(tmp_path / "data", find(layout, corpus))
    assert [path.name for path in tmp_path.iterdir()] == [layout]


def hard_link(first: str, second: str) -> None:
    Path(second).hardlink_to(first)


def test_files_that_do_not_belong_together_are_named(trees: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "voicebank-demand"
    shutil.copytree(trees / "voicebank-demand", corpus)
    sound(corpus / "noisy_testset_wav/p232_001.wav", 16_000, noise(1, 3000))
    with pytest.raises(ValueError, match=r"noisy\S*p232_001\.wav: 3000 samples at 16000 Hz, but \S*clean.* has 9000"):
        write(tmp_path / "data", find("voicebank-demand", corpus))
    stems(tmp_path / "m/train/x.stem.mp4", 44_100, [tones(1, 44_100, 0.1)] * 4)
    (tmp_path / "m/test").mkdir()
    with pytest.raises(ValueError, match=r"x\.stem\.mp4: expected 5 audio streams \(mixture, .*\), found 4"):
        find("musdb18", tmp_path / "m")
    shutil.copytree(trees / "esc-50" / "meta", tmp_path / "e" / "meta")
    for content, said in (
        (b"filename,fold,category,esc10\na.wav,1\n", "row 1 has no category, esc10"),
        (b"\xff\n", "table"),
    ):
        (tmp_path / "e/meta/esc50.csv").write_bytes(content)
        with pytest.raises(ValueError, match=rf"esc50\.csv: .*{said}"):
            find("esc-50", tmp_path / "e")
    twice = Found(find("esc-50", trees / "esc-50").entries * 2)
    with pytest.raises(ValueError, match=r"1-101-A-0\.wav: twice"):
        write(tmp_path / "data", twice)
    assert not (tmp_path / "data").exists()


def test_what_fails_late_leaves_nothing_and_what_is_there_is_left_alone(trees: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(trees / "esc-50", corpus)
    for path in (corpus / "audio").glob("5-*"):  # the header is good, the sound is not
        sf.write(path, np.full(8000, np.nan), RATE, subtype="FLOAT")
    data = tmp_path / "data"
    data.mkdir()
    (data / "mine.txt").write_text("kept")
    with pytest.raises(ValueError, match=r"5-\S*\.wav: has samples that are not finite"):
        write(data, find("esc-50", corpus))
    assert [path.name for path in data.iterdir()] == ["mine.txt"]
    (data / "manifest.csv").write_text("an older one")
    with pytest.raises(ValueError, match=r"data: holds manifest\.csv already"):
        write(data, find("esc-50", trees / "esc-50"))
    assert (data / "manifest.csv").read_text() == "an older one"


def test_the_command_indexes_several_corpora_and_says_what_it_found(trees: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "export.corpora", *arguments, "--out", str(tmp_path / "data")]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    wrong = run(f"esc50={trees / 'esc-50'}")
    assert wrong.returncode == 1
    assert wrong.stderr == f"export.corpora: 'esc50' is no layout; these are known: {', '.join(LAYOUTS)}\n"
    assert not (tmp_path / "data").exists()
    right = run(f"voicebank-demand={trees / 'voicebank-demand'}", f"musdb18-hq={trees / 'musdb18-hq'}")
    assert (right.returncode, right.stderr) == (0, "")
    assert "2 val mixtures of the domain noise\n" in right.stdout
    assert "no val mixtures of the domain speech" in right.stdout  # one talker alone is held out
    assert {row["corpus"] for row in rows_of(tmp_path / "data")} == {"VoiceBank-DEMAND", "MUSDB18-HQ"}
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["lists", "manifest.csv", "mixtures.csv"]
