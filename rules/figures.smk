# Figures of the study, from its tables: one job per data set, recipe and groups of figures.
# At the start of a line Snakemake takes the word `report` for its directive.
report_item = report


# A table may name many data sets and recipes: one job draws those that the page shows.
TOGETHER = STUDY.file.measurements is not None


def figure_place(pair):
    """Where the figures of a data set and recipe lie."""
    return "/".join(map(folder, pair))


def figure_places(group):
    """Where the figures of a group lie, for a rule, so with its wildcards."""
    return (
        map(figure_place, drawn.pairs(STUDY, group))
        if TOGETHER
        else ["{dataset}/{recipe}"]
    )


def figure_output(file, place, figure):
    """The file of a figure, for a rule."""
    if not figure.listed:
        return file
    return report_item(
        file,
        category="Figures",
        subcategory=", ".join(Path(place).parts),
        labels={"figure": figure.title},
        caption="../reports/captions/figure.rst",
    )


def figure_outputs(groups):
    """The figures of some groups, for a rule; those that are listed are items of Snakemake's own report."""
    return [
        figure_output(f"results/{{study}}/figures/{place}/{name}.svg", place, figure)
        for group in groups
        for place in figure_places(group)
        for name, figure in STUDY_FIGURES.items()
        if figure.group == group
    ]


def figure_files():
    """Every figure that the study has something to draw for, for every data set and recipe that meet in it."""
    groups = {figure.group for figure in STUDY_FIGURES.values()}
    pairs = {group: set(drawn.pairs(STUDY, group)) for group in groups}
    return [
        f"results/{STUDY.name}/figures/{figure_place(pair)}/{name}.svg"
        for pair in STUDY.shown
        for name, figure in STUDY_FIGURES.items()
        if pair in pairs[figure.group]
    ]


# By the name of the rule: the groups of figures that it draws, and the probe that these are of.
FIGURE_RULES = {
    "draw_answer": (("answer",), "none"),
    "draw_figures": (
        ("runs", *(group for group in FOLLOWED if drawn.pairs(STUDY, group))),
        "none",
    ),
    "draw_target_figures": (
        ("targets", *(["times"] if drawn.pairs(STUDY, "times") else [])),
        "none",
    ),
    "draw_tuning_figures": (("tuning",), "none"),
    **{
        f"draw_{probe.name}_figures": ((probe.name,), probe.name)
        for probe in PROBED
        if probe.figures
    },
}
for NAME, (GROUPS, OF_PROBE) in FIGURE_RULES.items():
    GROUP = GROUPS[0]
    if TOGETHER and not any(drawn.pairs(STUDY, group) for group in GROUPS):
        continue

    rule:
        name:
            NAME
        input:
            tables=table_files("parquet"),
        output:
            figure_outputs(GROUPS),
        log:
            f"logs/draw_figures/{{study}}/{GROUP}.log"
            if TOGETHER
            else f"logs/draw_figures/{{study}}/{{dataset}}/{{recipe}}/{GROUP}.log",
        # The largest group first, or one core would wait for it at the end.
        priority: sum(figure.group == GROUP for figure in STUDY_FIGURES.values())
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
            "Figures of the study {wildcards.study}: {params.group}"
            if TOGETHER
            else "Figures of {wildcards.dataset} with {wildcards.recipe}: {params.group}"
        script:
            "../scripts/draw_figures.py"
