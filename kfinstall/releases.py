"""The version matrix: every version, URL, checksum and image comes from assets/releases/*.yaml and nowhere else.

`assets/releases/<area>.yaml` hold what all releases share (kubernetes, network, storage, registry, spark, tools);
`assets/releases/kubeflow-<name>.yaml` is one row of the matrix and overrides them. Each file has any of the keys
`versions`, `images`, `artifacts`, `notebooks`, `kubeadm`, `kubernetes`, `kubeflow`.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from kfinstall import resources
from kfinstall.errors import AnswersError


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Artifact(_Frozen):
    """A file that is downloaded: where from, and what it must be."""

    version: str
    url: str
    """May hold {arch} (amd64), {minor} (1.34) and {version}."""
    sha256: str = ""
    """Hex digest; empty only for what is checked another way: apt repositories by their key, keys by their fingerprints."""
    fingerprints: tuple[Annotated[str, Field(pattern=r"^[0-9A-F]{40}$")], ...] = ()
    """Of the PGP keys that may be in it; empty for files that are no keys."""


class Component(_Frozen):
    """One part of Kubeflow that can be chosen."""

    title: str
    paths: tuple[str, ...] = ()
    """Kustomize folders in the manifests repository, in order."""
    profile_paths: tuple[str, ...] = ()
    """Folders whose objects go into the namespace of the user's profile, so after the profile is made."""
    needs: tuple[str, ...] = ()
    """Ids of components it can't work without."""
    menu: tuple[str, ...] = ()
    """Beginnings of the dashboard's links that lead to it."""
    pods: int = 0
    cpu_millicores: int = 0
    memory_mebibytes: int = 0
    volumes_gibibytes: int = 0


class NotebookImage(_Frozen):
    """A notebook image that is built on the release's own JupyterLab image."""

    title: str
    version: str
    """Of what it is named after; part of the image's tag."""
    dockerfile: str
    """File name in assets/kubeflow."""
    module: str
    """What is imported at the end of the build."""
    pythons: tuple[str, ...]
    """The Pythons that its packages work with."""
    packages: tuple[str, ...]
    """What pip installs: the package and all that it takes, each pinned (name==version)."""


class KubeflowRow(_Frozen):
    """What one Kubeflow release brings, and how it is rendered."""

    repository: str
    tag: str
    commit: str = ""
    components: dict[str, Component]
    presets: dict[str, tuple[str, ...]]
    pulls: dict[str, int] = {}
    """Component to how many images its pods pull."""
    pulls_mebibytes: dict[str, int] = {}
    """Component to what all its images take on the way, compressed; measured, never estimated: of others it is not known."""
    remote_bases: tuple[str, ...] = ()


class KubernetesRow(_Frozen):
    """Which Kubernetes versions fit."""

    default: str
    """Full version, for example 1.34.2."""
    minimum: str
    """Lowest minor."""
    maximum: str
    """Highest minor."""
    patches: dict[str, str]
    """Minor to the newest patch version that we know."""


class KubeadmMinor(_Frozen):
    """What the kubeadm of a Kubernetes minor names, beside the images of its own version."""

    coredns: str
    pause: str
    etcd: dict[int, str]
    """The first patch of the minor that names it, to the image."""


class KubeadmImages(_Frozen):
    """What `kubeadm config images list` says."""

    images: tuple[str, ...]
    """Those of its own version, each with {version} (1.34.2) for it."""
    minors: dict[str, KubeadmMinor]


