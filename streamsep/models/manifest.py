"""What a model file says of itself: JSON under the ONNX metadata key `streamsep.manifest`.

The file is the truth about rate, windows, sources and state; settings never repeat it. README.md describes the format
for those who bring a model of their own.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from streamsep.errors import ConfigError, ModelError
from streamsep.realtime.stft import FrontEnd, check_lengths

METADATA_KEY = "streamsep.manifest"
FORMAT = 1

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
Component = Annotated[float, Field(ge=-1, le=1)]  # of a mean of embeddings, which have norm 1; never NaN
StateName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
OwnMeasure = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
DomainMeasure = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9_]*$")]  # DOMAIN.MEASURE
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Corpus(BaseModel):
    """Some of the data a model was trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: str
    minutes: float = Field(ge=0)
    licence: str


class Training(BaseModel):
    """How a model was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: tuple[Corpus, ...] = ()
    recipe: str = ""
    seed: int = 0
    steps: int = Field(0, ge=0)
    before: tuple[str, ...] = Field(
        (), description="JSON (recipe, steps) of every training that the weights went through before, oldest first"
    )


class Calibration(BaseModel):
    """From measures of a look back to an estimate of the model's SI-SDRi, comparable between models: offset_db + the
    sum over the features of weight * (feature - centre) / scale, kept within lowest_db and highest_db."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: tuple[Annotated[tuple[OwnMeasure, ...], Field(min_length=1, max_length=2)], ...] = Field(
        description="each the product of one or two of the model's own measures, by name"
    )
    centre: tuple[Finite, ...] = Field(description="mean of every feature where the map was fitted")
    scale: tuple[Annotated[Finite, Field(gt=0)], ...] = Field(description="standard deviation of every feature there")
    weights: tuple[Finite, ...] = Field(description="dB for one standard deviation of every feature")
    offset_db: Finite = Field(description="the estimate where every feature is at its centre")
    lowest_db: Finite = Field(description="the least SI-SDRi there was to fit; no estimate is below")
    highest_db: Finite = Field(description="the most; no estimate is above")
    error_db: Annotated[Finite, Field(ge=0)] = Field(
        description="root mean square error of estimates for mixtures that were not fitted"
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> "Calibration":
        for name in ("centre", "scale", "weights"):
            if len(values := getattr(self, name)) != len(self.features):
                raise ValueError(f"{name} must be {len(self.features)} numbers, one a feature, got {len(values)}")
        if self.lowest_db > self.highest_db:
            raise ValueError(f"lowest_db must be at most highest_db={self.highest_db}, got {self.lowest_db}")
        return self


class Recognition(BaseModel):
    """From the measures of all models of a bank to an estimate of one model's SI-SDRi: how likely each domain is, by
    multinomial logistic regression (softmax of bias + weights of the standardised measures), times what the model
    gains on mixtures of that domain, summed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measures: tuple[DomainMeasure, ...] = Field(description="DOMAIN.NAME each")
    centre: tuple[Finite, ...] = Field(description="mean of every measure where it was fitted")
    scale: tuple[Annotated[Finite, Field(gt=0)], ...] = Field(description="standard deviation of every measure there")
    weights: dict[Name, tuple[Finite, ...]] = Field(description="by domain, one a measure", min_length=2)
    bias: dict[Name, Finite] = Field(description="by domain")
    gains_db: dict[Name, Finite] = Field(description="mean SI-SDRi of this model on mixtures of each domain")
    error_db: Annotated[Finite, Field(ge=0)] = Field(
        description="root mean square error of estimates for mixtures that were not fitted"
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> "Recognition":
        lengths = {"centre": self.centre, "scale": self.scale}
        lengths |= {f"weights.{domain}": values for domain, values in self.weights.items()}
        for name, values in lengths.items():
            if len(values) != len(self.measures):
                raise ValueError(f"{name} must be {len(self.measures)} numbers, one a measure, got {len(values)}")
        for name, by_domain in (("bias", self.bias), ("gains_db", self.gains_db)):
            if by_domain.keys() != self.weights.keys():
                raise ValueError(f"{name} must be of the domains {sorted(self.weights)}, got {sorted(by_domain)}")
        return self


class Calibrations(BaseModel):
    """What makes a model's scores comparable with those of others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    own: Calibration = Field(description="from the model's own measures")
    recognition: Recognition | None = Field(
        None, description="from all models' measures together; used instead in banks of just the domains it knows"
    )


class Manifest(BaseModel):
    """All a bank, an engine and a person need to know about one graph."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = Field(description="version of this description")
    domain: Name = Field(description="the kind of mixture it separates")
    version: str = Field(description="of the model; all graphs of one model share it")
    graph: Literal["step", "look-back"] = Field(description="step: masks; look-back: embeddings")
    precision: Literal["fp32", "int8"] = Field(description="of the weights; inputs and outputs are float32 in both")
    sample_rate: int = Field(ge=8000, le=48_000, description="Hz")
    window: int = Field(ge=2, description="analysis window, samples")
    synthesis_window: int = Field(ge=2, description="samples; its length is the algorithmic latency")
    hop: int = Field(ge=1, description="samples")
    look_ahead: int = Field(0, ge=0, le=100, description="hops by which the masks are late")
    sources: tuple[Name, ...] = Field(min_length=1, description="role of each slot, in order")
    symmetric: bool = Field(False, description="whether the slots may come in any order")
    embedding_dims: int = Field(20, ge=1)
    states: dict[StateName, tuple[Annotated[int, Field(ge=1)], ...]] = Field(
        default_factory=dict, description="name -> shape of everything it remembers; zeros at the start"
    )
    parameters: int = Field(0, ge=0, description="weights on the path from spectrum to masks")
    centres: dict[Annotated[int, Field(ge=1)], tuple[tuple[Component, ...], ...]] = Field(
        default_factory=dict,
        description="number of sources -> a centre (embedding_dims) for each, where clustering live begins",
    )
    calibration: Calibrations | None = Field(None, description="of a look-back graph: from its measures to SI-SDRi")
    training: Training = Training()
    licence: str = Field(min_length=1, description="of the weights")
    metrics: dict[str, Any] = Field(default_factory=dict)
    notes: str = Field("", description="intended use, known failures")

    @model_validator(mode="after")
    def _windows_fit(self) -> "Manifest":
        try:
            check_lengths(self.window, self.synthesis_window, self.hop)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _centres_fit(self) -> "Manifest":
        for count, centres in self.centres.items():
            lengths = [len(centre) for centre in centres]
            if lengths != count * [self.embedding_dims]:
                raise ValueError(
                    f"centres.{count} must be {count} lists of embedding_dims={self.embedding_dims} numbers, "
                    f"got lists of {lengths}"
                )
        return self

    @property
    def alike(self) -> bool:
        """Whether the slots are all of one role: any number of such sources could be told apart."""
        return len(set(self.sources)) == 1

    @property
    def front_end(self) -> FrontEnd:
        """What the models of one bank share."""
        return FrontEnd(self.sample_rate, self.window, self.synthesis_window, self.hop)

    @property
    def state_size(self) -> int:
        """Numbers remembered between hops."""
        return sum(math.prod(shape) for shape in self.states.values())


def parse_manifest(text: str, file: str) -> Manifest:
    """The manifest in a file's metadata. Raises ModelError with file, field, value and what would be right."""
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        complaints = [
            f"{'.'.join(map(str, item['loc'])) or 'manifest'}: {item['msg']}, got {item['input']!r:.60}"
            for item in error.errors()
        ]
        raise ModelError(f"{file}: {METADATA_KEY} is not valid: " + "; ".join(complaints)) from None
