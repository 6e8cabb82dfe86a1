"""spark.volume: one ReadWriteMany volume, and in it the event log's directory with Spark's own user as its owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.answers.fragment import setting
from kfinstall.answers.model import Answers
from kfinstall.apply import stamp
from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.diagnose.capacity import quantity
from kfinstall.engine import pods
from kfinstall.engine.step import ApplyContext, Conflict, View
from kfinstall.kube.base import Cluster, Document, ListQuery, Ref
from kfinstall.parts.kubeflow.uninstall import removal
from kfinstall.parts.spark import limits, moved, objects
from kfinstall.parts.spark import place as spark_place
from kfinstall.parts.storage import provisioner

_RECORD: Final = "spark-volume"
_PROGRAM: Final = """
mkdir -p "$1"
chmod 2770 "$1"
found=$(stat -c '%u:%g %a' "$1")
echo "$1 is $found"
test "$found" = "$2" || { echo "wanted $2; does the storage class let uid 185 own directories?"; exit 1; }
"""
_WANTED: Final = f"{limits.SPARK_USER_ID}:{limits.SPARK_USER_ID} 2770"


class SparkVolume(ObjectsStep):
    """No directory is writable for everybody: Spark's images run as 185:185, and the logs are theirs.

    Namespace and claim are none of its `documents`: where somebody has them already, they are used as they are.
    """

    id: ClassVar[str] = "spark.volume"
    title: ClassVar[str] = "Make Spark's volume"
    timeout_seconds: ClassVar[float] = limits.SPARK_VOLUME_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 30
    lists: ClassVar[tuple[ListQuery, ...]] = (provisioner.CLASSES, stamp.RECORDS)

    @override
    def applies(self, answers: Answers) -> bool:
        """Where Spark is wanted."""
        return answers.spark.enabled

    @override
    def wants(self, view: View) -> tuple[ListQuery, ...]:
        """Also the claim, and who has it mounted where."""
        namespace = view.answers.spark_namespace
        return (*super().wants(view), ListQuery("v1", "PersistentVolumeClaim", namespace), *moved.wants(namespace))

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """What the volume is made from."""
        place = spark_place.place_of(view.answers, view.release)
        return {
            "NAMESPACE": place.namespace,
            "CLASS": view.answers.storage_class,
            "SIZE": view.answers.spark.volume_size,
            "LOGS": spark_place.LOGS,
            "OWNER": _WANTED,
        }

    @override
    def conflict(self, view: View) -> Conflict | None:
        """The claim can't become as wanted; or, with a warning, somebody's application names its former place."""
        if self.evidence(view):
            former = moved.applications(view.cluster, view.answers.spark_namespace)
            return moved.warning(former) if former else None
        claim = _claim(view)
        return _refused(view, claim) if claim and stamp.ours(claim) else None

    @override
    def changes(self, view: View) -> tuple[str, ...]:
        """The claim is bound and its directory was made."""
        if self.evidence(view):
            return ()
        namespace, claim = view.answers.spark_namespace, _claim(view)
        wanted, storage_class = view.answers.spark.volume_size, view.answers.storage_class
        changes = [] if claim else [f"claim {wanted} ReadWriteMany of {storage_class} in {namespace}"]
        if claim and stamp.ours(claim) and quantity(_size(claim)) != quantity(wanted):
            changes = [f"change claim {namespace}/{spark_place.VOLUME} from {_size(claim)} to {wanted}"]
        made = f"make {spark_place.LOGS} in it, owned by {_WANTED.replace(' ', ', mode ')}"
        return (*moved.changes(view.cluster, namespace), *changes, made)

    @override
    def evidence(self, view: View) -> str:
        """The record of the directory, while the claim that it was made on is bound; empty otherwise."""
        claim = _claim(view)
        bound = ((claim or {}).get("status") or {}).get("phase") == "Bound"
        return stamp.proven(view.cluster, _RECORD, self._fingerprint(view, claim)) if bound else ""

    def _fingerprint(self, view: View, claim: Mapping[str, object] | None) -> str:
        """Inputs, and which volume it was done on: a claim that was deleted and made again is an empty one."""
        metadata = (claim or {}).get("metadata")
        uid = metadata.get("uid", "") if isinstance(metadata, dict) else ""
        return f"{self.fingerprint(view)}-{uid}"

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Claim it, make the directory by a Job as Spark's user, and record that."""
        view = context.view
        place = spark_place.place_of(view.answers, view.release)
        cluster = await context.cluster()
        if place.own_namespace and await _may_be_made(cluster, place.namespace):
            await cluster.apply(objects.namespace(place))
        elif place.own_namespace:
            context.say(f"namespace {place.namespace} was there before: it stays as it is, and an uninstallation leaves it")
        document = objects.claim(place, view.answers.storage_class, view.answers.spark.volume_size)
        ref = Ref.of(document)
        found = await cluster.get(ref)
        if found is None or stamp.ours(found):
            await cluster.apply(document)
        else:
            # With the label of ours an uninstallation would take it for one that kfinstall made.
            context.say(f"claim {place.namespace}/{spark_place.VOLUME} was there before: it is used as it is")
        job = objects.shell_job(place, "spark-volume", _PROGRAM, spark_place.LOGS, _WANTED)
        lines = await pods.run_job(context, cluster, job, timeout_seconds=self.timeout_seconds)
        for line in lines:
            context.say(line)
        claim = await cluster.get(ref)
        evidence = f"{spark_place.VOLUME} ({_size(claim or document)}) is bound, {spark_place.LOGS} is {_WANTED}"
        await cluster.apply(stamp.proof(_RECORD, self._fingerprint(view, claim), evidence))


