# Tables and figures of the study, from the declared files of its jobs or measurements: a missing one is an error.
rule tabulate:
    input:
        run=run_files("run.parquet"),
        evaluations=run_files("evaluations.parquet"),
        steps=run_files("steps.parquet"),
        run_manifest=run_manifests,
        timing=timing_files("timing.parquet"),
        windows=timing_files("windows.parquet"),
        timing_manifest=timing_files("manifest.json"),
        trials=all_tuning_files("trials.parquet"),
        measurements=given(external_runs.files(STUDY.measurements)),
        gradients=probe_files("gradients.parquet", "gradients"),
        noise_scale=probe_files("noise_scale.parquet", "gradients"),
        sharpness=probe_files("sharpness.parquet", "sharpness"),
        slices=probe_files("slices.parquet", "sharpness"),
        modes=probe_files("modes.parquet", "modes"),
        rate_ranges=probe_files("rate_ranges.parquet", "rates"),
        rate_curves=probe_files("rate_curves.parquet", "rates"),
        accumulation=probe_files("accumulation.parquet", "accumulation"),
        loop_windows=probe_files("loop_windows.parquet", "overheads"),
        tuning_manifest=all_tuning_files("manifest.json"),
        probe_manifest=all_probe_files("manifest.json"),
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
        codebook=report(
            "results/{study}/tables/codebook.csv",
            category="Tables",
            labels={"table": "codebook"},
            caption="../reports/captions/table.rst",
        ),
        made_from="results/{study}/tables/made_from.json",
    log:
        "logs/tabulate/{study}.log",
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        asked=vars(ASKED),
        measured=content(external_runs.files(STUDY.measurements)),
        code=code("tabulate.py"),
        token=TOKEN,
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
        code=code("draw_figures.py"),
        token=TOKEN,
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
        code=code("draw_figures.py"),
        token=TOKEN,


use rule draw_figures as draw_tuning_figures with:
    output:
        figure_outputs("tuning"),
    log:
        "logs/draw_figures/{study}/{dataset}/{recipe}/tuning.log",
    params:
        group="tuning",
        code=code("draw_figures.py"),
        token=TOKEN,


use rule draw_figures as draw_gradient_figures with:
    output:
        figure_outputs("gradients"),
    log:
        "logs/draw_figures/{study}/{dataset}/{recipe}/gradients.log",
    params:
        group="gradients",
        code=code("draw_figures.py"),
        token=TOKEN,


use rule draw_figures as draw_sharpness_figures with:
    output:
        figure_outputs("sharpness"),
    log:
        "logs/draw_figures/{study}/{dataset}/{recipe}/sharpness.log",
    params:
        group="sharpness",
        code=code("draw_figures.py"),
        token=TOKEN,


use rule draw_figures as draw_rate_figures with:
    output:
        figure_outputs("rates"),
    log:
        "logs/draw_figures/{study}/{dataset}/{recipe}/rates.log",
    params:
        group="rates",
        code=code("draw_figures.py"),
        token=TOKEN,


use rule draw_figures as draw_mode_figures with:
    output:
        figure_outputs("modes"),
    log:
        "logs/draw_figures/{study}/{dataset}/{recipe}/modes.log",
    params:
        group="modes",
        code=code("draw_figures.py"),
        token=TOKEN,


use rule draw_figures as draw_overhead_figures with:
    output:
        figure_outputs("overheads"),
    log:
        "logs/draw_figures/{study}/{dataset}/{recipe}/overheads.log",
    params:
        group="overheads",
        code=code("draw_figures.py"),
        token=TOKEN,
