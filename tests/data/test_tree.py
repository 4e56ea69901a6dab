from __future__ import annotations

import pytest

from neurodyn.data.tree import find_tree


def grow(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")
    return root


def find(root):
    return find_tree(root, (".png",), "images")


def test_flat_trees(tmp_path):
    tree = find(grow(tmp_path, "cat/1.png", "cat/deep/2.PNG", "dog/1.png", ".git/3.png", "a.txt"))
    assert tree.classes == ("cat", "dog")
    assert list(tree.parts) == ["train"]
    assert tree.parts["train"].names == ["cat/1.png", "cat/deep/2.PNG", "dog/1.png"]
    assert tree.parts["train"].labels == [0, 0, 1]


@pytest.mark.parametrize(
    ("folders", "parts"),
    [
        (("train", "test"), {"train", "test"}),
        (("Train", "Test"), {"train", "test"}),
        (("train", "val"), {"train", "test"}),
        (("train", "val", "test"), {"train", "test", "validation"}),
    ],
)
def test_parts(folders, parts, tmp_path):
    grow(tmp_path, *(f"{folder}/{kind}/1.png" for folder in folders for kind in "ab"))
    assert set(find(tmp_path).parts) == parts


def test_a_part_that_is_not_by_class_is_left_out(tmp_path):
    grow(tmp_path, "train/a/1.png", "train/b/1.png", "val/images/1.png")
    assert set(find(tmp_path).parts) == {"train"}


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            ("a/1.png",),
            r"found 1 folder and .* 1 \.png, expected train/.*, of two classes or more",
        ),
        (("1.png",), r"found 0 folders and the files 1 \.png, expected train/<class>"),
        (("a/1.txt", "b/1.txt"), r"found 2 folders and the files 2 \.txt, expected .* images"),
        (
            ("a/1.png", "b/1.txt"),
            r"b: found 0 folders and .* 1 \.txt, expected images of this class; fill ",
        ),
        (
            ("train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png"),
            "test: found the class 'c', which the training set does not have",
        ),
    ],
)
def test_what_is_no_tree(paths, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        find(grow(tmp_path, *paths))


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="looked for a folder of images"):
        find(tmp_path / "none")
