"""One model from several runs that began at the same weights: python -m export.average A.pt B.pt -o C.pt.

The mean of the weights is often better than any of them (Wortsman et al. 2022, "model soups"), and runs on several
machines or cores need not talk to each other for it.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from export.recipe import Recipe
from export.stages import stages_before, stages_of_any, together
from export.train import save
from streamsep.errors import StreamsepError
from streamsep.models.manifest import Corpus


def average(checkpoints: list[dict[str, Any]]) -> dict[str, Any]:
    """A checkpoint to release, whose averaged weights are the mean of theirs; it went through what any of them went
    through, and the rest is the first one's.

    Raises ValueError when their recipes differ in more than the seed.
    """
    first = checkpoints[0]
    recipe, *others = (asdict(Recipe(**checkpoint["recipe"])) for checkpoint in checkpoints)
    for other in others:
        if differing := [key for key in recipe if key != "seed" and recipe[key] != other[key]]:
            raise ValueError(f"these runs have different recipes: {differing}")
    mean = {
        name: torch.stack([checkpoint["average"][name].double() for checkpoint in checkpoints])
        .mean(0)
        .to(tensor.dtype)
        for name, tensor in first["average"].items()
    }
    heard = [checkpoint.get("heard") for checkpoint in checkpoints]
    if None in heard and any(heard):
        raise ValueError("of some of these runs nobody recorded what they heard: average those of one version")
    before = stages_of_any([stages_before(each) for each in checkpoints])
    mixed = first | {"average": mean, "before": before}
    if None in heard:  # in all of them
        return mixed
    corpora = together(Corpus(**one) for each in heard for one in each)
    return mixed | {"heard": [corpus.model_dump() for corpus in corpora]}


def loaded(path: Path) -> dict[str, Any]:
    """A checkpoint. Raises ValueError when the file is none."""
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return content | {"recipe": dict(content["recipe"]), "average": dict(content["average"])}
    except Exception as error:  # whatever the reader of a file that is none stumbles on
        raise ValueError(f"{path}: expected a checkpoint of export.train, got {error!r:.200}") from None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    try:
        mean = average([loaded(path) for path in options.checkpoints])
        options.out.parent.mkdir(parents=True, exist_ok=True)
        save(options.out, mean)
    except (StreamsepError, ValueError, OSError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
