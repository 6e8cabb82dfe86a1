"""The install on one screen: phases and their steps, in order, with a barrier between steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from kfinstall.errors import UsageError
from kfinstall.step import Step
from kfinstall.steps.cluster_dns import ClusterDns
from kfinstall.steps.cluster_init import ClusterInit
from kfinstall.steps.cluster_join_control_planes import ClusterJoinControlPlanes
from kfinstall.steps.cluster_join_workers import ClusterJoinWorkers
from kfinstall.steps.cluster_kubeconfig import ClusterKubeconfig
from kfinstall.steps.cluster_network import ClusterNetwork
from kfinstall.steps.cluster_network_proof import ClusterNetworkProof
from kfinstall.steps.cluster_nodes_ready import ClusterNodesReady
from kfinstall.steps.connect_login import ConnectLogin
from kfinstall.steps.connect_os import ConnectOs
from kfinstall.steps.handoff_card import HandoffCard
from kfinstall.steps.kubeflow_access import KubeflowAccess
from kfinstall.steps.kubeflow_apply import KubeflowApply
from kfinstall.steps.kubeflow_notebook_images import KubeflowNotebookImages
from kfinstall.steps.kubeflow_profile import KubeflowProfile
from kfinstall.steps.kubeflow_profile_components import KubeflowProfileComponents
from kfinstall.steps.kubeflow_proof import KubeflowProof
from kfinstall.steps.kubeflow_proof_inference import KubeflowProofInference
from kfinstall.steps.kubeflow_proof_katib import KubeflowProofKatib
from kfinstall.steps.kubeflow_proof_notebook import KubeflowProofNotebook
from kfinstall.steps.kubeflow_proof_pipeline import KubeflowProofPipeline
from kfinstall.steps.kubeflow_render import KubeflowRender
from kfinstall.steps.kubeflow_secrets import KubeflowSecrets
from kfinstall.steps.preflight_apt import PreflightApt
from kfinstall.steps.preflight_clock import PreflightClock
from kfinstall.steps.preflight_disk import PreflightDisk
from kfinstall.steps.preflight_hardware import PreflightHardware
from kfinstall.steps.preflight_identity import PreflightIdentity
from kfinstall.steps.preflight_kernel import PreflightKernel
from kfinstall.steps.preflight_leftovers import PreflightLeftovers
from kfinstall.steps.preflight_network import PreflightNetwork
from kfinstall.steps.preflight_ports import PreflightPorts
from kfinstall.steps.prepare_apt import PrepareApt
from kfinstall.steps.prepare_base_packages import PrepareBasePackages
from kfinstall.steps.prepare_clock import PrepareClock
from kfinstall.steps.prepare_containerd import PrepareContainerd
from kfinstall.steps.prepare_docker import PrepareDocker
from kfinstall.steps.prepare_kubernetes_packages import PrepareKubernetesPackages
from kfinstall.steps.prepare_kubernetes_repository import PrepareKubernetesRepository
from kfinstall.steps.prepare_modules import PrepareModules
from kfinstall.steps.prepare_proxy import PrepareProxy
from kfinstall.steps.prepare_swap_off import PrepareSwapOff
from kfinstall.steps.prepare_sysctl import PrepareSysctl
from kfinstall.steps.prepare_tools import PrepareTools
from kfinstall.steps.registry_pull_proof import RegistryPullProof
from kfinstall.steps.registry_pull_secret import RegistryPullSecret
from kfinstall.steps.registry_push import RegistryPush
from kfinstall.steps.registry_server import RegistryServer
from kfinstall.steps.registry_trust import RegistryTrust
from kfinstall.steps.reset_data import ResetData
from kfinstall.steps.reset_files import ResetFiles
from kfinstall.steps.reset_leave_control_planes import ResetLeaveControlPlanes
from kfinstall.steps.reset_leave_first import ResetLeaveFirst
from kfinstall.steps.reset_leave_workers import ResetLeaveWorkers
from kfinstall.steps.reset_packages import ResetPackages
from kfinstall.steps.reset_services import ResetServices
from kfinstall.steps.rotate_catalog_database import RotateCatalogDatabase
from kfinstall.steps.rotate_cookie import RotateCookie
from kfinstall.steps.rotate_katib_database import RotateKatibDatabase
from kfinstall.steps.rotate_object_store import RotateObjectStore
from kfinstall.steps.rotate_oidc_client import RotateOidcClient
from kfinstall.steps.rotate_pipelines_database import RotatePipelinesDatabase
from kfinstall.steps.rotate_user_password import RotateUserPassword
from kfinstall.steps.spark_access import SparkAccess
from kfinstall.steps.spark_history_server import SparkHistoryServer
from kfinstall.steps.spark_image import SparkImage
from kfinstall.steps.spark_proof import SparkProof
from kfinstall.steps.spark_submit_script import SparkSubmitScript
from kfinstall.steps.spark_volume import SparkVolume
from kfinstall.steps.storage_default_class import StorageDefaultClass
from kfinstall.steps.storage_local_directory import StorageLocalDirectory
from kfinstall.steps.storage_local_path import StorageLocalPath
from kfinstall.steps.storage_nfs_client import StorageNfsClient
from kfinstall.steps.storage_nfs_csi import StorageNfsCsi
from kfinstall.steps.storage_nfs_policy import StorageNfsPolicy
from kfinstall.steps.storage_nfs_server import StorageNfsServer
from kfinstall.steps.storage_nfs_subdir import StorageNfsSubdir
from kfinstall.steps.storage_proof import StorageProof
from kfinstall.steps.uninstall_custom_resources import UninstallCustomResources, UninstallHeldResources
from kfinstall.steps.uninstall_data import UninstallData
from kfinstall.steps.uninstall_definitions import UninstallDefinitions
from kfinstall.steps.uninstall_namespaces import UninstallNamespaces
from kfinstall.steps.uninstall_objects import UninstallObjects
from kfinstall.steps.uninstall_webhooks import UninstallWebhooks


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of the installation, which can be run by itself."""

    id: str
    title: str
    steps: tuple[type[Step], ...]
    needs: tuple[str, ...] = ()
    """Phases that must have been done before, in this run or an earlier one."""
    proven_by: tuple[str, ...] = ()
    """Steps whose checks tell that the phase was done, for the phases that need it."""
    read_only: bool = False


