"""Ask Kubernetes' own models of its objects, and the operator of Dask, whether they take our manifests.

    python kubernetes_manifest.py FOLDER

Runs in an environment with dask-kubernetes, which is not that of the tests. A field that Kubernetes does not
know, or that is in the wrong place, does not survive the way into its model and back. What it asks is
imported inside functions, because pytest imports this file too.
"""

import json
import sys
from pathlib import Path

import yaml


def require_known(described, kind):
    from kubernetes.client import ApiClient

    api = ApiClient()
    model = api.deserialize(json.dumps(described), kind, "application/json")
    kept = api.sanitize_for_serialization(model)
    assert kept == described, f"{kind}: Kubernetes keeps {kept} of {described}"


def require_cluster(manifest):
    from dask_kubernetes.operator.controller.controller import (
        build_scheduler_deployment_spec,
        build_scheduler_service_spec,
        build_worker_deployment_spec,
    )
    from dask_kubernetes.operator.validation import validate_cluster_name

    name, spec = manifest["metadata"]["name"], manifest["spec"]
    validate_cluster_name(name)
    assert set(spec) == {"scheduler", "worker"} and set(spec["worker"]) == {"replicas", "spec"}
    assert set(spec["scheduler"]) == {"spec", "service"}
    require_known(spec["scheduler"]["spec"], "V1PodSpec")
    require_known(spec["scheduler"]["service"], "V1ServiceSpec")
    require_known(spec["worker"]["spec"], "V1PodSpec")
    # What the operator makes of it.
    worker = build_worker_deployment_spec(
        f"{name}-default", "default", name, "0", spec["worker"]["spec"], {}, {}
    )
    require_known(worker, "V1Deployment")
    scheduler = build_scheduler_deployment_spec(name, spec["scheduler"]["spec"], {}, {})
    require_known(scheduler, "V1Deployment")
    require_known(build_scheduler_service_spec(name, spec["scheduler"]["service"], {}, {}), "V1Service")
    labels = scheduler["spec"]["template"]["metadata"]["labels"]
    assert spec["scheduler"]["service"]["selector"].items() <= labels.items()


def main():
    folder = Path(sys.argv[1])
    require_cluster(yaml.safe_load((folder / "dask_cluster.yaml").read_text()))
    for each in yaml.safe_load_all((folder / "cronjob.yaml").read_text()):
        require_known(each, f"V1{each['kind']}")
    # The script finds what it imports; it runs nothing on import.
    sys.path.insert(0, str(folder))
    __import__("dask_cluster")


if __name__ == "__main__":
    main()
