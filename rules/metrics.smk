# Metric computation: tables in, tables out.
rule metric:
    input:
        lambda wanted: plan.studies[wanted.study].job("metrics", wanted.name).files,
    output:
        f"{RESULTS}/{{study}}/metrics/{{name}}.parquet",
    log:
        f"{RESULTS}/{{study}}/logs/metrics/{{name}}.log",
    benchmark:
        f"{RESULTS}/{{study}}/benchmarks/metrics/{{name}}.tsv"
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
        "python -m agentomy.stages {wildcards.study} metrics {wildcards.name} {log} {params.digest}"
