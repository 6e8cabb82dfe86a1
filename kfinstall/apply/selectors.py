"""Which webhooks see an object: namespace and object selectors, and rules, as the API server applies them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches; an empty or absent one matches everything."""
    for key, value in ((selector or {}).get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    return all(_holds(expression, labels) for expression in (selector or {}).get("matchExpressions") or [])


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = str(expression.get("key")), expression.get("operator"), expression.get("values") or []
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    return (key in labels) is (operator == "Exists")


def rule_covers(rule: Mapping[str, Any], group: str, version: str, plural: str) -> bool:
    """Whether a webhook's rule covers the creation or change of a kind."""

    def among(value: str, allowed: object) -> bool:
        return isinstance(allowed, list) and ("*" in allowed or value in allowed)

    resources = rule.get("resources") or []
    operations = rule.get("operations") or ["*"]
    return (
        among(group, rule.get("apiGroups"))
        and among(version, rule.get("apiVersions") or ["*"])
        and any(resource in ("*", "*/*", plural) for resource in resources)
        and any(operation in ("*", "CREATE", "UPDATE") for operation in operations)
    )
