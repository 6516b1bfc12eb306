# Environment generation: tasks, levels and data sets, as tables.
rule environment:
    input:
        lambda wanted: plan.studies[wanted.study].job("environments", wanted.name).files,
    output:
        f"{RESULTS}/{{study}}/environments/{{name}}.parquet",
    log:
        f"{RESULTS}/{{study}}/logs/environments/{{name}}.log",
    priority: 2  # all training waits for these
    conda:
        "../envs/agentomy.yaml"
    threads: 1
    resources:
        mem_mb=resource("environments", "mem_mb"),
        runtime=resource("environments", "runtime"),
    params:
        job=lambda wanted: plan.studies[wanted.study]
        .job("environments", wanted.name)
        .text(),
        digest=lambda wanted: plan.studies[wanted.study]
        .job("environments", wanted.name)
        .digest(),
    message:
        "{wildcards.study}: environments {wildcards.name}"
    shell:
        "python -m agentomy.job {wildcards.study:q} environments {wildcards.name:q} {log:q} {params.digest:q}"
