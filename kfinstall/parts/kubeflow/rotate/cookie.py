"""rotate.cookie: a new secret of the sessions' cookies."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.parts.kubeflow.rotate.base import RotateStep


class RotateCookie(RotateStep):
    """Sessions that were signed with the old one end."""

    id: ClassVar[str] = "rotate.cookie"
    title: ClassVar[str] = "Replace the cookies' secret"
    name: ClassVar[str] = "cookie"
    signs_in: ClassVar[bool] = True
