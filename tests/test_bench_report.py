"""A report can be read again, refuses to be something else, and is held against another one honestly."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import made_up
from typer.testing import CliRunner, Result

from streamsep.bench.report import NEEDED, differences, leaves, ratios, read_report
from streamsep.bench.tables import comparison
from streamsep.cli.main import app
from streamsep.errors import ConfigError

MORE_IS_BETTER = {"times_real_time", "auto_times_real_time"}
ALWAYS_THE_SAME = {"latency_ms"}

factors = st.sampled_from([0.25, 0.5, 1.0, 2.0, 8.0])


def written(folder: Path, name: str, report: Any) -> Path:
    (folder / name).write_text(json.dumps(report))
    return folder / name


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


@given(factors, factors, st.booleans())
def test_every_ratio_is_new_over_old(old: float, new: float, monitor: bool) -> None:
    found = ratios(made_up(old), made_up(new, monitor))
    assert len(found) > 100
    for each in found:
        key = each.what[-1]
        wanted = 1.0 if key in ALWAYS_THE_SAME else old / new if key in MORE_IS_BETTER else new / old
        assert each.ratio == pytest.approx(wanted), each.what


def test_what_only_one_report_has_is_not_compared() -> None:
    found = ratios(made_up(monitor=False), made_up())
    assert found
    assert not [each for each in found if each.what[0] == "monitor"]


@given(st.sampled_from(["cpu", "cores", "os"]), st.sampled_from(["numpy", "onnxruntime", "python", "streamsep"]))
def test_another_machine_and_other_versions_are_named_with_both_values(part: str, package: str) -> None:
    old, new = made_up(), made_up(2.0)
    old["machine"][part] = "another"
    old["versions"][package] = "0.0.1"
    old["settings"]["limiter"]["true_peak"] = True
    assert differences(old, new) == [
        (f"machine.{part}", "another", new["machine"][part]),
        (f"versions.{package}", "0.0.1", new["versions"][package]),
        ("settings.limiter.true_peak", True, False),
    ]


def test_busy_or_idle_is_not_another_machine() -> None:
    old, new = made_up(), made_up()
    old["machine"] |= {"load_average": 3.0, "drift": 1.5, "measured_on_core": 0}
    assert differences(old, new) == []


def test_the_table_has_three_percentiles_in_a_row_and_no_stages() -> None:
    table = comparison(ratios(made_up(), made_up(2.0)))
    rows = {name: cells for name, *cells in table.rows}
    assert rows["hop"] == ["2.00", "2.00", "2.00", ""]
    assert rows["hops · 2 · fp32 · fade"] == ["2.00", "2.00", "2.00", ""]
    assert rows["file · times_real_time"] == ["", "", "", "0.50"]
    assert not [name for name in rows if "stages" in name]


def test_an_earlier_report_is_shown_again_and_compared(tmp_path: Path) -> None:
    old, new = written(tmp_path, "old.json", made_up()), written(tmp_path, "new.json", made_up(2.0))
    outcome = run(new, "--compare", old, "-o", tmp_path / "out")
    assert outcome.exit_code == 0, outcome.output
    for told in ("whole hop in a fade", "2 ms, fp32, in a fade", "New over old", "hops · 8 · int8 · fade"):
        assert told in outcome.stdout
    assert "not the same" not in outcome.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"bench.json", "bench.html", "bench.md"}
    kept = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert kept["compared_with"]["ratios"]["hop.p999_ms"] == 2.0
    assert {key: kept[key] for key in made_up()} == made_up(2.0)


def test_when_the_machine_differs_it_is_said(tmp_path: Path) -> None:
    other = made_up()
    other["machine"]["cpu"] = "a slow one"
    outcome = run(written(tmp_path, "new.json", made_up()), "--compare", written(tmp_path, "old.json", other))
    assert "not the same: machine.cpu: a slow one then, a <fast> one now" in " ".join(outcome.stderr.split())


def test_a_report_survives_being_written(tmp_path: Path) -> None:
    assert read_report(written(tmp_path, "report.json", made_up())) == made_up()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is not JSON"),
        ("\xff", "it is not JSON"),
        ("[1, 2]", "expected what its --json prints"),
        ('{"sources": []}', "expected what its --json prints"),
        ('{"hop": {}}', "format: expected 1, got None"),
        ('{"hop": {}, "format": 1}', "['machine', 'versions',"),
    ],
)
def test_what_is_no_report_is_refused_before_anything_is_measured(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "file.json"
    file.write_text(text, encoding="latin-1")
    for outcome in (run(file), run("--compare", file)):
        assert outcome.exit_code == 1
        assert said in outcome.stderr
        assert str(file) in outcome.stderr.replace("\n", "")
        assert "Measuring" not in outcome.stderr


def broken(key: str, value: Any) -> str:
    return json.dumps(made_up() | {key: value})


@pytest.mark.parametrize(
    "text",
    [broken("hop", []), broken("hops", {}), broken("machine", None), broken("versions", []), broken("graph", 3)],
)
def test_a_report_that_cannot_be_shown_is_refused_and_nothing_is_written(tmp_path: Path, text: str) -> None:
    file, folder = tmp_path / "file.json", tmp_path / "out"
    file.write_text(text)
    good = written(tmp_path, "good.json", made_up())
    for outcome in (run(file, "-o", folder), run(good, "--compare", file, "-o", folder)):
        assert outcome.exit_code == 1
        assert f"{file}: no whole report" in " ".join(outcome.stderr.split()).replace(" /", "/")
    assert not folder.exists()


@pytest.mark.parametrize("deep", ["[" * 100_000, json.dumps(made_up()).replace("2.0", "NaN", 1)])
def test_what_no_parser_takes_is_refused(tmp_path: Path, deep: str) -> None:
    (tmp_path / "file.json").write_text(deep)
    assert "it is not JSON" in run(tmp_path / "file.json").stderr


@pytest.mark.parametrize("option", [("--set", "fade_ms=3"), ("--domain", "noise"), ("--config", "hearing-aid")])
def test_an_earlier_report_takes_no_settings(tmp_path: Path, option: tuple[str, str]) -> None:
    outcome = run(written(tmp_path, "file.json", made_up()), *option)
    assert outcome.exit_code == 1
    assert "leave out --set, --domain and --config" in " ".join(outcome.stderr.split())


def test_hops_are_measured_as_the_models_have_them() -> None:
    outcome = run("--set", "latency.synthesis_ms=4")
    assert outcome.exit_code == 1
    assert "latency.synthesis_ms: hops of 2, 4 and 8 ms are measured" in " ".join(outcome.stderr.split())


def test_where_a_target_is_a_folder_no_other_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out" / "bench.md").mkdir(parents=True)
    (tmp_path / "out" / "bench.json").write_text("earlier")
    outcome = run(written(tmp_path, "file.json", made_up()), "-o", tmp_path / "out")
    assert outcome.exit_code == 1
    assert "bench.md: cannot be written: Is a directory" in " ".join(outcome.stderr.split())
    assert (tmp_path / "out" / "bench.json").read_text() == "earlier"


def test_a_report_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such report"):
        read_report(tmp_path / "none.json")


def test_the_made_up_report_is_a_whole_one() -> None:
    assert set(NEEDED) <= made_up().keys()
    assert all(value is not None for key, value in leaves(made_up()) if key[0] == "hop")
