"""The notebook images that are built for the cluster's own registry: their names, and what each is built from. Pure."""

from __future__ import annotations

from typing import Final

from kfinstall import releases, resources
from kfinstall.answers.model import Answers
from kfinstall.releases import Release
from kfinstall.text import sha256

REPOSITORY: Final = "kubeflow/notebook"
_DOCKERFILES: Final = "kubeflow"


def base(release: Release) -> str:
    """The release's own JupyterLab image, which they are built on."""
    return release.images["jupyter"]


def dockerfile(release: Release, name: str) -> str:
    """How the image is built."""
    return resources.asset(f"{_DOCKERFILES}/{release.notebooks[name].dockerfile}").read_text(encoding="utf-8")


def requirements(release: Release, name: str) -> str:
    """What pip installs: every package that it takes, pinned."""
    return "\n".join(release.notebooks[name].packages) + "\n"


def content(release: Release, name: str) -> str:
    """Short hash of all that an image is built from; it is the last part of the image's tag, so a tag never changes its meaning."""
    return sha256("\0".join((base(release), dockerfile(release, name), requirements(release, name))))[:8]


def image(answers: Answers, name: str) -> str:
    """The full name in the cluster's registry: host:port/kubeflow/notebook-elyra:4.1.1-1a2b3c4d."""
    release = releases.load(answers.cluster.release)
    return f"{answers.registry_host}/{REPOSITORY}-{name}:{release.notebooks[name].version}-{content(release, name)}"
