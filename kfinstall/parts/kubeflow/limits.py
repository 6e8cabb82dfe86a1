"""What the part kubeflow keeps to; the unit is in the name."""

from __future__ import annotations

from typing import Final

KUBEFLOW_RENDER_TIMEOUT_SECONDS: Final = 1800.0
KUBEFLOW_BUNDLE_LARGEST_BYTES: Final = 200_000_000
KUBEFLOW_APPLY_TIMEOUT_SECONDS: Final = 7200.0
KUBEFLOW_AVAILABLE_TIMEOUT_SECONDS: Final = 3600.0
"""How long all workloads together may take; most of it is pulling some 50 images."""
KUBEFLOW_CERTIFICATE_TIMEOUT_SECONDS: Final = 180.0
KUBEFLOW_PROFILE_TIMEOUT_SECONDS: Final = 300.0
KUBEFLOW_PROOF_TIMEOUT_SECONDS: Final = 300.0
KUBEFLOW_GATEWAY_PATIENCE_SECONDS: Final = 60
"""How long the gateway may answer 503 though everything is available: istiod tells sidecars a little later where to send to."""
KUBEFLOW_FINALIZERS_SECONDS: Final = 300.0
"""How long controllers may take to clean up behind custom resources that are deleted."""
KUBEFLOW_LEAVING_SECONDS: Final = 600.0
"""How long everything else that is deleted may take to go: definitions and namespaces take all of theirs along."""
KUBEFLOW_UNINSTALL_TIMEOUT_SECONDS: Final = 1800.0
KUBEFLOW_PROOF_ROUTE_SECONDS: Final = 120
"""How long a route of the gateway to what is ready may take to get through to it."""
KUBEFLOW_PROOF_RUN_SECONDS: Final = 180
"""How long the pipelines' API may take to tell of the end of a workflow that has ended."""
KUBEFLOW_PROOF_NOTEBOOK_TIMEOUT_SECONDS: Final = 900.0
KUBEFLOW_PROOF_PIPELINE_TIMEOUT_SECONDS: Final = 1800.0
KUBEFLOW_PROOF_KATIB_TIMEOUT_SECONDS: Final = 1800.0
"""Most of it is pulling the image of the search algorithm."""
KUBEFLOW_PROOF_INFERENCE_TIMEOUT_SECONDS: Final = 900.0
KUBEFLOW_PROOF_HOPELESS_SECONDS: Final = 120.0
"""How long a proof goes on with a reason that waiting never ends."""
KUBEFLOW_PROOF_TRIAL_SECONDS: Final = 5
KUBEFLOW_PROOF_LOG_LINES: Final = 20
KUBEFLOW_NOTEBOOK_PORT: Final = 8888
KUBEFLOW_PREDICTOR_PORT: Final = 8080
KUBEFLOW_BCRYPT_ROUNDS: Final = 12
KUBEFLOW_NOTEBOOK_TIMEOUT_SECONDS: Final = 7200.0
"""Pulling the base image, fetching a few hundred packages and pushing it all, for each notebook image."""
KUBEFLOW_NOTEBOOK_FREE_GIBIBYTES: Final = 15
"""What building notebook images takes for a while."""
ROTATE_TIMEOUT_SECONDS: Final = 3600.0
ROTATE_RESTART_SECONDS: Final = 600.0
"""How long one workload may take to start anew."""
ROTATE_SERVER_SECONDS: Final = 180.0
