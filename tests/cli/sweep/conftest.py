"""The sweeps without training of the room of the search."""

from tests.search.conftest import address, scene

__all__ = ["address", "scene"]
