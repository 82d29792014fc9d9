# Tables and figures of the study, from the declared files of its jobs or measurements: a missing one is an error.
ANALYSIS_CODE = (
    "analysis/*.py",
    "analysis/claims/*.py",
    "claims.py",
    "numbers.py",
    "records.py",
    "splits.py",
)
FIGURE_CODE = code(*ANALYSIS_CODE, "figures/*.py")


rule tabulate:
    input:
        run=run_files("run.parquet"),
        evaluations=run_files("evaluations.parquet"),
        steps=run_files("steps.parquet"),
        run_manifest=run_files("manifest.json"),
        timing=timing_files("timing.parquet"),
        windows=timing_files("windows.parquet"),
        timing_manifest=timing_files("manifest.json"),
        trials=all_tuning_files("trials.parquet"),
        measurements=measured.files(STUDY.measurements),
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
        study=STUDY.describe(),
        code=code(*ANALYSIS_CODE),
    message:
        "Tables of the study {wildcards.study}"
    script:
        "../scripts/tabulate.py"


rule draw_figures:
    input:
        tables=table_files("parquet"),
    output:
        figure_outputs("runs"),
    log:
        "logs/draw_figures/{study}/{dataset}/{recipe}/runs.log",
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        group="runs",
        code=FIGURE_CODE,
    message:
        "Figures of {wildcards.dataset} with {wildcards.recipe}: {params.group}"
    script:
        "../scripts/draw_figures.py"


use rule draw_figures as draw_target_figures with:
    output:
        figure_outputs("targets"),
    log:
        "logs/draw_figures/{study}/{dataset}/{recipe}/targets.log",
    params:
        group="targets",
        code=FIGURE_CODE,


use rule draw_figures as draw_tuning_figures with:
    output:
        figure_outputs("tuning"),
    log:
        "logs/draw_figures/{study}/{dataset}/{recipe}/tuning.log",
    params:
        group="tuning",
        code=FIGURE_CODE,
