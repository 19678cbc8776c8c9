"""Lists of mixtures: their rows may stand anywhere, and those that cannot be read say where and why."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_data import make_data, write_list

from streamsep.errors import AudioError
from streamsep.evaluation.lists import LENGTH, RATE, Mixture, joined, mixtures
from streamsep.evaluation.quality import Estimates, score, summarise
from streamsep.evaluation.tables import groups, read_clips

COLUMNS = ("mixture", "domain", "split", "slot", "path", "start", "samples", "gain")
ROWS = [
    (name, "noise", "val", slot, clip, 100 * slot, 2 * RATE, 0.5 + slot)
    for name, clips in (("one", ("a.wav", "c.wav")), ("two", ("d.wav", "g.wav")), ("three", ("h.wav", "i.wav")))
    for slot, clip in enumerate(clips)
]

Table = list[dict[str, object]]


def write_rows(data: Path, rows: Table, columns: tuple[str, ...] = COLUMNS) -> None:
    with open(data / "mixtures.csv", "w", newline="") as file:
        table = csv.DictWriter(file, columns, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("lists") / "data")


def listed() -> Table:
    return [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]


@given(order=st.permutations(range(len(ROWS))))
def test_the_rows_of_a_mixture_may_stand_anywhere(data: Path, order: list[int]) -> None:
    write_rows(data, listed())
    wanted = {mixture.name: mixture for mixture in mixtures(data, "val", "noise")}
    write_rows(data, [listed()[number] for number in order])
    found = list(mixtures(data, "val", "noise"))
    assert [mixture.name for mixture in found] == list(dict.fromkeys(ROWS[number][0] for number in order))
    for mixture in found:
        assert mixture.clips == wanted[mixture.name].clips
        assert np.array_equal(mixture.sources, wanted[mixture.name].sources)
        assert mixture.sources.shape == (2, LENGTH)


def change(**values: object) -> Callable[[Table], object]:
    """Of the first row."""
    return lambda rows: rows[0].update(values)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (change(start=900_000), r"mixture one: start 900000 is not within a\.wav, which has 48000 samples"),
        (change(start=48_000), r"mixture one: start 48000 is not within"),
        (change(start=-1), r"mixture one: expected start to be a whole number of at least 0, got start '-1'"),
        (change(samples=LENGTH + 1), r"mixture one: expected samples to be .* from 1 to 80000, got samples '80001'"),
        (change(samples=0), r"mixture one: expected samples .* got samples '0'"),
        (change(gain="nan"), r"mixture one: expected gain to be a finite number, got gain 'nan'"),
        (change(gain="inf"), r"mixture one: expected gain .* got gain 'inf'"),
        (change(slot="x"), r"mixture one: expected slot to be a whole number .* got slot 'x'"),
        (change(slot=1), r"mixture one: expected a row for each slot, 0, 1 and so on, two or more, got slot 1, 1"),
        (change(slot=2), r"mixture one: .* got slot 2, 1"),
        (lambda rows: rows.pop(0), r"mixture one: .* got slot 1"),
        (lambda rows: [rows[0].pop("samples"), rows[0].pop("gain")], r"mixture one: expected samples .* got .*''"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(data: Path, spoil: Callable[[Table], object], said: str) -> None:
    rows = listed()
    spoil(rows)
    write_rows(data, rows)
    with pytest.raises(AudioError, match=rf"mixtures\.csv: {said}"):
        list(mixtures(data, "val", "noise"))


def test_a_table_may_begin_with_a_byte_order_mark(data: Path) -> None:
    write_rows(data, listed())
    once = [mixture.name for mixture in mixtures(data, "val", "noise")]
    text = (data / "mixtures.csv").read_text()
    (data / "mixtures.csv").write_text(text, encoding="utf-8-sig")
    assert [mixture.name for mixture in mixtures(data, "val", "noise")] == once


@pytest.mark.parametrize("name", ["mixtures.csv", "manifest.csv"])
@pytest.mark.parametrize("spoilt", ["caf\xe9".encode("latin-1"), b"a" * 200_000])
def test_what_is_no_table_is_named(data: Path, name: str, spoilt: bytes) -> None:
    write_rows(data, listed())
    before = (data / name).read_bytes()
    (data / name).write_bytes(before + spoilt + b",\n")
    read_clips.cache_clear()
    with pytest.raises(AudioError, match=rf"{name}: expected comma-separated values in UTF-8, got "):
        list(mixtures(data, "val", "noise"))
    (data / name).write_bytes(before)


def test_a_row_that_is_cut_short_is_named(data: Path) -> None:
    write_rows(data, listed())
    lines = (data / "mixtures.csv").read_text().splitlines()
    (data / "mixtures.csv").write_text("\n".join([*lines[:3], "two,noise,val,0,d.wav", *lines[4:]]))
    with pytest.raises(AudioError, match=r"mixtures\.csv: line 4: .* found no start, samples, gain"):
        list(mixtures(data, "val", "noise"))


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("gain", None, "expected the columns mixture, .*, found no gain"),
        ("start", "0.0", "mixture noise-0: expected start .* start '0.0'"),
        ("samples", "", "samples ''"),
        ("gain", "loud", "gain 'loud'"),
    ],
)
def test_a_list_that_cannot_be_read_says_where(tmp_path: Path, column: str, value: str | None, said: str) -> None:
    data = make_data(tmp_path / "data")
    write_list(data)
    with open(data / "mixtures.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if value is None:
            del row[column]
        else:
            row[column] = value
    with open(data / "mixtures.csv", "w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    with pytest.raises(AudioError, match=rf"mixtures\.csv: .*{said}"):
        list(mixtures(data, "val", "noise"))


# -- what clips are pieces of ---------------------------------------------------------------------------------------


def test_a_clip_is_of_its_corpus_and_group_or_else_of_itself(data: Path, tmp_path: Path) -> None:
    assert groups(data, ["a.wav", "nobody.wav"]) == ("TSP/a.wav", "nobody.wav")
    assert groups(tmp_path, ["a.wav"]) == ("a.wav",)
    for columns in ("path,group", "path,corpus", "group,corpus"):
        (tmp_path / "manifest.csv").write_text(f"{columns}\na.wav,x\n")
        read_clips.cache_clear()
        assert groups(tmp_path, ["a.wav"]) == ("a.wav",)
    (tmp_path / "manifest.csv").write_text("path,corpus,group\na.wav,AN4,\nb.wav,AN4,ann\n")
    read_clips.cache_clear()
    assert groups(tmp_path, ["a.wav", "b.wav"]) == ("a.wav", "AN4/ann")


def test_mixtures_of_one_song_are_no_more_evidence_than_the_song(data: Path, tmp_path: Path) -> None:
    """Of many clips of few songs the interval is as wide as of one clip a song."""
    clips = [f"{name}.wav" for name in "acdghij"]
    for clip in clips:
        (tmp_path / clip).symlink_to(data / clip)
    rows, known = listed()[:0], ["path,corpus,group"]
    for number, clip in enumerate(clips):
        known.append(f"{clip},Songs,{'first' if number < 3 else 'second'}")
        for slot in (0, 1):
            rows.append(dict(zip(COLUMNS, (clip, "noise", "val", slot, clip, 9 * slot, RATE, 1), strict=True)))
    write_rows(tmp_path, rows)
    (tmp_path / "manifest.csv").write_text("\n".join(known))
    every = list(mixtures(tmp_path, "val", "noise"))
    assert [mixture.groups for mixture in every] == [("Songs/first",) * 2] * 3 + [("Songs/second",) * 2] * 4
    scores = [score({"it": halved}, ("si-sdr",), mixture)["it"] for mixture in every]
    values = [np.mean([slot["si_sdr_db"] for slot in each.figures.values()]) for each in scores]
    found = summarise(scores, "x")["x.si_sdr_db"]
    songs = [np.mean(values[:3]), np.mean(values[3:])]
    assert found.mean == pytest.approx(np.mean(values))
    assert min(songs) <= found.low <= min(songs) + 0.1 * np.ptp(songs)
    assert max(songs) >= found.high >= max(songs) - 0.1 * np.ptp(songs)


def halved(mixture: Mixture) -> Estimates:
    """What it gains is another in the mixtures of the second song."""
    kept = 0.1 if mixture.groups[0] == "Songs/first" else 0.5
    return Estimates(mixture.sources + kept * mixture.sources[::-1], ("a", "b"))


def test_mixtures_of_three_say_of_every_clip_what_it_is_of() -> None:
    sources = np.ones((2, 9), np.float32)
    every = [Mixture(name, "speech", (f"a/{name}/x", f"b/{name}/y"), sources, (f"{name}-a", name)) for name in "pqr"]
    wanted = [("p-a", "p", "q-a"), ("q-a", "q", "r-a"), ("r-a", "r", "p-a")]
    assert [mixture.groups for mixture in joined(every, 3)] == wanted
