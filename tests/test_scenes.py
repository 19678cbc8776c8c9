"""Scenes: those of a list are what the list says; those we make are a function of the seed."""

import csv
import tempfile
from collections.abc import Sequence
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_scenes import MIXTURES, PIECES, make_scenes, write_table

from streamsep.audio import files
from streamsep.errors import AudioError
from streamsep.evaluation.lists import RATE
from streamsep.evaluation.made_scenes import KINDS, LEVEL_DBFS, made
from streamsep.evaluation.scenes import SEGMENT, Scene, Segment, listed
from streamsep.evaluation.switching import can_improve, changes


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scenes(tmp_path_factory.mktemp("scenes"))


def slowly(folder: Path, name: str) -> np.ndarray:
    """The scene sample by sample, as its list reads."""
    rows = [dict(zip(PIECES[0], row, strict=True)) for row in PIECES[1:] if row[0] == name]
    out = np.zeros((2, SEGMENT * (1 + max(int(row["segment"]) for row in rows))), np.float32)
    for row in rows:
        piece = files.read(folder / row["path"])[0][row["start"] : row["start"] + row["samples"], 0]
        piece = piece * np.float32(row["gain"])
        ramp = np.linspace(0, 1, 320, dtype=np.float32)
        for at in range(320):
            piece[at] *= ramp[at]
            piece[-1 - at] *= ramp[at]
        out[row["slot"], row["at"] : row["at"] + len(piece)] += piece
    return out


def test_a_listed_scene_is_the_sum_of_its_faded_pieces(data: Path) -> None:
    found = list(listed(data, "val"))
    assert [scene.name for scene in found] == ["one", "two"]
    for scene in found:
        assert np.array_equal(scene.sources, slowly(data, scene.name))
        assert np.array_equal(scene.mixture, scene.sources[0] + scene.sources[1])
    assert [(part.start, part.stop, set(part.domains)) for part in found[0].segments] == [
        (0, SEGMENT, {"noise"}),
        (SEGMENT, 2 * SEGMENT, {"music"}),
    ]
    assert found[0].clips == ("voice-0.wav", "street.wav", "song-0.vocals.wav")


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("segment", 7, r"one: segments must be 0, 1, 2"),
        ("slot", 2, r"slot must be 0 or 1"),
        ("at", 2 * SEGMENT, r"lie within the scene's 480000"),
        ("samples", 600, r"at least 640 samples"),
        ("path", "nobody.wav", r"nobody\.wav: no such file"),
        ("split", "train", r"nothing in it has the split 'val'"),
        ("segment", "zero", r"one: expected segment to be a whole number of at least 0, got segment 'zero'"),
        ("slot", "x", r"one: expected slot to be .* got slot 'x'"),
        ("start", -1, r"one: expected start to be .* got start '-1'"),
        ("start", 9 * RATE, r"one: start 144000 is not within voice-0\.wav, of 64000 samples"),
        ("at", "", r"one: expected at to be .* got at ''"),
        ("gain", "loud", r"one: expected gain to be a finite number, got gain 'loud'"),
        ("gain", "nan", r"one: expected gain to be a finite number, got gain 'nan'"),
        ("domain", "music", r"one: expected one domain in segment 0, got domain 'music' and 'noise'"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(
    data: Path, tmp_path: Path, column: str, value: object, complaint: str
) -> None:
    for clip in data.glob("*.wav"):
        (tmp_path / clip.name).symlink_to(clip)
    row = dict(zip(PIECES[0], PIECES[1], strict=True)) | {column: value}
    others = [] if column == "split" else PIECES[2:]
    write_table(tmp_path / "scenes.csv", [PIECES[0], [row[name] for name in PIECES[0]], *others])
    with pytest.raises(AudioError, match=complaint):
        list(listed(tmp_path, "val"))


@given(order=st.permutations(range(1, len(PIECES))))
@settings(max_examples=10, deadline=None)
def test_the_rows_of_a_scene_may_stand_anywhere(data: Path, order: list[int]) -> None:
    wanted = {scene.name: scene for scene in listed(data, "val")}
    with tempfile.TemporaryDirectory() as folder:
        for clip in data.glob("*.wav"):
            (Path(folder) / clip.name).symlink_to(clip)
        write_table(Path(folder) / "scenes.csv", [PIECES[0], *(PIECES[number] for number in order)])
        for scene in listed(Path(folder), "val"):
            assert scene.segments == wanted[scene.name].segments
            np.testing.assert_allclose(scene.sources, wanted.pop(scene.name).sources, atol=1e-6)
    assert not wanted


@pytest.mark.parametrize("column", ["gain", "at", "domain", "scene"])
def test_a_list_without_a_column_is_refused(data: Path, tmp_path: Path, column: str) -> None:
    kept = [at for at, name in enumerate(PIECES[0]) if name != column]
    write_table(tmp_path / "scenes.csv", [[row[at] for at in kept] for row in PIECES])
    with pytest.raises(AudioError, match=rf"scenes\.csv: expected the columns .*, found no {column}"):
        list(listed(tmp_path, "val"))


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("start", 20 * RATE, r"mixture s: start 320000 is not within voice-0\.wav"),
        ("start", -5, r"mixture s: expected start .* got start '-5'"),
        ("gain", "nan", r"mixture s: expected gain .* got gain 'nan'"),
        ("slot", 1, r"mixture s: expected a row for each slot, .* got slot 1, 1"),
    ],
)
def test_scenes_are_not_made_of_a_list_that_makes_no_sense(
    data: Path, tmp_path: Path, column: str, value: object, said: str
) -> None:
    for path in data.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "mixtures.csv").unlink()
    row = dict(zip(MIXTURES[0], MIXTURES[1], strict=True)) | {column: value}
    write_table(tmp_path / "mixtures.csv", [MIXTURES[0], list(row.values()), *MIXTURES[2:]])
    with pytest.raises(AudioError, match=rf"mixtures\.csv: {said}"):
        list(made(tmp_path, "val", 24))


