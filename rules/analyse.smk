# Tables of the study, from the declared files of its jobs or measurements: a missing one is an error.
rule tabulate:
    input:
        **probe_records(),
        run=run_files("run.parquet"),
        evaluations=run_files("evaluations.parquet"),
        steps=run_files("steps.parquet"),
        run_manifest=run_manifests,
        timing=timing_files("timing.parquet"),
        windows=timing_files("windows.parquet"),
        timing_manifest=timing_files("manifest.json"),
        trials=all_tuning_files("trials.parquet"),
        measurements=given(STUDY.measured_files),
        tuning_manifest=all_tuning_files("manifest.json"),
        probe_manifest=all_probe_files("manifest.json"),
    output:
        # One, since Snakemake keeps the list of all inputs for each output, and reads it whenever it looks at the study.
        temp(directory("results/{study}/tabulated")),
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
        made_for=MADE_FOR,
        code=code("tabulate.py"),
        token=TOKEN,
    message:
        "Tables of the study {wildcards.study}"
    script:
        "../scripts/tabulate.py"


# The same tables, in their place.
rule publish_tables:
    input:
        rules.tabulate.output,
    output:
        parquet=table_files("parquet"),
        csv=[
            report(
                f"results/{{study}}/tables/{table}.csv",
                category="Tables",
                labels={"table": table},
                caption="../reports/captions/table.rst",
            )
            for table in STUDY_TABLES
        ],
        codebook=report(
            "results/{study}/tables/codebook.csv",
            category="Tables",
            labels={"table": "codebook"},
            caption="../reports/captions/table.rst",
        ),
        made_from="results/{study}/tables/made_from.json",
    log:
        "logs/publish_tables/{study}.log",
    localrule: True
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Tables of the study {wildcards.study}, put in their place"
    script:
        "../scripts/publish_tables.py"
