"""Runs a notebook's cells in this process: a kernel of its own takes longer to start than the report to be made."""

from __future__ import annotations

import ast
import io
import linecache
import traceback
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from IPython.core.formatters import DisplayFormatter
from nbformat.notebooknode import NotebookNode, from_dict
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines

ENGINE = "batchscope"


class InThisProcess(Engine):  # type: ignore[misc]
    """An engine of papermill for cells of plain Python, without magics and `display`.

    The notebook keeps what a kernel's would: of each cell what it printed, the value of its last expression, or the
    error at which the notebook ends. It is written once, at its end, however that comes.
    """

    @classmethod
    def execute_managed_notebook(cls, nb_man: NotebookExecutionManager, kernel_name: str, **options: Any) -> None:
        """Run the cells of `nb_man` in their order, up to one that fails; papermill then raises its error."""
        del kernel_name, options
        path, nb_man.output_path = nb_man.output_path, None  # it would write the notebook twice for each cell
        nb_man.nb.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
        names: dict[str, Any] = {"__name__": "__main__"}
        try:
            for index, cell in enumerate(nb_man.nb.cells):
                nb_man.cell_start(cell, index)
                if cell.cell_type == "code" and not _run(cell, index + 1, names):
                    nb_man.cell_exception(cell, index)
                    nb_man.cell_complete(cell, index)
                    break
                nb_man.cell_complete(cell, index)
        finally:
            nb_man.output_path = path


papermill_engines.register(ENGINE, InThisProcess)


def _run(cell: NotebookNode, count: int, names: dict[str, Any]) -> bool:
    """Run a cell in `names` and give it its outputs; whether it ran to its end."""
    cell.execution_count = count
    printed, complained = io.StringIO(), io.StringIO()
    found: list[NotebookNode] = []
    try:
        with redirect_stdout(printed), redirect_stderr(complained):
            value = _value(cell.source, f"<cell {count}>", names)
            if value is not None:
                data, metadata = DisplayFormatter().format(value)  # type: ignore[no-untyped-call]
                found.append(_output("execute_result", data=data, execution_count=count, metadata=metadata))
    except Exception as error:
        lines = traceback.format_exception(error)
        found.append(_output("error", ename=type(error).__name__, evalue=str(error), traceback=lines))
    streams = {"stdout": printed.getvalue(), "stderr": complained.getvalue()}
    cell.outputs = [_output("stream", name=name, text=text) for name, text in streams.items() if text] + found
    return not any(output.output_type == "error" for output in found)


def _output(kind: str, **content: object) -> NotebookNode:
    output: NotebookNode = from_dict({"output_type": kind, **content})  # type: ignore[no-untyped-call]
    return output


def _value(source: str, name: str, names: dict[str, Any]) -> object:
    """Run `source`, which tracebacks call `name`; the value of its last expression, None where it ends in none."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    tree = ast.parse(source, name)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        exec(compile(tree, name, "exec"), names)
        return None
    exec(compile(ast.Module(tree.body[:-1], []), name, "exec"), names)
    return eval(compile(ast.Expression(last.value), name, "eval"), names)
