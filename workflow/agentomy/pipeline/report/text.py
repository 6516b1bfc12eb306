"""Text of study files in the report, which Snakemake reads as reStructuredText and writes into a page with scripts."""

import re

from agentomy.pipeline.plan.entries import LONGEST, Figure


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


def titled(figure: Figure) -> tuple[str, str]:
    """A figure's title, and the caption that stands beside it.

    Without a title of its own the caption is cut in two: what it begins with, and the rest; either may end in the
    middle of a sentence.
    """
    text = visible(figure.caption)
    if figure.title:
        return visible(figure.title), text
    aside = re.match(r"Beyond the paper[.:] ", text)
    begin = aside.end() if aside else 0
    end = re.compile(r"[.:;](?= |$)").search(text, begin)
    last = end.start() if end else len(text)
    if last - begin > LONGEST:
        last = text.rfind(" ", begin, begin + LONGEST)
        last = last if last > begin else begin + LONGEST
    return text[:last], text[last:]


def label(figure: Figure) -> str:
    """The title of a figure where it stands alone, as in Snakemake's menu: plain, and with dots where it was cut."""
    title, rest = titled(figure)
    cut = not figure.title and rest and rest[0] not in ".:;"
    return plain(title) + "…" * bool(cut)


def visible(text: str) -> str:
    """What can be seen of a text, in one line."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
