"""Files by path: under the roots, and nowhere else, by whatever way somebody tries."""

from __future__ import annotations

import os
from uuid import uuid4

import pytest

from app.documents import local
from app.documents.local import LocalFiles
from app.documents.model import Content, Hint
from app.errors import ItemError
from app.settings import Settings

TENANT = uuid4()


def files(*roots: object, max_bytes: int = 1_000_000) -> LocalFiles:
    return LocalFiles(
        Settings.build(
            database_url="postgresql://nobody@127.0.0.1:1/none",
            redis_url="redis://127.0.0.1:1/0",
            jwt_secret="a9f3-2b7c-8e1d-4f6a-0c5e-7d2b-9a8f-1e3c",
            document_roots=os.pathsep.join(map(str, roots)),
            document_max_bytes=max_bytes,
        )
    )


@pytest.fixture
def root(tmp_path):
    inside = tmp_path / "root"
    (inside / "deep" / "er").mkdir(parents=True)
    (inside / "a.PDF").write_bytes(b"a")
    (inside / "deep" / "er" / "b.txt").write_bytes(b"b")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (tmp_path / "root-and-more").mkdir()
    (tmp_path / "root-and-more" / "secret.txt").write_bytes(b"secret")
    return inside


def code_of(by: LocalFiles, path: object) -> str:
    with pytest.raises(ItemError) as checked:
        by.check(str(path), TENANT)
    with pytest.raises(ItemError) as caught:
        by.read(str(path), TENANT)
    assert checked.value.code == caught.value.code
    assert "root" not in str(caught.value), "a message does not tell where things are"
    return caught.value.code


def test_a_file_under_a_root_is_read_by_its_whole_path_and_from_the_root_on(root):
    by = files(root)

    assert by.read(f"{root}/a.PDF", TENANT) == Content(b"a", Hint("pdf"))
    assert by.read("a.PDF", TENANT).data == b"a"
    assert by.read("deep/er/b.txt", TENANT).data == b"b"
    assert by.read(f"{root}/deep/../a.PDF", TENANT).data == b"a"


def test_without_roots_no_file_is_read(root):
    assert code_of(files(), root / "a.PDF") == "source_not_configured"


def test_a_path_out_of_the_root_is_refused_whether_or_not_something_is_there(root):
    by = files(root)

    for path in (
        *(root / "../secret.txt", "../secret.txt", "deep/../../secret.txt", "/etc/passwd"),
        *(root.parent / "root-and-more" / "secret.txt", "../root-and-more/secret.txt"),
        *("/no/such/file", "../no-such-file", "/", root, ".", ""),
    ):
        assert code_of(by, path) == "path_not_allowed", path


def test_a_link_may_lead_about_inside_the_root_and_not_out_of_it(root):
    (root / "good").symlink_to(root / "deep" / "er" / "b.txt")
    (root / "folder").symlink_to(root / "deep")
    (root / "out").symlink_to(root.parent / "secret.txt")
    (root / "up").symlink_to("..")
    (root / "deep" / "chain").symlink_to(root / "up")
    (root / "loop").symlink_to(root / "loop")
    (root / "dangling").symlink_to(root / "nothing")
    by = files(root)

    assert by.read("good", TENANT).data == b"b"
    assert by.read("folder/er/b.txt", TENANT).data == b"b"
    assert code_of(by, "out") == "path_not_allowed"
    assert code_of(by, "up/secret.txt") == "path_not_allowed"
    assert code_of(by, "deep/chain/secret.txt") == "path_not_allowed"
    assert code_of(by, "loop") == "path_not_allowed"
    assert code_of(by, "dangling") == "not_found"


def test_a_root_that_is_itself_a_link_is_a_root(root):
    (root.parent / "link").symlink_to(root)

    assert files(root.parent / "link").read("a.PDF", TENANT).data == b"a"


@pytest.mark.parametrize("swapped", ["deep", "deep/er", "deep/er/b.txt"])
def test_a_link_that_is_put_in_the_way_after_the_path_was_checked_is_refused(
    root, monkeypatch, swapped
):
    """Somebody who may write there swaps a folder, or the file, for a link at the worst moment."""
    walk = local._walk
    outside = root.parent / "outside"
    for folder in (outside, outside / "er"):
        folder.mkdir()
        (folder / "b.txt").write_bytes(b"secret")

    def swap_and_walk(*args):
        target = root / swapped
        target.rename(root / "gone")
        places = {"deep": outside, "deep/er": outside, "deep/er/b.txt": root.parent / "secret.txt"}
        target.symlink_to(places[swapped])
        return walk(*args)

    monkeypatch.setattr(local, "_walk", swap_and_walk)

    with pytest.raises(ItemError) as caught:
        files(root).read("deep/er/b.txt", TENANT)
    assert caught.value.code == "path_not_allowed"


def test_what_is_no_ordinary_file_is_refused_at_once(root):
    os.mkfifo(root / "fifo")
    by = files(root, "/dev")

    assert code_of(by, root / "fifo") == "path_not_allowed"
    assert code_of(by, root / "deep") == "path_not_allowed"
    assert code_of(by, root / "a.PDF" / "x") == "path_not_allowed"
    assert code_of(by, "/dev/zero") == "path_not_allowed"
    assert code_of(by, "/dev/null") == "path_not_allowed"


def test_what_cannot_be_there_or_be_read_is_not_found(root):
    by = files(root)

    assert code_of(by, root / "none.txt") == "not_found"
    assert code_of(by, root / "deep" / "none" / "x.txt") == "not_found"
    assert code_of(by, root / ("x" * 5000)) == "not_found"
    assert code_of(by, "a\0b") == "invalid_source"


def test_a_file_that_is_too_large_is_not_read(root):
    (root / "large").write_bytes(bytes(1001))
    by = files(root, max_bytes=1000)

    assert code_of(by, "large") == "document_too_large"


def test_a_root_can_be_each_tenants_own(root):
    theirs = uuid4()
    for tenant in (TENANT, theirs):
        (root / str(tenant)).mkdir()
        (root / str(tenant) / "x.txt").write_text(str(tenant))
    by = files(f"{root}/{{tenant}}")

    assert by.read("x.txt", TENANT).data == str(TENANT).encode()
    assert by.read("x.txt", theirs).data == str(theirs).encode()
    assert code_of(by, root / str(theirs) / "x.txt") == "path_not_allowed"
    assert code_of(by, f"../{theirs}/x.txt") == "path_not_allowed"


def test_of_several_roots_the_one_that_has_the_file_is_read(root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "c.txt").write_bytes(b"c")
    by = files(root, other)

    assert by.read("c.txt", TENANT).data == b"c"
    assert by.read("a.PDF", TENANT).data == b"a"
    assert by.read(f"{other}/c.txt", TENANT).data == b"c"
    assert code_of(by, "none.txt") == "not_found"
