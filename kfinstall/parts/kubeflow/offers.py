"""What the dashboard's menu and the notebook spawner offer: the components that were chosen, and images of the own registry. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

import yaml

from kfinstall import releases
from kfinstall.answers.model import Answers
from kfinstall.kube.base import Document
from kfinstall.parts.kubeflow import choice, notebook_build

SPAWNER_KEY: Final = "spawner_ui_config.yaml"
_LINKS_KEY: Final = "links"


def dashboard(document: Document, answers: Answers) -> Document:
    """The dashboard's ConfigMap without links to components that were left out, with one to each chosen component that has a page."""
    data = document.get("data") or {}
    if not data.get(_LINKS_KEY):
        return document
    links = json.loads(data[_LINKS_KEY])
    release = releases.load(answers.cluster.release)
    known, chosen = choice.row(release).components, set(choice.components(answers, release))
    gone = tuple(prefix for name, part in known.items() if name not in chosen for prefix in part.menu)
    kept = {group: _kept(items, gone) for group, items in links.items()}
    menu = kept.setdefault("menuLinks", [])
    there = {link for item in menu for link in (item.get("link"), *(inner.get("link") for inner in item.get("items") or ()))}
    for name in known:
        for link in known[name].menu if name in chosen else ():
            if not any(str(other).startswith(link) for other in there):
                menu.append({"icon": "assignment", "link": link, "text": known[name].title, "type": "item"})
    return {**document, "data": {**data, _LINKS_KEY: json.dumps(kept, indent=4)}}


def _kept(items: Any, gone: tuple[str, ...]) -> list[Any]:
    """The links that lead somewhere; a section goes with its last one."""
    kept = []
    for item in items:
        if not item.get("items"):
            kept += [] if str(item.get("link") or "").startswith(gone) else [item]
        elif inner := _kept(item["items"], gone):
            kept.append({**item, "items": inner})
    return kept


def spawner(document: Document, answers: Answers) -> Document:
    """The spawner's ConfigMap with the own notebook images behind the release's."""
    own = [notebook_build.image(answers, name) for name in answers.kubeflow.notebook_images]
    if not own:
        return document
    data = document["data"]
    config = yaml.safe_load(data[SPAWNER_KEY]) or {}
    defaults = config.setdefault("spawnerFormDefaults", {})
    image = defaults.setdefault("image", {})
    image["options"] = [*(image.get("options") or []), *own]
    # The release hides registries; an own image would read as the publisher's.
    defaults["hideRegistry"] = False
    return {**document, "data": {**data, SPAWNER_KEY: yaml.safe_dump(config, sort_keys=False)}}
