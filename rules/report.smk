# The report: what was asked, where the results come from, and one self-contained page.
rule describe:
    input:
        run_manifest=run_files("manifest.json"),
        timing_manifest=timing_files("manifest.json"),
        tuning_manifest=all_tuning_files("manifest.json"),
        probe_manifest=[
            file
            for probe in STUDY.probes
            for file in probe_files("manifest.json", probe)
        ],
        measurements=given(measured.files(STUDY.measurements)),
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
        study=STUDY.describe(),
        code=code("manifest.py", "columns.py", "records.py"),
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
            category="Report",
            labels={"report": "{study}"},
            caption="../reports/captions/report.rst",
        ),
    log:
        notebook="logs/render_report/{study}.ipynb",
        text="logs/render_report/{study}.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        title=STUDY.title,
        template=str(ROOT / "reports" / "report.py"),
        code=[
            code("report.py", "template/*", root=ROOT / "reports"),
            code(*ANALYSIS_CODE, "report/*.py", "figures/*.py"),
        ],
    message:
        "Report of the study {wildcards.study}"
    script:
        "../scripts/render_report.py"
