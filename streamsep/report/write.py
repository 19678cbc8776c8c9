"""From the rows of studies to the files of a report: results.csv, summary.json, report.html, report.md, pictures/."""

import csv
import json
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import streamsep
from streamsep import whole_files
from streamsep.report.clips import with_groups
from streamsep.report.headline import headline, targets
from streamsep.report.page import PICTURES, file_name, markdown, page
from streamsep.report.runner import plain
from streamsep.report.study import Lists, Row, Section, Study

FORMAT = 1  # of summary.json; another number when its keys change their meaning
COLUMNS = (
    "mixture", "domain", "model", "way", "source", "role", "subgroup", "clip", "sd_sdr_db", "si_sdr_db", "sdr_db",
    "mixture_sd_sdr_db", "mixture_si_sdr_db", "mixture_sdr_db", "silhouette", "posterior_strength", "confidence",
    "own_db", "promised_db",
)  # fmt: skip
RESULTS = "results.csv"
SELECTION = "selection"  # the study whose rows are results.csv and whose figures are the first screen


def write_report(
    studies: Sequence[Study], rows: Mapping[str, list[Row]], lists: Lists, report: Path
) -> dict[str, Any]:
    """All files, and none that an earlier report of other studies left there; what is in summary.json. The same rows
    give the same files."""
    sections: dict[str, Section] = {}
    rows = {name: with_groups(lists.folder, of) for name, of in rows.items()}
    for study in studies:
        others = {name: rows[name] for name in study.needs}
        sections[study.name] = study.section(rows[study.name], others)
    numbers = {name: section.numbers for name, section in sections.items()}
    bank = about_the_bank(lists)
    summary = {"format": FORMAT, "streamsep": streamsep.__version__, "bank": bank, "limit": lists.limit, **numbers}
    first, texts = None, {}
    if SELECTION in sections:
        first = headline(numbers[SELECTION], bank)
        sections = {"targets": targets(numbers[SELECTION]), **sections}
        texts[report / RESULTS] = results(rows[SELECTION])
    title = f"streamsep evaluate: {bank['name']} on {lists.folder.resolve().name}"
    tested = [
        f"{title}, streamsep {streamsep.__version__}; models "
        + ", ".join(f"{domain} {model['version']}" for domain, model in bank["models"].items())
        + (f"; only the first {lists.limit} mixtures of every domain" if lists.limit else "")
        + "."
    ]
    for name, section in sections.items():
        for picture in section.pictures:
            texts[report / file_name(name, picture)] = picture.svg + "\n"
    texts[report / "report.html"] = page(title, tested, first, sections)
    texts[report / "report.md"] = markdown(title, tested, first, sections)
    texts[report / "summary.json"] = json.dumps(plain(summary), indent=1, allow_nan=False) + "\n"
    for folder in {path.parent for path in texts}:
        whole_files.prepare(folder)
    whole_files.write_texts(texts)
    for path in (report / RESULTS, *(report / PICTURES).glob("*.svg")):
        if path not in texts:
            path.unlink(missing_ok=True)
    return summary


def about_the_bank(lists: Lists) -> dict[str, Any]:
    """What its manifests say."""
    bank = lists.open_bank()
    front = bank.front_end
    return {
        "name": "zoo" if lists.bank == "zoo" else Path(lists.bank).resolve().name,
        "precision": lists.precision,
        "latency_ms": 1000 * front.synthesis_window / front.sample_rate,
        "models": {
            domain: {"version": model.manifest.version, "parameters": model.manifest.parameters}
            for domain, model in bank.models.items()
        },
    }


def results(rows: Sequence[Row]) -> str:
    """results.csv: a line a row, what is not known left empty."""
    file = StringIO()
    table = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows({**row, "clip": row["clips"][row["source"]]} for row in rows)
    return file.getvalue()
