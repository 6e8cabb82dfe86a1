"""Mirrors as buildah has them: by name only, and without the v2 of the API, which it puts in itself."""

from kfinstall.answers.model import Answers
from kfinstall.engine.step import View
from kfinstall.parts.kubeflow.notebook_images import KubeflowNotebookImages
from kfinstall.releases import load


def test_a_mirrors_path_is_that_of_its_images():
    mirrors = {
        "docker.io": "https://harbor.corp/v2/hub",
        "ghcr.io": "http://m.corp:5000/",
        "quay.io": "https://m.corp/v2",
        "_default": "https://all",
    }
    given = Answers.model_validate({"nodes": [{"name": "a", "address": "10.0.0.1"}], "registry": {"mirrors": mirrors}})
    text = KubeflowNotebookImages().parameters(View(given, load("26.03"), "a"))["MIRRORS"]
    assert text.split("\n") == ["docker.io\thttps://harbor.corp/hub", "ghcr.io\thttp://m.corp:5000", "quay.io\thttps://m.corp"]
