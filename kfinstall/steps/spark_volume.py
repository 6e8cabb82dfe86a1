"""spark.volume: one ReadWriteMany volume, and in it the event log's directory with Spark's own user as its owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from kfinstall import limits, pod_watch, spark_objects, spark_site, stamp
from kfinstall.answers.model import Answers
from kfinstall.cluster.base import Cluster, Ref, Want
from kfinstall.kubeflow import removal
from kfinstall.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View

_PROGRAM: Final = """
mkdir -p "$1"
chmod 2770 "$1"
found=$(stat -c '%u:%g %a' "$1")
echo "$1 is $found"
test "$found" = "$2" || { echo "wanted $2; does the storage class let uid 185 own directories?"; exit 1; }
"""
_WANTED: Final = f"{limits.SPARK_USER_ID}:{limits.SPARK_USER_ID} 2770"


class SparkVolume(Step):
    """No directory is writable for everybody: Spark's images run as 185:185, and the logs are theirs."""

    id: ClassVar[str] = "spark.volume"
    title: ClassVar[str] = "Make Spark's volume"
    scope: ClassVar[Scope] = Scope.CLUSTER
    timeout_seconds: ClassVar[float] = limits.SPARK_VOLUME_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 30

    def applies(self, answers: Answers) -> bool:
        """Where Spark is wanted."""
        return answers.spark.enabled

    def wants(self, view: View) -> tuple[Want, ...]:
        """The claim, and the record of its directory."""
        namespace = view.answers.spark_namespace
        return (Want("v1", "PersistentVolumeClaim", namespace), Want("v1", "ConfigMap", stamp.PROOFS_NAMESPACE))

    def parameters(self, view: View) -> Mapping[str, str]:
        """What the volume is made from."""
        place = spark_site.site(view.answers, view.release)
        return {
            "NAMESPACE": place.namespace,
            "CLASS": view.answers.storage_class,
            "SIZE": view.answers.spark.volume_size,
            "LOGS": spark_site.LOGS,
            "OWNER": _WANTED,
        }

    def check(self, view: View) -> Check:
        """The claim is bound and its directory was made."""
        namespace = view.answers.spark_namespace
        claim = view.cluster.get("v1", "PersistentVolumeClaim", spark_site.VOLUME, namespace) if view.cluster else None
        phase = ((claim or {}).get("status") or {}).get("phase")
        evidence = stamp.proven(view.cluster, "spark-volume", self._fingerprint(view, claim))
        if phase == "Bound" and evidence:
            return Satisfied(evidence)
        changes = (
            []
            if claim
            else [f"claim {view.answers.spark.volume_size} ReadWriteMany of {view.answers.storage_class} in {namespace}"]
        )
        return Needed((*changes, f"make {spark_site.LOGS} in it, owned by {_WANTED.replace(' ', ', mode ')}"))

    def _fingerprint(self, view: View, claim: Mapping[str, object] | None) -> str:
        """Inputs, and which volume it was done on: a claim that was deleted and made again is an empty one."""
        metadata = (claim or {}).get("metadata")
        uid = metadata.get("uid", "") if isinstance(metadata, dict) else ""
        return f"{self.fingerprint(view)}-{uid}"

    async def apply(self, context: ApplyContext) -> None:
        """Claim it, make the directory by a Job as Spark's user, and record that."""
        view = context.view
        place = spark_site.site(view.answers, view.release)
        cluster = await context.cluster()
        if place.own_namespace and await _may_be_made(cluster, place.namespace):
            await cluster.apply(spark_objects.namespace(place))
        elif place.own_namespace:
            context.say(f"namespace {place.namespace} was there before: it stays as it is, and an uninstallation leaves it")
        document = spark_objects.claim(place, view.answers.storage_class, view.answers.spark.volume_size)
        applied = await cluster.apply(document)
        job = spark_objects.shell_job(place, "spark-volume", _PROGRAM, spark_site.LOGS, _WANTED)
        lines = await pod_watch.run_job(context, cluster, job, timeout_seconds=self.timeout_seconds)
        for line in lines:
            context.say(line)
        claim = await cluster.get(applied.ref)
        evidence = f"{spark_site.VOLUME} ({view.answers.spark.volume_size}) is bound, {spark_site.LOGS} is {_WANTED}"
        await cluster.apply(stamp.proof("spark-volume", self._fingerprint(view, claim), evidence))


async def _may_be_made(cluster: Cluster, name: str) -> bool:
    """Whether a namespace is not there yet, or was made by kfinstall.

    Anybody else's gets no label of ours: by that label an uninstallation deletes it, with all that others have in it.
    """
    found = await cluster.get(Ref("v1", "Namespace", name))
    return found is None or stamp.ours(found) or removal.kept(found)
