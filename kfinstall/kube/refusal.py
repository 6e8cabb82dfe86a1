"""What the API server answers when it refuses, and which refusals pass by themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from kfinstall import invocation
from kfinstall.errors import CommandError
from kfinstall.kube.base import Ref
from kfinstall.text import clean, kubectl

_TEXT_LIMIT_CHARACTERS: Final = 600
_WEBHOOK: Final = re.compile(r'failed calling webhook "([^"]+)"')
_CONFLICT: Final = re.compile(r'conflict with "([^"]+)"')
_NOT_RUN: Final = re.compile(r'^container "[^"]+" in pod "[^"]+" is (waiting to start|not available|terminated)')
_PASSING_STATUS: Final = frozenset({429, 500, 502, 503, 504})
_UNPASSING: Final = ("denied the request", "spec.selector: Invalid value")


UNREADABLE: Final = "Unreadable"
"""The reason of an answer that was a success and could not be read."""


class UnreachableError(CommandError):
    """The API server does not answer. Trying again later may help."""

    retryable: ClassVar[bool] = True


@dataclass(slots=True, eq=False)
class ApiError(Exception):
    """An answer that is not a success; `status` is None where there was no answer at all."""

    status: int | None
    message: str
    reason: str = ""
    causes: tuple[tuple[str, str, str], ...] = ()
    """(reason, field, message) of each cause."""
    retry_after_seconds: float = 0.0
    roles_unread: bool = False
    """A 403 of an API server that may just have started: it answers before it has read who may do what."""

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed a little later."""
        if self.status is None:
            return True
        if any(text in self.message for text in _UNPASSING):
            return False
        if self.roles_unread:
            return True
        # A quota or limit is no rate limit, though both may come as 429 of an eviction.
        return self.status in _PASSING_STATUS

    @property
    def unauthorized(self) -> bool:
        """Whether the user has no right to it; admission forbids with the same status, but only the authorizer names the user."""
        return self.status == 403 and any(text in self.message for text in _UNAUTHORIZED)

    @property
    def webhook(self) -> str:
        """The name of the webhook that could not be called, or an empty string."""
        found = _WEBHOOK.search(self.message)
        return clean(found.group(1)) if found else ""

    @property
    def no_log(self) -> bool:
        """Whether a kubelet says that a container has not run: it waits to start, or ended before it did."""
        return self.status == 400 and _NOT_RUN.search(self.message) is not None

    @property
    def conflicting_managers(self) -> tuple[str, ...]:
        """Field managers that own what was to be changed (HTTP 409 of a server-side apply)."""
        if self.status != 409:
            return ()
        texts = [message for reason, _field, message in self.causes if reason == "FieldManagerConflict"] or [self.message]
        return tuple(dict.fromkeys(name for text in texts for name in _CONFLICT.findall(text)))

    def error(self, action: str, ref: Ref | None = None) -> CommandError:
        """The error for a user: what was asked, the server's words, its causes, and what to do. Never headers or bodies."""
        what = f"{action} {ref}" if ref else action
        if self.status is None:
            how = "answers what can't be read" if self.reason == UNREADABLE else "does not answer"
            return UnreachableError(
                f"the Kubernetes API {how} ({what})",
                why=self.message,
                hint="on the first control plane: crictl ps -a | grep kube-apiserver; journalctl -u kubelet -n 50",
            )
        secret = ref is not None and ref.kind == "Secret"  # what the server says of a Secret may quote it
        lines = [f"HTTP {self.status} {self.reason}".strip()] if secret else [_short(self.message)]
        lines += [f"{where}: {'' if secret else _short(text)}".rstrip(": ") for _reason, where, text in self.causes[:5] if where]
        return CommandError(f"the Kubernetes API refused to {what}", why="\n".join(lines), hint=self.hint(ref), status=None)

    def hint(self, ref: Ref | None = None) -> str:
        """What to do about it, where that is known."""
        if self.webhook:
            return f"is the pod behind webhook {self.webhook} running? kubectl get pods -A | grep -v Running"
        if ref is not None and any(text in self.message for text in _UNCHANGEABLE):
            if ref.kind in _HOLDS_DATA:
                return f"put the old value back: {ref} can't be changed there, and what it holds would go with it"
            again = kubectl("delete", ref.kind.lower(), names=[ref.name], namespace=ref.namespace)
            return f"{again}, then make it anew: {invocation.reinstall()}"
        for text, hint in _HINTS.items():
            if text in self.message:
                return hint
        if self.status == 403:
            return _NO_RIGHT if self.unauthorized else ""
        return {
            401: "the client certificate is not valid any more: kubeadm certs check-expiration",
            413: "the object is larger than the API server takes (3 MiB, etcd 1.5 MiB)",
            507: "the disk of the control plane is full: df -h /var/lib/etcd",
        }.get(self.status or 0, "")


_NO_RIGHT: Final = "the kubeconfig has no right to do that; it must be the administrator's"
_UNAUTHORIZED: Final = ('User "', "is attempting to grant RBAC permissions")
_UNCHANGEABLE: Final = (
    "field is immutable",
    "is immutable after creation",
    "spec.selector: Invalid value",
    "cannot change roleRef",
    "updates to statefulset spec",
)
_HOLDS_DATA: Final = ("PersistentVolumeClaim", "PersistentVolume", "CustomResourceDefinition", "Namespace")
_HINTS: Final[Mapping[str, str]] = {
    "because it is being terminated": "an earlier namespace of that name still goes away: kubectl get namespaces",
    "is its definition installed?": "kubectl get crds; was the component that brings it left out (kubeflow.components)?",
    "exceeded quota": "a ResourceQuota is in the way: kubectl get resourcequota -A",
    "must support resize": "its StorageClass can't let it grow: put the old size back",
    "database space exceeded": "etcd is full: etcdctl alarm list; defragment it",
    "no space left on device": "the disk of the control plane is full: df -h /var/lib/etcd",
}


def _short(text: str) -> str:
    line = clean(text.replace("\n", " ").replace("\r", " "))
    return line if len(line) <= _TEXT_LIMIT_CHARACTERS else line[:_TEXT_LIMIT_CHARACTERS] + "…"


def _seconds(text: str | None) -> float:
    return min(float(text), 30.0) if text and text.isascii() and text.isdigit() else 0.0


def parse_refusal(status: int, body: bytes, retry_after: str | None = None) -> ApiError:
    """The refusal in an HTTP answer: a Status object, or whatever a proxy in between said."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("kind") != "Status":
        return ApiError(status, _short(body[:2000].decode("utf-8", "replace")), retry_after_seconds=_seconds(retry_after))
    given = found.get("details")
    details: Mapping[str, Any] = given if isinstance(given, dict) else {}
    listed = details.get("causes")
    causes = tuple(
        (str(cause.get("reason") or ""), str(cause.get("field") or ""), str(cause.get("message") or ""))
        for cause in (listed if isinstance(listed, list) else ())
        if isinstance(cause, dict)
    )
    wait = _seconds(retry_after) or _seconds(str(details.get("retryAfterSeconds") or ""))
    return ApiError(status, str(found.get("message") or ""), str(found.get("reason") or ""), causes, wait)
