"""The example notebook: it runs, shows the result, and says nothing besides."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOK = Path(__file__).parents[2] / "examples" / "compare.ipynb"
SMALL = """    seeds=2,
    epochs=1,
    options={"data.limit": 60, "model.network.widths": [4]},
"""


@pytest.mark.slow
def test_the_notebook_compares_and_shows_the_result(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    book = nbformat.read(NOTEBOOK, 4)
    call = next(cell for cell in book.cells if "neurodyn.compare(" in cell.source)
    small = call.source.replace("    seeds=3,\n    epochs=8,\n", SMALL)
    assert small != call.source
    call.source = small
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=300, resources=place).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert [o.text for o in outputs if o.get("name") == "stderr"] == []
    progress, result, words, curves, report, learned = outputs
    assert progress.data["text/plain"] == "6 of 6 runs, 6 of 6 epochs"
    page = result.data["text/html"]
    assert "<td>adaptive</td><td>2</td>" in page
    assert "data:image/png;base64," in page
    assert words.text.strip() in result.data["text/plain"]
    assert " is " in words.text
    assert curves.data["image/png"]
    (written,) = (tmp_path / "runs").glob("sequential-digits-*/report.html")
    assert str(written.relative_to(tmp_path)) in report.data["text/html"]
    assert learned.text.startswith("time constants from ")
    assert len(list((tmp_path / "runs").glob("sequential-digits-*/*/seed-*/result.json"))) == 6
