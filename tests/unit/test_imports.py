"""What a result depends on, read from imports: files, packages, and a fingerprint of what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from batchscope.identity import imports, source_code

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(root: Path, *, lazy: bool = True) -> list[str]:
    found = imports.closure(root / "job.py", root, lazy=lazy)
    return [file.relative_to(root.resolve()).as_posix() for file in found]


def test_imports_are_followed_through_packages_functions_and_relative_names(tmp_path: Path) -> None:
    write(
        tmp_path,
        job="import lib.a\nfrom lib import c\ndef f():\n    from lib.sub import d\n",
        lib__a="from . import b\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import lib.unused\n",
        lib__b="import os, numpy.linalg\n",
        lib__c="",
        lib__sub__d="from ..e import thing\n",
        lib__e="thing = 1",
        lib__unused="",
    )
    (tmp_path / "lib/__init__.py").write_text("")
    (tmp_path / "lib/sub/__init__.py").write_text("")
    eager = ["job.py", "lib/__init__.py", "lib/a.py", "lib/b.py", "lib/c.py"]
    assert names(tmp_path, lazy=False) == eager
    assert names(tmp_path) == [*eager, "lib/e.py", "lib/sub/__init__.py", "lib/sub/d.py"]
    assert imports.packages(imports.closure(tmp_path / "job.py", tmp_path), tmp_path) == {"numpy"}


def test_a_module_that_is_imported_by_a_computed_name_may_be_any_of_its_package(tmp_path: Path) -> None:
    write(
        tmp_path,
        job="import importlib\ndef f(n):\n    importlib.import_module(f'kinds.{n}')\n",
        kinds__a="",
        kinds__b="",
    )
    assert names(tmp_path) == ["job.py", "kinds/a.py", "kinds/b.py"]


def test_a_variable_of_a_computed_name_may_be_given(tmp_path: Path) -> None:
    text = "from importlib import import_module\ndef f(self):\n    import_module(f'kinds.{self.kind}.part').go()\n"
    write(tmp_path, job=text, kinds__a__part="", kinds__a__other="", kinds__b__part="", kinds__part="")
    both = ["job.py", "kinds/a/part.py", "kinds/b/part.py"]
    for chosen, expected in (
        ({}, both),
        ({"kind": "a"}, both[:2]),
        ({"kind": "none"}, both[:1]),
        ({"other": "a"}, both),
    ):
        found = imports.closure(tmp_path / "job.py", tmp_path, **chosen)
        assert [file.relative_to(tmp_path.resolve()).as_posix() for file in found] == expected


def test_a_fingerprint_follows_what_the_code_does_and_not_how_it_is_written(tmp_path: Path) -> None:
    def fingerprint(text: str) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        write(folder, job=text)
        return imports.fingerprint(imports.closure(folder / "job.py", folder), folder)

    code = 'def f(x):\n    "Doc."\n    return x + 1\n'
    same = [
        '"Module."\n' + code,
        code.replace("Doc.", "Other."),
        code + "# end\n",
        code.replace("x + 1", "(x\n    + 1)"),
    ]
    assert {fingerprint(text) for text in same} == {fingerprint(code)}
    other = [code.replace("1", "2"), code.replace("+", "-"), code + "f(3)\n", code.replace("f(x)", "f(x=0)")]
    assert len({fingerprint(text) for text in [code, *other]}) == 1 + len(other)


def test_a_file_that_is_no_python_counts_by_its_bytes(tmp_path: Path) -> None:
    write(tmp_path, job="this is no Python")
    assert imports.closure(tmp_path / "job.py", tmp_path) == [(tmp_path / "job.py").resolve()]
    assert imports.fingerprint([tmp_path / "job.py"], tmp_path) != imports.fingerprint([], tmp_path)


@pytest.mark.parametrize(
    ("script", "decides"),
    [
        ("train", "training/plans.py training/recipes.py training/loop.py training/engines/tensorflow/engine.py"),
        ("train", "training/engines/keras/models.py data/functions.py"),
        ("tabulate", "claims/scope.py training/recipes.py jobs/provenance.py stats/intervals.py"),
        ("probe", "probes/gradients/measure.py training/recipes.py training/snapshots.py"),
        ("make_dataset", "data/splits.py data/functions.py data/prepare.py"),
        ("draw_figures", "figures/curves.py"),
    ],
)
def test_every_module_that_decides_is_in_the_fingerprint_of_its_rule(script: str, decides: str) -> None:
    found = {file.relative_to(SCRIPTS).as_posix() for file in imports.closure(SCRIPTS / f"{script}.py", SCRIPTS)}
    assert {f"batchscope/{name}" for name in decides.split()} <= found


def test_a_run_does_not_depend_on_how_its_rate_was_searched_or_on_how_figures_are_drawn() -> None:
    found = {file.stem for file in imports.closure(SCRIPTS / "train.py", SCRIPTS)}
    assert not {"sharpness", "theme", "verdicts", "intervals"} & found


# What a start that recalls what another kept says of a job: its files, and whether it had to parse any.
STARTED_AGAIN = """\
import sys
from pathlib import Path
from batchscope.identity import imports, source_code

