"""The job that renders the report of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from batchscope.jobs import provenance
from batchscope.report.render import render


def render_report(
    inputs: Mapping[str, str], figures: Sequence[str], html: str, template: str, title: str, _note: object = None
) -> None:
    """Write the page `html`, and the notebook as it was run beside it.

    Args:
        inputs: the folders of `tables` and `figures`, and the files `study` and `manifest`.
        figures: every figure that the study has.
        html: the page.
        template: the notebook, see `render`.
        title: of the page.

    Raises:
        provenance.RecordError: a file is not as its job wrote it.
    """
    parameters = {name: Path(file) for name, file in inputs.items()}
    provenance.require_whole(parameters["study"], parameters["manifest"])
    provenance.require_drawn(map(Path, figures))
    render(Path(template), parameters, Path(html), Path(html).with_suffix(".ipynb"), title)
