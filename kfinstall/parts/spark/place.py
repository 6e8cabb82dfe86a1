"""Where and as whom Spark runs: names, paths and the configuration that script, proof and operator share. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kfinstall.answers.model import Answers
from kfinstall.parts.cluster import kubeadm
from kfinstall.parts.registry import pull_secret_objects
from kfinstall.releases import Release

VOLUME: Final = "spark-volume"
MOUNT: Final = "/opt/spark/volume"
"""Where drivers, executors and the history server have the volume: a directory that no image of Spark has."""
LOGS: Final = f"{MOUNT}/logs"
WORK_DIR: Final = "/opt/spark/work-dir"
"""The working directory of Spark's images, where each executor puts its copies of jars and files. Earlier releases (and the
guide that this tool replaces) mounted the volume over it."""
HISTORY: Final = "spark-history-server"
SUBMIT_PATH: Final = "/usr/local/bin/kf-spark-submit"
IN_CLUSTER_MASTER: Final = "k8s://https://kubernetes.default.svc:443"
_REPOSITORY: Final = "kfinstall/spark"


@dataclass(frozen=True, slots=True)
class SparkPlace:
    """Spark's place in one cluster."""

    namespace: str
    account: str
    """Service account of drivers and executors."""
    own_namespace: bool
    """The namespace is Spark's own, not a profile that Kubeflow makes."""
    mesh: bool
    """Istio and Kubeflow's gateway are there."""
    upstream: str
    """Image as its publisher names it."""
    image: str
    """Image that pods run: the copy in the cluster's registry, or the publisher's where there is none."""
    pull_secret: str
    """Name of the pull secret; empty where none is needed."""
    volume_image: str
    """Small image with a shell."""
    master: str
    """Spark's master URL as seen from the nodes."""
    history_base: str
    """Path behind the gateway, without a slash at its end; empty where there is no gateway."""
    version: str
    scala: str
    custom_image: bool
    user_email: str

    @property
    def example(self) -> tuple[str, ...]:
        """Arguments of spark-submit for the example that computes Pi; by Python for an image whose version isn't known."""
        if self.custom_image:
            return ("local:///opt/spark/examples/src/main/python/pi.py",)
        jar = f"local:///opt/spark/examples/jars/spark-examples_{self.scala}-{self.version}.jar"
        return ("--class", "org.apache.spark.examples.SparkPi", jar)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Service accounts whose pods pull Spark's image."""
        return tuple(dict.fromkeys(("default", self.account)))


def target_image(answers: Answers, upstream: str) -> str:
    """The name of the copy in the cluster's registry."""
    tag = upstream.rpartition("/")[2].partition("@")[0].partition(":")[2] or "base"
    return f"{answers.registry_host}/{_REPOSITORY}:{tag}"


def place_of(answers: Answers, release: Release) -> SparkPlace:
    """Spark's place, from answers and release."""
    namespace = answers.spark_namespace
    in_profile = answers.kubeflow.enabled and namespace == answers.profile_namespace
    upstream = answers.spark.image or release.images["spark"]
    return SparkPlace(
        namespace=namespace,
        account="default-editor" if in_profile else "spark",
        own_namespace=not in_profile,
        mesh=answers.kubeflow.enabled,
        upstream=upstream,
        image=target_image(answers, upstream) if answers.registry.enabled else upstream,
        pull_secret=pull_secret_objects.NAME if pull_secret_objects.needed(answers) else "",
        volume_image=release.images["spark-volume"],
        master=f"k8s://https://{kubeadm.endpoint(answers)}",
        history_base=f"/spark-history/{namespace}" if answers.kubeflow.enabled else "",
        version=release.versions["spark"],
        scala=release.versions["spark-scala"],
        custom_image=answers.spark.image is not None,
        user_email=answers.kubeflow.user.email,
    )


def configuration(place: SparkPlace) -> dict[str, str]:
    """Spark's configuration for every application here; what an application sets itself comes later and wins."""
    values = {
        "spark.kubernetes.namespace": place.namespace,
        "spark.kubernetes.container.image": place.image,
        "spark.kubernetes.authenticate.driver.serviceAccountName": place.account,
        "spark.kubernetes.authenticate.executor.serviceAccountName": place.account,
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file:{LOGS}",
        "spark.executor.instances": "2",
        "spark.executor.memory": "512m",
        "spark.driver.memory": "512m",
        "spark.kubernetes.driver.request.cores": "250m",
        "spark.kubernetes.executor.request.cores": "250m",
    }
    if place.pull_secret:
        values["spark.kubernetes.container.image.pullSecrets"] = place.pull_secret
    for role in ("driver", "executor"):
        volume = f"spark.kubernetes.{role}.volumes.persistentVolumeClaim.{VOLUME}"
        values[f"{volume}.options.claimName"] = VOLUME
        values[f"{volume}.mount.path"] = MOUNT
        if place.mesh:
            # Newer Istio reads the label, older ones the annotation. With a sidecar a driver never ends.
            values[f"spark.kubernetes.{role}.label.sidecar.istio.io/inject"] = "false"
            values[f"spark.kubernetes.{role}.annotation.sidecar.istio.io/inject"] = "false"
    return values
