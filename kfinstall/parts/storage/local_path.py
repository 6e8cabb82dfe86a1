"""storage.local-path: local-path-provisioner makes volumes in a directory of the node."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.parts.storage.provisioner_step import ProvisionerStep


class StorageLocalPath(ProvisionerStep):
    """ReadWriteOnce only; a volume stays on the node where its first pod ran."""

    id: ClassVar[str] = "storage.local-path"
    title: ClassVar[str] = "Install the local-path provisioner"
    storage_class: ClassVar[str] = "local-path"
    provisioner: ClassVar[str] = "local-path-provisioner"
