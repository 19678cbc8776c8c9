"""Names for the arrays of streamsep, with their shapes. Shapes are in the name's comment; see the README's
vocabulary."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.float32]  # (samples,) or (samples, channels): what the sound card hands over
Samples = NDArray[np.float64]  # (channels, samples): sound inside the engine
Spectrum = NDArray[np.complex128]  # (channels, bins): one frame
Masks = NDArray[np.float32]  # (sources, bins), each in [0, 1]; they sum to 1 over the sources
Gains = NDArray[np.float32]  # (sources,), linear
Curve = NDArray[np.float64]  # (window,): a taper
Embeddings = NDArray[np.float32]  # (frames, bins, dims), unit norm along dims
Posteriors = NDArray[np.float64]  # (points, sources), rows sum to 1
State = dict[str, NDArray[np.float32]]  # what a separator remembers, by name
Array = NDArray[Any]
