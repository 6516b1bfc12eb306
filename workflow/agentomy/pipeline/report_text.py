"""Text of study files in the report, which Snakemake reads as reStructuredText and writes into a page with scripts."""


def paragraph(text: str) -> str:
    r"""One paragraph of reStructuredText that shows this text and means nothing: no link, no directive, no markup.

    A backslash stands before all that is neither letter, digit nor space. Snakemake also writes what it is given here
    into a script of the page, unread: so nothing ends that script either (`\<\/script\>`).
    """
    visible = "".join(each if each.isprintable() else " " for each in text)
    return "".join(each if each.isalnum() or each == " " else f"\\{each}" for each in " ".join(visible.split()))
