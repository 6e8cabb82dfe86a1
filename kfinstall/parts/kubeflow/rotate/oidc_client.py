"""rotate.oidc-client: a new secret between dex and the OAuth2 proxy."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.parts.kubeflow.rotate.base import RotateStep


class RotateOidcClient(RotateStep):
    """Both read it when they start: dex first, since the proxy asks it."""

    id: ClassVar[str] = "rotate.oidc-client"
    title: ClassVar[str] = "Replace the OIDC client's secret"
    name: ClassVar[str] = "oidc-client"
    signs_in: ClassVar[bool] = True
