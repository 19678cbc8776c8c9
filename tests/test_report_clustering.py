"""Deep clustering's tables, on talkers who each have a third of the spectrum and a network that knows the thirds."""

import json
from pathlib import Path

import numpy as np
import pytest
from embedded import bands, make_bands
from hypothesis import given, settings
from hypothesis import strategies as st
from small_bank import make_model
from tiny_scenes import write_table

from streamsep.audio import files
from streamsep.evaluation.lists import LENGTH, RATE
from streamsep.evaluation.references import ideal_ratio
from streamsep.report.clips import with_groups
from streamsep.report.clustering import Clustering, made
from streamsep.report.clustering_section import WAYS, make_section
from streamsep.report.figures import figures_db
from streamsep.report.nmf import oracle_nmf
from streamsep.report.study import Job, Lists, Row
from streamsep.report.voices import closed, same_voice

SECONDS = 4
TALKERS = {"ann": ("F", 0), "bob": ("M", 1), "cid": ("M", 2)}  # sex, third of the spectrum
PAIRS = [("ann", "bob"), ("bob", "cid"), ("cid", "ann")]


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Lists:
    """Three mixtures of talkers who were not heard in training, one clip each, and a bank of one model."""
    data, bank = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("bank")
    known = []
    for split in ("test", "train"):
        for talker, (sex, third) in TALKERS.items():
            path = f"{split}/{talker}/one.wav"
            (data / path).parent.mkdir(parents=True)
            files.write(data / path, bands(len(known), SECONDS * RATE)[third], RATE)
            known.append([path, "Studio", f"{split} {talker}", sex, "talker", split])
    write_table(data / "manifest.csv", [["path", "corpus", "group", "sex", "role", "split"], *known])
    rows = [
        [f"pair-{number}", "talkers", "test", slot, f"test/{talker}/one.wav", 0, SECONDS * RATE, 0.5 + slot]
        for number, pair in enumerate(PAIRS)
        for slot, talker in enumerate(pair)
    ]
    write_table(
        data / "mixtures.csv", [["mixture", "domain", "split", "slot", "path", "start", "samples", "gain"], *rows]
    )
    make_model(bank / "talkers-step-fp32.onnx", "talkers", ("talker", "talker"), embedding_dims=3)
    make_bands(bank / "talkers-look-back-fp32.onnx")
    return Lists(data, str(bank), 1)


def rows_of(lists: Lists, *jobs: Job) -> list[Row]:
    study = Clustering()
    return with_groups(lists.folder, [row for job in jobs for row in study.run(lists, job)])


@pytest.fixture(scope="module")
def rows(lists: Lists) -> list[Row]:
    jobs = Clustering().jobs(lists)
    assert jobs == [(kind, "talkers", 0) for kind in ("two", "three", "closed", "same voice", "alone")]
    return rows_of(lists, *jobs)


def test_every_way_of_clustering_finds_sources_that_the_embeddings_tell_apart(rows: list[Row]) -> None:
    for kind, sources in (("two", 2), ("three", 3), ("closed", 2)):
        found = {row["way"]: row for row in rows if row["kind"] == kind}
        assert set(WAYS) - set(found) == ({"mask head"} if sources == 3 else set())
        for way in ("global k-means", "online centres", "oracle k-means"):
            assert found[way]["si_sdri_db"] > 8
        assert found["ideal binary mask"]["si_sdri_db"] > 15


def test_one_voice_over_itself_is_not_told_apart_by_what_tells_voices_apart(rows: list[Row]) -> None:
    found = {row["way"]: row["si_sdri_db"] for row in rows if row["kind"] == "same voice"}
    assert max(found[way] for way in ("global k-means", "online centres", "oracle k-means")) < 0.5
    assert found["ideal binary mask"] > 2


def test_one_source_alone_stays_together_in_the_centre_that_is_its_own(rows: list[Row]) -> None:
    found = {row["way"]: row for row in rows if row["kind"] == "alone"}
    assert set(found) == {"mask head", "online centres", "global k-means"}
    assert found["online centres"]["strayed_db"] < -15
    assert found["online centres"]["si_sdr_db"] > 20


def test_a_run_is_the_same_again_and_does_not_know_the_limit(lists: Lists, rows: list[Row]) -> None:
    whole = Lists(lists.folder, lists.bank)
    assert rows_of(whole, ("closed", "talkers", 0)) == [row for row in rows if row["kind"] == "closed"]


