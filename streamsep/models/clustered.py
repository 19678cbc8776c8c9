"""From a look-back graph to a separator that clusters live, for as many sources as its manifest has centres for."""

from pathlib import Path

import numpy as np

from streamsep.errors import ConfigError, ModelError
from streamsep.models.loader import open_graph
from streamsep.models.manifest import Manifest
from streamsep.realtime.centres import Centres, ClusteredSeparator


def open_clustered(path: Path, sources: int | None = None) -> tuple[Manifest, ClusteredSeparator]:
    """A look-back graph with centres; sources: how many, if they are all of one role; otherwise as many as it names.

    The manifest that comes back names the sources of the separator. Raises ModelError for whatever is wrong with the
    file, ConfigError when it has no centres for so many sources."""
    manifest, graph = open_graph(path, "look-back")
    roles = manifest.sources
    if sources is not None and manifest.alike:
        roles = roles[:1] * sources
    warm_start = manifest.centres.get(len(roles))
    if warm_start is None:
        if not manifest.centres:
            raise ModelError(f"{path}: centres: to cluster live the manifest must have some, it has none")
        known = sorted(manifest.centres)
        raise ConfigError(f"models.sources: {path} has centres for {known} sources, got {len(roles)}")
    front = manifest.front_end
    centres = Centres(np.array(warm_start, np.float32), front.bins, front.hop / front.sample_rate)
    separator = ClusteredSeparator(roles, manifest.look_ahead, graph, centres)
    return manifest.model_copy(update={"sources": roles}), separator