class Release(_Frozen):
    """One row of the matrix, merged with what all rows share."""

    name: str
    title: str = ""
    refused: str = ""
    """Why this release can't be installed any more; empty where it can."""
    instead: str = ""
    """What to take instead of a refused release."""
    versions: dict[str, str] = Field(default_factory=dict)
    images: dict[str, str] = Field(default_factory=dict)
    artifacts: dict[str, Artifact] = Field(default_factory=dict)
    notebooks: dict[str, NotebookImage] = Field(default_factory=dict)
    kubeadm: KubeadmImages | None = None
    kubernetes: KubernetesRow | None = None
    kubeflow: KubeflowRow | None = None

    @property
    def notebook_python(self) -> str:
        """The Python of its JupyterLab image: 3.11."""
        return self.versions.get("jupyter-python", "")

    @property
    def fitting_notebooks(self) -> dict[str, NotebookImage]:
        """The notebook images that work with that Python, by name."""
        return {name: image for name, image in self.notebooks.items() if self.notebook_python in image.pythons}

    def minor(self, wanted: str | None) -> str:
        """The Kubernetes minor (1.34) for what the answers want, or for the default."""
        return ".".join(self.patch(wanted).split(".")[:2])

    def patch(self, wanted: str | None) -> str:
        """The full Kubernetes version (1.34.2) for a minor, a full version, or None."""
        assert self.kubernetes is not None  # noqa: S101 (only refused releases have none; answers refuse them first)
        if wanted is None:
            return self.kubernetes.default
        return wanted if wanted.count(".") == 2 else self.kubernetes.patches.get(wanted, f"{wanted}.0")

    def pause_image(self, minor: str) -> str:
        """The sandbox image that the kubeadm of a minor (1.34) names.

        Raises:
            AnswersError: nobody looked at that minor's kubeadm yet.
        """
        return self._kubeadm(minor)[1].pause

    def control_plane_images(self, version: str) -> tuple[str, ...]:
        """All images that the kubeadm of a version (1.34.2) pulls, in the order in which it lists them.

        Raises:
            AnswersError: nobody looked at that minor's kubeadm yet.
        """
        parts = version.split(".")
        kubeadm, minor = self._kubeadm(".".join(parts[:2]))
        etcd = minor.etcd[max(first for first in minor.etcd if first <= int(parts[2]))]
        own = (image.format(version=version) for image in kubeadm.images)
        return (*own, minor.coredns, minor.pause, etcd)

    def _kubeadm(self, minor: str) -> tuple[KubeadmImages, KubeadmMinor]:
        known = self.kubeadm.minors if self.kubeadm else {}
        if self.kubeadm is None or minor not in known:
            fits = [name for name in known if self.kubernetes is None or name in self.kubernetes.patches]
            raise AnswersError(
                f"the images of Kubernetes {minor} are not known to this kfinstall",
                why=f"known are those of {', '.join(known) or 'no version'}",
                hint=f"in the answers: cluster.kubernetesVersion, one of {', '.join(fits)}" if fits else "",
            )
        return self.kubeadm, known[minor]

    @property
    def pause_images(self) -> tuple[str, ...]:
        """The sandbox images of all minors that are known, each once."""
        return tuple(dict.fromkeys(minor.pause for minor in self.kubeadm.minors.values())) if self.kubeadm else ()


@cache
def _read(name: str) -> dict[str, Any]:
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # not every wheel has the fast one
    data = yaml.load(resources.asset(f"releases/{name}").read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 (both are safe)
    return data if isinstance(data, dict) else {}


@cache
def names() -> tuple[str, ...]:
    """The names of all rows, refused ones too, sorted."""
    return tuple(sorted(path.stem.removeprefix("kubeflow-") for path in resources.asset("releases").glob("kubeflow-*.yaml")))


@cache
def load(name: str) -> Release:
    """One row, merged with what all rows share.

    Raises:
        KeyError: no row has that name.
    """
    if name not in names():
        raise KeyError(name)
    merged: dict[str, Any] = {"versions": {}, "images": {}, "artifacts": {}, "notebooks": {}}
    shared = sorted(path.name for path in resources.asset("releases").glob("*.yaml") if not path.name.startswith("kubeflow-"))
    for file in (*shared, f"kubeflow-{name}.yaml"):
        for key, value in _read(file).items():
            merged[key] = {**merged[key], **value} if isinstance(merged.get(key), dict) and isinstance(value, dict) else value
    return Release(**{**merged, "name": name})


@cache
def shared(area: str) -> Release:
    """One area that all rows share, by itself: versions, images and artifacts of assets/releases/<area>.yaml."""
    return Release(**{**_read(f"{area}.yaml"), "name": area})
