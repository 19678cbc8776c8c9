"""`streamsep evaluate`: the papers' tables, by a person at a prompt."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_lists import MIXTURES, ROLES, make_lists
from typer.testing import CliRunner

from streamsep.cli.main import app
from streamsep.evaluation.lists import RATE, mixture, mixtures
from streamsep.recording import separate
from streamsep.report import extras, papers
from streamsep.report.clips import with_groups
from streamsep.report.headline import headline, targets
from streamsep.report.picking import SCORES
from streamsep.report.rendering import opened, streamed
from streamsep.report.runner import plain
from streamsep.report.selection import Selection
from streamsep.report.study import Lists, Row, Section
from streamsep.report.write import COLUMNS


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Lists:
    return make_lists(tmp_path_factory.mktemp("lists"))


def run(lists: Lists, report: Path, *arguments: object) -> Any:
    command = ["evaluate", "--lists", lists.folder, "--bank", lists.bank, "-o", report, "--studies", "selection"]
    return CliRunner().invoke(app, [*map(str, command), *map(str, arguments)])


@pytest.fixture(scope="module")
def report(lists: Lists, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    done = run(lists, folder, "--limit", 1, "--processes", 2)
    assert done.exit_code == 0, done.output
    assert str(folder / "report.html") in done.stdout.replace("\n", "")
    return folder


def test_there_is_a_row_for_every_mixture_model_way_and_source(report: Path) -> None:
    with open(report / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    keys = {(row["mixture"], row["model"], row["way"], row["source"]) for row in rows}
    assert len(keys) == len(rows) == 2 * 2 * 2 * 2  # domains, models, ways, sources
    for row in rows:
        assert row["role"] == row["subgroup"] == ROLES[row["domain"]][int(row["source"])]
        assert float(row["sd_sdr_db"]) <= float(row["si_sdr_db"]) + 1e-9 <= float(row["sdr_db"]) + 1
        product = float(row["silhouette"]) * float(row["posterior_strength"])
        if row["way"] == "whole":
            assert float(row["confidence"]) == pytest.approx(product)
        assert row["clip"] == f"{row['mixture']}-{row['source']}.wav"


def test_a_report_of_other_studies_leaves_nothing_of_an_earlier_one(
    report: Path, lists: Lists, tmp_path: Path
) -> None:
    folder = tmp_path / "report"
    shutil.copytree(report, folder)
    assert (folder / "results.csv").is_file()
    done = run(lists, folder, "--studies", "clustering", "--limit", 1, "--processes", 2)
    assert done.exit_code == 0, done.output
    assert not (folder / "results.csv").exists()
    html = (folder / "report.md").read_text()
    assert all(f"pictures/{path.name}" in html for path in (folder / "pictures").iterdir())


def test_the_readme_says_what_is_in_every_column() -> None:
    readme = (Path(__file__).parents[1] / "streamsep" / "report" / "README.md").read_text()
    for column in COLUMNS:
        assert f"`{column}`" in readme


def test_the_page_needs_nothing_else_and_says_what_the_markdown_says(report: Path) -> None:
    html, markdown = (report / "report.html").read_text(), (report / "report.md").read_text()
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", html)
    assert "url(http" not in html
    for said in ("Table 1", "Table 2", "Figure 3", "domain known", "What differs", "missed"):
        assert said in html
        assert said in markdown
    assert html.count("<svg") == 2
    for path in re.findall(r"!\[.*\]\((.*)\)", markdown):
        assert (report / path).read_text().startswith("<svg")


def test_the_same_command_again_does_only_what_is_missing_and_writes_the_same(report: Path, lists: Lists) -> None:
    parts = {path: path.stat().st_mtime_ns for path in (report / "parts").rglob("*.json")}
    assert len(parts) == 2
    names = ("results.csv", "summary.json", "report.html", "report.md")
    before = {name: (report / name).read_bytes() for name in names}
    lost = min(parts)
    lost.unlink()
    assert run(lists, report, "--limit", 1, "--processes", 1).exit_code == 0
    assert [path for path in parts if path.stat().st_mtime_ns != parts[path]] == [lost]
    assert {name: (report / name).read_bytes() for name in names} == before
    summary = json.loads(before["summary.json"], parse_constant=pytest.fail)
    assert summary["selection"]["mixtures"] == {"music": 1, "noise": 1, "all": 2}


def test_what_is_streamed_is_what_is_heard(lists: Lists) -> None:
    sound = lists.mixture("noise", 1).sources.sum(axis=0)
    bank = opened(lists)
    streamed(bank.engines["noise"], 0.5 * sound)  # nothing is remembered of it
    slots = streamed(bank.engines["noise"], sound)
    models = {"models": {"bank": lists.bank, "precision": "fp32"}}
    heard = separate(sound, RATE, domain="noise", **models).sources
    assert np.array_equal(slots, np.stack(list(heard.values())))
    assert slots.any()


def test_a_mixture_is_found_by_its_place(lists: Lists) -> None:
    for number, listed in enumerate(mixtures(lists.folder, "test", "music")):
        one = mixture(lists.folder, "test", "music", number)
        assert (one.name, one.clips) == (listed.name, listed.clips)
        assert np.array_equal(one.sources, listed.sources)
    assert lists.count("music") == MIXTURES
    assert Lists(lists.folder, lists.bank, 1).count("music") == 1


def test_what_cannot_be_evaluated_is_said_at_once(lists: Lists, tmp_path: Path) -> None:
    def refused(*arguments: object, lists: Lists = lists, report: Path = tmp_path / "report") -> str:
        done = run(lists, report, *arguments)
        assert done.exit_code == 1
        return " ".join(done.stderr.split())

    assert "there is no 'nothing'; there are selection" in refused("--studies", "nothing")
    assert "no such folder of models" in refused(lists=Lists(lists.folder, str(tmp_path / "nowhere")))
    assert "expected a folder with a mixtures.csv" in refused(lists=Lists(tmp_path, lists.bank))
    (tmp_path / "file").touch()
    assert "is a file; the report needs a folder" in refused(report=tmp_path / "file")
    with open(lists.folder / "mixtures.csv") as file:
        only_music = [line for line in file if "noise" not in line]
    (tmp_path / "mixtures.csv").write_text("".join(only_music))
    assert "nothing in it has the split 'test' and the domain 'noise'" in refused(lists=Lists(tmp_path, lists.bank))
    assert not (tmp_path / "report").exists()


def test_a_missing_package_is_named_before_anything_is_run(
    lists: Lists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "PACKAGES", ("no_such_package",))
    done = run(lists, tmp_path / "report")
    assert done.exit_code == 1
    assert 'no_such_package, which is not installed: pip install "streamsep[evaluate]"' in " ".join(
        done.stderr.split()
    )


# ---------------------------------------------------------------------------------------------------- four domains

FOUR = ("environment", "music", "noise", "speech")


@pytest.fixture(scope="module")
def section() -> Section:
    """Of made-up rows: a model does best in its own domain, and its confidence knows, a little."""
    random, rows = np.random.default_rng(0), list[Row]()
    for domain in FOUR:
        for number in range(6):
            for model in FOUR:
                good = random.normal(6.0 if model == domain else 0.0, 3.0)
                scores = {name: good / 20 + random.normal(0, 0.1) for name in SCORES}
                for way in ("whole", "streaming"):
                    for source in (0, 1):
                        ratios = {"sd_sdr_db": good + source - 1, "si_sdr_db": good + source, "sdr_db": good + 2}
                        before = {f"mixture_{name}": 0.0 for name in ratios}
                        rows.append(
                            {"mixture": f"{domain}-{number}", "domain": domain, "model": model, "way": way}
                            | {"source": source, "groups": [f"{number}-a", f"{number}-b"], "subgroup": str(source)}
                            | ratios | before | scores
                        )  # fmt: skip
    return Selection().section(rows, {})


def test_a_bank_of_one_model_has_a_report_too(lists: Lists) -> None:
    rows = [row for row in Selection().run(lists, ("noise", 0)) if row["model"] == "noise"]
    numbers = Selection().section(plain(with_groups(lists.folder, rows)), {}).numbers
    assert "papers" not in numbers
    found = numbers["all"]["whole"]["sd_sdr_db"]["sdr_db"]
    assert found["oracle"] == found["random"] == found["confidence"] == found["only noise"]
    bank = {"models": {"noise": {"parameters": 1}}, "latency_ms": 8.0, "precision": "fp32"}
    assert headline(numbers, bank).tables


def test_every_table_has_the_oracle_on_top_and_the_papers_figures_beside(section: Section) -> None:
    for name, domains in {"papers": papers.DOMAINS, "all": FOUR}.items():
        for way in ("whole", "streaming"):
            for ratio in ("sd_sdr_db", "si_sdr_db", "sdr_db"):
                means = section.numbers[name][way][ratio]["sdr_db"]
                assert {
                    "oracle",
                    "random",
                    *SCORES.values(),
                    *(f"only {domain}" for domain in domains),
                } <= means.keys()
                for domain in (*domains, "all"):
                    for system in means:
                        assert means["oracle"][domain]["mean"] >= means[system][domain]["mean"] or system == "mixture"
                    models = [means[f"only {model}"][domain]["mean"] for model in domains]
                    assert means["random"][domain]["mean"] == pytest.approx(np.mean(models))
    for table in section.tables:
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}
    beside = next(table for table in section.tables if table.title.startswith("Table 1, the paper's"))
    oracle = next(row for row in beside.rows if row[0] == "oracle")
    assert [oracle[at] for at in (2, 4, 6)] == ["8.37", "6.55", "12.21"]


def test_the_first_screen_holds_what_the_issue_asks_for(section: Section) -> None:
    bank = {"models": {name: {"parameters": 1000} for name in FOUR}, "latency_ms": 8.0, "precision": "int8"}
    first = headline(section.numbers, bank)
    cells = [cell for table in first.tables for row in table.rows for cell in row]
    for said in (
        "7.61",
        "8.37",
        "4.86",
        "6.47",
        "6.55",
        "4.25",
        "10.52",
        "12.21",
        "2.82",
        "97.5 %",
        "60.2 %",
        "93.4 %",
    ):
        assert said in cells
    for said in ("72.9 %", "98.3 %", "57.8 %", "78 % or 83 %", "97 % or 97 %", "82 % or 73 %", "0.46, 0.63", "0.70"):
        assert said in cells
    assert "noise" in first.differs[-1]
    assert {row[-1] for row in targets(section.numbers).tables[0].rows} <= {"kept", "missed"}
    assert f"of {len(targets(section.numbers).tables[0].rows)} targets" in first.verdict
