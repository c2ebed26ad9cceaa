"""The layout of a blocking run's summary.json."""

from dataclasses import dataclass, field

from experiments.blocking.figures import PointFigures
from experiments.blocking.pairs import Comparison
from experiments.blocking.records import BlockingSettings
from experiments.results.records import LEFT_OUT_EMPTY

SCHEMA_NAME = "blocking/1"


@dataclass(frozen=True)
class BlockingSummary:
    """A whole blocking run: summary.json."""

    schema: str
    """Name and version of this layout."""
    finding: list[str]
    """The result in sentences, the headline first."""
    settings: BlockingSettings
    """As in settings.json."""
    points: list[PointFigures]
    """One entry per finished point, by slots and rate; with `--topologies` by topology and rate."""
    definitions: dict[str, str]
    """Figure -> its definition in one sentence."""
    comparison: Comparison | None = field(default=None, metadata=LEFT_OUT_EMPTY)
    """Topologies beside each other; no such key where numbers of slots were checked."""
