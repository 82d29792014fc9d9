# Batchscope: what batch size does to a training. The rules, in the order of the data's way through them.
from snakemake.utils import min_version

min_version("9.27")  # a priority that depends on wildcards


include: "rules/place.smk"


configfile: f"{ROOT}/config/config.yaml"


report: "reports/workflow.rst"


include: "rules/common.smk"
include: "rules/checks.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/probe.smk"
include: "rules/analyse.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


rule all:
    input:
        f"results/{STUDY.name}/report.html",
    localrule: True


rule tables:
    input:
        f"results/{STUDY.name}/tables/summary.parquet",
    localrule: True


rule figures:
    input:
        figure_files(),
    localrule: True
