"""Errors of the simulated API server: Status objects, as Kubernetes gives them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kfinstall.simulator.apiserver.kinds import Kind
    from kfinstall.simulator.apiserver.schemas import Problem

Document = dict[str, Any]

_REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
_CAUSES: Final = (
    ("Required value", "FieldValueRequired"),
    ("Forbidden", "FieldValueForbidden"),
    ("Too long", "FieldValueTooLong"),
    ("Unsupported value", "FieldValueNotSupported"),
)
_TYPE: Final = re.compile(r"Invalid value: .*: \S+ in body must be of type ")


class StatusError(Exception):
    """A request that the API server refuses."""

    def __init__(
        self, code: int, message: str, *, reason: str = "", causes: Sequence[Document] = (), details: Document | None = None
    ) -> None:
        """`code`: of HTTP; `reason`: Kubernetes' word, by the code where empty; `causes`, `details`: as in a Status object."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason or _REASONS.get(code, "")
        self.causes = list(causes)
        self.details = details
        self.metadata: Document = {}

    def status(self) -> Document:
        """The Status object that goes to the client."""
        found: Document = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason and self.reason != "Unexpected":
            found["reason"] = self.reason
        if self.details is not None or self.causes:
            found["details"] = {**(self.details or {}), **({"causes": self.causes} if self.causes else {})}
        return found | {"code": self.code}


class PageError(Exception):
    """A path that nothing serves: answered in plain text."""


def resource_name(plural: str, group: str) -> str:
    """A kind as messages name it: plural.group."""
    return f"{plural}.{group}" if group else plural


def details_of(plural: str, group: str, name: str = "") -> Document:
    """What a refusal tells of the object that it is about."""
    return {key: value for key, value in (("name", name), ("group", group), ("kind", plural)) if value}


def unknown_resource() -> StatusError:
    """404 for a kind that is not served."""
    return StatusError(404, "the server could not find the requested resource", details={})


def not_found(plural: str, group: str, name: str) -> StatusError:
    """404 for an object."""
    return StatusError(404, f'{resource_name(plural, group)} "{name}" not found', details=details_of(plural, group, name))


def already_exists(plural: str, group: str, name: str, *, going: bool = False) -> StatusError:
    """409 for an object that is there already (or still)."""
    message = f'{resource_name(plural, group)} "{name}" already exists'
    if going:
        message = f"object is being deleted: {message}"
    return StatusError(409, message, reason="AlreadyExists", details=details_of(plural, group, name))


def conflict(kind: Kind, name: str, why: str, *, named: str = "") -> StatusError:
    """409 for a change of what is not as the client believed; `named`: the kind by its name instead of its plural."""
    plural = named or kind.plural
    message = f'Operation cannot be fulfilled on {resource_name(plural, kind.group)} "{name}": {why}'
    return StatusError(409, message, details=details_of(plural, kind.group, name))


def modified(kind: Kind, name: str) -> StatusError:
    """409 for a stale resourceVersion."""
    return conflict(kind, name, "the object has been modified; please apply your changes to the latest version and try again")


def _cause(field: str, message: str) -> Document:
    reason = next((reason for start, reason in _CAUSES if message.startswith(start)), "FieldValueInvalid")
    return {"reason": "FieldValueTypeInvalid" if _TYPE.match(message) else reason, "message": message, "field": field}


def invalid_options(kind: str, field: str, message: str) -> StatusError:
    """422 for a request's own parameters."""
    return _invalid(kind, "meta.k8s.io", "", [(field, message)])


def invalid(kind: Kind, name: str, *problems: Problem) -> StatusError:
    """422 for fields of an object."""
    return _invalid(kind.kind, kind.group, name, problems)


def _invalid(kind: str, group: str, name: str, problems: Sequence[Problem]) -> StatusError:
    words = [f"{field}: {message}" for field, message in problems]
    text = words[0] if len(words) == 1 else f"[{', '.join(words)}]"
    message = f'{resource_name(kind, group)} "{name}" is invalid: {text}'
    causes = [_cause(field, what) for field, what in problems]
    return StatusError(422, message, causes=causes, details=details_of(kind, group, name))


def forbidden(verb: str, kind: Kind, namespace: str, name: str) -> StatusError:
    """403 for somebody whom nobody knows."""
    who = f'User "system:anonymous" cannot {verb} resource "{kind.plural}" in API group "{kind.group}"'
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    what = resource_name(kind.plural, kind.group) + (f' "{name}"' if name else "")
    return StatusError(403, f"{what} is forbidden: {who} {where}", details=details_of(kind.plural, kind.group, name))


def internal(cause: str) -> StatusError:
    """500 for what failed inside, such as a webhook."""
    return StatusError(500, f"Internal error occurred: {cause}", causes=[{"message": cause}])
