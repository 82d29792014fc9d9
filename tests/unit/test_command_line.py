"""What Snakemake makes of --config is read as the same words in config.yaml are."""

from pathlib import Path

import pytest
import yaml

from batchscope.config.errors import ConfigError
from batchscope.config.yaml_files import typed
from batchscope.study import settings


def loaded(*given, **file):
    """The settings of a configuration file with `given` on the command line, of which Snakemake makes texts."""
    command_line = {
        name: yaml.load(value, yaml.BaseLoader) if value[-1:] in "]}" else value
        for name, _, value in (each.partition("=") for each in given)
    }
    config = {"study": "quickstart", **file}
    for name, value in command_line.items():
        config[name] = {**config.get(name, {}), **value} if isinstance(value, dict) else value
    return settings.load(typed(config, command_line), Path("nowhere"))


@pytest.mark.parametrize("words", ["{windows: 7, precision: 5e-2}", '{"windows": 7, "precision": 0.05}'])
def test_numbers_in_braces_are_numbers(words):
    timing = loaded(f"timing={words}", timing={"window_seconds": 0.1}).timing
    assert (timing.windows, timing.precision, timing.window_seconds) == (7, 0.05, 0.1)
    assert loaded("timing={windows: null}", timing={"windows": 3}).timing.windows is None


def test_flags_and_lists_are_what_they_are_in_a_file(tmp_path):
    assert loaded("warm_starts=false", "loop=fit").warm_starts is False
    assert loaded("warm_starts=true", warm_starts=False).warm_starts is True
    assert loaded(f"data_folders=[{tmp_path}]").data_folders == (str(tmp_path),)
    assert loaded("study=no.yaml").study == "no.yaml"


def test_a_text_in_a_file_stays_one():
    with pytest.raises(ConfigError, match="write 7 without quotes"):
        loaded(timing={"windows": "7"})
    with pytest.raises(ConfigError, match=r"timing: the text .* is not valid; valid is a mapping"):
        loaded("timing={windows: 7")
