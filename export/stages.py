"""What weights went through, kept in every checkpoint, so that a model says all its data.

The stages are a list, oldest first. None in it: nobody recorded what was before.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from export.recipe import Recipe
from streamsep.models.manifest import Corpus

# recipe: its keys and values; steps: how many were trained, None where nobody recorded it; heard: all corpora that
# this stage drew from, None or missing where nobody recorded it; data: of a released model, all corpora that it and
# the stages before it were trained on. Neither need be on this disk.
Stage = dict[str, Any]
Stages = list[Stage | None]


def stages_before(checkpoint: dict[str, Any]) -> Stages:
    """The stages before the checkpoint's own run. Those of before they were recorded do not know any."""
    return list(checkpoint.get("before", [None]))


def own_stage(checkpoint: dict[str, Any]) -> Stage:
    """The checkpoint's own run."""
    return {"recipe": checkpoint["recipe"], "steps": checkpoint["step"], "heard": checkpoint.get("heard")}


def named_stages(recipes: Sequence[Path]) -> Stages:
    """Stages that nobody recorded, by the recipes they followed. Raises ConfigError as `Recipe.read` does."""
    return [{"recipe": asdict(Recipe.read(path)), "steps": None} for path in recipes]


def stages_of_release(checkpoint: Path, after: Sequence[Path]) -> Stages:
    """What the weights of a checkpoint went through, its own run last.

    after: the recipes of what it does not know, oldest first. Raises ValueError when it knows everything itself.
    """
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    stages = [*stages_before(content), own_stage(content)]
    if not after:
        return stages
    if stages[0] is not None:
        raise ValueError(f"{checkpoint}: --after: needless, for it has recorded what its weights went through")
    return [*named_stages(after), *stages[1:]]


def stages_of_any(runs: Sequence[Stages]) -> Stages:
    """What any of these runs went through, each stage once: first what is in the data of a release, then what came
    after each run's last one, so that `corpora_of` takes all of the former and derives all of the latter."""
    released = [1 + _last_release(stages) for stages in runs]
    halves = (
        [stage for stages, number in zip(runs, released, strict=True) for stage in stages[:number]],
        [stage for stages, number in zip(runs, released, strict=True) for stage in stages[number:]],
    )
    return [stage for half in halves for number, stage in enumerate(half) if stage not in half[:number]]


def _last_release(stages: Stages) -> int:
    """Its place; -1: there is none."""
    return max((number for number, stage in enumerate(stages) if stage and "data" in stage), default=-1)


def corpora_of(stages: Stages, derive: Callable[[list[str]], Sequence[Corpus]]) -> tuple[Corpus, ...]:
    """All data of the stages.

    They are those that checkpoints have recorded, and of what was released those that its manifest has (in an average
    there may be several such); derive: those of the recipes of which nobody recorded them, from this disk.
    """
    recorded = [one for stage in stages if stage for key in ("heard", "data") for one in stage.get(key) or ()]
    since = [stage for stage in stages[1 + _last_release(stages) :] if stage and stage.get("heard") is None]
    derived = derive([stage["recipe"]["recipe"] for stage in since]) if since else ()
    return together([*(Corpus(**one) for one in recorded), *derived])


def together(corpora: Iterable[Corpus]) -> tuple[Corpus, ...]:
    """Each once. Where a corpus is there twice it may be the same sound twice: the longer of them counts."""
    found: dict[tuple[str, str], Corpus] = {}
    for entry in corpora:
        key = entry.corpus, entry.licence
        if key not in found or entry.minutes > found[key].minutes:
            found[key] = entry
    return tuple(found[key] for key in sorted(found))


def describe_stage(stage: Stage | None) -> str:
    """One line of the card.

    >>> describe_stage({"recipe": {"recipe": "noise", "seed": 1, "steps": 500}, "steps": 400})
    '400 steps of recipe noise, seed 1, steps 500'
    """
    if stage is None:
        return "What came before was not recorded."
    recipe = ", ".join(f"{key} {value}" for key, value in stage["recipe"].items())
    return f"{'An unrecorded number of' if stage['steps'] is None else stage['steps']} steps of {recipe}"
