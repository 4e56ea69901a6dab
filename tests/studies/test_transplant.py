import pytest
import torch

from neurodyn.comparison.contender import Contender
from neurodyn.comparison.run import Run
from studies.transplant import contenders


def test_a_transplant_starts_from_what_was_learned(tmp_path):
    source, weights = tmp_path / "seed-0", {}
    source.mkdir()
    for layer, c in enumerate(([0.0, -1.0, 0.5], [0.2, -1.0, 0.25])):
        for k, value in enumerate(c):
            weights[f"network.body.{layer}.c.{k}"] = torch.tensor(value)
    torch.save({"state_dict": weights}, source / "best.ckpt")
    start = "lnm:degree=2:start=[0.1000,-1.0000,0.3750]"
    moved = [f"transplanted@{start}", f"transplanted-fixed@{start}:learn=false"]
    assert contenders(source) == ["lif", "lnm", *moved]
    Run(Contender.parse(start), 0, ["--config=digits"], tmp_path).check()
    torch.save({"state_dict": {"weight": torch.zeros(2)}}, source / "best.ckpt")
    with pytest.raises(ValueError, match="source: expected the coefficients of an LNM"):
        contenders(source)
