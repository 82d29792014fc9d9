# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["jupyter"]
# # The report of a study, cell by cell
#
# Each cell shows one chapter of the page `report.html`. What they are made from is at hand in `content`: its tables are
# pandas DataFrames, and its figures SVG files, for one data set and recipe out of `content.pairs`.

# %%
from pathlib import Path

from batchscope.report import displayed as show
from batchscope.report.content import load

# %% tags=["parameters"]
tables = ""  # folder with the study's tables
figures = ""  # folder with its figures
study = ""  # study.json: what was asked
manifest = ""  # manifest.json: where the results come from

# %%
content = load(Path(tables), Path(figures), Path(study), Path(manifest))

# %%
show.question(content)

# %%
show.answers(content)

# %%
show.quality(content)

# %%
show.speed_and_memory(content)

# %%
show.time_to_target(content)

# %%
show.stability_and_noise(content)

# %%
show.why(content)

# %%
show.learning_rates(content)

# %%
show.statements(content)

# %%
show.how(content)

# %%
show.provenance(content)

# %% [markdown] tags=["jupyter"]
# The tables behind the answer, and a figure by itself; these cells are not on the page.

# %% tags=["jupyter"]
show.recommended(content)

# %% tags=["jupyter"]
show.tested_against_the_best(content)

# %% tags=["jupyter"]
show.figure(content, "answer")
