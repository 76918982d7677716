"""The papers."""

from theory.claims import Paper, Source

SKETCHING = Paper("Bar & Giryes", "Pruning at Initialization: A Sketching Perspective", "2305.17559")
NO_FREE_PRUNE = Paper("Kumar, Luo, Sellke", "No Free Prune", "2402.01089")
SYNAPTIC_FLOW = Paper(
    "Tanaka, Kunin, Yamins, Ganguli",
    "Pruning neural networks without any data by iteratively conserving synaptic flow",
    "2006.05467",
)
PATH_EXCLUSION = Paper(
    "Iurada, Ciccone, Tommasi",
    "Finding Lottery Tickets in Vision Models via Data-driven Spectral Foresight Pruning",
    "2406.01820",
)


def ours(where: str) -> Source:
    """A statement of this project."""
    return Source(None, where)
