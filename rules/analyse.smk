# Tables and figures of the study, from the declared files of its runs and timings: a missing one is an error.
rule tabulate:
    input:
        run=run_files("run.parquet"),
        epochs=run_files("epochs.parquet"),
        steps=run_files("steps.parquet"),
        run_manifest=run_files("manifest.json"),
        timing=timing_files("timing.parquet"),
        windows=timing_files("windows.parquet"),
        timing_manifest=timing_files("manifest.json"),
    output:
        parquet=table_files("parquet"),
        csv=[
            report(
                f"results/{{study}}/tables/{table}.csv",
                category="Tables",
                labels={"table": table},
                caption="../reports/captions/table.rst",
            )
            for table in TABLES
        ],
    log:
        "logs/tabulate/{study}.log",
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code("records.py", "analysis/*.py"),
    message:
        "Tables of the study {wildcards.study}"
    script:
        "../scripts/tabulate.py"


rule draw_figures:
    input:
        tables=table_files("parquet"),
    output:
        [
            report(
                f"results/{{study}}/figures/{name}-{{dataset}}-{{recipe}}.svg",
                category="Figures",
                subcategory="{dataset}, {recipe}",
                labels={"figure": figure.title},
                caption="../reports/captions/figure.rst",
            )
            for name, figure in FIGURES.items()
        ],
    log:
        "logs/draw_figures/{study}/{dataset}/{recipe}.log",
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code("records.py", "analysis/*.py", "figures/*.py"),
    message:
        "Figures of {wildcards.dataset} with {wildcards.recipe}"
    script:
        "../scripts/draw_figures.py"
