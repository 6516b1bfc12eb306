# What the report shows first, and beside each figure. Its templates find these in `snakemake.config`, and call them when
# it is written.
def landing_page(categories):
    from agentomy.pipeline.report import landing

    there = {
        str(file.path)
        for subcategories in categories.values()
        for files in subcategories.values()
        for file in files
    }
    return landing.page(
        plan,
        None if BUCKET else begun().states,
        there,
        workflow.config_settings.config,
    )


def remaking(file):
    """The command that makes a file again, as a paragraph."""
    from agentomy.pipeline.report import landing

    option = landing.options(workflow.config_settings.config)
    return report_text.paragraph(landing.command(str(file), option))


config.update(landing_page=landing_page, remaking=remaking)


def figure_labels(wildcards):
    """Figures in the order of the study file, by their titles."""
    figures = plan.studies[wildcards.study].entries["figures"]
    return {
        "#": f"{list(figures).index(wildcards.name) + 1:02}",
        "figure": report_text.label(figures[wildcards.name]),
    }