PHASES: Final = (
    Phase("connect", "Log in to the servers", (ConnectLogin, ConnectOs), read_only=True),
    Phase(
        "preflight",
        "Check the servers",
        (
            PreflightHardware,
            PreflightDisk,
            PreflightIdentity,
            PreflightClock,
            PreflightPorts,
            PreflightLeftovers,
            PreflightApt,
            PreflightKernel,
            PreflightNetwork,
        ),
        read_only=True,
    ),
    Phase(
        "prepare",
        "Prepare the servers",
        (
            PrepareProxy,
            PrepareApt,
            PrepareBasePackages,
            PrepareSwapOff,
            PrepareModules,
            PrepareSysctl,
            PrepareClock,
            PrepareContainerd,
            PrepareDocker,
            PrepareKubernetesRepository,
            PrepareKubernetesPackages,
            PrepareTools,
        ),
        proven_by=("prepare.kubernetes-packages",),
    ),
    Phase(
        "cluster",
        "Start Kubernetes",
        (
            ClusterInit,
            ClusterKubeconfig,
            ClusterNetwork,
            ClusterJoinControlPlanes,
            ClusterJoinWorkers,
            ClusterNodesReady,
            ClusterDns,
            ClusterNetworkProof,
        ),
        needs=("prepare",),
        proven_by=("cluster.init", "cluster.nodes-ready"),
    ),
    Phase(
        "storage",
        "Set storage up",
        (
            StorageNfsServer,
            StorageNfsClient,
            StorageNfsPolicy,
            StorageLocalDirectory,
            StorageLocalPath,
            StorageNfsCsi,
            StorageNfsSubdir,
            StorageDefaultClass,
            StorageProof,
        ),
        needs=("cluster",),
        proven_by=("storage.default-class",),
    ),
    Phase(
        "registry",
        "Set the registry up",
        (RegistryServer, RegistryTrust, RegistryPullSecret, RegistryPush, RegistryPullProof),
        needs=("cluster",),
        proven_by=("registry.server", "registry.trust"),
    ),
    Phase(
        "kubeflow",
        "Install Kubeflow",
        (
            KubeflowRender,
            KubeflowSecrets,
            KubeflowApply,
            KubeflowAccess,
            KubeflowProfile,
            KubeflowProfileComponents,
            KubeflowNotebookImages,
            KubeflowProof,
            KubeflowProofNotebook,
            KubeflowProofPipeline,
            KubeflowProofKatib,
            KubeflowProofInference,
        ),
        needs=("cluster", "storage"),
        proven_by=("kubeflow.profile",),
    ),
    Phase(
        "spark",
        "Install Spark",
        (SparkVolume, SparkImage, SparkAccess, SparkHistoryServer, SparkSubmitScript, SparkProof),
        needs=("storage", "registry", "kubeflow"),
    ),
    Phase("handoff", "Hand over", (HandoffCard,), needs=("cluster",)),
)
"""All phases, in order. Adding a step is one line here, one module in kfinstall/steps, one script in scripts/steps."""

