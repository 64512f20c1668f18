"""Two deployments back up to one repository, each to the branch of its environment, and neither meets the other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from local.git_server import make_repository, person_commits
from local.memory.world import World, succeeded
from shared.adapters.repository import GitRepository
from shared.settings import Settings
from tests.faults.living import check_equal, fill, live
from tests.remotes import GitRemote

NEEDED = {"databricks_host": "https://adb-1.azuredatabricks.net", "git_remote_url": "https://dev.azure.com/o/p/_git/r"}
DAYS = 3


class BranchRemote(GitRemote):
    """One branch of a repository that is there already."""

    def __init__(self, path: Path, branch: str) -> None:
        super().__init__(path)
        self.branch = branch

    def mirror(self, scratch: Path) -> GitRepository:
        """See `Remote.mirror`."""
        url = f"file://{self.path}"
        return GitRepository(url, self.branch, scratch / f"mirror-{next(self._mirrors)}.git", lambda: "Basic eDp4")

    def _git(self, *arguments: str) -> bytes:
        named = [self.branch if a == "main" else a.replace("heads/main", f"heads/{self.branch}") for a in arguments]
        return subprocess.run(["git", "-C", str(self.path), *named], check=True, capture_output=True).stdout


@pytest.mark.parametrize("readme", [False, True], ids=["empty repository", "README alone"])
def test_two_environments_live_side_by_side(tmp_path: Path, readme: bool) -> None:
    served = tmp_path / "remote.git"
    make_repository(served)
    if readme:
        person_commits(served, "main", {"README.md": "# notebooks\n"}, "ada")
    worlds = []
    for seed, environment in enumerate(("dev", "prod")):
        settings = Settings.model_validate(
            {**NEEDED, "environment": environment, "git_branch": "notebooks/{environment}"}
        )
        remote = BranchRemote(served, settings.git_branch)
        worlds.append(World(tmp_path / environment, seed=seed, remote=remote))
        fill(worlds[-1], 10 + seed)
    for _ in range(DAYS):
        # Both are under way at once: the second begins before the first has taken a step.
        started = [world.start() for world in worlds]
        assert all(started)
        for world in worlds:
            world.settle()
        for world in worlds:
            check_equal(world)
            assert "README.md" not in world.remote.contents()
            live(world, 8)
    heads = {str(world.remote.head) for world in worlds}
    assert len(heads) == len(worlds)
    bases = subprocess.run(["git", "-C", str(served), "merge-base", *heads], capture_output=True, text=True)
    assert (bases.returncode, bases.stdout) == (1, ""), "the branches share history"
    assert all(succeeded(world.back_up()) for world in worlds)
    if readme:
        shown = subprocess.run(["git", "-C", str(served), "ls-tree", "--name-only", "main"], capture_output=True)
        assert shown.stdout == b"README.md\n"


@pytest.mark.parametrize(
    ("given", "branch", "folders"),
    [
        ({}, "main", "folders/"),
        ({"environment": "dev"}, "main", "folders/dev/"),
        ({"environment": "dev", "git_branch": "b/{environment}"}, "b/dev", "folders/dev/"),
        ({"environment": "dev", "git_folder_branches": "f/{environment}/x/"}, "main", "f/dev/x/"),
        ({"environment": "dev", "git_folder_branches": "f/"}, "main", "f/"),
    ],
)
def test_the_environment_stands_in_the_names_of_branches(given: dict[str, str], branch: str, folders: str) -> None:
    settings = Settings.model_validate(NEEDED | given)
    assert (settings.git_branch, settings.git_folder_branches) == (branch, folders)


@pytest.mark.parametrize("given", [{}, {"environment": "a b"}, {"environment": "a/b"}, {"environment": "-a"}])
def test_a_template_without_a_fitting_environment_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"BACKUP_ENVIRONMENT"):
        Settings.model_validate({**NEEDED, "git_branch": "b/{environment}", **given})
