"""What every model's measures promise: python -m export.calibrate BANK --data DIR

Separates and measures the validation mixtures of every domain with every model of BANK (int8 graphs: those that run),
fits the maps from measures to SI-SDRi, says how well they choose between the models (cross-validated: no map has
heard the talkers, songs or kinds of sound that it is judged by), and writes them into the manifests of the look-back
graphs of both precisions. Nothing else of a graph changes. What was measured is kept in the cache, beside what was
found, as JSON.

The maps are fitted to SI-SDRi of the whole mixture, not of the two seconds that the measures look at: the former
picks better (by 1 to 4 % of what an oracle gains over chance), and judged by those two seconds it picks about as
well. A source that falls silent makes figures of short pieces wild.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export import recognition_fit
from export.calibration_fit import choose, fit, picked_db
from export.gather import Floats, Table, gather
from export.replaced import replaced, with_manifest
from streamsep.errors import StreamsepError
from streamsep.models.bank import bank_folder
from streamsep.models.manifest import Calibrations

RAW = ("confidence", "silhouette")  # that models are also picked by, as they are

Report = dict[str, Any]


def report(table: Table, estimates: dict[str, Floats], chosen: dict[str, tuple[str, float]]) -> Report:
    """How well each way to choose a model does on the list. estimates: cross-validated, by the fields of
    `Calibrations`."""
    table, estimates = table.only(table.listed), {name: each[table.listed] for name, each in estimates.items()}
    raw = {name: np.stack([table.of(name, model) for model in range(len(table.domains))], -1) for name in RAW}
    scores = {**raw, **estimates}
    figures = table.si_sdri_db
    picks = {
        "oracle": float(np.nanmean(figures.max(1))),
        "true domain": float(np.nanmean(figures[np.arange(len(figures)), table.truth])),
        **{name: picked_db(table, each) for name, each in scores.items()},
        **{f"always {domain}": float(np.nanmean(figures[:, m])) for m, domain in enumerate(table.domains)},
        "random": float(np.nanmean(figures.mean(1))),
    }
    gain = picks["oracle"] - picks["random"]
    return {
        "mixtures": len(figures),
        "chosen": {name: {"form": form, "ridge": ridge} for name, (form, ridge) in chosen.items()},
        "picks": {
            name: {"si_sdri_db": value, "share": (value - picks["random"]) / gain if gain else None}
            for name, value in picks.items()
        },
        "correlations": {
            domain: {
                name: {
                    "in": correlation(each[table.truth == model, :, model], figures[table.truth == model, model]),
                    "all": correlation(each[..., model], figures[:, model]),
                }
                for name, each in scores.items()
            }
            for model, domain in enumerate(table.domains)
        },
        "error_db": {
            name: dict(zip(table.domains, errors_db(table, each), strict=True)) for name, each in estimates.items()
        },
        "confusion": {name: confusion(table, each) for name, each in scores.items()},
    }


def correlation(scores: Floats, figures: Floats) -> float | None:
    """Of (mixtures, moments) with (mixtures,); None where one does not vary, or there is nothing."""
    usable = np.isfinite(scores) & np.isfinite(figures)[:, None]
    x, y = scores[usable], np.repeat(figures[:, None], scores.shape[1], axis=1)[usable]
    if len(x) < 2 or not x.std() or not y.std():
        return None
    return float(np.corrcoef(x, y)[0, 1])


def errors_db(table: Table, estimates: Floats) -> list[float]:
    """Root mean square error of every model's estimates (mixtures, moments, models)."""
    return [
        float(each) for each in np.sqrt(np.nanmean(np.square(estimates - table.si_sdri_db[:, None]), axis=(0, 1)))
    ]


def confusion(table: Table, scores: Floats) -> dict[str, dict[str, float]]:
    """By true domain, the share of looks at which every model is picked."""
    picks, decided = np.where(np.isfinite(scores), scores, -np.inf).argmax(-1), np.isfinite(scores).any(-1)
    return {
        domain: {
            other: float(np.mean((picks == model)[decided & (table.truth == true)[:, None]]))
            for model, other in enumerate(table.domains)
        }
        for true, domain in enumerate(table.domains)
    }


def lines(found: Report) -> list[str]:
    """The report for a person."""
    text = [
        f"{found['mixtures']} mixtures; {name}: {how['form']}, ridge {how['ridge']:g}"
        for name, how in found["chosen"].items()
    ]
    text.append(f"\n{'pick':20} {'SI-SDRi':>8} {'of oracle - random':>20}")
    for name, pick in found["picks"].items():
        share = "" if pick["share"] is None else f"{100 * pick['share']:.1f} %"
        text.append(f"{name:20} {pick['si_sdri_db']:5.2f} dB {share:>20}")
    text.append("\ncorrelation with SI-SDRi, in-domain / all, and rms error")
    for domain, measured in found["correlations"].items():
        values = (f"{name} {_two(each['in'])} / {_two(each['all'])}" for name, each in measured.items())
        errors = (f"{name} {each[domain]:.2f} dB" for name, each in found["error_db"].items())
        text.append(f"{domain:12} {'; '.join(values)}; {', '.join(errors)}")
    for name, rows in found["confusion"].items():
        text.append(f"\npicked by {name}, a row a true domain: {', '.join(rows)}")
        text += [
            f"{domain:12} {' '.join(f'{100 * share:5.1f} %' for share in row.values())}"
            for domain, row in rows.items()
        ]
    return text


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def calibrate(table: Table) -> tuple[dict[str, Calibrations], Report]:
    """The maps of every model by domain, and the report. In a bank of one model there is nothing to recognise, and it
    gets only the map of its own measures."""
    listed = table.only(table.listed)
    form, ridge, by_itself = choose(table)
    own = fit(table, form, ridge, errors_db(listed, by_itself[table.listed]))
    if len(table.domains) < 2:  # nothing to recognise
        found = report(table, {"own": by_itself}, {"own": (form.name, ridge)})
        return {domain: Calibrations(own=own[domain]) for domain in table.domains}, found
    strength, by_domain = recognition_fit.choose(table)
    known = recognition_fit.fit(table, strength, errors_db(listed, by_domain[table.listed]))
    forms = {"own": (form.name, ridge), "recognition": ("papers, mean embedding, of all, and texture", strength)}
    calibrations = {domain: Calibrations(own=own[domain], recognition=known[domain]) for domain in table.domains}
    return calibrations, report(table, {"own": by_itself, "recognition": by_domain}, forms)


def write(bank: Path, calibrations: dict[str, Calibrations]) -> list[Path]:
    """Put them into the look-back graphs of a bank; the paths of these. Raises ModelError for a graph whose manifest
    is not valid."""
    paths = [path for domain in calibrations for path in sorted(bank.glob(f"{domain}-look-back-*.onnx"))]
    with replaced(bank, "calibration") as part:
        for path in paths:
            found = calibrations[path.name.partition("-look-back-")[0]]
            (part / path.name).write_bytes(with_manifest(path, calibration=found))
    return paths


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bank", help="folder of models, or zoo")
    parser.add_argument("--data", type=Path, required=True, help="folder with mixtures.csv")
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/calibration"), help="where what was measured is kept"
    )
    parser.add_argument("--precision", choices=("int8", "fp32"), default="int8", help="of the graphs to measure")
    options = parser.parse_args(arguments)
    try:
        bank = bank_folder(options.bank)
        table, kept = gather(bank, options.data, options.cache, options.precision)
        calibrations, found = calibrate(table)
        print("\n".join(lines(found)))
        kept.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        for path in write(bank, calibrations):
            print(f"{path}: calibrated")
    except (StreamsepError, ValueError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
