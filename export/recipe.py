"""A training's settings: what configs/train/*.yaml may hold, and how they are checked."""

import difflib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from export.corpus import RATE
from export.mixtures import RECIPES
from export.networks import Shape
from streamsep.config import read_yaml
from streamsep.errors import ConfigError
from streamsep.realtime.stft import check_lengths

Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Recipe:
    """A training configuration; the keys are those of configs/train/*.yaml, where they are explained."""

    recipe: str
    trunk: str
    groups: Count
    hidden: Count
    layers: Count
    dims: Count
    window: Count
    synthesis: Count
    hop: Count
    seed: Annotated[int, Field(ge=0)]
    steps: Count
    batch: Count
    seconds: Positive
    learning_rate: Positive
    embedding_loss: Literal["classic", "whitened"]
    embedding_weight: Weight
    embedding_every: Count
    mask_weight: Weight
    validate_every: Count
    patience: Count
    # Younger keys, which older recipes and checkpoints lack.
    ratio_loss: Literal["snr", "si-sdr"] = "snr"
    embedding_activation: Literal["tanh", "sigmoid"] = "tanh"

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Raises ConfigError naming the file, the keys, their values and what would be right."""
        if not path.is_file():
            raise ConfigError(f"{path}: no such file; recipes are YAML files like those under configs/train")
        values = read_yaml(path)
        known = [field.name for field in fields(cls)]
        needed = [field.name for field in fields(cls) if field.default is MISSING]
        complaints = [f"{key}: missing" for key in needed if key not in values]
        for key in values:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
                complaints.append(f"{key}: unknown key" + (f", did you mean {close[0]}?" if close else ""))
        if complaints:
            others = [key for key in known if key not in needed]
            raise ConfigError(f"{path}: {'; '.join(complaints)}; needed are all of {needed}, others are {others}")
        try:
            recipe = cls(**values)
            recipe.check()
        except ValidationError as error:
            complaints = [f"{item['loc'][0]}: {item['msg']}, got {item['input']!r}" for item in error.errors()]
            raise ConfigError(f"{path}: {'; '.join(complaints)}") from None
        except (ConfigError, ValueError) as error:
            raise ConfigError(f"{path}: {error}") from None
        return recipe

    def check(self) -> None:
        """What their types do not say. Raises ConfigError, or ValueError when there is no network of this shape."""
        if self.recipe not in RECIPES:
            raise ConfigError(f"recipe: should be one of {sorted(RECIPES)}, got {self.recipe!r}")
        check_lengths(self.window, self.synthesis, self.hop)
        frames, needed = int(self.seconds * RATE) // self.hop, max(self.embedding_every, 4)
        if frames < needed:
            raise ConfigError(f"seconds: {self.seconds} are {frames} hops of {self.hop} samples, needed: {needed}")
        self.shape()

    def shape(self) -> Shape:
        """The size of its network."""
        return Shape(
            bins=self.window // 2 + 1,
            hidden=self.hidden,
            layers=self.layers,
            dims=self.dims,
            trunk=self.trunk,
            groups=self.groups,
            activation=self.embedding_activation,
        )
