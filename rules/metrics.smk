# Metric computation: tables in, tables out.
rule metric:
    input:
        lambda wanted: plan.studies[wanted.study].job("metrics", wanted.name).files,
    output:
        f"{RESULTS}/{{study}}/metrics/{{name}}.parquet",
    log:
        f"{RESULTS}/{{study}}/logs/metrics/{{name}}.log",
    conda:
        "../envs/agentomy.yaml"
    threads: 1
    resources:
        mem_mb=resource("metrics", "mem_mb"),
        runtime=resource("metrics", "runtime"),
    params:
        job=lambda wanted: plan.studies[wanted.study].job("metrics", wanted.name).text(),
        digest=lambda wanted: plan.studies[wanted.study]
        .job("metrics", wanted.name)
        .digest(),
    message:
        "{wildcards.study}: metrics {wildcards.name}"
    shell:
        "python -m agentomy.job {wildcards.study:q} metrics {wildcards.name:q} {log:q} {params.digest:q}"
