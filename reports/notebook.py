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

from batchscope.report import probes
from batchscope.report.content import load
from batchscope.report.sections import (
    advice,
    claims,
    method,
    opening,
    published,
    quality,
    rates,
    speed,
    stability,
    targets,
)

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
HTML(opening.answers(content))

# %%
HTML(advice.advice(content))

# %%
HTML(claims.verdicts(content))

# %%
HTML(published.published(content))

# %%
HTML(method.design(content))

# %%
HTML(quality.summary(content))

# %%
HTML(quality.side_by_side(content))

# %%
HTML(quality.comparison(content))

# %%
HTML(quality.curves(content))

# %%
HTML(targets.budgets(content))

# %%
HTML(targets.targets(content))

# %%
HTML(targets.critical(content))

# %%
HTML(rates.rates(content))

# %%
HTML(stability.updates(content))

# %%
HTML(probes.sections(content, "why"))

# %%
HTML(speed.time(content))

# %%
HTML(probes.sections(content, "time"))

# %%
HTML(speed.resources(content))

# %%
HTML(quality.accuracy(content))

# %%
HTML(targets.savings(content))

# %%
HTML(advice.tree(content))

# %%
HTML(stability.lost(content))

# %%
HTML(stability.not_measured(content))

# %%
HTML(method.terms(content))

# %%
HTML(method.limits(content))

# %%
HTML(method.provenance(content))
