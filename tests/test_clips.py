"""Clips are what the manifest says, decoded once; what is wrong with it is said."""

from pathlib import Path

import numpy as np
import pytest
from tiny_data import make_data

from export.corpus import Clips
from streamsep.errors import AudioError


def test_clips_come_from_the_cache_as_they_were_decoded(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    first = Clips(data, "train", ("noise", "event"), tmp_path / "cache")
    second = Clips(data, "train", ("noise", "event"), tmp_path / "cache")
    assert first.clips == second.clips
    assert np.array_equal(first.samples, second.samples)
    assert [clip.path for clip in first.clips] == ["c.wav", "d.wav", "j.wav"]


@pytest.mark.parametrize(("kind", "size"), [("int16", 1000), ("int16", None), ("lengths", 8), ("lengths", None)])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, kind: str, size: int | None) -> None:
    data, cache = make_data(tmp_path / "data"), tmp_path / "cache"
    whole = np.array(Clips(data, "train", ("noise", "event"), cache).samples)
    (file,) = cache.glob(f"*.{kind}")
    if size is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:size])
    assert np.array_equal(Clips(data, "train", ("noise", "event"), cache).samples, whole)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (",train,", ",training,", r"line 2: expected a split of \['train', 'val', 'test'\] .* got 'training'"),
        (",train,", ", train,", r"line 2: expected a split of .* got ' train'"),
        (",talker,", ",talker ,", r"line 2: .* a role without spaces around it, got 'train' and 'talker '"),
        (",talker,", ",,", r"line 2: expected something in every column, found no role"),
    ],
)
def test_a_clip_that_nobody_would_hear_is_refused(tmp_path: Path, before: str, after: str, said: str) -> None:
    data = make_data(tmp_path / "data")
    manifest = data / "manifest.csv"
    text = manifest.read_text()
    assert before in text.splitlines()[1]
    manifest.write_text(text.replace(before, after, 1))
    with pytest.raises(ValueError, match=rf"manifest\.csv: {said}"):
        Clips(data, "train", ("noise",), tmp_path / "cache")


def test_a_manifest_without_a_column_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    manifest = data / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("licence", "license").replace("group", "grp"))
    with pytest.raises(ValueError, match=r"manifest\.csv: expected the columns path, .*, found no group, licence"):
        Clips(data, "train", ("noise",), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("roles", "without", "said"), [(("whale",), (), "whale"), (("noise",), ("Street",), "Street")]
)
def test_clips_that_are_not_there_are_named(
    roles: tuple[str], without: tuple[str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        Clips(make_data(tmp_path / "data"), "train", roles, tmp_path / "cache", without)


def test_a_manifest_that_is_no_table_is_named(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data")
    (data / "manifest.csv").write_bytes((data / "manifest.csv").read_bytes() + "caf\xe9\n".encode("latin-1"))
    with pytest.raises(AudioError, match=r"manifest\.csv: expected comma-separated values in UTF-8, got "):
        Clips(data, "train", ("noise",), tmp_path / "cache")
