# Claims: the verdicts of a study, as a table for programs, for people and for the report.
rule verdicts:
    input:
        needed("claims"),
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
        record_of("claims"),
    log:
        f"{RESULTS}/{{study}}/logs/claims.log",
    priority: priority("claims")
    conda:
        "../envs/agentomy.yaml"
    threads: 1
    resources:
        mem_mb=resource("claims", "mem_mb"),
        runtime=resource("claims", "runtime"),
    params:
        digest=digest("claims"),
        title=lambda wanted: plan.studies[wanted.study].paper.title,
    message:
        "{wildcards.study}: claims"
    shell:
        "python -m agentomy.job {wildcards.study:q} claims claims {log:q} {params.digest:q}"


rule claims:
    input:
        [f"{RESULTS}/{study}/claims.parquet" for study in plan.config.studies],
    log:
        f"{RESULTS}/claims.log",
    conda:
        "../envs/agentomy.yaml"
    message:
        "claims of the chosen studies"
    shell:
        "python -m agentomy.claims {input:q} | tee {log:q}"