parse, parsed = source_code.ast.parse, []
source_code.ast.parse = lambda content: parsed.append(content) or parse(content)
kept, root = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
source_code.recall(kept)
found = imports.closure(root / "job.py", root)
print([file.name for file in found], imports.fingerprint(found, root), len(parsed))
source_code.keep(kept)
"""


def started(kept: Path, root: Path, *options: str) -> tuple[str, str, int]:
    """Files, fingerprint and number of parsed files of a start."""
    command = [sys.executable, *options, "-c", STARTED_AGAIN, str(kept), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(SCRIPTS)})
    files, fingerprint, parsed = done.stdout.rsplit(maxsplit=2)
    return files, fingerprint, int(parsed)


def test_a_source_is_parsed_once_and_again_where_it_or_what_was_kept_of_it_is_other(tmp_path: Path) -> None:
    kept, root = tmp_path / ".cache/source_code.json", tmp_path / "code"
    write(root, job="from lib.a import f\nimport_module(f'lib.{b}')\n", lib__a="from . import b\n", lib__b="b = 1")
    *first, parsed = started(kept, root)
    assert parsed == 3
    written = kept.read_bytes()
    assert started(kept, root) == (*first, 0)
    assert kept.read_bytes() == written
    for damaged in (b"", b"{}", b'{"digest": "44136fa3"}', written[:-9], written.replace(b'"lib.a"', b'"lib.x"')):
        kept.write_bytes(damaged)
        assert started(kept, root) == (*first, 3)
        assert kept.read_bytes() == written
    write(root, lib__b="b = 2")
    files, fingerprint, parsed = started(kept, root)
    assert (files, parsed) == (first[0], 1)
    assert fingerprint != first[1]
    write(root, lib__b="b = 1")
    assert started(kept, root) == (*first, 1)  # only what the last start read is kept


def test_what_could_not_be_parsed_is_not_kept_and_no_filter_of_warnings_decides_on_it(tmp_path: Path) -> None:
    kept, root = tmp_path / "source_code.json", tmp_path / "code"
    write(root, job="import lib\nassert '\\d'", lib=f"import other\nn = 1{'0' * 5000}", other="")
    strict = started(kept, root, "-W", "error")
    assert strict == (str(["job.py", "lib.py"]), strict[1], 2)
    assert started(kept, root) == (*strict[:2], 1)
    assert started(kept, root, "-X", "int_max_str_digits=0")[0] == str(["job.py", "lib.py", "other.py"])


@pytest.mark.parametrize("place", ["a file", "a folder", "nowhere"])
def test_a_place_where_nothing_can_be_kept_is_an_error_of_the_system_that_no_reader_meets(
    tmp_path: Path, place: str
) -> None:
    if place == "a file":
        (tmp_path / "cache").write_text("")
    elif place == "a folder":
        (tmp_path / "cache/source_code.json").mkdir(parents=True)
    else:
        (tmp_path / "cache").symlink_to("/nowhere/at/all")
    source_code.recall(tmp_path / "cache/source_code.json")
    write(tmp_path, job="import os")
    source_code.read((tmp_path / "job.py").resolve())
    with pytest.raises(OSError, match=r"exists|directory"):
        source_code.keep(tmp_path / "cache/source_code.json")


@pytest.mark.parametrize(
    "code",
    [
        *("import_module('\\ud800')", "import_module('/')", "import_module(f'')", "import_module(f'/{x}')"),
        *("import_module(f'a**{x}')", f"import_module('{'a' * 5000}')", "n = 0x1" + "0" * 5000),
        "n = 0" + " + 1" * 900,
    ],
    ids=["surrogate", "slash", "empty", "path", "stars", "long", "digits", "deep"],
)
def test_a_strange_source_keeps_its_imports(tmp_path: Path, code: str) -> None:
    write(tmp_path, job=f"import b\n{code}\n", b="")
    assert names(tmp_path) == ["b.py", "job.py"]
    source_code.keep(tmp_path / "kept.json")
