"""The figures of a card, and in words what their names mean: of those that are there."""

import re
from collections.abc import Sequence
from typing import Any

SYSTEMS = {
    "int8": "the model through the whole engine, in 8 bits",
    "fp32": "the model through the whole engine, in float32",
    "clusters": "the engine with live clustering of the embeddings instead of the mask head",
    "global-centres": "k-means over the embeddings of the whole mixture",
    "oracle-centres": "the embeddings with the true centres",
    "mixture": "the mixture itself",
    "random": "a random mask",
    "ideal-ratio": "the ideal ratio mask, made from the true sources",
    "ideal-binary": "the ideal binary mask",
    "phase-sensitive": "the ideal phase-sensitive mask",
}  # by what keys of `streamsep quality` call them, after the precision where there is one
RATIOS = (
    "`si_sdr_db` and `sdr_db` are the scale-invariant and the BSS-eval signal-to-distortion ratios, with `i` their "
    "improvements"
)
GRADES = "of speech, `stoi` and `estoi` say how much can be understood and `pesq` (wide band) how it sounds"


def legend(keys: Sequence[str]) -> str:
    """What keys like speech.test.int8-clusters.talker-1.si_sdri_db mean.

    >>> legend(["noise.test.int8.si_sdri_db"]).split("; ")[1]
    '`int8` is the model through the whole engine, in 8 bits'
    """
    parts = [key.split(".") for key in keys]
    said = ["Mean and, in brackets, its 95 % interval, clustered by talker, song or kind of sound"]
    for name in dict.fromkeys(part[2] for part in parts if len(part) > 3):
        if (system := re.sub("^(int8|fp32)-", "", name)) in SYSTEMS:
            said.append(f"`{name}` is {SYSTEMS[system]}")
    said.append(RATIOS)
    if any(part[-1] in ("stoi", "estoi", "pesq") for part in parts):
        said.append(GRADES)
    for name in dict.fromkeys(part[0] for part in parts if "-" in part[0]):
        sources = name.rpartition("-")[2]
        said.append(
            f"`{name}` has mixtures of {sources}, which the same network separates by clustering, K = {sources}"
        )
    return f"{'; '.join(said)}."


def figure(value: Any) -> str:
    """A measured value with its 95 % interval where it has one.

    >>> figure({"mean": 6.5, "low": 6.1, "high": 6.9, "n": 200}), figure(2)
    ('6.50 (6.10 to 6.90, n = 200)', '2')
    """
    if not isinstance(value, dict):
        return str(value)
    if value["mean"] is None:
        return "nothing to measure"
    return f"{value['mean']:.2f} ({value['low']:.2f} to {value['high']:.2f}, n = {value['n']})"
