"""Texts in which a player who is forgotten has an alias: links with the id, and what they enclose.

A link says whom it means: `profiles.php?XID=ID`, `profiles/ID`, `user2ID=ID`, also written with
`%3D` or as HTML entities. A link to a faction, an item or a crime with the same number stays. The
text between `<a …>` and `</a>` is the name, whatever it is. Elsewhere a name counts where it is one
of those that are known of the player, and only in texts that tell of people. The sentence of a
failed check has a value for example, and the key of its row: there a number is an id as well.
"""

from __future__ import annotations

import re
from typing import Final

from tcdatalogger.models.people.pseudonyms import Alias, Pseudonyms

_IS: Final = r"(?:=|%(?:25)*3[dD]|&#0*61;|&#[xX]0*3[dD];|&equals;)"
"""The sign between a key and its value, however it is written."""

_BEGINS: Final = r"(?:(?<![A-Za-z0-9_])|(?<=%26)|(?<=%3[fF])|(?<=2526)|(?<=253[fF]))"
"""Before a key: no letter of a longer word, or a `&` or `?` that is written as `%26` or `%3F`."""

_PAGES: Final = (
    "profiles|personalstats|displaycase|bazaar|messages|trade|properties|friendlist|blacklist|"
    "playerreport|userimages"
)
"""Pages that are about a player, so that `ID=` there is a player's."""

_LINK: Final = re.compile(
    rf"{_BEGINS}(?P<key>(?:XID|user2?_?ID|player_?ID|target_?user_?ID){_IS})(?P<a>[0-9]{{1,19}})(?![0-9])"
    rf"|(?P<page>(?:{_PAGES})(?:\.php)?\?(?:[^\s\"'<>#]*?(?:&(?:amp;)?))??ID{_IS})"
    rf"(?P<b>[0-9]{{1,19}})(?![0-9])"
    rf"|(?P<path>(?<![A-Za-z0-9_])profiles/)(?P<c>[0-9]{{1,19}})(?![0-9])"
    rf"|(?P<image>profileimages\.torn\.com/[^\s\"'<>]*?-)(?P<d>[0-9]{{1,19}})(?=\.[A-Za-z])",
    re.IGNORECASE,
)

_ANCHOR: Final = re.compile(
    r"(?P<tag><a\b[^<>]*>)(?P<name>.*?)(?P<end></a\s*>)"
    r"|(?P<tag2>&lt;a\b(?:(?!&gt;).)*&gt;)(?P<name2>.*?)(?P<end2>&lt;/a\s*&gt;)",
    re.IGNORECASE | re.DOTALL,
)
"""A link of HTML with what it encloses; also where the HTML is written as a text."""

_NAME: Final = re.compile(r"(?<![A-Za-z0-9_-])(?P<name>[A-Za-z0-9_-]{3,15})(?![A-Za-z0-9_-])")
"""A word that may be the name of a player."""

_AFTER: Final = re.compile(r"(\s?\[)([0-9]{1,19})(\])")
"""The id that often stands after a name, as `Name [123]`."""


_CHECK: Final = re.compile(
    r"(?P<check>\bfails? the check that [^\n]*?: )"
    r"(?P<values>[^\n]*?, for example(?: where [^.;\n]*)?)"
)
"""The sentence of a failed check (`CheckResult`), up to its values and from there on."""

_CALL: Final = re.compile(
    r"(?P<call>(?<![A-Za-z0-9_])v2/user/)(?P<id>[0-9]{1,19})(?![0-9]|/(?:crimes|trade)\b)"
)
"""A call of Torn's API about a player. A crime and a trade of the caller's have such a path too."""

_NUMBER: Final = re.compile(r"(?<![\w.])[0-9]{1,19}(?!\w)")


def rewritten(text: str, pseudonyms: Pseudonyms, *, names: bool = False) -> str:
    """A text in which players who are forgotten have their aliases.

    Args:
        text: the text.
        pseudonyms: the players.
        names: whether the text tells of people, so that their known names count outside of links.
    """
    if _may_have_link(text):
        text = _ANCHOR.sub(lambda found: _anchor(found, pseudonyms), text)
        text = _LINK.sub(lambda found: _link(found, pseudonyms), text)
    if " the check that " in text:
        text = _CHECK.sub(
            lambda found: f"{found['check']}{exchanged(found['values'], pseudonyms)}", text
        )
    return _named(text, pseudonyms) if names and pseudonyms.names else text


def exchanged(values: str, pseudonyms: Pseudonyms) -> str:
    """A text that has nothing but values, with aliases for each number and name of a player."""

    def alias(found: re.Match[str]) -> str:
        known = pseudonyms.of_id(found[0])
        return found[0] if known is None else known.digits

    return _named(_NUMBER.sub(alias, values), pseudonyms)


def called(link: str, pseudonyms: Pseudonyms) -> str:
    """A link to another page of a list, with an alias where the list is about a player."""

    def alias(found: re.Match[str]) -> str:
        known = pseudonyms.of_id(found["id"])
        return found[0] if known is None else f"{found['call']}{known.digits}"

    return _CALL.sub(alias, link)


def players_in(text: str, pseudonyms: Pseudonyms) -> list[tuple[Alias, str]]:
    """The forgotten players to whom links of a text lead, each with the enclosed name."""
    found = []
    for match in _ANCHOR.finditer(text) if _may_have_link(text) else ():
        alias = _whose(match["tag"] or match["tag2"], pseudonyms)
        name = match["name"] if match["tag"] else match["name2"]
        if alias is not None:
            found.append((alias, name.strip()))
    return found


def _may_have_link(text: str) -> bool:
    lower = text.lower()
    return "id" in lower or "profile" in lower


def _anchor(found: re.Match[str], pseudonyms: Pseudonyms) -> str:
    """A link with the alias in place of what it encloses, where it leads to somebody forgotten."""
    plain = found["tag"] is not None
    tag, name, end = found.group(*(("tag", "name", "end") if plain else ("tag2", "name2", "end2")))
    alias = _whose(tag, pseudonyms)
    return f"{tag}{name if alias is None else alias.word}{end}"


def _whose(tag: str, pseudonyms: Pseudonyms) -> Alias | None:
    """Who is forgotten of those to whom the address in a tag leads."""
    for link in _LINK.finditer(tag):
        alias = pseudonyms.of_id(_digits(link))
        if alias is not None:
            return alias
    return None


def _link(found: re.Match[str], pseudonyms: Pseudonyms) -> str:
    digits = _digits(found)
    alias = pseudonyms.of_id(digits)
    return found[0] if alias is None else f"{found[0].removesuffix(digits)}{alias.digits}"


def _digits(link: re.Match[str]) -> str:
    return str(link["a"] or link["b"] or link["c"] or link["d"])


def _named(text: str, pseudonyms: Pseudonyms) -> str:
    """A text with aliases in place of known names, and of the id that stands after one."""
    parts, at = [], 0
    for found in _NAME.finditer(text):
        alias = pseudonyms.of_name(found["name"])
        if alias is None or found.start() < at:
            continue
        parts += [text[at : found.start()], alias.word]
        at = found.end()
        behind = _AFTER.match(text, at)
        if behind is not None and pseudonyms.of_id(behind[2]) == alias:
            parts += [behind[1], alias.digits, behind[3]]
            at = behind.end()
    return "".join([*parts, text[at:]])
