"""Functions of the user's own that make data: their seeds, what they import, what is refused."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from batchscope.data.dataset import DataError
from unit.sources import HALVES, everything, function, made, resolved


def test_a_function_of_the_user_makes_data_for_each_seed(tmp_path: Path) -> None:
    code = (
        "import numpy as np\n"
        "def make(seed, n):\n"
        "    generator = np.random.default_rng(seed)\n"
        "    y = np.array(['a', 'b'] * (n // 2))\n"
        "    return generator.normal(size=(n, 2, 3)), y\n"
    )
    dataset = {**function(tmp_path, code, n=60), "draw": "per-seed"}
    one, two = made(dataset, tmp_path, "seed1"), made(dataset, tmp_path, "seed2")
    assert one.x_train.shape == (30, 2, 3)
    assert one.meta["class_names"] == ["a", "b"]
    assert list(one.meta["files"]) == ["own.py"]
    assert not np.array_equal(np.sort(everything(one), None), np.sort(everything(two), None))


DRAWS = {
    "its seed": "import numpy as np\ndef draw(seed): return np.random.default_rng(seed).normal(size=(40, 2))",
    "the global generator of NumPy": "import numpy as np\ndef draw(seed): return np.random.normal(size=(40, 2))",
    "that of Python": "import random\ndef draw(seed): return [[random.random()] for _ in range(40)]",
    "a generator seeded by the import": (
        "import numpy as np\nnp.random.seed(1)\ndef draw(seed): return np.random.normal(size=(40, 2))"
    ),
    "numbers drawn by the import": ("import numpy as np\nX = np.random.normal(size=(40, 2))\ndef draw(seed): return X"),
}


MAKE = "\ndef make(seed): return draw(seed), [0, 1] * 20\n"


@pytest.mark.parametrize("draw", DRAWS)
def test_data_drawn_with_any_generator_follow_the_seed_and_nothing_else(tmp_path: Path, draw: str) -> None:
    dataset = {**function(tmp_path, DRAWS[draw] + MAKE), "draw": "per-seed"}
    random.seed(3)
    np.random.seed(3)
    first = made(dataset, tmp_path, "seed1")
    state = random.getstate(), np.random.get_state()[1].tolist()
    again, other = made(dataset, tmp_path, "seed1"), made(dataset, tmp_path, "seed2")
    assert first.meta["digest"] == again.meta["digest"] != other.meta["digest"]
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state


@pytest.mark.parametrize(
    "draw",
    [
        "import numpy as np\ndef draw(seed): return np.random.default_rng(0).normal(size=(40, 2))",
        "import numpy as np\nRNG = np.random.default_rng(0)\ndef draw(seed): return RNG.normal(size=(40, 2))",
        "import numpy as np\ndef draw(seed):\n    np.random.seed(0)\n    return np.random.normal(size=(40, 2))",
        "import numpy as np\nX = np.zeros((40, 2))\ndef draw(seed): return X",
        "from generator_beside import RNG\ndef draw(seed): return RNG.normal(size=(40, 2))",
        "import parts_beside.generator as g\ndef draw(seed): return g.RNG.normal(size=(40, 2))",
    ],
)
def test_data_that_ignore_the_seed_are_refused_where_each_seed_draws_its_own(tmp_path: Path, draw: str) -> None:
    (tmp_path / "parts_beside").mkdir()
    for name in ("generator_beside.py", "parts_beside/generator.py"):
        (tmp_path / name).write_text("import numpy as np\nRNG = np.random.default_rng(0)\n")
    dataset = function(tmp_path, draw + MAKE)
    assert made(dataset, tmp_path).meta["classes"] == 2
    with pytest.raises(DataError, match=r"own.py:make returns the same data for the seeds 6 and 7; .*`draw: fixed`"):
        made({**dataset, "draw": "per-seed"}, tmp_path, "seed6")


def test_a_function_that_has_data_for_some_seeds_only_follows_its_seed(tmp_path: Path) -> None:
    draw = "def draw(seed): return {4: [[1.0], [2.0]] * 20}[seed]"
    dataset = {**function(tmp_path, draw + MAKE), "draw": "per-seed"}
    assert made(dataset, tmp_path, "seed4").x_train.shape == (20, 1)


def test_the_split_of_a_function_does_not_follow_what_it_seeds(tmp_path: Path) -> None:
    code = "import numpy as np\ndef draw(seed): return np.arange(40.0)[:, None]"
    plain = made(function(tmp_path, code + MAKE), tmp_path)
    seeding = code.replace("seed): ", "seed): np.random.seed(9); ")
    assert made(function(tmp_path, seeding + MAKE), tmp_path).meta["digest"] == plain.meta["digest"]


def test_modules_that_a_function_imports_count_as_read(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "drawing_helper.py").write_text("def draw(seed): return [[0.5]] * 40\n")
    (tmp_path / "unused_helper.py").write_text("")
    data = made(function(tmp_path, "from parts.drawing_helper import draw\n" + MAKE), tmp_path)
    assert set(data.meta["files"]) == {"own.py", "parts/drawing_helper.py"}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def other(seed): pass", "defines no function make"),
        ("def make(seed): raise KeyError('gone')", "failed with KeyError: 'gone'"),
        ("def make(): pass", "failed with TypeError"),
        ("import no_such_module_at_all", "failed with ModuleNotFoundError"),
        ("def make(seed): return 3", "returned int; it must return two arrays, (x, y)"),
        ("def make(seed): return [[1], [1, 2]], [0, 1]", "returned something that is no array"),
        ("def make(seed): return [['a'], ['b']], [0, 1]", "make: x has the type <U1; features must be numbers"),
        ("def make(seed): return [1.0, 2.0], [0, 1]", "make: x has the shape (2,)"),
        ("def make(seed): return [[1.0], [2.0]], [[0], [1]]", "make: y has the shape (2, 1)"),
        ("def make(seed): return [[1.0], [2.0]], [0, 1, 1]", "x has 2 examples, but function"),
        ("def make(seed): return [[1.0]] * 8, [0] * 8", "has 1 class; at least two are needed"),
        ("def make(seed): return [[1.0]] * 8, [0, 1, None, 1] * 2", "y has the type object"),
        ("def make(seed): return [[], []], [0, 1]", "x has the shape (2, 0)"),
    ],
)
def test_functions_that_cannot_be_used(tmp_path: Path, code: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        made(function(tmp_path, code), tmp_path)
    assert message in str(caught.value)
    assert "own.py" in str(caught.value)


def test_a_missing_function_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no Python file .*gone\.py"):
        made(resolved("function", HALVES, function=f"{tmp_path / 'gone.py'}:make", arguments={}), tmp_path)
