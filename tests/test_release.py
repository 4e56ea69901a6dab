"""What a release says about itself is the same everywhere. Needs no package but pytest."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def found(pattern, file):
    match = re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert match, f"{file}: nothing looks like {pattern}"
    return match[1]


def test_one_version_everywhere():
    version = found(r'^__version__ = "(.+)"', "neurodyn/__init__.py")
    assert found(r"^version: (.+)", "CITATION.cff") == version
    assert found(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", "CHANGELOG.md") == version


def test_the_oldest_versions_tried_are_the_ones_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in project["dependencies"]:
        name, oldest = re.fullmatch(r"(\w+)>=([\d.]+)", requirement).groups()
        tried = found(rf"^{name}==(\S+)", ".ci/oldest.txt")
        assert tried == oldest or tried.startswith(f"{oldest}."), requirement