def _claim(view: View) -> Document | None:
    ref = Ref("v1", "PersistentVolumeClaim", spark_place.VOLUME, view.answers.spark_namespace)
    return view.cluster.objects.get(ref) if view.cluster else None


def _size(claim: Document) -> str:
    return str((((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}).get("storage") or "")


def _refused(view: View, claim: Document) -> Conflict | None:
    """What the server would not let change of our claim: its class, its size before it is bound, less, and more where the class can't."""
    place, now, wanted = view.answers.spark_namespace, _size(claim), view.answers.spark.volume_size
    status, name = claim.get("status") or {}, f"claim {place}/{spark_place.VOLUME}"
    delete = f"kubectl -n {place} delete deployment/{spark_place.HISTORY} pvc/{spark_place.VOLUME} --ignore-not-found"
    anew = f"or copy what is needed out of it, and have a new one made: {delete} (what is in it is lost)"
    live, chosen = (claim.get("spec") or {}).get("storageClassName"), view.answers.storage_class
    bound = status.get("phase") == "Bound"
    old, new = quantity(now), quantity(wanted)
    if (live not in (None, chosen) or old != new) and status.get("phase") == "Pending":
        what = f"{live}, {now}" if live != chosen else now
        return Conflict(f"{name} ({what}) is Pending and can't be changed to {chosen}, {wanted}", f"nothing is in it yet: {delete}")
    if live not in (None, chosen):
        keep = f"keep what it is on in the answers (storage.type and storage.nfs.provisioner, as they are of {live})"
        return Conflict(
            f"{name} is of StorageClass {live}, the answers lead to {chosen}; a claim keeps its class", f"{keep}, {anew}"
        )
    keep = f"keep the size: {setting('spark.volumeSize', now)} in the answers, {anew}"
    if new < old and (not bound or new <= quantity((status.get("capacity") or {}).get("storage"))):
        return Conflict(f"{name} has {now}, the answers want {wanted}: a volume can't shrink", keep)
    if new > old and (not bound or not _grows(view)):
        return Conflict(f"{name} has {now}, the answers want {wanted}: StorageClass {chosen} does not let volumes grow", keep)
    return None


def _grows(view: View) -> bool:
    """Whether the class lets volumes grow: as the answers make it, or as somebody set it."""
    wanted = provisioner.storage_class(view)
    live = view.cluster.objects.get(Ref.of(wanted)) if view.cluster else None
    return any((found or {}).get("allowVolumeExpansion") is True for found in (wanted, live))


async def _may_be_made(cluster: Cluster, name: str) -> bool:
    """Whether a namespace is not there yet, or was made by kfinstall.

    Anybody else's gets no label of ours: by that label an uninstallation deletes it, with all that others have in it.
    """
    found = await cluster.get(Ref("v1", "Namespace", name))
    return found is None or stamp.ours(found) or removal.kept(found)
