"""Custom resources held against the schemas of their definitions, unknown fields too: what the API server would refuse or drop."""

from __future__ import annotations

from typing import Any

import jsonschema

Document = dict[str, Any]


def schema_of(definitions: list[Document], api_version: str, kind: str) -> Document:
    """The schema of a served version among some CustomResourceDefinitions, strict about unknown fields."""
    group, _slash, version = api_version.rpartition("/")
    (definition,) = [item for item in definitions if item["spec"]["group"] == group and item["spec"]["names"]["kind"] == kind]
    (found,) = [item for item in definition["spec"]["versions"] if item["name"] == version and item["served"]]
    schema = found["schema"]["openAPIV3Schema"]
    root = _strict(schema)
    always = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    root["properties"] = {**root.get("properties", {}), **always}  # known whether a definition names them or not
    return root


def _strict(schema: Document) -> Document:
    known = {
        key: value for key, value in schema.items() if not key.startswith("x-") and key not in ("default", "nullable", "format")
    }
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if "properties" in schema:
        known["properties"] = {name: _strict(inner) for name, inner in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields") and not schema.get("x-kubernetes-embedded-resource"):
            known["additionalProperties"] = False
    if isinstance(schema.get("additionalProperties"), dict):
        known["additionalProperties"] = _strict(schema["additionalProperties"])
    if "items" in schema:
        known["items"] = _strict(schema["items"])
    return known


def problems(definitions: list[Document], document: Document) -> list[str]:
    """What the schema of its definition says against a document."""
    schema = schema_of(definitions, document["apiVersion"], document["kind"])
    found = jsonschema.Draft202012Validator(schema).iter_errors(document)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]
