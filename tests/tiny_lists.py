"""Test mixtures of noise, and a bank for them."""

from pathlib import Path

import numpy as np
from calibrated import ROLES, make_calibrated_bank, promising
from tiny_scenes import write_table

from streamsep.audio import files
from streamsep.evaluation.lists import RATE
from streamsep.report.study import Lists

MIXTURES = 2  # of each domain


def make_lists(folder: Path) -> Lists:
    rows: list[list[object]] = [["mixture", "domain", "split", "slot", "path", "start", "samples", "gain"]]
    for domain in ROLES:
        for number in range(MIXTURES):
            for slot in (0, 1):
                path = f"{domain}-{number}-{slot}.wav"
                sound = np.random.default_rng(len(rows)).standard_normal(4 * RATE)
                files.write(folder / path, 0.1 * sound, RATE)
                rows.append([f"{domain}-{number}", domain, "test", slot, path, 5, 4 * RATE - 5, 0.5 + slot])
    write_table(folder / "mixtures.csv", rows)
    promises = {"music": promising(-10.0, balance=30.0), "noise": promising(2.0, balance=0.0)}
    return Lists(folder, str(make_calibrated_bank(folder / "bank", **promises)))
