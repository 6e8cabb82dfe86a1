"""storage.nfs-subdir: nfs-subdir-external-provisioner makes volumes on the NFS server."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.parts.storage.provisioner_step import ProvisionerStep


class StorageNfsSubdir(ProvisionerStep):
    """As the guide has it. Its directories are writable for everybody, since Kubernetes never changes owners on such volumes."""

    id: ClassVar[str] = "storage.nfs-subdir"
    title: ClassVar[str] = "Install the NFS provisioner"
    storage_class: ClassVar[str] = "nfs-client"
    provisioner: ClassVar[str] = "nfs-subdir-external-provisioner"
