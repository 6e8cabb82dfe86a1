"""Manifests that ship with kfinstall: whole-scalar placeholders only, none without a value, no value without a place."""

import kubernetes_validate
import pytest
import yaml

from kfinstall import releases, resources
from kfinstall.apply import manifests

ASSETS = resources.asset("storage").parent
NAMES = sorted(
    path.relative_to(ASSETS).with_suffix("").as_posix() for path in ASSETS.glob("*/*.yaml") if path.parent.name != "releases"
)


def placeholders(name):
    found = manifests._PLACEHOLDER.findall("\n".join(line.partition("#")[0] for line in manifests._text(name).splitlines()))
    return dict.fromkeys(found, "value")


def test_a_placeholder_is_a_whole_scalar_and_its_value_is_taken_as_it_is(monkeypatch):
    monkeypatch.setattr(manifests, "_text", lambda _name: "a: ${one}\nb: ['x${one}', '${two}']\n---\n---\nc: $(HOME)\n")
    tricky = 'a: {b}\n"c" # ${two}'
    assert manifests.load("x", {"one": tricky, "two": "2"}) == [{"a": tricky, "b": ["x${one}", "2"]}, {"c": "$(HOME)"}]


def test_a_placeholder_without_a_value_and_a_value_without_a_placeholder_are_refused():
    with pytest.raises(KeyError):
        manifests.load("storage/nfs-subdir", {"server": "10.0.0.1"})
    with pytest.raises(ValueError, match="no placeholder other"):
        manifests.load("storage/nfs-subdir", placeholders("storage/nfs-subdir") | {"other": "x"})


def test_a_caller_can_change_what_it_was_given():
    values = placeholders("storage/nfs-csi")
    manifests.load("storage/nfs-csi", values)[0]["metadata"]["name"] = "changed"
    assert manifests.load("storage/nfs-csi", values)[0]["metadata"]["name"] != "changed"


@pytest.mark.parametrize("name", NAMES)
def test_what_ships_is_what_kubernetes_takes_and_names_where_it_comes_from(name):
    documents = manifests.load(name, placeholders(name))
    for document in documents:
        kubernetes_validate.validate(document, "1.34", strict=True)
    assert "${" not in yaml.safe_dump(documents)
    head = manifests._text(name).partition("---")[0]
    assert "github.com/" in head
    assert "Apache License 2.0" in head


@pytest.mark.parametrize("name", NAMES)
def test_no_image_is_written_into_a_manifest(name):
    for document in manifests.load(name, placeholders(name)):
        pod = ((document.get("spec") or {}).get("template") or {}).get("spec") or {}
        assert {container["image"] for container in pod.get("containers", ())} <= {"value"}


def test_every_storage_image_has_a_tag():
    images = releases.load("26.03").images
    for name in ("nfsplugin", "csi-provisioner", "local-path-provisioner", "local-path-helper", "nfs-subdir-external-provisioner"):
        assert images[name].rpartition(":")[2] not in ("", "latest")
        assert "/" in images[name].rpartition(":")[0]
