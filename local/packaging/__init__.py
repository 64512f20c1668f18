"""Makes the deployment package: what the platform runs, and nothing else."""

from local.packaging.build import Built, build_package
from local.packaging.errors import PackagingFailed

__all__ = ["Built", "PackagingFailed", "build_package"]
