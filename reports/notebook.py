# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %%
from pathlib import Path

from IPython.display import HTML

from batchscope.report import chapters
from batchscope.report.content import load
from batchscope.report.sections import answer, opening

# %% tags=["parameters"]
tables = ""  # folder with the study's tables
figures = ""  # folder with its figures
study = ""  # study.json: what was asked
manifest = ""  # manifest.json: where the results come from

# %%
content = load(Path(tables), Path(figures), Path(study), Path(manifest))

# %%
HTML(opening.question(content))

# %%
HTML(answer.answers(content))

# %%
HTML(chapters.quality(content))

# %%
HTML(chapters.speed_and_memory(content))

# %%
HTML(chapters.time_to_target(content))

# %%
HTML(chapters.stability_and_noise(content))

# %%
HTML(chapters.why(content))

# %%
HTML(chapters.learning_rates(content))

# %%
HTML(chapters.statements(content))

# %%
HTML(chapters.how(content))

# %%
HTML(chapters.provenance(content))
