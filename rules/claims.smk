# Claims: the verdicts of a study, as tables for programs, for people and for the report.
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
            labels={"claims": "every claim, and every test"},
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
        title=title,
        adopted=adopted("claims"),
    message:
        "{wildcards.study}: claims"
    shell:
        "python -m agentomy.pipeline.run.job {wildcards.study:q} claims claims {log:q} {params.digest:q}"


# Shows the verdicts that exist. It makes none, but says how to make those that are missing or out of date.
rule claims:
    log:
        f"{RESULTS}/claims.log",
    conda:
        "../envs/agentomy.yaml"
    params:
        scale=plan.config.scale,
        studies=plan.config.studies,
    message:
        "claims of the chosen studies"
    shell:
        "python -m agentomy.command claims --scale {params.scale:q} {params.studies:q} | tee {log:q}"
