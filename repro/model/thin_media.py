"""Media types of what a thin version holds beside its image: named where nothing else is needed."""

from __future__ import annotations

THIN = "application/vnd.repro.thin.v1+json"
"""The artifact of a thin version, and its document."""
RECIPE = "application/vnd.repro.thin.recipe.v1+json+zstd"
"""The parts of one layer, in order."""
REST = "application/vnd.repro.thin.rest.v1+zstd"
"""The bytes of one layer that nobody publishes."""
