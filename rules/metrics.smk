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
    params:
        job=lambda wanted: plan.studies[wanted.study].job("metrics", wanted.name).text(),
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    conda:
        "../envs/agentomy.yaml"
    message:
        "{wildcards.study}: metrics {wildcards.name}"
    shell:
        "python -m agentomy.stages {params.job:q} {log}"
