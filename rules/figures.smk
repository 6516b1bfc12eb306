# Figure rendering: one figure a job, for the page (PDF) and the screen (PNG).
rule figure:
    input:
        lambda wanted: plan.studies[wanted.study].job("figures", wanted.name).files,
    output:
        report(
            f"{RESULTS}/{{study}}/figures/{{name}}.png",
            caption="../workflow/report/figure.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "{name}"},
        ),
        f"{RESULTS}/{{study}}/figures/{{name}}.pdf",
    log:
        f"{RESULTS}/{{study}}/logs/figures/{{name}}.log",
    benchmark:
        f"{RESULTS}/{{study}}/benchmarks/figures/{{name}}.tsv"
    conda:
        "../envs/agentomy.yaml"
    threads: 1
    resources:
        mem_mb=resource("figures", "mem_mb"),
        runtime=resource("figures", "runtime"),
    params:
        job=lambda wanted: plan.studies[wanted.study].job("figures", wanted.name).text(),
        digest=lambda wanted: plan.studies[wanted.study]
        .job("figures", wanted.name)
        .digest(),
        caption=lambda wanted: plan.studies[wanted.study]
        .entries["figures"][wanted.name]
        .caption,
        title=lambda wanted: plan.studies[wanted.study].paper.title,
    message:
        "{wildcards.study}: figures {wildcards.name}"
    shell:
        "python -m agentomy.stages {wildcards.study} figures {wildcards.name} {log} {params.digest}"
