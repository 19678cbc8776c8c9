"""Fitting maps and writing them into model files: a known map is found, and nothing else of a file changes."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from calibrated import make_calibrated_bank
from graphs import make_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_tables import DOMAINS, PLAIN, make_table, monitor_computes
from tiny_data import ROWS, make_data

from export import calibrate, gather
from export.calibrate import calibrate as calibrated_table
from export.calibrate import main, write
from export.calibration_fit import PAPERS, Form, cross_validated, estimates, fit, folds, picked_db
from streamsep.errors import ModelError
from streamsep.evaluation.lists import RATE, Mixture
from streamsep.models.loader import Batch
from streamsep.models.manifest import METADATA_KEY, Calibrations, parse_manifest
from streamsep.recording import score, separate


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_a_known_map_is_found(seed: int) -> None:
    table = make_table(seed)
    maps = fit(table, Form("", PAPERS), 1e-9)
    np.testing.assert_allclose(estimates(table, maps), np.repeat(table.si_sdri_db[:, None], 2, axis=1), atol=1e-3)
    for domain, found in maps.items():
        of_domain = table.si_sdri_db[:, DOMAINS.index(domain)]
        assert (found.lowest_db, found.highest_db) == pytest.approx((of_domain.min(), of_domain.max()), rel=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_what_was_fitted_is_what_the_monitor_computes(seed: int) -> None:
    table = make_table(seed, 30)
    found = fit(table, Form("", (*PAPERS, ("mean_0", "silhouette"))), 0.1)
    monitor_computes(table, estimates(table, found), {name: Calibrations(own=own) for name, own in found.items()})


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_nobody_is_judged_by_a_map_that_heard_its_talkers_songs_or_kinds_of_sound(seed: int) -> None:
    table = make_table(seed)
    judged = np.zeros(len(table.truth), int)
    for fitted, left_out in folds(table):
        judged += left_out
        assert not set(table.groups[fitted].ravel()) & set(table.groups[left_out].ravel())
    assert (judged == table.listed).all()


def test_what_a_mixture_was_never_measured_on_is_no_decision_and_spoils_nothing() -> None:
    table = make_table(0)
    holes = table.measures.copy()
    holes[::5, 0] = np.nan
    figures = table.si_sdri_db.copy()
    figures[3] = np.nan
    found = cross_validated(replace(table, measures=holes, si_sdri_db=figures), Form("", PAPERS), 1e-6)
    assert np.isnan(found[::5, 0][table.listed[::5]]).all()
    assert np.isfinite(found[1::5][table.listed[1::5]]).all()
    silent = np.full_like(found, np.nan)
    assert picked_db(table, silent) == pytest.approx(table.si_sdri_db.mean())


def test_a_calibrated_choice_is_reported_beside_every_other(capsys: pytest.CaptureFixture[str]) -> None:
    table = make_table(1)
    maps, found = calibrated_table(table)
    assert list(maps) == list(DOMAINS)
    picks = {name: pick["share"] for name, pick in found["picks"].items()}
    assert picks["oracle"] == 1
    assert picks["random"] == 0
    assert picks["own"] > 0.95 > picks["confidence"]
    for rows in found["confusion"].values():
        assert [sum(row.values()) for row in rows.values()] == pytest.approx([1] * len(DOMAINS))
    for model, domain in enumerate(DOMAINS):
        assert maps[domain].own.error_db == pytest.approx(found["error_db"]["own"][domain], rel=1e-5)
        assert found["correlations"][domain]["own"]["all"] > 0.95, model
    text = "\n".join(calibrate.lines(json.loads(json.dumps(found))))
    assert all(name in text for name in (*DOMAINS, *picks))


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def make_bank(folder: Path, domains: tuple[str, ...] = ("noise", "environment")) -> Path:
    folder.mkdir()
    for domain in domains:
        for kind in ("step", "look-back"):
            for precision in ("fp32", "int8"):
                make_graph(folder / f"{domain}-{kind}-{precision}.onnx", kind, domain=domain, precision=precision)
    return folder


def test_a_calibration_changes_the_manifest_and_nothing_else(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    before = {path.name: onnx.load(path) for path in bank.iterdir()}
    old, maps = hashes(bank), Calibrations(own=PLAIN)
    write(bank, {"noise": maps})
    written = {f"noise-look-back-{precision}.onnx" for precision in ("fp32", "int8")}
    assert hashes(bank).keys() == old.keys() | {"SHA256SUMS"}
    assert {name for name in old if hashes(bank)[name] != old[name]} == written
    for name in written:
        content, graph = (bank / name).read_bytes(), before[name].graph.SerializeToString()
        assert graph in content
        said = Batch(bank / name).manifest
        [entry] = before[name].metadata_props
        assert said == parse_manifest(entry.value, name).model_copy(update={"calibration": maps})
    sums = dict(reversed(line.split("  ")) for line in (bank / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: value for name, value in hashes(bank).items() if name != "SHA256SUMS"}
    write(bank, {"noise": maps})
    assert {name: hashes(bank)[name] for name in sums} == sums


def test_where_one_file_cannot_be_calibrated_none_is(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    make_graph(bank / "noise-look-back-int8.onnx", "look-back", metadata=None)
    before = hashes(bank)
    with pytest.raises(ModelError, match=rf"noise-look-back-int8.*{METADATA_KEY}"):
        write(bank, {domain: Calibrations(own=PLAIN) for domain in ("environment", "noise")})
    assert hashes(bank) == before


def write_lists(data: Path) -> None:
    """Four mixtures a domain, of which some share no clip with some others."""
    pairs = ["ac", "bd", "gh", "ij"]
    with open(data / "mixtures.csv", "w") as file:
        file.write("mixture,domain,split,slot,path,start,samples,gain\n")
        for domain in ("noise", "environment"):
            for pair in pairs:
                for slot, clip in enumerate(pair):
                    file.write(f"{domain}-{pair},{domain},val,{slot},{clip}.wav,0,48000,1.0\n")


def test_a_bank_is_measured_once_and_calibrated_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, bank, cache = make_data(tmp_path / "data"), make_bank(tmp_path / "bank"), tmp_path / "cache"
    write_lists(data)
    monkeypatch.setattr(gather, "REMIXED", 1)
    monkeypatch.setattr(gather, "FROM_TRAINING", 2)
    monkeypatch.setattr(gather, "PROCESSES", 1)
    arguments = [str(bank), "--data", str(data), "--cache", str(cache)]
    main(arguments)
    said = Batch(bank / "noise-look-back-int8.onnx").manifest
    assert said.calibration is not None
    assert said.calibration == Batch(bank / "noise-look-back-fp32.onnx").manifest.calibration
    assert said.calibration.recognition is not None
    training, table = sorted(cache.glob("*.npz"), key=lambda path: "train" not in path.name)
    assert "train-2" in training.name
    assert json.loads(table.with_suffix(".json").read_text())["mixtures"] == 8
    with np.load(table) as kept:
        assert set(kept["groups"].ravel()) <= {
            f"{corpus}/{path}" for path, corpus, *_ in ROWS
        }  # as manifest.csv says
    before = hashes(bank)
    for name in ("_measured", "_measured_training"):  # not needed a second time, though the files have changed
        monkeypatch.setattr(gather, name, lambda *_: pytest.fail("this was known"))
    main(arguments)
    assert hashes(bank) == before
    assert "of oracle - random" in capsys.readouterr().out


def test_a_bank_of_one_model_can_be_calibrated_and_choose(tmp_path: Path) -> None:
    bank = make_calibrated_bank(tmp_path, noise=None)
    table = make_table(2)
    rows = table.truth == 0
    promising, measures = 5 + np.abs(table.si_sdri_db[rows][:, :1]), table.measures[rows][:, :, :1]
    alone = replace(table.only(rows), domains=("noise",), measures=measures, si_sdri_db=promising)
    maps, found = calibrated_table(alone)
    assert maps["noise"].recognition is None
    assert {"oracle", "own", "always noise"} < set(found["picks"])
    assert "recognition" not in found["picks"]
    assert found["picks"]["own"]["share"] is None  # there is nothing to choose
    assert calibrate.lines(found)
    write(bank, maps)
    sound = 0.1 * np.random.default_rng(0).standard_normal(6 * RATE).astype(np.float32)
    settings = {"models": {"bank": str(bank), "precision": "fp32"}}
    scored = score(sound, RATE, settings)
    assert scored.best == "noise"
    assert scored.estimate_db["noise"] is not None
    assert set(separate(sound, RATE, domain="auto", **settings).sources) == {"speech", "noise"}


def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bank = make_bank(tmp_path / "bank")
    (bank / "noise-step-int8.onnx").unlink()
    with pytest.raises(SystemExit) as ended:
        main([str(bank), "--data", str(tmp_path), "--cache", str(tmp_path / "cache")])
    assert ended.value.code == 1
    assert "expected DOMAIN-step-int8.onnx and DOMAIN-look-back-int8.onnx" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(make_bank(tmp_path / "other")), "--data", str(tmp_path), "--cache", str(tmp_path / "cache")])
    assert "mixtures.csv" in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 6))
def test_remixed_mixtures_pair_what_was_not_paired(count: int) -> None:
    sources = np.random.default_rng(count).normal(size=(2, 8000)).astype(np.float32)
    listed = [
        Mixture(f"{number}", "noise", (f"a{number}", f"b{number}"), sources, (f"c{number // 2}", f"d{number // 2}"))
        for number in range(count)
    ]
    for mixture in gather.remixed("noise", listed):
        first, second = (int(clip[1:]) for clip in mixture.clips)
        assert mixture.groups == (f"c{first // 2}", f"d{second // 2}")
        assert first // 2 != second // 2 or count == 2
        level_db = 10 * np.log10(np.square(mixture.sources.sum(0)).mean())
        assert gather.LEVELS_DB[0] - 0.1 <= level_db <= gather.LEVELS_DB[1] + 0.1
        low_db, high_db = gather.RATIOS_DB["noise"]
        powers = np.square(mixture.sources.astype(np.float64)).mean(1)
        assert low_db - 0.1 <= 10 * np.log10(powers[0] / powers[1]) <= high_db + 0.1
