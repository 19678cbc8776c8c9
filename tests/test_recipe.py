"""A recipe is whole and possible, or is refused with what would be right."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_data import TINY, write_recipe

from export.recipe import Recipe
from streamsep.errors import ConfigError

HERE = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["speech", "noise", "music", "environment"])
def test_there_is_a_recipe_for_every_domain(name: str) -> None:
    assert Recipe.read(HERE / "configs" / "train" / f"{name}.yaml").recipe == name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hiden": 9}, "hiden: unknown key, did you mean hidden"),
        ({"hidden": "9"}, "hidden: .*integer.*'9'"),
        ({"batch": True}, "batch: .*integer.*True"),
        ({"steps": 0}, "steps: .*greater than or equal to 1.*got 0"),
        ({"learning_rate": float("nan")}, "learning_rate: .*finite.*nan"),
        ({"recipe": "whales"}, "recipe: .*'noise'.*whales"),
        ({"embedding_loss": "blurred"}, "embedding_loss: .*'classic' or 'whitened'.*blurred"),
        ({"ratio_loss": "sdr"}, "ratio_loss: .*'snr' or 'si-sdr'.*sdr"),
        ({"embedding_activation": "relu"}, "embedding_activation: .*'tanh' or 'sigmoid'.*relu"),
        ({"trunk": "oak"}, "oak"),
        ({"synthesis": 32}, "hop < synthesis.*32"),
        ({"seconds": 0.005}, "seconds: 0.005 "),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_with_what_would_be_right(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    write_recipe(tmp_path, **changes)
    with pytest.raises(ConfigError, match=rf"(?s)tiny\.yaml: .*{said}"):
        Recipe.read(tmp_path / "tiny.yaml")


def test_a_recipe_without_one_of_its_keys_is_refused(tmp_path: Path) -> None:
    for key in TINY:
        (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({k: v for k, v in TINY.items() if k != key}))
        with pytest.raises(ConfigError, match=rf"tiny\.yaml: {key}: missing"):
            Recipe.read(tmp_path / "tiny.yaml")
