"""The fixtures of the engines' tests."""

from tests.contracts.runtime_box import (  # noqa: F401
    box,
    docker_host,
    engine,
    folder,
    layer,
    layers_by_user,
    user,
)
