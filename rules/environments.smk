# Environment generation: tasks, levels and data sets, as tables.
rule environment:
    input:
        lambda wanted: plan.studies[wanted.study].job("environments", wanted.name).files,
    output:
        f"{RESULTS}/{{study}}/environments/{{name}}.parquet",
    log:
        f"{RESULTS}/{{study}}/logs/environments/{{name}}.log",
    benchmark:
        f"{RESULTS}/{{study}}/benchmarks/environments/{{name}}.tsv"
    params:
        job=lambda wanted: plan.studies[wanted.study].job("environments", wanted.name).text(),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    conda:
        "../envs/agentomy.yaml"
    message:
        "{wildcards.study}: environments {wildcards.name}"
    shell:
        "python -m agentomy.stages {params.job:q} {log}"
