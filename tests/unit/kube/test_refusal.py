"""What is told of the API server's refusals; the messages are those of its own sources."""

from __future__ import annotations

import json

import pytest

from kfinstall.kube.base import Ref
from kfinstall.kube.refusal import ApiError, parse_refusal

CLAIM = Ref("v1", "PersistentVolumeClaim", "data", "kubeflow")


def refusal(status: int, message: str) -> ApiError:
    return parse_refusal(status, json.dumps({"kind": "Status", "message": message, "code": status}).encode())


@pytest.mark.parametrize(
    "message",
    [
        'pods is forbidden: User "kubernetes-admin" cannot list resource "pods" in API group "" in the namespace "kubeflow"',
        'forbidden: User "system:anonymous" cannot get path "/version"',
        (
            'roles.rbac.authorization.k8s.io "r" is forbidden: user "me" (groups=["system:authenticated"]) is attempting to grant RBAC '
            'permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["get"]}'
        ),
    ],
)
def test_missing_rights_are_told(message):
    assert "has no right to do that" in refusal(403, message).hint()


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        (
            (
                'persistentvolumeclaims "data" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that '
                "provisions the pvc must support resize"
            ),
            "old size",
        ),
        (
            'configmaps "a" is forbidden: unable to create new content in namespace kubeflow because it is being terminated',
            "an earlier namespace of that name still goes away",
        ),
        (
            'pods "p" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2',
            "a ResourceQuota is in the way",
        ),
        ('pods "p" is forbidden: violates PodSecurity "restricted:latest": privileged (container "c" must not set it)', ""),
        ('namespaces "default" is forbidden: this namespace may not be deleted', ""),
    ],
)
def test_what_admission_forbids_is_not_a_matter_of_rights(message, hint):
    found = refusal(403, message).hint(CLAIM)
    assert hint in found if hint else found == ""
    assert "right" not in found


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        (
            Ref("rbac.authorization.k8s.io/v1", "RoleBinding", "b", "kubeflow"),
            (
                'RoleBinding.rbac.authorization.k8s.io "b" is invalid: roleRef: Invalid value: '
                '{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"y"}: cannot change roleRef'
            ),
        ),
        (
            Ref("apps/v1", "StatefulSet", "b", "kubeflow"),
            (
                "StatefulSet.apps \"b\" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', "
                "'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                "'minReadySeconds' are forbidden"
            ),
        ),
    ],
)
def test_what_can_not_be_changed_is_made_anew(ref, message):
    assert (
        refusal(422, message).hint(ref) == f"kubectl -n kubeflow delete {ref.kind.lower()} b, then make it anew: kfinstall resume"
    )


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        (
            CLAIM,
            (
                'PersistentVolumeClaim "data" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests and '
                "volumeAttributesClassName for bound claims"
            ),
        ),
        (CLAIM, 'PersistentVolumeClaim "data" is invalid: spec.volumeMode: Invalid value: "Block": field is immutable'),
        (
            Ref("v1", "PersistentVolume", "pv"),
            'PersistentVolume "pv" is invalid: spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation',
        ),
        (
            Ref("apiextensions.k8s.io/v1", "CustomResourceDefinition", "x.example"),
            'CustomResourceDefinition.apiextensions.k8s.io "x.example" is invalid: spec.scope: Invalid value: "Cluster": field is immutable',
        ),
    ],
)
def test_nobody_is_told_to_delete_what_holds_data(ref, message):
    found = refusal(422, message).hint(ref)
    assert "kubectl" not in found
    assert "put the old value back" in found
