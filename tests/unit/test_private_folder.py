"""The scratch folder: open to one user, and no trap that another user laid."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from shared.adapters.private_folder import ScratchNotPrivate, private_folder


def _mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def test_it_is_made_for_its_user_alone(tmp_path: Path) -> None:
    assert _mode(private_folder(tmp_path / "a" / "scratch")) == 0o700


def test_one_that_was_open_is_closed_and_keeps_what_it_holds(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir(mode=0o755)
    folder.chmod(0o777)
    (folder / "mirror").write_text("kept")
    assert _mode(private_folder(folder)) == 0o700
    assert (folder / "mirror").read_text() == "kept"


def test_a_link_is_refused_wherever_it_leads(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "scratch").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ScratchNotPrivate, match=r"is a link.*BACKUP_SCRATCH"):
        private_folder(tmp_path / "scratch")
    assert _mode(tmp_path / "elsewhere") != 0o700


@pytest.mark.parametrize(("owner", "let_in"), [(0, True), (4_321, False)])
def test_one_of_another_user_is_refused_and_one_of_the_systems_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: int, *, let_in: bool
) -> None:
    real = os.lstat
    monkeypatch.setattr(os, "getuid", lambda: 1_234)

    def owned(self: Path) -> os.stat_result:
        return os.stat_result([*real(self)[:4], owner, *real(self)[5:10]])

    monkeypatch.setattr(Path, "lstat", owned)
    if let_in:
        assert private_folder(tmp_path / "scratch").is_dir()
    else:
        with pytest.raises(ScratchNotPrivate, match="another user"):
            private_folder(tmp_path / "scratch")
