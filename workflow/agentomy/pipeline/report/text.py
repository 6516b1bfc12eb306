"""Text of study files in the report, which Snakemake reads as reStructuredText and writes into a page with scripts."""


def paragraph(text: str) -> str:
    r"""One paragraph of reStructuredText that shows this text and means nothing: no link, no directive, no markup.

    A backslash stands before all that is neither letter, digit nor space. Snakemake also writes what it is given here
    into a script of the page, unread: so nothing ends that script either (`\<\/script\>`).
    """
    return "".join(
        character if character.isalnum() or character == " " else f"\\{character}" for character in visible(text)
    )


def plain(text: str) -> str:
    """One line of text for Snakemake's menu: no braces, which name wildcards there, and nothing that ends a script."""
    return visible(text).translate(str.maketrans("{}<>", "()‹›"))


def visible(text: str) -> str:
    """What can be seen of a text, in one line."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
