"""What is particular to the registries that people use: hints that name the mend.

Sources: docs.docker.com (Docker Hub, access tokens, pull limits), docs.github.com ("Working with
the Container registry"), docs.gitlab.com ("Container registry", "Authenticate"), docs.aws.amazon.com
(Amazon ECR user guide, "Private registry authentication", "Creating a private repository").
"""

from __future__ import annotations

import re

ECR = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)")
HUB = "registry-1.docker.io"
NO_REGISTRY = (
    "is this the address of an OCI registry? check host and name; a proxy on the way may have "
    "answered instead"
)
"""The mend for answers that no registry gives."""


def largest_piece(server: str) -> int:
    """The most bytes that this server takes in one piece of a chunked upload.

    GHCR answers 416 to pieces over 4 MiB, whose limit is written nowhere
    (oras-project/rust-oci-client#35, ocx-sh/ocx#237).
    """
    return 3 << 20 if server == "ghcr.io" else 1 << 30


def mend_of_a_refusal(server: str, status: int, said: str) -> str | None:
    """What to do about a 401 or 403 of this server; None when there is nothing particular.

    ``said`` are the server's own words.
    """
    ecr = ECR.fullmatch(server)
    if ecr is not None and (status == 401 or "expired" in said):
        return (
            f"aws ecr get-login-password --region {ecr.group(1)} | docker login --username AWS "
            f"--password-stdin {server} (its password holds for 12 hours)"
        )
    if ecr is not None:
        return "this AWS user lacks ecr:PutImage, ecr:InitiateLayerUpload, … for the repository"
    if server == "ghcr.io":
        return (
            "docker login ghcr.io -u USER with a classic token that has write:packages (push) or "
            "read:packages (pull); inside Actions GITHUB_TOKEN with `permissions: packages: write`"
        )
    if server == "registry.gitlab.com" or server.startswith("registry.gitlab."):
        return (
            f"docker login {server} -u USER with a token that has write_registry (push) or "
            "read_registry (pull); in a pipeline $CI_REGISTRY_USER and $CI_REGISTRY_PASSWORD. "
            "The first parts of the name must be the project's own path"
        )
    if server == HUB:
        return "docker login -u USER with an access token; only USER/NAME may be pushed"
    return None


def mend_of_a_missing_repository(server: str) -> str:
    """What to do when a server says that it has no such repository."""
    ecr = ECR.fullmatch(server)
    if ecr is not None:
        return (
            "ECR makes no repository by itself: "
            f"aws ecr create-repository --region {ecr.group(1)} --repository-name NAME"
        )
    return "check the repository's name; some registries want it made before the first push"
