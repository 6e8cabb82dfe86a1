"""storage.nfs-csi: csi-driver-nfs makes volumes on the NFS server."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.parts.storage.provisioner_step import ProvisionerStep


class StorageNfsCsi(ProvisionerStep):
    """Each volume is a directory of its own; the kubelets give it to the group of the pod that mounts it."""

    id: ClassVar[str] = "storage.nfs-csi"
    title: ClassVar[str] = "Install the NFS provisioner"
    storage_class: ClassVar[str] = "nfs-csi"
    provisioner: ClassVar[str] = "csi-driver-nfs"
