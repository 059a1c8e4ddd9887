"""The documentation: links to files and headings resolve, and ``gtn-cli`` accepts every command line shown."""

import itertools
import re
import shlex
from pathlib import Path

import click
import pytest

from gtn_cli.main import cli

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]*))?\)")
HEADING = re.compile(r"^#+ +(.+?)[ #]*$", re.MULTILINE)
BEFORE = r"(?:[A-Z_]+=\S+ )*(?:(?:torchrun|horovodrun|mpirun|srun)[^`\n]*? )?"
COMMAND = re.compile(rf"^    {BEFORE}(gtn-cli [^\n]+)|`{BEFORE}(gtn-cli [^`]+)`", re.MULTILINE)
PLACEHOLDERS = re.compile(r"\.\.\.|<|\||\b(?:FORMAT|CLAIM|RUN)\b")


def shown_commands(text):
    """Yields the words of every command line in a text, except bare command names and lines with placeholders."""
    for block, inline in COMMAND.findall(text.replace("\\\n", " ")):
        line = re.sub(r" >>? .*", "", block or inline)
        words = shlex.split(line, comments=True)[1:]
        if not PLACEHOLDERS.search(line) and any(not re.fullmatch("[a-z-]+", word) or word[0] == "-" for word in words):
            yield words


def commands(command=cli, name="gtn-cli"):
    """Yields the name and help text of every command, including those in groups."""
    yield name, command.help or ""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for inner in command.list_commands(context):
            yield from commands(command.get_command(context, inner), f"{name} {inner}")


def assert_accepted(text):
    for words in shown_commands(text):
        try:
            parse(cli, words)
        except click.exceptions.Exit:
            pass  # --help, --version
        except click.UsageError as error:
            pytest.fail(f"gtn-cli {shlex.join(words)}: {error.format_message()}")


def parse(command, words, parent=None):
    """Parses words as the command line does, down to the last subcommand, without running anything."""
    context = command.make_context(command.name, list(words), parent=parent)
    if isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        _, inner, others = command.resolve_command(context, rest)
        parse(inner, others, context)


def anchors(text):
    """Returns the anchors that GitHub gives the headings of a page."""
    found = set()
    for heading in HEADING.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)  # of a link, its text
        slug = re.sub(r"[^\w -]", "", words).lower().replace(" ", "-")
        repeats = (f"-{number}" for number in itertools.count(1))
        found.add(next(name for end in itertools.chain([""], repeats) if (name := slug + end) not in found))
    return found


def relative_links():
    """Yields the page, target and anchor of every relative link; the target of one within its page is empty."""
    for page in PAGES:
        for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
            if "://" not in target:
                yield page, target, anchor


def test_relative_links_lead_to_existing_files():
    broken = [f"{page.name}: {target}" for page, target, _ in relative_links() if not (page.parent / target).exists()]
    assert broken == []


def test_anchors_of_relative_links_are_those_of_headings():
    broken = []
    for page, target, anchor in relative_links():
        linked = page.parent / target if target else page
        if anchor and (linked.suffix != ".md" or anchor not in anchors(linked.read_text(encoding="utf-8"))):
            broken.append(f"{page.name}: {target}#{anchor}")
    assert broken == []


def test_anchors_follow_the_rule_of_github():
    text = "# A `b_c`: d, *e*\n## A [link](x.md#y)\n\n## It\n```\n# no heading\n```\n### It #\n"
    assert anchors(text) == {"a-b_c-d-e", "a-link", "it", "it-1"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_command_lines_of_page_are_accepted(page):
    assert_accepted(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "text"), list(commands()), ids=lambda value: value.partition("\n")[0][:40])
def test_examples_in_help_text_are_accepted(name, text):
    assert_accepted(re.sub(r"^ +", "    ", text, flags=re.MULTILINE))


def test_parse_rejects_unknown_option():
    with pytest.raises(click.UsageError):
        parse(cli, ["nas", "sample", "--no-such-option"])
