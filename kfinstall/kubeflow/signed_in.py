"""Requests through the gateway as the user: signed in through dex, from the first control plane to the gateway's Service."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

from kfinstall.cluster.base import Cluster, Ref
from kfinstall.errors import ProofError
from kfinstall.kubeflow import own
from kfinstall.step import ApplyContext, View
from kfinstall.transport.base import Completed

SCRIPT: Final = "kubeflow-proof"
PASSWORD: Final = "kubeflow.user.password"  # noqa: S105 (a name)
_TLS: Final = Ref("v1", "Secret", own.TLS_SECRET, own.GATEWAY_NAMESPACE)


def parameters(view: View) -> dict[str, str]:
    """Who signs in where, as far as the answers tell."""
    secured = own.secured(view.answers)
    return {
        "EMAIL": view.answers.kubeflow.user.email,
        "NAMESPACE": view.answers.profile_namespace,
        "SCHEME": "https" if secured else "http",
        "HOST": "localhost",
        "PORT": "443" if secured else "80",
    }


async def request(context: ApplyContext, action: str, more: Mapping[str, str], *, timeout_seconds: float) -> Completed:
    """Sign in and do something (see scripts/steps/kubeflow-proof.sh); what it says appears in the target's pane.

    Raises:
        ProofError: the gateway has no address.
        CommandError: what was asked did not succeed.
    """
    view, cluster = context.view, await context.cluster()
    service = await cluster.get(own.GATEWAY_SERVICE)
    address = str(((service or {}).get("spec") or {}).get("clusterIP") or "")
    if not address or address == "None":
        raise ProofError("the gateway has no address in the cluster", hint="kfinstall --only kubeflow")
    given = {
        **parameters(view),
        "ADDRESS": f"[{address}]" if ":" in address else address,
        "CA": await _authority(cluster, view),
        "ACTION": action,
        **more,
    }
    return await context.run_script(SCRIPT, given, stdin=await context.secret(PASSWORD), timeout_seconds=timeout_seconds)


async def _authority(cluster: Cluster, view: View) -> str:
    """PEM of what the gateway's certificate is to be checked against; empty without TLS."""
    if not own.secured(view.answers):
        return ""
    data = ((await cluster.get(_TLS)) or {}).get("data") or {}
    return base64.b64decode(data.get("ca.crt") or data.get("tls.crt") or "").decode("ascii", "replace")
