"""Write the table of questions into docs/questions.md, from the questions themselves."""

from __future__ import annotations

import re
from pathlib import Path

from tcdatalogger.questions import question

PAGE = Path(__file__).parents[1] / "docs" / "questions.md"
_TABLE = re.compile(r"(?<=compares it -->\n\n).*?(?=\n\n## What a question is)", re.DOTALL)


def table() -> str:
    """A line for each question: name, question, who asks, what it needs."""
    lines = ["| name | question | asked by | needs |", "|---|---|---|---|"]
    for name, each in question.shipped().items():
        needs = ", ".join(
            f"`{path}`{' (or without)' if need.optional else ''}"
            for path, need in each.needs.items()
        )
        lines.append(f"| `{name}` | {each.title} | {', '.join(each.asks)} | {needs} |")
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with the table as it is now."""
    return _TABLE.sub(lambda _: table(), page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
