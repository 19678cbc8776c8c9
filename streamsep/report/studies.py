"""All studies there are, in the order of the report."""

from streamsep.errors import ConfigError
from streamsep.report.ablations import Ablations
from streamsep.report.clustering import Clustering
from streamsep.report.embeddings import Embeddings
from streamsep.report.hearing import Hearing
from streamsep.report.selection import Selection
from streamsep.report.study import Study
from streamsep.report.trained import Trained

ALL: tuple[Study, ...] = (Selection(), Ablations(), Embeddings(), Clustering(), Trained(), Hearing())
STUDIES = {study.name: study for study in ALL}
BY_NAME_ONLY = ("hearing",)  # needs what not everybody has


def chosen(names: list[str]) -> list[Study]:
    """These and those they need, in the order above. Raises ConfigError for a name there is none of."""
    if unknown := [name for name in names if name not in STUDIES]:
        raise ConfigError(f"studies: there is no {unknown[0]!r}; there are {', '.join(STUDIES)}")
    wanted, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += STUDIES[name].needs
    return [study for name, study in STUDIES.items() if name in wanted]
