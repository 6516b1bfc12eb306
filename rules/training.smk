# Training: a stack of seeds a job; goes on from its restart file after any interruption.
rule training:
    input:
        lambda wanted: plan.studies[wanted.study].job("training", wanted.name).files,
    output:
        f"{RESULTS}/{{study}}/training/{{name}}.parameters.parquet",
        f"{RESULTS}/{{study}}/training/{{name}}.log.parquet",
    log:
        f"{RESULTS}/{{study}}/logs/training/{{name}}.log",
    benchmark:
        f"{RESULTS}/{{study}}/benchmarks/training/{{name}}.tsv"
    params:
        job=lambda wanted: plan.studies[wanted.study].job("training", wanted.name).text(),
    threads: 1
    resources:
        mem_mb=4000,
        runtime=720,
    conda:
        "../envs/agentomy.yaml"
    message:
        "{wildcards.study}: training {wildcards.name}"
    shell:
        "python -m agentomy.stages {params.job:q} {log}"
