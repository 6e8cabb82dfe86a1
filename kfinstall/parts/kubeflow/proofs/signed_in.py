"""Requests through the gateway as the user: signed in through dex, from the first control plane to the gateway's Service."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

from kfinstall import invocation
from kfinstall.engine.step import ApplyContext, View
from kfinstall.errors import ProofError
from kfinstall.kube.base import Cluster, Ref
from kfinstall.parts.kubeflow import certificate, limits, own
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
    """Sign in and do something (see scripts/kubeflow/proof.sh); what it says appears in the target's pane.

    Raises:
        ProofError: the gateway has no address.
        CommandError: what was asked did not succeed.
    """
    view, cluster = context.view, await context.cluster()
    service = await cluster.get(own.GATEWAY_SERVICE)
    address = str(((service or {}).get("spec") or {}).get("clusterIP") or "")
    if not address or address == "None":
        raise ProofError("the gateway has no address in the cluster", hint=invocation.only("kubeflow"))
    given = {
        **parameters(view),
        **await _trust(cluster, view),
        "ADDRESS": f"[{address}]" if ":" in address else address,
        "PATIENCE_SECONDS": str(limits.KUBEFLOW_GATEWAY_PATIENCE_SECONDS),
        "ACTION": action,
        **more,
    }
    return await context.run_script(SCRIPT, given, stdin=await context.secret(PASSWORD), timeout_seconds=timeout_seconds)


async def _trust(cluster: Cluster, view: View) -> dict[str, str]:
    """What the gateway's certificate is to be checked against (PEM; empty without TLS), and a name that it is for."""
    if not own.secured(view.answers):
        return {"CA": ""}
    data = ((await cluster.get(_TLS)) or {}).get("data") or {}
    shown, authority = (base64.b64decode(data.get(key) or "").decode("ascii", "replace") for key in ("tls.crt", "ca.crt"))
    # A given certificate need not be for localhost, which that of the own CA is.
    given = view.answers.kubeflow.tls.certificate is not None
    preferred = (view.answers.kubeflow.access.host_name if given else None) or "localhost"
    return {"CA": authority or shown, "HOST": certificate.host(shown, preferred)}
