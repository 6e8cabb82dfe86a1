"""The JSON Schema of the answers, for editors: made from the models, so that it can't fall behind."""

from __future__ import annotations

from typing import Any, Final

from kfinstall.answers.model import Answers

_ID: Final = "urn:kfinstall:answers:1"


def schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12."""
    body = Answers.model_json_schema(by_alias=True, mode="validation")
    # Roles have a default that depends on all nodes, so the model's own schema is right: only `nodes` is required.
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _ID,
        **body,
        "title": "Answers of kfinstall, version 1",
    }
