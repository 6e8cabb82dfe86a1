"""The smallest image that is still one: a layer with one file. Made here, the same bytes each time, so its digest is known."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import Final

REPOSITORY: Final = "kfinstall/proof"
TAG: Final = "1"
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class ProofImage:
    """An OCI image: its three blobs."""

    layer: bytes
    config: bytes
    manifest: bytes

    @property
    def digest(self) -> str:
        """Digest of the manifest, by which the image is pulled."""
        return digest(self.manifest)

    @property
    def parameters(self) -> dict[str, str]:
        """Parameters of the script that pushes it; the layer in base64, the rest is text."""
        return {
            "LAYER": base64.b64encode(self.layer).decode(),
            "LAYER_DIGEST": digest(self.layer),
            "IMAGE_CONFIG": self.config.decode(),
            "IMAGE_CONFIG_DIGEST": digest(self.config),
            "MANIFEST": self.manifest.decode(),
            "MANIFEST_DIGEST": self.digest,
            "MANIFEST_TYPE": MANIFEST_TYPE,
        }


def digest(blob: bytes) -> str:
    """A blob's name in a registry."""
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def build(cluster: str, architecture: str = "amd64") -> ProofImage:
    """The image of a cluster. It holds one file with the cluster's name, and is never run."""
    text = f"pushed by kfinstall for cluster {cluster}\n".encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("kfinstall-proof")
        entry.size, entry.mode, entry.mtime = len(text), 0o444, 0
        archive.addfile(entry, io.BytesIO(text))
    layer = buffer.getvalue()[:1024] + bytes(1024)
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/kfinstall-proof"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(config), "digest": digest(config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": len(layer), "digest": digest(layer)}],
        }
    )
    return ProofImage(layer, config, manifest)
