# The report: what was asked, where the results come from, and one self-contained page.
rule describe:
    input:
        run_manifest=run_files("manifest.json"),
        timing_manifest=timing_files("manifest.json"),
        tuning_manifest=all_tuning_files("manifest.json"),
        probe_manifest=all_probe_files("manifest.json"),
        measurements=given(STUDY.measured_files),
    output:
        study="results/{study}/study.json",
        manifest="results/{study}/manifest.json",
    log:
        "logs/describe/{study}.log",
    conda:
        "../envs/analyse.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        asked=vars(ASKED),
        made_for=MADE_FOR,
        code=code("describe.py"),
        token=TOKEN,
    message:
        "Manifest of the study {wildcards.study}"
    script:
        "../scripts/describe.py"


rule render_report:
    input:
        tables=table_files("parquet"),
        figures=figure_files(),
        study=rules.describe.output.study,
        manifest=rules.describe.output.manifest,
    output:
        html=report(
            "results/{study}/report.html",
            category="Answer",  # before Figures and Tables, as Snakemake sorts them
            labels={"report": "{study}"},
            caption="../reports/captions/report.rst",
        ),
    # The notebook as it was run lies beside it, undeclared: Snakemake would print it, or stop at it where there is none.
    log:
        "logs/render_report/{study}.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        # Functions, since Snakemake takes braces in a text for wildcards.
        title=lambda wildcards: STUDY.file.title,
        template=lambda wildcards: str(ROOT / "reports" / "notebook.py"),
        code=[
            code("render_report.py"),
            code("notebook.py", ROOT / "reports"),
            *content(sorted((ROOT / "reports" / "template").iterdir())).values(),
        ],
        token=TOKEN,
    message:
        "Report of the study {wildcards.study}"
    script:
        "../scripts/render_report.py"
