"""A job in an environment of its own finds nothing in Snakemake's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# What Snakemake puts before a script: its own search path, and last the folder of the script.
JOB = """\
import json, sys
sys.path.extend({appended})
import snakemake
from batchscope.jobs import search_path
before = list(sys.path)
search_path.keep_to_own_packages()
json.dump({{"before": before, "after": sys.path}}, sys.stdout)
"""


def search_paths(*appended: Path, options: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """`sys.path` of a job before and after it keeps to its own packages."""
    code = JOB.format(appended=[str(folder) for folder in (*appended, SCRIPTS)])
    done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Site-packages of another environment, which holds Snakemake."""
    site = tmp_path / "other" / "site-packages"
    (site / "snakemake").mkdir(parents=True)
    (site / "snakemake" / "__init__.py").touch()
    return site


def test_snakemakes_environment_is_left_out_of_a_job_that_has_another(environment):
    modules = environment.parent / "modules"
    modules.mkdir()
    paths = search_paths(environment, modules, environment, options=("-S",))  # an environment without any package
    added = [str(environment), str(modules), str(environment), str(SCRIPTS)]
    assert paths["before"][-4:] == added
    assert paths["after"] == [*paths["before"][:-4], str(SCRIPTS)]


def test_nothing_changes_where_the_job_shares_snakemakes_environment():
    paths = search_paths(Path(pytest.__file__).parents[1])
    assert paths["before"] == paths["after"]


def test_nothing_changes_where_snakemake_is_found_by_pythonpath(environment, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(environment))
    paths = search_paths(environment, environment)
    assert paths["before"] == paths["after"]
