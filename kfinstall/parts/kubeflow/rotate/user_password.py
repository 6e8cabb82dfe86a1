"""rotate.user-password: a new generated password of the user."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.parts.kubeflow.rotate.base import RotateStep


class RotateUserPassword(RotateStep):
    """dex reads its hash when it starts."""

    id: ClassVar[str] = "rotate.user-password"
    title: ClassVar[str] = "Replace the user's generated password"
    name: ClassVar[str] = "user-password"
    signs_in: ClassVar[bool] = True
