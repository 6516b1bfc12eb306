# Figures: one job for each, as PDF for the page and PNG for the screen.
rule figure:
    input:
        needed("figures"),
    output:
        report(
            f"{RESULTS}/{{study}}/figures/{{name}}.png",
            caption="../workflow/report/figure.rst",
            category="{study}",
            subcategory="figures",
            labels=lambda wildcards: figure_labels(wildcards),
        ),
        f"{RESULTS}/{{study}}/figures/{{name}}.pdf",
        record_of("figures"),
    log:
        f"{RESULTS}/{{study}}/logs/figures/{{name}}.log",
    priority: priority("figures")
    conda:
        "../envs/agentomy.yaml"
    threads: 1
    resources:
        mem_mb=resource("figures", "mem_mb"),
        runtime=resource("figures", "runtime"),
    params:
        digest=digest("figures"),
        caption=lambda wildcards: report_text.paragraph(
            plan.studies[wildcards.study].entries["figures"][wildcards.name].caption
        ),
        title=title,
        adopted=adopted("figures"),
    message:
        "{wildcards.study}: figures {wildcards.name}"
    shell:
        "python -m agentomy.pipeline.run.job {wildcards.study:q} figures {wildcards.name:q} {log:q} {params.digest:q}"
