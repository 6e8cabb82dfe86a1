"""Definitions that are sent as they were rendered: nothing of them is lost, and what is not as expected is parsed."""

from __future__ import annotations

import gzip

import pytest
import yaml

from kfinstall.apply.stamp import ANNOTATION, content, stamped
from kfinstall.apply.waves import clean_document, without_stray_namespaces
from kfinstall.kube.raw import RawDocument, read
from tests.unit.apply.test_waves import REAL

DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  labels:
    a: b
  name: boxes.example.com
spec:
  group: example.com
  names:
    kind: Box
    plural: boxes
  scope: Namespaced
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        description: |-
          A text.

          ---
          kind: CustomResourceDefinition
        type: object
    served: true
    storage: true
"""


def one(text: str) -> dict:
    (found,) = read(text)
    return found


def test_a_definition_is_kept_as_text_and_only_its_head_is_parsed():
    found = one(DEFINITION)
    assert isinstance(found, RawDocument)
    assert found["spec"]["names"] == {"kind": "Box", "plural": "boxes"}
    assert "versions" not in found["spec"]
    assert yaml.safe_load(found.text) == yaml.safe_load(DEFINITION)
    assert clean_document(found) is found
    assert without_stray_namespaces([found])[0] is found


@pytest.mark.parametrize(
    "text",
    [
        DEFINITION,
        DEFINITION.replace("  labels:", "  annotations:\n    x: 'y'\n  labels:"),
        DEFINITION.replace("  name: boxes", "  annotations:\n    x: y\n    z: z\n  name: boxes"),
        DEFINITION + "status:\n  conditions: []\n",
        DEFINITION.rstrip("\n"),
    ],
)
def test_its_hash_is_added_and_nothing_else_is_changed(text):
    found = one(text)
    assert isinstance(found, RawDocument)
    marked = stamped(found)
    assert isinstance(marked, RawDocument)
    expected = yaml.safe_load(text)
    expected["metadata"]["annotations"] = {**(expected["metadata"].get("annotations") or {}), ANNOTATION: content(found)}
    assert yaml.safe_load(marked.text) == expected
    assert marked["metadata"] == expected["metadata"]
    assert content(found) != content(one(DEFINITION.replace("A text", "Another")))


@pytest.mark.parametrize(
    "text",
    [
        DEFINITION.replace("  scope", "  conversion:\n    webhook:\n      clientConfig:\n        caBundle: ''\n  scope"),
        DEFINITION.replace("  versions:\n  - name: v1\n", "  versions: [{name: v1}]\n  more:\n  - name: v1\n"),
        DEFINITION.replace("metadata:\n", "metadata: {annotations: {x: y}, name: boxes.example.com}\nother:\n"),
        DEFINITION.replace("  labels:\n    a: b\n", "  annotations: {x: y}\n"),
    ],
)
def test_what_is_written_another_way_is_parsed_whole(text):
    found = one(text)
    assert not isinstance(found, RawDocument)
    assert found == yaml.safe_load(text)


def test_a_stream_is_split_where_documents_end():
    stream = f"---\na: 1\n---\n{DEFINITION}---  # next\nb: |\n  ---\n  c\n"
    first, second, third = (item for item in read(stream) if item)
    assert (first, third) == ({"a": 1}, {"b": "---\nc\n"})
    assert isinstance(second, RawDocument)


def test_kubeflow_is_the_same_as_when_it_is_parsed():
    if not REAL.exists():
        pytest.skip(f"the rendering of Kubeflow 26.03 is not here ({REAL.name})")
    text = gzip.decompress(REAL.read_bytes()).decode()
    found = [item for item in read(text) if item]
    parsed = [item for item in yaml.load_all(text, Loader=yaml.CSafeLoader) if item]
    assert sum(isinstance(item, RawDocument) for item in found) > 60
    whole = [yaml.load(item.text, Loader=yaml.CSafeLoader) if isinstance(item, RawDocument) else item for item in found]
    assert whole == parsed
