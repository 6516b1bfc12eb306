# Claims: the verdicts of a study, as a table for programs, for people and for the report.
rule verdicts:
    input:
        lambda wanted: plan.studies[wanted.study].claims_job().files,
    output:
        f"{RESULTS}/{{study}}/claims.parquet",
        f"{RESULTS}/{{study}}/claims.md",
        report(
            f"{RESULTS}/{{study}}/claims.html",
            caption="../workflow/report/claims.rst",
            category="{study}",
            subcategory="claims",
            labels={"figure": "claims"},
        ),
    log:
        f"{RESULTS}/{{study}}/logs/claims.log",
    benchmark:
        f"{RESULTS}/{{study}}/benchmarks/claims.tsv"
    params:
        job=lambda wanted: plan.studies[wanted.study].claims_job().text(),
        title=lambda wanted: plan.studies[wanted.study].paper.title,
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    conda:
        "../envs/agentomy.yaml"
    message:
        "{wildcards.study}: claims"
    shell:
        "python -m agentomy.stages {params.job:q} {log}"


rule claims:
    input:
        [f"{study.folder}/claims.parquet" for study in plan.chosen],
    log:
        f"{RESULTS}/claims.log",
    conda:
        "../envs/agentomy.yaml"
    message:
        "claims of the chosen studies"
    shell:
        "python -m agentomy.claims {input} | tee {log}"
