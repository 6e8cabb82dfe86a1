"""Errors of the simulated API server: Status objects, as Kubernetes gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

Document = dict[str, Any]

_REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


class ApiError(Exception):
    """A request that the API server refuses."""

    def __init__(
        self, code: int, message: str, *, reason: str = "", causes: Sequence[Document] = (), details: Document | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason or _REASONS.get(code, "Unknown")
        self.causes = list(causes)
        self.details = details or {}

    def status(self) -> Document:
        """The Status object that goes to the client."""
        details = dict(self.details) | ({"causes": self.causes} if self.causes else {})
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": details,
            "code": self.code,
        }


def _resource(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def not_found(plural: str, group: str, name: str) -> ApiError:
    """404 for an object."""
    details = {"name": name, "group": group, "kind": plural}
    return ApiError(404, f'{_resource(plural, group)} "{name}" not found', details=details)


def already_exists(plural: str, group: str, name: str) -> ApiError:
    """409 for an object that is there already."""
    details = {"name": name, "group": group, "kind": plural}
    return ApiError(409, f'{_resource(plural, group)} "{name}" already exists', reason="AlreadyExists", details=details)


def invalid(kind: str, name: str, field: str, message: str) -> ApiError:
    """422 for one field."""
    causes = [{"reason": "FieldValueInvalid", "message": message, "field": field}]
    return ApiError(422, f'{kind} "{name}" is invalid: {field}: {message}', causes=causes, details={"name": name, "kind": kind})