def test_a_folder_without_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"scenes\.csv"):
        list(listed(tmp_path, "val"))
    with pytest.raises(AudioError, match=r"mixtures\.csv"):
        list(made(tmp_path, "val", 4))


def test_nothing_is_made_of_what_models_are_trained_on(data: Path) -> None:
    with pytest.raises(AudioError, match=r"'train'"):
        list(made(data, "train", 4))
    with open(data / "manifest.csv", newline="") as file:
        split_of = {row["path"]: row["split"] for row in csv.DictReader(file)}
    assert "train" in split_of.values()
    assert {split_of[path] for scene in made(data, "val", 8) for path in scene.clips} == {"val"}


def same(left: Sequence[Scene], right: Sequence[Scene]) -> bool:
    return [(scene.name, scene.segments, scene.clips) for scene in left] == [
        (scene.name, scene.segments, scene.clips) for scene in right
    ] and all(np.array_equal(one.sources, other.sources) for one, other in zip(left, right, strict=True))


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_made_scenes_are_a_function_of_the_seed(data: Path, seed: int) -> None:
    once = list(made(data, "val", 4, seed))
    assert same(once, list(made(data, "val", 4, seed)))
    assert same(once[:3], list(islice(made(data, "val", 3, seed), 3)))  # however many are asked for
    assert not np.array_equal(once[1].sources, list(made(data, "val", 2, seed + 1))[1].sources)


def pauses_in(scene: Scene, part: Segment) -> list[float]:
    """Seconds of every stretch of at least half a second that can hardly be heard."""
    sound = scene.mixture[part.start : part.stop].astype(float)
    levels = np.sqrt(np.square(sound[: len(sound) // 1600 * 1600]).reshape(-1, 1600).mean(axis=1))
    stretches = "".join(" " if level < 10 ** (-50 / 20) else "x" for level in levels).split("x")
    found = [len(stretch) / 10 for stretch in stretches if len(stretch) >= 5]
    assert all(0.8 <= seconds <= 4 for seconds in found)
    return found


def test_every_kind_of_scene_is_what_it_says(data: Path) -> None:
    found = list(made(data, "val", 8))
    for number, kind in enumerate(KINDS):
        for scene in found[number:8:4]:
            assert scene.name.startswith(kind)
            parts = scene.segments
            assert parts[0].start == 0
            assert parts[-1].stop == scene.sources.shape[1]
            gaps = [after.start - before.stop for before, after in pairwise(parts)]
            assert all(RATE <= gap <= 3 * RATE for gap in gaps) if kind == "blend" else not any(gaps)
            assert len(changes(scene)) == (1 if kind == "pause" else 2)
            assert parts[0].domains == parts[-1].domains or kind == "pause"
            quiet = (pauses_in(scene, part) for part in parts)
            assert all(len(found) == (kind == "pause") for found in quiet)
            if kind == "alone":
                middle = scene.sources[:, parts[1].start : parts[1].stop]
                assert middle[0].any()
                assert not middle[1].any()
                assert parts[1].domains <= {"speech", "noise"}
            assert can_improve(scene)


def test_what_returns_goes_on_where_it_was(data: Path) -> None:
    scene = next(made(data, "val", 1))
    first, _, last = (scene.sources[:, part.start : part.stop] for part in scene.segments)
    gains = [np.abs(piece).max() for piece in (first, last)]
    assert gains[0] == pytest.approx(gains[1], rel=0.2)
    assert not np.array_equal(first, last)


def test_unmixed_recordings_are_long_and_nobody_knows_their_domain(data: Path) -> None:
    found = list(made(data, "val", 0))
    assert {scene.name for scene in found} > {"unmixed-val-0-street", "unmixed-val-0-bar"}
    assert any("-to-" in scene.name for scene in found)
    for scene in found:
        assert scene.sources.shape[1] >= 59 * RATE
        assert [part.domains for part in scene.segments] == [frozenset()]
        assert not scene.sources[1].any()
        assert not can_improve(scene)
        level = 10 * np.log10(np.square(scene.sources[0].astype(float)).mean())
        assert level <= LEVEL_DBFS[1] + 0.1


def test_no_sample_of_a_made_scene_is_out_of_range(data: Path) -> None:
    for scene in made(data, "val", 12):
        assert np.isfinite(scene.sources).all()
        assert np.abs(scene.mixture).max() <= 1.0


def test_a_mixture_of_a_clip_that_the_manifest_does_not_know_is_refused(data: Path, tmp_path: Path) -> None:
    for clip in data.glob("*.wav"):
        (tmp_path / clip.name).symlink_to(clip)
    (tmp_path / "mixtures.csv").write_text((data / "mixtures.csv").read_text())
    lines = (data / "manifest.csv").read_text().splitlines(keepends=True)
    (tmp_path / "manifest.csv").write_text("".join(line for line in lines if not line.startswith("voice-1")))
    with pytest.raises(AudioError, match=r"manifest\.csv with the split 'val', got 2, and not voice-1\.wav"):
        list(made(tmp_path, "val", 4))
