import subprocess
import sys

import pytest

from neurodyn.comparison.contender import Contender
from neurodyn.comparison.run import Run
from studies import STUDIES, Study, find

RECIPES = {
    "degree-long": "sequential-digits",
    "speakers": "spoken-digits",
    "speaker-options": "spoken-digits",
}


@pytest.mark.parametrize(
    "study",
    [study for study in STUDIES.values() if not callable(study.contenders)],
    ids=lambda study: study.name,
)
def test_every_contender_of_a_study_is_possible(study, tmp_path):
    recipe = RECIPES.get(study.name, "digits")
    for text in study.contenders_from():
        Run(Contender.parse(text), 0, [f"--config={recipe}"], tmp_path).check()


def test_a_study_is_registered_once_and_asks_one_question():
    for name, study in STUDIES.items():
        assert name == study.name
        assert study.question.endswith("?")
        assert "\n" not in study.question


def test_studies_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"Did you mean 'degree'"):
        find("degre")
    with pytest.raises(ValueError, match=r"source: the study 'transplant' needs .* got none"):
        find("transplant").contenders_from()
    with pytest.raises(ValueError, match=r"source: the study 'clip' takes none, got"):
        find("clip").contenders_from(tmp_path)


def test_the_list_of_studies_needs_no_pytorch():
    code = "import sys, studies; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_study_without_a_conclusion_writes_nothing(tmp_path):
    assert Study("x", "Why?", ["lif"]).conclude(tmp_path) is None
    assert not list(tmp_path.iterdir())