RESET: Final = Phase(
    "reset",
    "Put the servers back to what they were",
    (
        ResetLeaveWorkers,
        ResetLeaveControlPlanes,
        ResetLeaveFirst,
        ResetServices,
        ResetData,
        ResetPackages,
        ResetFiles,
    ),
)
"""The way back, with all that can be part of it."""


UNINSTALL: Final = Phase(
    "uninstall",
    "Take Kubeflow off the cluster",
    (
        UninstallWebhooks,
        UninstallCustomResources,
        UninstallObjects,
        UninstallData,
        UninstallDefinitions,
        UninstallNamespaces,
    ),
)
"""Kubeflow and Spark go, the cluster, its storage and its registry stay; with all that can be part of it."""
UNINSTALLED: Final = ("kubeflow", "spark", "handoff")
"""The phases whose work an uninstallation takes back."""

ROTATE: Final = Phase(
    "rotate",
    "Replace generated secrets",
    (
        RotateKatibDatabase,
        RotatePipelinesDatabase,
        RotateCatalogDatabase,
        RotateObjectStore,
        RotateOidcClient,
        RotateCookie,
        RotateUserPassword,
    ),
)
"""New values for what kfinstall generated, with all that can be part of it."""

_LOGIN: Final = Phase("connect", "Log in to the servers", (ConnectLogin,), read_only=True)


def reset(*, delete_data: bool) -> tuple[Phase, ...]:
    """The phases of a reset: log in, then back; volumes and images only where that is asked for."""
    steps = tuple(step for step in RESET.steps if delete_data or step is not ResetData)
    return (_LOGIN, replace(RESET, steps=steps))


def uninstall(*, delete_data: bool, force_finalizers: bool) -> tuple[Phase, ...]:
    """The phases of an uninstallation; volumes, and finalizers that nobody handles, only where that is asked for."""
    forced: dict[type[Step], type[Step]] = {UninstallCustomResources: UninstallHeldResources} if force_finalizers else {}
    steps = tuple(forced.get(step, step) for step in UNINSTALL.steps if delete_data or step is not UninstallData)
    return (_LOGIN, replace(UNINSTALL, steps=steps))


def rotate(names: Sequence[str] = ()) -> tuple[Phase, ...]:
    """The phases of a rotation of some secrets (see kfinstall.rotation); of all where none is named."""
    steps = tuple(step for step in ROTATE.steps if not names or step.id.partition(".")[2] in names)
    return (_LOGIN, replace(ROTATE, steps=steps))


def of(
    kind: str,
    *,
    only: str | Sequence[str] | None = None,
    start: str | None = None,
    delete_data: bool = False,
    force_finalizers: bool = False,
    rotating: Sequence[str] = (),
) -> tuple[Phase, ...]:
    """The phases of a run of that kind (see kfinstall.state.RunRecord).

    Raises:
        UsageError: no phase has that name.
    """
    if kind == "reset":
        return reset(delete_data=delete_data)
    if kind == "uninstall":
        return uninstall(delete_data=delete_data, force_finalizers=force_finalizers)
    if kind == "rotate":
        return rotate(rotating)
    return choose(only=only, start=start)


def step(identity: str) -> Step | None:
    """The step of any workflow that has that id; None where there is none."""
    every = (kind for phase in (*PHASES, RESET, UNINSTALL, ROTATE) for kind in phase.steps)
    return next((kind() for kind in every if kind.id == identity), None)


def names() -> tuple[str, ...]:
    """The phases' ids, in order."""
    return tuple(phase.id for phase in PHASES)


def choose(*, only: str | Sequence[str] | None = None, start: str | None = None) -> tuple[Phase, ...]:
    """The phases to run; `connect` is always among them, since nothing can be done without it.

    Raises:
        UsageError: no phase has that name.
    """
    chosen = [only] if isinstance(only, str) else only
    for wanted in (*(chosen or ()), start):
        if wanted is not None and wanted not in names():
            raise UsageError(f"there is no phase {wanted}", hint=f"phases: {', '.join(names())}")
    first = names().index(start) if start else 0
    return tuple(
        phase
        for index, phase in enumerate(PHASES)
        if phase.id == "connect" or ((chosen is None or phase.id in chosen) and index >= first)
    )
