"""One cache of layers for all rounds of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflows.lab import Lab, need_an_engine


@pytest.fixture(scope="session")
def layer_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layers")


@pytest.fixture
def lab(tmp_path: Path, layer_cache: Path) -> Lab:
    need_an_engine()
    return Lab(tmp_path, layer_cache)
