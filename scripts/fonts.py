"""Makes the fonts of pictures: Inter in two weights, with the letters that pictures have.

Needs fonttools and brotli, and the npm package inter-ui, unpacked:

    python scripts/fonts.py package/web

Digits are those of one width, so that numbers stand below each other. resvg reads no WOFF2.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

FONTS = Path(__file__).parents[1] / "src/tcdatalogger/questions/pictures/fonts"
WEIGHTS = {"regular": "Inter-Regular.woff2", "bold": "Inter-SemiBold.woff2"}
LETTERS = [
    *range(0x20, 0x7F),
    *range(0xA0, 0x180),  # Latin-1, and Latin of Europe
    *range(0x391, 0x3CA),  # Greek
    *range(0x410, 0x450),  # Cyrillic
    *(ord(sign) for sign in "–—‘’“”„•…‹›€₽™−×÷≈≠≤≥∞←↑→↓▲▼●◆■✓✗"),  # noqa: RUF001  # signs are meant
]


def made(file: Path) -> TTFont:
    """The font with our letters alone, and digits of one width."""
    font = TTFont(file)
    digits = next(
        table.mapping
        for record in font["GSUB"].table.FeatureList.FeatureRecord
        if record.FeatureTag == "tnum"
        for at in record.Feature.LookupListIndex
        for table in font["GSUB"].table.LookupList.Lookup[at].SubTable
    )
    for table in font["cmap"].tables:
        for code, name in table.cmap.items():
            if chr(code).isdigit() and name in digits:
                table.cmap[code] = digits[name]
    options = Options(layout_features=["kern", "mark", "mkmk", "ccmp"], hinting=False)
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14, 16, 17]
    subset = Subsetter(options)
    subset.populate(unicodes=LETTERS)
    subset.subset(font)
    font.flavor = None
    return font


def main(folder: Path) -> None:
    """Write both fonts, and how wide their letters are in thousandths of the size."""
    widths = {}
    for weight, name in WEIGHTS.items():
        font = made(folder / name)
        font.save(FONTS / f"inter-{weight}.ttf")
        size = font["head"].unitsPerEm
        widths[weight] = {
            chr(code): round(1000 * font["hmtx"][name][0] / size)
            for code, name in sorted(font.getBestCmap().items())
        }
    text = json.dumps(widths, ensure_ascii=False, separators=(",", ":"))
    (FONTS / "widths.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
