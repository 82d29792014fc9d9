# Figures of the study, from its tables: one job per data set, recipe and group of figures.
# At the start of a line Snakemake takes the word `report` for its directive.
report_item = report


def figure_outputs(group):
    """The figures of a group, for a rule, so with its wildcards; all are items of Snakemake's own report."""
    return [
        report_item(
            f"results/{{study}}/figures/{{dataset}}/{{recipe}}/{name}.svg",
            category="Figures",
            subcategory="{dataset}, {recipe}",
            labels={"figure": figure.title},
            caption="../reports/captions/figure.rst",
        )
        for name, figure in STUDY_FIGURES.items()
        if figure.group == group
    ]


def figure_files():
    """Every figure that the study has something to draw for, for every data set and recipe that meet in it."""
    pairs = {"tuning": {(cell.dataset, cell.recipe) for cell in STUDY.tunings}}
    for name in STUDY.probes:
        pairs[name] = {(run.dataset, run.recipe) for run in STUDY.probed_runs(name)}
    return [
        f"results/{STUDY.name}/figures/{dataset}/{recipe}/{name}.svg"
        for dataset, recipe in STUDY.pairs
        for name, figure in STUDY_FIGURES.items()
        if figure.group == "answer"
        or (figure.group == "runs" and STUDY.file.measurements is None)
        or (figure.group == "targets" and STUDY.has_targets(dataset))
        or (dataset, recipe) in pairs.get(figure.group, ())
    ]


# By the name of the rule: the group of figures that it draws, and the probe that these are of.
FIGURE_RULES = {
    "draw_answer": ("answer", "none"),
    "draw_figures": ("runs", "none"),
    "draw_target_figures": ("targets", "none"),
    "draw_tuning_figures": ("tuning", "none"),
    **{
        f"draw_{probe.name}_figures": (probe.name, probe.name)
        for probe in PROBED
        if probe.figures
    },
}
for NAME, (GROUP, OF_PROBE) in FIGURE_RULES.items():

    rule:
        name:
            NAME
        input:
            tables=table_files("parquet"),
        output:
            figure_outputs(GROUP),
        log:
            f"logs/draw_figures/{{study}}/{{dataset}}/{{recipe}}/{GROUP}.log",
        conda:
            "../envs/analyse.yaml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=30,
        params:
            group=GROUP,
            code=code("draw_figures.py", probe=OF_PROBE),
            token=TOKEN,
        message:
            "Figures of {wildcards.dataset} with {wildcards.recipe}: {params.group}"
        script:
            "../scripts/draw_figures.py"