def test_the_section_has_a_table_for_each_kind_of_mixture_and_its_numbers(lists: Lists, rows: list[Row]) -> None:
    more = rows_of(lists, ("two", "talkers", 1))
    section = make_section(json.loads(json.dumps(rows + more)))
    titles = " ".join(table.title for table in section.tables)
    for said in ("Two sources: SDR", "SI-SDR", "by sex", "Three", "closed", "One voice", "talkers alone"):
        assert said in titles
    for table in section.tables:
        assert len(table.rows) >= 3
        assert all(len(row) == len(table.columns) for row in table.rows)
    found = section.numbers["by sex"]["same sex"]["oracle NMF"]["sdri_db"]
    assert found["n"] == 1
    assert found["mean"] == next(row["sdri_db"] for row in more if row["way"] == "oracle NMF")


def test_what_cannot_be_made_of_the_lists_is_left_out(lists: Lists, tmp_path: Path) -> None:
    for name in ("mixtures.csv", "test", "train"):
        (tmp_path / name).symlink_to(lists.folder / name)
    bare = Lists(tmp_path, lists.bank, 1)  # nobody says who talks
    assert made(bare, "closed", "talkers", 0) is None
    assert made(bare, "same voice", "talkers", 0) is None
    assert rows_of(bare, ("closed", "talkers", 0), ("same voice", "talkers", 0)) == []
    assert rows_of(bare, ("alone", "talkers", 0))
    assert make_section([]).tables == []


def test_a_mixture_of_known_talkers_differs_in_the_talkers_and_nothing_else(lists: Lists) -> None:
    for number in range(len(PAIRS)):
        mixture = lists.mixture("talkers", number)
        other, alone = closed(lists.folder, mixture, number), same_voice(lists.folder, mixture, number)
        assert other is not None
        assert alone is not None
        sexes = [[TALKERS[Path(clip).parent.name][0] for clip in one.clips] for one in (mixture, other)]
        assert sexes[0] == sexes[1]
        assert all(clip.startswith("train/") for clip in other.clips)
        assert len(set(other.clips)) == 2
        assert alone.clips == (mixture.clips[0],) * 2
        assert not np.array_equal(alone.sources[0], alone.sources[1])
        for new in (other, alone):
            assert new.sources.shape == (2, LENGTH)
            for before, after in zip(mixture.sources, new.sources, strict=True):
                samples = np.flatnonzero(after)[-1] + 1
                power = np.square([before[:samples], after[:samples]]).mean(axis=1)
                assert power[1] == pytest.approx(power[0], rel=1e-3)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 3))
def test_oracle_nmf_shares_out_everything_and_knows_spectra_that_do_not_overlap(seed: int, sources: int) -> None:
    random = np.random.default_rng(seed)
    spectra = random.normal(size=(sources, 130, 60)) + 1j * random.normal(size=(sources, 130, 60))
    masks = oracle_nmf(spectra)
    np.testing.assert_allclose(masks.sum(axis=0), 1)
    assert masks.min() >= 0
    np.testing.assert_array_equal(masks, oracle_nmf(spectra))
    apart = spectra * (np.arange(60) * sources // 60 == np.arange(sources)[:, None])[:, None]
    assert np.abs(oracle_nmf(apart) - ideal_ratio(apart)).mean() < 1e-3  # a few quiet bins are late to settle


def test_figures_are_those_of_the_sources_that_sound_in_the_best_order_of_their_role() -> None:
    sources = 0.1 * np.random.default_rng(0).normal(size=(2, 4000))
    noisy = sources + 0.01 * np.random.default_rng(1).normal(size=(2, 4000))
    right, wrong = figures_db(noisy, sources, ["a", "b"]), figures_db(noisy[::-1], sources, ["a", "b"])
    assert figures_db(noisy[::-1], sources, ["a", "a"]) == right
    assert right["si_sdri_db"] == pytest.approx(20, abs=1)
    assert right["sd_sdr_db"] == pytest.approx(20, abs=1)
    assert right["sdri_db"] > 19
    assert wrong["si_sdri_db"] < -10
    sources[1] = 0
    assert np.isnan(list(figures_db(sources * 0, sources * 0, ["a", "b"]).values())).all()
    assert np.isfinite(figures_db(noisy, sources, ["a", "b"])["sd_sdr_db"])
